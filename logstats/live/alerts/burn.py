"""Alerts of `--policy`: error budgets that burn too fast, by the windows and limits of `logstats slo`.

Each severity is held against two windows that end together: the long one says that it matters, the short one that it
still goes on. What a session has not seen is in no window, so after its start a window is as long as the session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import field
from fractions import Fraction

from logstats.dataclass import dataclass
from logstats.errors import ObjectiveError
from logstats.frames import pl
from logstats.live.alerts.rule import Rule, Verdict
from logstats.objectives import slo
from logstats.objectives.policy import Policy
from logstats.summaries import indicators
from logstats.summaries.indicators import INDICATORS
from logstats.summaries.tables import Accumulator


@dataclass(slots=True)
class _Window:
    """Good and bad requests of the last `length` minutes."""

    length: int
    good: int = 0
    bad: int = 0
    _minutes: deque[tuple[int, int, int]] = field(default_factory=deque)

    def move(self, minute: int, good: int, bad: int) -> None:
        """A further minute, which becomes the last one. After a clock was set back, it is also the first one."""
        if self._minutes and minute <= self._minutes[-1][0]:
            self._minutes.clear()
            self.good = self.bad = 0
        if good or bad:
            self._minutes.append((minute, good, bad))
        self.good, self.bad = self.good + good, self.bad + bad
        while self._minutes and self._minutes[0][0] <= minute - self.length:
            _, good, bad = self._minutes.popleft()
            self.good, self.bad = self.good - good, self.bad - bad

    @property
    def minutes(self) -> list[tuple[int, int, int]]:
        """(minute, good, bad) of each that had a request."""
        return list(self._minutes)

    def rate(self, may_fail: Fraction) -> Fraction | None:
        """The share of bad requests over the share that may be bad."""
        judged = self.good + self.bad
        return Fraction(self.bad, judged) / may_fail if judged else None


@dataclass(frozen=True, slots=True)
class _Burning:
    """One rule: an objective, by its number, and two windows."""

    objective: int
    may_fail: Fraction
    limit: Fraction
    windows: tuple[_Window, _Window]


class Burn:
    """Judges the burn rates of a policy. `notes` say which objectives have no budget. Raises ObjectiveError if none
    has."""

    def __init__(self, policy: Policy) -> None:
        notes = []
        self._indicators = {}
        self._names: dict[int, str] = {}  # by which an objective is known that is what it was
        self._burning: list[_Burning] = []
        rules = []
        wanted = slo.indicators(policy)
        for number, objective in enumerate(policy.objectives):
            limits = slo.limits(policy.window // 60)
            if objective.condition or objective.target == 1 or not limits:
                why = "the policy's window is too short" if not limits else "it has no error budget"
                notes.append(f"objective {objective.name!r} has no burn rate: {why}")
                continue
            self._indicators[number] = wanted[number]
            self._names[number] = f"{objective.name}: {objective.text}"
            for severity, long, short, limit in limits:
                self._burning.append(_Burning(number, 1 - objective.target, limit, (_Window(long), _Window(short))))
                text = f"{objective.name}: burn rate > {float(limit):g} over {slo.span(long)} and {slo.span(short)}"
                rules.append(Rule(text, 1, float(limit), "", severity))
        if not rules:
            raise ObjectiveError(
                "no objective of this policy has a burn rate: " + "; ".join(notes),
                'a target below 100 has one, and so has require = "p99 < 500ms"; --alert takes other conditions',
            )
        self.rules: Sequence[Rule] = rules
        self.notes: Sequence[str] = notes
        self.needs: frozenset[str] = indicators.needs(list(self._indicators.values()))
        self.longest = max(burning.windows[0].length for burning in self._burning)
        self._held = Accumulator(INDICATORS)
        self._counted: dict[tuple[int, int], tuple[int, int]] = {}

    def add(self, requests: pl.DataFrame) -> None:
        """Count requests, all of which have a time."""
        self._held.add(indicators.summarise(requests, self._indicators))

    def read(self, lines: pl.DataFrame) -> None:
        """Nothing: a line that could not be read is no request."""

    def load(self, until: int) -> Iterable[int]:
        """The minutes before `until` of which something is counted."""
        found = self._held.table().filter(pl.col("minute") < until).select("objective", "minute", "good", "bad")
        self._counted = {(objective, minute): (good, bad) for objective, minute, good, bad in found.iter_rows()}
        return {minute for _, minute in self._counted}

    def judge(self, minute: int, *, partial: bool) -> Sequence[Verdict]:
        """What a minute, and those before it, say of each rule."""
        found = []
        for burning in self._burning:
            good, bad = self._counted.get((burning.objective, minute), (0, 0))
            rates = []
            for window in burning.windows:
                window.move(minute, good, bad)
                rates.append(window.rate(burning.may_fail))
            long, short = rates
            if long is None or short is None:
                found.append(Verdict(None, None if long is None else float(long), "nothing to measure: no requests"))
                continue
            holds = long > burning.limit and short > burning.limit
            spans = [slo.span(window.length) for window in burning.windows]
            words = f"burn rate is {_shown(long)} over {spans[0]}, and {_shown(short)} over {spans[1]}"
            found.append(Verdict(holds, float(long), words))
        return found

    def forget(self, before: int) -> None:
        """Drop what is counted of minutes that were judged: the windows have it."""
        self._held.replace(self._held.table().filter(pl.col("minute") >= before))
        self._counted = {}

    def saved(self) -> dict[str, list[tuple[int, int, int]]]:
        """Good and bad requests of each minute in the longest window, by objective."""
        found: dict[str, list[tuple[int, int, int]]] = {}
        for burning in sorted(self._burning, key=lambda one: one.windows[0].length):
            found[self._names[burning.objective]] = burning.windows[0].minutes
        return found

    def restore(self, saved: dict[str, list[tuple[int, int, int]]]) -> None:
        """Fill the windows of objectives that are what they were."""
        for burning in self._burning:
            for minute, good, bad in saved.get(self._names[burning.objective], ()):
                for window in burning.windows:
                    window.move(int(minute), int(good), int(bad))


def _shown(rate: Fraction) -> str:
    return f"{float(rate):,.0f}" if rate >= 100 else f"{float(rate):.3g}"
