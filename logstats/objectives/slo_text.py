"""Objectives for people: the same document on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from logstats.objectives.slo import Budget, Burn, Outcome, Result, span
from logstats.reports.clock import Clock
from logstats.reports.document import Cell, Section
from logstats.reports.units import count, duration, percent

_VERDICTS = {True: Cell("met", "green"), False: Cell("missed", "bold red"), None: Cell("no data", "bold red")}
_NONE = Cell("–", "dim")
_UTC = Clock()


def sections(outcome: Outcome, clock: Clock = _UTC) -> list[Section]:
    """The results of the objectives, their budgets and burn rates, and the alerts that fire."""
    with_budget = [result for result in outcome.results if result.budget_minutes]
    found = [_objectives(outcome, clock)]
    if with_budget:
        found += [_budgets(with_budget), _burning(with_budget)]
        if any(result.alerts for result in with_budget):
            found.append(_alerts(with_budget))
    if lines := [Cell(note) for note in [*outcome.notes, *_notes(outcome)]]:
        found.append(Section("Notes", lines=lines))
    return found


def describe(result: Result) -> str:
    """The result of an objective in one line."""
    of = f" ({result.select})" if result.select else ""
    target = f"the target is {result.comparison} {figure(result.target, result.unit)}"
    if result.met is None:
        why = f"none of {count(result.requests)} requests can be judged" if result.requests else "there are no requests"
        return f"no data: {result.name}{of}: {why}, {target}"
    verdict = "met" if result.met else "missed"
    judged = f" of {count(result.good + result.bad)} requests are good" if result.unit == "ratio" else ""
    found = _indicator(result)
    return f"{verdict}: {result.name}{of}: {result.objective}: {found}{judged}, {target}"


def figure(value: float, unit: str) -> str:
    """An indicator or a target with its unit."""
    if unit == "ratio":
        return percent(value)
    if unit == "ms":
        return duration(value)
    return f"{value:,.4g}{unit}" if unit or value != int(value) else count(int(value))


def _objectives(outcome: Outcome, clock: Clock) -> Section:
    rows = []
    for result in outcome.results:
        shown = _NONE if result.indicator is None else Cell(_indicator(result))
        rows.append(
            [
                Cell(result.name),
                _VERDICTS[result.met],
                shown,
                Cell(f"{result.comparison} {figure(result.target, result.unit)}".replace(">=", "≥").replace("<=", "≤")),
                Cell(count(result.requests)),
                Cell(count(result.bad), "red" if result.bad else "dim") if result.unit == "ratio" else _NONE,
            ]
        )
    note = "no requests"
    if outcome.end:
        until = f"{clock.moment(outcome.end, seconds=False)} {clock.offset(outcome.end)}"
        note = f"the {span(outcome.window_minutes)} until {until}"
    return Section(
        "Objectives",
        note,
        heads=["objective", "verdict", "indicator", "target", "requests", "bad"],
        rows=rows,
    )


def _indicator(result: Result) -> str:
    """The indicator, or its bounds."""
    low, high = (figure(value or 0, result.unit) for value in (result.low, result.high))
    return low if low == high else f"{low} – {high}"


def _budgets(results: list[Result]) -> Section:
    rows = [
        [Cell(result.name), *_budget(result.budget_requests, _requests), *_budget(result.budget_minutes, _minutes)]
        for result in results
    ]
    heads = ["objective", "requests", "spent", "left", "minutes", "spent", "left"]
    return Section("Error budget", "requests that may be bad, and minutes in which all may be", heads=heads, rows=rows)


def _budget(budget: Budget | None, show: Callable[[float], str]) -> list[Cell]:
    if budget is None:
        return [_NONE] * 3
    left = Cell(show(budget.left), "red" if budget.left < 0 else "")
    return [Cell(show(budget.total)), Cell(show(budget.spent)), left]


def _requests(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".").replace("-", "−")


def _minutes(value: float) -> str:
    return f"{'−' if value < 0 else ''}{duration(abs(value) * 60_000)}"


def _burning(results: list[Result]) -> Section:
    longest = max((result.burn for result in results), key=len)
    rows = [[Cell(result.name), *map(_burn, result.burn)] for result in results]
    heads = ["objective", *(span(burn.minutes) for burn in longest)]
    return Section(
        "Burn rate", "at 1 the budget lasts just the window · when it runs out at this rate", heads=heads, rows=rows
    )


def _burn(burn: Burn) -> Cell:
    if burn.rate is None:
        return _NONE
    rate = f"{burn.rate:,.2f}".rstrip("0").rstrip(".") + ("" if burn.covered else "*")
    if burn.runs_out_minutes is None:
        return Cell(f"{rate} · never", "dim")
    minutes = max(1, int(burn.runs_out_minutes))
    ends = f"in {span(minutes, units=1 if minutes >= 14_400 else 2)}" if burn.runs_out_minutes else "spent"
    return Cell(f"{rate} · {ends}", "red" if burn.rate > 1 or not burn.runs_out_minutes else "")


def _alerts(results: list[Result]) -> Section:
    rows = []
    for result in results:
        cells = []
        for alert in result.alerts:
            word = "no data" if alert.firing is None else alert.severity if alert.firing else "quiet"
            cells.append(Cell(word, "bold red" if alert.firing else "dim"))
        rows.append([Cell(result.name), *cells])
    heads = [
        f"> {alert.threshold:,.3g}× in {span(alert.long_minutes)} and {span(alert.short_minutes)}"
        for alert in results[0].alerts
    ]
    return Section("Alerts", "burn rates over two windows", heads=["objective", *heads], rows=rows)


def _notes(outcome: Outcome) -> Iterator[str]:
    if any(not burn.covered and burn.rate is not None for result in outcome.results for burn in result.burn):
        yield "* the log does not reach back so far; the rate is that of what there is"
    for result in outcome.results:
        if not result.certain:
            yield f"{result.name}: too close to be certain; the verdict is that of the middle of the bucket"
        if result.unknown:
            yield f"{result.name}: {count(result.unknown)} requests lack what decides, and are neither good nor bad"
    outside = max((result.outside for result in outcome.results), default=0)
    if outside:
        yield f"up to {count(outside)} requests are older than the window, or have no time, and do not count"
    if outcome.rejected:
        yield f"{count(outcome.rejected)} of {count(outcome.lines)} lines could not be read"
    if outcome.filters:
        yield f"filters: {', '.join(f'{name} {value}' for name, value in outcome.filters.items())}"
    if outcome.interrupted:
        yield "interrupted: this is what had arrived until then"
