"""Which rules fire, decided from one closed minute after the other.

A rule that holds of a minute is pending, and fires when it has held of as many minutes in a row as it asks for. It is
resolved when it has not held of as many minutes in a row, and of `CALM` at the least: so a figure that goes to and fro
about its limit fires once. A minute in which there is nothing to measure says nothing: what fires goes on, and what is
pending waits for as many of these minutes as the rule asks for, and begins anew then.

Minutes go by the clocks of the logs, and are judged once, when they are closed (`clocks`), so the same lines give the
same alerts whenever they are read. While nothing is logged, the clocks go on with that of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.live.alerts.rule import Measure, Rule, Verdict
from logstats.live.clocks import MINUTE, Clocks
from logstats.live.log_clock import SECOND
from logstats.reports.model import iso
from logstats.summaries.traffic import minute as minute_of
from logstats.summaries.traffic import moment

CALM: Final = 2  # minutes in a row of which a rule has not held, before it is resolved
_NOTHING: Final = Verdict(None, None, "")
_COUNTS: Final = ("firing", "held", "calm", "silent", "since", "fired", "seen")
_NEAR: Final = 5  # minutes between the clock of this machine and that of a log, if they are taken for one


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that fires, or is resolved.

    `time` is the end of the minute that decided it, `since` the beginning of the first one of which the rule held, by
    the clock of the log. `value` is that of the last minute, in the unit of the rule's limit.
    """

    rule: Rule
    firing: bool
    time: datetime
    since: datetime
    value: float | None
    words: str

    @property
    def state(self) -> str:
        """One word."""
        return "firing" if self.firing else "resolved"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "condition": self.rule.text,
            "state": self.state,
            "severity": self.rule.severity,
            "time": iso(self.time),
            "since": iso(self.since),
            "value": self.value,
            "limit": self.rule.limit,
            "unit": self.rule.unit,
            "words": self.words,
        }


@dataclass(frozen=True, slots=True)
class State:
    """How things stand with a rule: `waiting` (for a first minute that says something), `ok`, `pending`, `firing`.

    `time` is the end of the last minute that was judged, `since` the beginning of the first one of which it held, if it
    is pending or fires. `fired` is how often it fired, `resolved` when it was resolved last.
    """

    rule: Rule
    state: str
    time: datetime | None
    since: datetime | None
    value: float | None
    words: str
    fired: int
    resolved: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "condition": self.rule.text,
            "state": self.state,
            "severity": self.rule.severity,
            "time": iso(self.time) if self.time else None,
            "since": iso(self.since) if self.since else None,
            "value": self.value,
            "limit": self.rule.limit,
            "unit": self.rule.unit,
            "words": self.words,
            "fired": self.fired,
            "resolved": iso(self.resolved) if self.resolved else None,
        }


@dataclass(slots=True)
class _Watched:
    """A rule, and what the minutes so far came to. `held` and `calm` are minutes in a row that said yes and no,
    `silent` those that said nothing."""

    rule: Rule
    firing: bool = False
    held: int = 0
    calm: int = 0
    silent: int = 0
    since: int = 0
    fired: int = 0
    resolved: int | None = None
    last: int | None = None
    verdict: Verdict = _NOTHING
    seen: bool = False

    def take(self, minute: int, verdict: Verdict) -> Change | None:
        """The next minute."""
        self.last, self.verdict = minute, verdict
        if verdict.holds is None:
            self.silent += 1
            if self.silent > self.rule.hold and not self.firing:
                self.held = 0
            return None
        self.silent, self.seen = 0, True
        if verdict.holds:
            if not self.held and not self.firing:
                self.since = minute
            self.held, self.calm = self.held + 1, 0
            if self.firing or self.held < self.rule.hold:
                return None
            self.firing, self.fired = True, self.fired + 1
        else:
            self.held, self.calm = 0, self.calm + 1
            if not self.firing or self.calm < max(CALM, self.rule.hold):
                return None
            self.firing, self.resolved = False, minute + 1
        return Change(
            self.rule, self.firing, moment(minute + 1), moment(self.since), self.verdict.value, self.verdict.words
        )

    def restart(self) -> None:
        """What follows does not follow on what was before. What fires goes on."""
        self.held = self.calm = self.silent = 0

    def saved(self) -> dict[str, Any]:
        """What minutes came to, as JSON has it."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {**counts, "resolved": self.resolved, "last": self.last, "verdict": list(astuple(self.verdict))}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` gave."""
        holds, value, words = saved["verdict"]
        for name in _COUNTS:
            setattr(self, name, type(getattr(self, name))(saved[name]))
        self.resolved, self.last = saved["resolved"], saved["last"]
        self.verdict = Verdict(holds, value, str(words))

    def state(self) -> State:
        state = "firing" if self.firing else "pending" if self.held else "ok" if self.seen else "waiting"
        return State(
            self.rule,
            state,
            None if self.last is None else moment(self.last + 1),
            moment(self.since) if state in ("firing", "pending") else None,
            self.verdict.value,
            self.verdict.words,
            self.fired,
            None if self.resolved is None else moment(self.resolved),
        )


