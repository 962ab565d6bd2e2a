"""Evaluates objectives: indicators, error budgets, burn rates and alerts.

After Google's Site Reliability Workbook, chapter 5, "Alerting on SLOs" (https://sre.google/workbook/alerting-on-slos/).

All windows end together: with the minute of the last request, or at `--until`. They are whole minutes. The indicator is
good / (good + bad) requests over the policy's window, as far as there are requests in it; the budget in requests is
the part of these that may be bad. The budget in minutes is the same part of the whole window; a minute of it is spent
by a minute in which every request is bad, or by two in which every other one is. A burn rate is the share of bad
requests over the share that may be bad: at 1 the budget lasts just as long as the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.durations import MS
from logstats.expressions import predicates
from logstats.expressions.compiled import expression
from logstats.frames import pl
from logstats.objectives import rows
from logstats.objectives.conditions import DURATIONS
from logstats.objectives.policy import Objective, Policy
from logstats.reports.model import iso
from logstats.summaries.indicators import BEFORE, Indicator
from logstats.summaries.traffic import moment

SCHEMA_VERSION: Final = 1
BURN_WINDOWS: Final = (5, 60, 6 * 60, 3 * 24 * 60)  # minutes
# The workbook's table: severity, long and short window in minutes, part of the budget spent in the long one.
ALERTS: Final = (
    ("page", 60, 5, Fraction(2, 100)),
    ("page", 6 * 60, 30, Fraction(5, 100)),
    ("ticket", 3 * 24 * 60, 6 * 60, Fraction(10, 100)),
)


@dataclass(frozen=True, slots=True)
class Burn:
    """The burn rate of the last `minutes`. `rate` is None without requests, and without a budget; `covered` says
    whether the log reaches back that far. `runs_out_minutes` is the time until the budget is spent at this rate: 0 if
    it is spent already, None if never, or unknown."""

    minutes: int
    requests: int
    bad: int
    rate: float | None
    covered: bool
    runs_out_minutes: float | None


@dataclass(frozen=True, slots=True)
class Alert:
    """A verdict by two windows: it fires if the burn rate is above `threshold` in both, so that it starts soon and
    also stops soon. `firing` is None if one of them has no requests."""

    severity: str
    long_minutes: int
    short_minutes: int
    threshold: float
    firing: bool | None


@dataclass(frozen=True, slots=True)
class Budget:
    """The error budget; `left` is negative when more is spent than there was."""

    total: float
    spent: float
    left: float


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an objective. `met` is None if there was nothing to measure.

    With a target, `indicator` and `target` are parts of 1, and `unknown` requests are neither good nor bad because what
    decides was not logged. The exact indicator lies between `low` and `high`, which differ only if it comes from the
    buckets of an archive whose rows are gone; the verdict is not `certain` if the target lies there as well.

    Without a target, the indicator is a figure in `unit` (`ms`, `/s` or nothing), there is no budget, and `target` is
    its limit. `outside` requests are older than the window or have no time.
    """

    name: str
    objective: str
    select: str | None
    met: bool | None
    indicator: float | None
    low: float | None
    high: float | None
    certain: bool
    comparison: str
    target: float
    unit: str
    requests: int
    good: int
    bad: int
    unknown: int
    outside: int
    budget_requests: Budget | None
    budget_minutes: Budget | None
    burn: list[Burn]
    alerts: list[Alert]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a policy. `begin` ≤ t < `end` is the window (None without requests), of which `covered_minutes`
    have passed since the first request; `filters` and `notes` are those of the reading."""

    generated_at: datetime
    window_minutes: int
    begin: datetime | None
    end: datetime | None
    covered_minutes: int
    lines: int
    rejected: int
    nothing_parsed: bool
    results: list[Result]
    filters: dict[str, str]
    notes: list[str]
    interrupted: bool

    @property
    def missed(self) -> bool:
        """Whether an objective was missed, or could not be measured."""
        return any(result.met is not True for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        plain = asdict(self)
        moments = {key: plain[key] and iso(plain[key]) for key in ("generated_at", "begin", "end")}
        results = plain.pop("results")
        return {"schema_version": SCHEMA_VERSION, "missed": self.missed, **plain, **moments, "objectives": results}


def indicators(policy: Policy) -> tuple[Indicator, ...]:
    """The indicators to count for a policy: those of its objectives, in order, then that of all requests."""
    found = []
    for objective in policy.objectives:
        selected = rows.selection(objective.selector) if objective.selector else None
        good = objective.good
        columns = (predicates.needs(good) if good else frozenset()) | (selected.columns if selected else frozenset())
        if objective.condition and objective.condition.metric in DURATIONS:
            columns |= {"duration_ms"}
        found.append(
            Indicator(
                selected.matches if selected else None,
                expression(good) if good else None,
                columns,
                one_sided=good is not None and predicates.one_sided(good),
            )
        )
    return (*found, Indicator(None, None, frozenset()))


def evaluate(
    policy: Policy,
    table: pl.DataFrame,
    last: int | None,
    *,
    generated_at: datetime,
    lines: int = 0,
    rejected: int = 0,
    nothing_parsed: bool = False,
    filters: dict[str, str] | None = None,
    notes: Sequence[str] = (),
    interrupted: bool = False,
) -> Outcome:
    """Evaluate a policy from INDICATORS; `last` is the minute since 1970 that the windows end with."""
    window = policy.window // 60
    first = table.filter(pl.col("objective") == len(policy.objectives))["minute"].min()
    covered = max(0, min(window, last - first + 1)) if isinstance(first, int) and last is not None else 0
    results = []
    for number, objective in enumerate(policy.objectives):
        measured = _Measured(table.filter(pl.col("objective") == number), window, last)
        results.append(_result(objective, measured, window, covered))
    remarks = [*notes]
    if 0 < covered < window:
        remarks.append(
            f"the log covers {span(covered)} of the {span(window)}: a budget in requests is of what it covers"
        )
    return Outcome(
        generated_at=generated_at.replace(microsecond=0),
        window_minutes=window,
        begin=None if last is None else moment(last + 1 - window),
        end=None if last is None else moment(last + 1),
        covered_minutes=covered,
        lines=lines,
        rejected=rejected,
        nothing_parsed=nothing_parsed,
        results=results,
        filters=filters or {},
        notes=remarks,
        interrupted=interrupted,
    )


def span(minutes: int, units: int = 3) -> str:
    """5m, 6h, 30d, 1d 6h 5m; so many units at most."""
    parts = []
    for size, unit in ((1440, "d"), (60, "h"), (1, "m")):
        if minutes >= size:
            parts.append(f"{minutes // size:,}{unit}")
            minutes %= size
    return " ".join(parts[:units]) or "0m"


class _Measured:
    """The minutes of one objective."""

    def __init__(self, table: pl.DataFrame, window: int, last: int | None) -> None:
        self.last = last
        placed = table.drop_nulls("minute").filter(pl.col("minute") > BEFORE)
        self._minutes = placed if last is None else placed.filter(pl.col("minute") <= last)
        self.whole = self.over(window)
        self.outside = int(table["requests"].sum()) - self.whole["requests"]

    def over(self, minutes: int) -> dict[str, int]:
        """Sums over the last minutes; `ns_max` is their maximum."""
        recent = self._minutes
        if self.last is not None:
            recent = recent.filter(pl.col("minute") > self.last - minutes)
        summed = pl.col("requests", "good", "bad", "least", "most", "timed", "ns").sum()
        sums = recent.select(summed, pl.col("ns_max").max())
        return {name: int(value or 0) for name, value in sums.row(0, named=True).items()}


def _result(objective: Objective, measured: _Measured, window: int, covered: int) -> Result:
    whole = measured.whole
    if objective.condition:
        return _plain(objective, measured, covered)
    judged = whole["good"] + whole["bad"]
    may_fail = 1 - objective.target
    indicator = Fraction(whole["good"], judged) if judged else None
    low, high = (Fraction(whole[end], judged) if judged else None for end in ("least", "most"))
    met, *ends = (_meets(objective, value) for value in (indicator, low, high))
    in_requests = in_minutes = None
    burn: list[Burn] = []
    if may_fail:
        spent_minutes = (1 - indicator) * covered if indicator is not None else Fraction(0)
        if judged:
            in_requests = _budget(may_fail * judged, Fraction(whole["bad"]))
        in_minutes = _budget(may_fail * window, spent_minutes)
        left = may_fail * window - spent_minutes
        burn = [_burn(measured, minutes, may_fail, left, covered) for minutes in BURN_WINDOWS if minutes <= window]
    return Result(
        name=objective.name,
        objective=objective.text,
        select=objective.selector.text if objective.selector else None,
        met=met,
        indicator=_float(indicator),
        low=_float(low),
        high=_float(high),
        certain=met == ends[0] == ends[1],
        comparison=">" if objective.strict else ">=",
        target=float(objective.target),
        unit="ratio",
        requests=whole["requests"],
        good=whole["good"],
        bad=whole["bad"],
        unknown=whole["requests"] - judged,
        outside=measured.outside,
        budget_requests=in_requests,
        budget_minutes=in_minutes,
        burn=burn,
        alerts=_alerts(measured, may_fail, window) if may_fail else [],
    )


def _meets(objective: Objective, indicator: Fraction | None) -> bool | None:
    if indicator is None:
        return None
    return indicator > objective.target if objective.strict else indicator >= objective.target


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _budget(total: Fraction, spent: Fraction) -> Budget:
    return Budget(float(total), float(spent), float(total - spent))


def _rate(sums: dict[str, int], may_fail: Fraction) -> Fraction | None:
    judged = sums["good"] + sums["bad"]
    return Fraction(sums["bad"], judged) / may_fail if judged else None


def _burn(measured: _Measured, minutes: int, may_fail: Fraction, left: Fraction, covered: int) -> Burn:
    sums = measured.over(minutes)
    rate = _rate(sums, may_fail)
    runs_out = None
    if left <= 0:
        runs_out = 0.0
    elif rate:
        runs_out = float(left / may_fail / rate)
    judged = sums["good"] + sums["bad"]
    return Burn(minutes, judged, sums["bad"], None if rate is None else float(rate), covered >= minutes, runs_out)


def limits(window: int) -> list[tuple[str, int, int, Fraction]]:
    """Severity, long and short window in minutes, and the burn rate above which it is an alert, for a policy's window.

    The workbook's parameters are for 30 days. For other windows the part of the budget stays and the burn rate
    follows, but is at least 1: what burns slower never spends the budget. Windows must fit into the policy's.
    """
    return [
        (severity, long, short, max(Fraction(1), part * window / long))
        for severity, long, short, part in ALERTS
        if long <= window
    ]


def _alerts(measured: _Measured, may_fail: Fraction, window: int) -> list[Alert]:
    alerts = []
    for severity, long, short, threshold in limits(window):
        rates = [_rate(measured.over(minutes), may_fail) for minutes in (long, short)]
        firing = None if None in rates else all(rate is not None and rate > threshold for rate in rates)
        alerts.append(Alert(severity, long, short, float(threshold), firing))
    return alerts


def _plain(objective: Objective, measured: _Measured, covered: int) -> Result:
    """The result of a requirement about all requests together: avg, max, requests, rps."""
    condition = objective.condition
    assert condition
    whole = measured.whole
    value: Fraction | None = None
    if condition.metric == "requests":
        value = Fraction(whole["requests"])
    elif condition.metric == "rps" and covered:
        value = Fraction(whole["requests"], 60 * covered)
    elif condition.metric == "avg" and whole["timed"]:
        value = Fraction(whole["ns"], MS * whole["timed"])
    elif condition.metric == "max" and whole["timed"]:
        value = Fraction(whole["ns_max"], MS)
    unit = {"requests": "", "rps": "/s"}.get(condition.metric, "ms")
    return Result(
        name=objective.name,
        objective=objective.text,
        select=objective.selector.text if objective.selector else None,
        met=None if value is None else condition.holds(value),
        indicator=_float(value),
        low=_float(value),
        high=_float(value),
        certain=True,
        comparison=condition.op,
        target=float(condition.limit),
        unit=unit,
        requests=whole["requests"],
        good=0,
        bad=0,
        unknown=whole["requests"] - whole["timed"] if unit == "ms" else 0,
        outside=measured.outside,
        budget_requests=None,
        budget_minutes=None,
        burn=[],
        alerts=[],
    )
