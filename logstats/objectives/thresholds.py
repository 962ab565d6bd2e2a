"""`--fail-if`: evaluates conditions on a report.

Everything but percentiles and estimated users is compared exactly. A percentile is an estimate within 1 %. If the limit
lies within that bound, the estimate decides, and the verdict says that it is not certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from logstats.dataclass import dataclass
from logstats.durations import MS
from logstats.objectives.conditions import DURATIONS, PERCENTILE, Condition
from logstats.objectives.rows import selection
from logstats.reports.merged import by_selection
from logstats.reports.model import Latency, Report, Threshold
from logstats.reports.units import count, duration, percent
from logstats.sketches import loghist
from logstats.summaries.selections import users_of
from logstats.summaries.spec import Selection
from logstats.summaries.statistics import Statistics
from logstats.summaries.users import Users


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the requests that a condition selects. `users` is None if they were not counted."""

    requests: int = 0
    errors: int = 0
    latency: Latency | None = None
    users: int | None = 0
    standard_error: float | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """What figures are of: so many lines, of which some were rejected, over so many µs (None: no line has a time)."""

    lines: int
    rejected: int
    micros: int | None


@dataclass(frozen=True, slots=True)
class _Value:
    """A value in the unit of the limit, and the bounds of the exact value."""

    value: Fraction
    low: Fraction
    high: Fraction


def selections(conditions: Iterable[Condition]) -> tuple[Selection, ...]:
    """The selections to count for these conditions: each selector once."""
    found: dict[str, Selection] = {}
    for condition in conditions:
        if condition.selector:
            name = condition.selector.text
            users = condition.metric == "users" or (name in found and found[name].users)
            found[name] = selection(condition.selector, users=users)
    return tuple(found.values())


def judged(report: Report, conditions: Sequence[Condition], statistics: Statistics) -> Report:
    """The report with the results of the conditions."""
    rows = by_selection(statistics)
    counted = {one.name: statistics.get(users_of(one.name), Users) for one in statistics.spec.selections if one.users}
    selected = {}
    for name, row in rows.items():
        users = counted.get(name)
        selected[name] = Figures(
            row.requests,
            row.errors,
            row.latency,
            users.total() if users else None,
            users.standard_error if users else None,
        )
    return replace(report, thresholds=[judge(condition, report, selected) for condition in conditions])


def judge(condition: Condition, report: Report, selected: Mapping[str, Figures]) -> Threshold:
    """Evaluate one condition; `selected` are the figures of selections with requests, by name."""
    if condition.selector:
        figures = selected.get(condition.selector.text, Figures())
    else:
        users = report.unique_users
        figures = Figures(report.requests, report.errors, report.latency, users.total, users.standard_error)
    micros = None
    if report.first is not None and report.last is not None:
        micros = (report.last - report.first) // timedelta(microseconds=1)
    return verdict(condition, figures, Stretch(report.lines, report.rejected, micros))


def verdict(condition: Condition, figures: Figures, stretch: Stretch) -> Threshold:
    """Whether a condition holds (`failed`) of some figures; None if there is nothing to measure."""
    found = _value(condition, stretch, figures)
    unit = "ms" if condition.metric in DURATIONS else "ratio" if condition.ratio else ""
    if isinstance(found, str):
        words = f"nothing to measure: {found}"
        return Threshold(condition.text, None, None, None, float(condition.limit), unit, None, True, words)
    failed = condition.holds(found.value)
    certain = failed == condition.holds(found.low) == condition.holds(found.high)
    return Threshold(
        condition.text,
        float(found.value),
        float(found.low),
        float(found.high),
        float(condition.limit),
        unit,
        failed,
        certain,
        _words(condition, found, figures, certain=certain),
    )


def _value(condition: Condition, stretch: Stretch, figures: Figures) -> _Value | str:
    """The value, or the reason why there is none."""
    if condition.metric in DURATIONS:
        return _latency(condition, figures)
    if condition.metric == "rejected":
        if not condition.ratio:
            return _exactly(stretch.rejected)
        return _exactly(Fraction(stretch.rejected, stretch.lines)) if stretch.lines else "there are no lines"
    if condition.metric == "requests":
        return _exactly(figures.requests)
    if condition.metric == "users":
        return _exactly(figures.users or 0)
    if condition.metric == "rps":
        if stretch.micros is None:
            return "no line has a time"
        if stretch.micros < 1_000_000:
            return "a rate needs at least a second between the first and the last line"
        return _exactly(Fraction(figures.requests * 1_000_000, stretch.micros))
    if not figures.requests:
        return _none(condition)
    errors = Fraction(figures.errors, figures.requests)
    return _exactly(errors if condition.metric == "error_rate" else 1 - errors)


def _latency(condition: Condition, figures: Figures) -> _Value | str:
    latency = figures.latency
    if latency is None:
        return f"none of {count(figures.requests)} requests has a duration" if figures.requests else _none(condition)
    if condition.metric == "avg":
        return _exactly(Fraction(latency.sum_ns, MS * latency.count))
    if condition.metric == PERCENTILE:
        p = loghist.parse_percentile(condition.percentile or "")
        estimate = loghist.within(latency.buckets, p, latency.min, latency.max)
        return _Value(*(_nanos(value) if estimate[1] == estimate[2] else Fraction(value) for value in estimate))
    return _exactly(_nanos(latency.max))


def _none(condition: Condition) -> str:
    return f"no request matches {condition.selector.text}" if condition.selector else "there are no requests"


def _exactly(value: int | Fraction) -> _Value:
    return _Value(Fraction(value), Fraction(value), Fraction(value))


def _nanos(milliseconds: float) -> Fraction:
    """A duration, which has whole nanoseconds: 0.1 is one tenth, and not the binary number nearest to that."""
    return Fraction(round(Fraction(milliseconds) * MS), MS)


def _words(condition: Condition, found: _Value, figures: Figures, *, certain: bool) -> str:
    difference = found.value - condition.limit
    text = f"{condition.name} is {_shown(condition, found.value)}"
    if difference:
        side = "above" if difference > 0 else "below"
        text += f", {_difference(condition, abs(difference))} {side} {_shown(condition, condition.limit)}"
    if found.low != found.high and not certain:
        low, high = _shown(condition, found.low), _shown(condition, found.high)
        text += f"; too close to be certain: the exact value is between {low} and {high}"
    elif found.low != found.high:
        text += " (within 1%)"
    if condition.metric == "users" and figures.standard_error:
        text += f" (standard error {percent(figures.standard_error, 2)})"
    return text


def _difference(condition: Condition, value: Fraction) -> str:
    if condition.ratio:
        return f"{percent(float(value), 2).removesuffix('%')} points"
    relative = f" ({100 * float(value / condition.limit):,.1f}%)" if condition.limit else ""
    return f"{_shown(condition, value)}{relative}"


def _shown(condition: Condition, value: Fraction) -> str:
    if condition.metric in DURATIONS:
        return duration(float(value))
    if condition.ratio:
        return percent(float(value))
    return count(int(value)) if value.denominator == 1 else f"{float(value):,.4g}"
