"""A comparison for people: the same document on a terminal and as Markdown."""

from __future__ import annotations

from typing import Final

from logstats.objectives.diff import ALPHA, KINDS, LEAST, Change, Comparison, Figures, Side, overall
from logstats.reports.clock import Clock
from logstats.reports.document import Cell, Section
from logstats.reports.units import count, duration, percent, share

_TITLES: Final = {
    "slower": "Slower",
    "faster": "Faster",
    "more_errors": "More errors (5xx)",
    "fewer_errors": "Fewer errors (5xx)",
    "more_client_errors": "More client errors (4xx)",
    "fewer_client_errors": "Fewer client errors (4xx)",
    "new_endpoint": "New endpoints",
    "vanished_endpoint": "Vanished endpoints",
    "more_traffic": "More of the traffic",
    "less_traffic": "Less of the traffic",
    "new_status": "New statuses",
    "vanished_status": "Vanished statuses",
    "more_of_status": "More of a status",
    "less_of_status": "Less of a status",
}
assert list(_TITLES) == list(KINDS)
_WORSE: Final = frozenset({"slower", "more_errors", "more_client_errors"})
_BETTER: Final = frozenset({"faster", "fewer_errors", "fewer_client_errors"})
_NONE: Final = Cell("–", "dim")
ALL: Final = "(all requests)"
_UTC: Final = Clock()


def sections(comparison: Comparison, top: int = 10, clock: Clock = _UTC) -> list[Section]:
    """Both sides, then every kind of change by impact, at most `top` of each."""
    found = [_overall(comparison, clock)]
    for kind in KINDS:
        changes = comparison.changes_of(kind)
        if changes:
            more = f"{top} of {count(len(changes))}" if len(changes) > top else ""
            heads, row = _TABLES[KINDS[kind]]
            found.append(Section(_TITLES[kind], more, heads=heads, rows=[row(change) for change in changes[:top]]))
    if not comparison.tests:
        found.append(Section("Nothing to compare", lines=[Cell("too few requests on both sides")]))
    elif not comparison.changes:
        found.append(Section("No differences", lines=[Cell("nothing is different beyond chance")]))
    if notes := _notes(comparison):
        found.append(Section("Notes", lines=[Cell(note) for note in notes]))
    return found


def describe(change: Change) -> str:
    """One line about something that became slower."""
    times = f"{duration(change.before)} to {duration(change.after)}"
    what = "typically" if change.measure == "p50" else "of its slowest requests"
    name = change.name or "all requests together"
    return f"slower: {name}: {_relative(change.change)} {what}, {change.measure} {times}"


def _overall(comparison: Comparison, clock: Clock) -> Section:
    before, after = overall(comparison)
    significant = {(change.kind, change.measure) for change in comparison.changes if change.name is None}
    rows = [_figure_row("requests", before.requests, after.requests)]
    for name, key, kinds in (
        ("errors (5xx)", "errors", ("more_errors", "fewer_errors")),
        ("client errors (4xx)", "client_errors", ("more_client_errors", "fewer_client_errors")),
    ):
        parts = [_part(getattr(figures, key), figures) for figures in (before, after)]
        style = next((_style(kind) for kind in kinds if (kind, "share") in significant), "")
        rows.append([Cell(name), *(Cell(_rate(part)) for part in parts), Cell(_relative(_change(*parts)), style)])
    for name in ("avg", "p50", "p95", "p99"):
        low, high = (getattr(figures, f"{name}_ms") for figures in (before, after))
        if low is not None and high is not None:
            style = next((_style(kind) for kind in ("slower", "faster") if (kind, name) in significant), "")
            rows.append(
                [Cell(name), *(Cell(duration(v)) for v in (low, high)), Cell(_relative(_change(low, high)), style)]
            )
    return Section(
        "What changed",
        lines=[
            Cell(f"before  {_span(comparison.before, clock)}", "dim"),
            Cell(f"after   {_span(comparison.after, clock)}", "dim"),
        ],
        heads=["all requests", "before", "after", "change"],
        rows=rows,
    )


def _span(side: Side, clock: Clock) -> str:
    if side.first is None or side.last is None:
        return side.name
    return f"{side.name}: {clock.span(side.first, side.last)}"


def _figure_row(name: str, before: int, after: int) -> list[Cell]:
    return [Cell(name), Cell(count(before)), Cell(count(after)), Cell(_relative(_change(before, after)))]


def _part(number: int, figures: Figures) -> float | None:
    return number / figures.requests if figures.requests else None


def _rate(part: float | None) -> str:
    return "–" if part is None else percent(part, 3)


def _change(before: float | None, after: float | None) -> float | None:
    return after / before - 1 if before and after is not None else None


def _relative(change: float | None) -> str:
    if change is None:
        return "–"
    if change >= 9.995:
        return f"×{change + 1:,.0f}"
    return f"{100 * change:+.1f}%".replace("-", "−")


def _style(kind: str) -> str:
    return "red" if kind in _WORSE else "green" if kind in _BETTER else ""


def _latency_row(change: Change) -> list[Cell]:
    low, high = change.figures_before, change.figures_after
    p50, p95 = (
        Cell(f"{duration(b)} → {duration(a)}" if a is not None and b is not None else "–")
        for b, a in ((low.p50_ms, high.p50_ms), (low.p95_ms, high.p95_ms))
    )
    changed = Cell(f"{_relative(change.change)}{' p95' if change.measure == 'p95' else ''}", _style(change.kind))
    waiting = ("−" if change.impact < 0 else "+") + duration(abs(change.impact))
    return [Cell(change.name or ALL), Cell(count(high.requests)), p50, p95, changed, Cell(waiting)]


def _error_row(change: Change) -> list[Cell]:
    number = f"{abs(change.impact):,.0f}"
    return [
        Cell(change.name or ALL),
        Cell(count(change.figures_after.requests)),
        Cell(_rate(change.before)),
        Cell(_rate(change.after)),
        Cell(_relative(change.change), _style(change.kind)),
        Cell(("−" if change.impact < 0 else "+") + number),
    ]


def _traffic_row(change: Change) -> list[Cell]:
    shares = [Cell(share(part, 1)) if part else _NONE for part in (change.before, change.after)]
    requests = [Cell(count(figures.requests)) for figures in (change.figures_before, change.figures_after)]
    return [Cell(change.name or ALL), *requests, *shares, Cell(_relative(change.change))]


_LATENCY: Final = ["endpoint", "requests", "p50", "p95", "change", "waiting"]
_ERRORS: Final = ["endpoint", "requests", "before", "after", "change", "errors"]
_TRAFFIC: Final = ["endpoint", "before", "after", "share before", "after", "change"]
_TABLES: Final = {
    "latency": (_LATENCY, _latency_row),
    "errors": (_ERRORS, _error_row),
    "traffic": (_TRAFFIC, _traffic_row),
    "status": (["status", *_TRAFFIC[1:]], _traffic_row),
}


def _notes(comparison: Comparison) -> list[str]:
    notes = [*comparison.notes]
    if comparison.untested:
        notes.append(f"{count(comparison.untested)} endpoints have too few requests to tell anything")
    if comparison.tests:
        notes.append(
            f"shown is what is more than chance ({count(comparison.tests)} tests, together wrong in at most "
            f"{ALPHA:.1%} of comparisons) and at least {LEAST:.0%} different"
        )
    return notes