class Alerts:
    """Rules held against closed minutes. `missed` counts requests whose minute had been judged when they came."""

    def __init__(self, *measures: Measure) -> None:
        self._measures = [(measure, [_Watched(rule) for rule in measure.rules]) for measure in measures]
        self.missed = 0
        self._next: int | None = None  # the first minute that was not judged
        self._partial: set[int] = set()
        self._logged = self._judged = False  # whether anything was, so far
        self._set = 0  # how often clocks had been set by the last look, …
        self._looked = False  # … if there was a time by then

    def __bool__(self) -> bool:
        """Whether there are any rules."""
        return bool(self._measures)

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that are read."""
        return frozenset[str]().union(*(measure.needs for measure, _ in self._measures))

    @property
    def notes(self) -> list[str]:
        """What a user should know about the rules."""
        return [note for measure, _ in self._measures for note in measure.notes]

    def states(self) -> list[State]:
        """How things stand with each rule, in the order in which they were given."""
        return [watched.state() for _, rules in self._measures for watched in rules]

    @property
    def next(self) -> int | None:
        """The first minute that was not judged."""
        return self._next

    def saved(self) -> dict[str, Any]:
        """How things stand, but for what is counted of minutes that were not judged; as JSON has it."""
        return {
            "next": self._next,
            "partial": sorted(self._partial),
            "logged": self._logged,
            "judged": self._judged,
            "rules": {watched.rule.text: watched.saved() for _, rules in self._measures for watched in rules},
            "measures": [measure.saved() for measure, _ in self._measures],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` gave. Rules that are new begin with nothing, those that are gone are forgotten."""
        for measure, rules in self._measures:
            for kept in saved["measures"]:
                measure.restore(kept)
            for watched in rules:
                if (found := saved["rules"].get(watched.rule.text)) is not None:
                    watched.restore(found)
        self._next = None if saved["next"] is None else int(saved["next"])
        self._partial = {int(minute) for minute in saved["partial"]}
        self._logged, self._judged = bool(saved["logged"]), bool(saved["judged"])
        self._looked = self._logged

    def skip(self, clocks: Clocks, now: float) -> None:
        """Judge from the minute on that the clocks show, because what was logged before is not known."""
        if (latest := clocks.latest(now)) is not None and self._next is not None:
            self._begin(max(self._next, latest // MINUTE))

    def add(self, rows: pl.DataFrame) -> None:
        """Rows that are on time, all of which have one."""
        if not rows.height or not self._measures:
            return
        requests = rows.filter(pl.col("kind") == "request") if "kind" in rows.columns else rows
        minutes = requests.select(minute_of()).to_series()
        first = minutes.min()
        if not isinstance(first, int):
            return
        if (
            self._next is None
            or (not self._logged and abs(first - self._next) > _NEAR)
            or (not self._judged and first < self._next)
        ):
            self._begin(first)
        assert self._next is not None
        self._logged = True
        if first < self._next:
            late = minutes < self._next
            self.missed += int(late.sum())
            requests = requests.filter(~late)
        if requests.height:
            for measure, _ in self._measures:
                measure.add(requests)

    def read(self, lines: pl.DataFrame) -> None:
        """Lines of any kind: (minute, lines, rejected). Call this after `add` of their rows."""
        if lines.height:
            first = lines["minute"].min()
            if self._next is None and isinstance(first, int):
                self._begin(first)
            counted = lines.with_columns(pl.col("minute").clip(lower_bound=self._next))
            for measure, _ in self._measures:
                measure.read(counted)

    def look(self, clocks: Clocks, now: float, wall: int) -> list[Change]:
        """Judge the minutes that have been closed since the last look; `now` and `wall` are this machine's clocks, in
        seconds and in µs since 1970."""
        if not self._measures:
            return []
        closed = clocks.closed(now)
        if closed is None:  # nothing with a time was ever logged
            closed = (wall - round(clocks.lateness * SECOND)) // MINUTE
        if self._next is None:
            self._begin(wall // MINUTE if clocks.newest() is None else closed)
        elif clocks.set != self._set and self._looked:
            self._begin(closed)
        self._set, self._looked = clocks.set, self._logged
        return list(self._judge(closed))

    def finish(self, clocks: Clocks) -> list[Change]:
        """Judge what is left, because no further line follows. The last minute is known in part."""
        newest = clocks.newest()
        if newest is None:
            return []
        self._partial.add(newest // MINUTE)
        return list(self._judge(newest // MINUTE + 1))

    def _begin(self, minute: int) -> None:
        """Judge from this minute on, of which the beginning may be missing."""
        self._next = minute
        self._partial.add(minute)
        for _, rules in self._measures:
            for watched in rules:
                watched.restart()

    def _judge(self, until: int) -> Iterator[Change]:
        if self._next is None or until <= self._next:
            return
        counted = set[int]()
        for measure, _ in self._measures:
            counted.update(measure.load(until))
        for minute in self._minutes(self._next, until, sorted(counted)):
            partial = minute in self._partial
            for measure, rules in self._measures:
                for watched, verdict in zip(rules, measure.judge(minute, partial=partial), strict=True):
                    if (change := watched.take(minute, verdict)) is not None:
                        yield change
        for measure, _ in self._measures:
            measure.forget(until)
        self._next, self._judged = until, True
        self._partial = {minute for minute in self._partial if minute >= until}

    def _minutes(self, first: int, until: int, counted: Sequence[int]) -> Iterator[int]:
        """The minutes to be judged. Of a long gap, only those that can change something."""
        some = max(CALM, *(measure.longest for measure, _ in self._measures)) + 2
        for minute in (*(minute for minute in counted if minute >= first), until):
            yield from range(first, min(minute, first + some))
            if minute < until:
                yield minute
            first = minute + 1
