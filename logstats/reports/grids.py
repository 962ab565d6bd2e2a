"""The tables of HTML, e-mail and Markdown: the text of each cell, and the number that it is sorted by."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from markupsafe import Markup

from logstats import schema
from logstats.dataclass import dataclass
from logstats.reports.html import charts
from logstats.reports.model import BreakdownRow, EndpointRow, Interval, Latency, OverTime, Report
from logstats.reports.over_time import step_for
from logstats.reports.printable import printable, shortened
from logstats.reports.reasons import describe_reason
from logstats.reports.units import count, duration, figure, head, share, size
from logstats.summaries.slowest import NAME as SLOWEST

NAME: Final = 120  # characters of a text from the log
SAMPLE: Final = 240  # … and of a rejected line
_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")
_ABSENT: Final = "–"
EMPTY: Final = "(empty)"  # a text that is there, but has no characters


@dataclass(frozen=True, slots=True)
class Cell:
    """A text to show and the number to sort it by; without one, the text is the sort key. `of` are the columns and
    values of the requests that the row is about, where they can be told apart by these."""

    text: str | Markup
    value: float | None = None
    bad: bool = False
    of: tuple[tuple[str, str], ...] = ()

    @property
    def figure(self) -> str:
        """The kind of the cell: `n`, a number; `drawn`, a drawing; or empty."""
        return "" if self.value is None else "drawn" if isinstance(self.text, Markup) else "n"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with at least one row; `total` rows are held, these are shown."""

    id: str
    title: str
    heads: list[str]
    rows: list[list[Cell]]
    total: int
    note: str = ""


def endpoints(report: Report, rows: int, sort: str, *, sparks: bool = True) -> list[Grid]:
    """The slowest, the busiest and the failing endpoints, as many as there are up to `rows`."""
    held = report.endpoints
    timed = [row for row in held if row.latency and row.endpoint != schema.MALFORMED]
    busiest = sorted(held, key=lambda row: (-row.requests, row.name))
    failing = sorted((row for row in held if row.errors), key=lambda row: (-row.errors, row.name))
    found = []
    if timed:
        by = sort if sort not in ("requests", "errors") else "avg"
        if by != sort:
            timed = sorted(timed, key=lambda row: -row.latency.avg if row.latency else 0)
        title = {"avg": "Slowest endpoints", "total": "Endpoints by total time"}.get(by, f"Slowest endpoints by {by}")
        found.append(_slowest(report, timed, rows, title, sparks=sparks))
    found.append(_busiest(report, busiest, rows, sparks=sparks))
    if failing:
        found.append(_failing(report, failing, rows))
    refused = [row for row in held if row.status_classes.get("4xx")]
    if refused:
        found.append(_refused(sorted(refused, key=lambda row: (-row.status_classes["4xx"], row.name)), rows))
    return [grid for grid in found if grid.rows]


def _slowest(report: Report, held: list[EndpointRow], rows: int, title: str, *, sparks: bool) -> Grid:
    percentiles = _percentiles(report)
    numbers = [b for row in held for b, _ in (row.latency.buckets if row.latency else ()) if b is not None] or [0]
    low, high = min(numbers), max(numbers)
    heads = ["Endpoint", *(["Distribution"] if sparks else []), "Requests", "Errors", "Avg"]
    heads += [*(f"p{p}" for p in percentiles), "Max", "Time"]
    lines = []
    for row in held[:rows]:
        spark = [Cell(charts.distribution(row.latency.buckets, low, high), row.latency.avg)] if row.latency else []
        lines.append(
            [
                _endpoint(row),
                *(spark if sparks else []),
                _count(row.requests),
                _errors(row),
                *_latency(row.latency, ["avg", *percentiles, "max"]),
                Cell(share(row.share_of_time or 0, 1), row.share_of_time or 0),
            ]
        )
    note = f"Time is the part of all time taken. {_drawn(low, high)}" if sparks else ""
    return Grid("slowest", title, heads, lines, len(held), note)


def _drawn(low: int, high: int) -> str:
    from logstats.sketches import loghist

    return (
        f"Distributions run from {duration(loghist.upper_ms(low - 1))} to {duration(loghist.upper_ms(high))}, "
        "on a logarithmic scale."
    )


def _busiest(report: Report, held: list[EndpointRow], rows: int, *, sparks: bool) -> Grid:
    middle = _middle(report)
    heads = ["Endpoint", *(["Status"] if sparks else []), "Requests", "Share", "Errors", "4xx", *map(_head, middle)]
    heads += ["Bytes"]
    lines = [
        [
            _endpoint(row),
            *([Cell(charts.shares(row.status_classes, row.requests), row.errors)] if sparks else []),
            _count(row.requests),
            Cell(share(row.requests, report.requests), row.requests),
            _errors(row),
            _count(row.status_classes.get("4xx", 0)),
            *_latency(row.latency, middle),
            Cell(size(row.bytes), row.bytes),
        ]
        for row in held[:rows]
    ]
    return Grid("busiest", "Busiest endpoints", heads, lines, len(held))


def _failing(report: Report, held: list[EndpointRow], rows: int) -> Grid:
    middle = _middle(report)
    heads = ["Endpoint", "5xx", "Errors", "4xx", "Requests", *map(_head, middle)]
    lines = [
        [
            _endpoint(row),
            _count(row.errors),
            _errors(row),
            _count(row.status_classes.get("4xx", 0)),
            _count(row.requests),
            *_latency(row.latency, middle),
        ]
        for row in held[:rows]
    ]
    return Grid("failing", "Errors (5xx)", heads, lines, len(held), "Errors are answers with 5xx.")


def _refused(held: list[EndpointRow], rows: int) -> Grid:
    lines = [
        [
            _endpoint(row),
            _count(row.status_classes["4xx"]),
            Cell(share(row.status_classes["4xx"], row.requests), row.status_classes["4xx"] / row.requests),
            _count(row.errors),
            _count(row.requests),
        ]
        for row in held[:rows]
    ]
    heads = ["Endpoint", "4xx", "Refused", "5xx", "Requests"]
    return Grid("refused", "Client errors (4xx)", heads, lines, len(held), "Refused is the part answered with 4xx.")


def breakdown(report: Report, by: str, rows: int) -> Grid:
    """The ranking of one `--by`."""
    columns = by.split(",")
    held = sorted(report.breakdowns[by], key=lambda row: (-row.requests, row.value))
    timed = [*(["avg"] if report.latency else []), *_percentiles(report), *(["max"] if report.latency else [])]
    lines = [
        [
            *(
                _text(EMPTY if text == "" else _ABSENT if text is None else text, _only(text, columns))
                for text in row.texts(columns)
            ),
            _count(row.requests),
            Cell(share(row.requests, report.requests), row.requests),
            _errors(row),
            *_latency(row.latency, timed),
            Cell(size(row.bytes), row.bytes),
        ]
        for row in held[:rows]
    ]
    heads = [*map(printable, columns), "Requests", "Share", "Errors", *map(_head, timed), "Bytes"]
    total = max(len(held), report.breakdowns_total.get(by, 0))
    slugs = [re.sub(r"[^a-z0-9]+", "-", other) for other in report.breakdowns]
    slug = slugs[place := list(report.breakdowns).index(by)]
    id_ = f"by-{slug}" if slug not in slugs[:place] else f"by-{slug}-{place}"
    return Grid(id_, f"By {printable(', '.join(columns))}", heads, lines, total)


def _only(text: str | None, columns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The requests with one value of the only column."""
    return ((columns[0], text),) if text and text != schema.OTHER and len(columns) == 1 else ()


def own_tables(report: Report, rows: int) -> list[Grid]:
    """The aggregates that are tables of their own."""
    return [
        Grid(
            name,
            table.title,
            [head(column) for column in table.columns],
            [
                [_own_cell(report, column, value) for column, value in zip(table.columns, row, strict=True)]
                for row in table.rows[: None if name == SLOWEST else rows]
            ],
            total,
        )
        for name, table in report.tables.items()
        if (total := len(table.rows))
    ]


def _own_cell(report: Report, column: str, value: object) -> Cell:
    if isinstance(value, datetime):
        return Cell(report.clock.moment(value), value.timestamp())
    if isinstance(value, int | float):
        return Cell(figure(column, value), value)
    return _text(_ABSENT if value is None else str(value))


def statuses(report: Report, rows: int) -> Grid:
    """Requests by status."""
    held = sorted(report.status.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [
        [_text(code, (("status", code),)), _count(n), Cell(share(n, report.requests), n)] for code, n in held[:rows]
    ]
    return Grid("status", "Status", ["Status", "Requests", "Share"], lines, len(held))


def levels(report: Report, rows: int) -> Grid:
    """Events by level."""
    held = sorted(report.levels.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [[_text(level), _count(n)] for level, n in held[:rows]]
    return Grid("events", "Events", ["Level", "Events"], lines, len(held), "Application lines that are not requests.")


def rejects(report: Report, rows: int) -> Grid:
    """Why lines could not be read, with the first of each."""
    held = sorted(report.rejects.by_reason.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = []
    for reason, n in held[:rows]:
        sample = next((s for s in report.rejects.samples if s.reason == reason), None)
        place = f"{shortened(printable(sample.source), NAME)}:{sample.line}" if sample else ""
        text = printable(sample.text) if sample else ""
        shown = text if len(text) <= SAMPLE else f"{text[:SAMPLE]}…"
        lines.append([_text(f"{reason}: {describe_reason(reason)}"), _count(n), Cell(place), Cell(shown)])
    heads = ["Reason", "Lines", "First", "Line"]
    return Grid("rejected", "Rejected lines", heads, lines, len(held))


def sources(report: Report, rows: int) -> Grid:
    """The sources. Those with a problem come first."""
    held = sorted(report.sources, key=lambda source: source.problem is None)
    problems = any(source.problem for source in held)
    lines = [
        [
            _text(source.name),
            _text(source.format or _ABSENT),
            *([Cell(shortened(printable(source.problem or ""), 2 * NAME), bad=True)] if problems else []),
            _count(source.lines),
            Cell(size(source.bytes), source.bytes),
        ]
        for source in held[:rows]
    ]
    heads = ["Source", "Format", *(["Problem"] if problems else []), "Lines", "Bytes"]
    return Grid("sources", "Sources", heads, lines, len(held))


def figures(report: Report, over: OverTime, most: int = 48) -> Grid:
    """The figures of the charts over time, as a table: sums by hour or longer."""
    minutes = [int(i.start.timestamp()) // 60 for i in over.intervals]
    step = max(step_for(minutes[-1] - minutes[0] + 1, most - 1), over.step_minutes)
    groups: dict[int, list[Interval]] = {}
    for minute, interval in zip(minutes, over.intervals, strict=True):
        groups.setdefault(minute // step, []).append(interval)
    others = [name for name in report.status_classes if name not in _CLASSES]
    lines = []
    for group in groups.values():
        classes = [sum(i.status_classes.get(name, 0) for i in group) for name in (*others, *_CLASSES)]
        worst = [max((i.percentiles[p] for i in group if i.percentiles), default=None) for p in _percentiles(report)]
        begin = report.clock.moment(group[0].start, seconds=False)
        lines.append(
            [
                Cell(begin),
                _count(sum(i.requests for i in group)),
                *map(_count, classes),
                _count(max(i.users for i in group)),
                *(Cell(_ABSENT, -1) if value is None else Cell(duration(value), value) for value in worst),
            ]
        )
    unit = span(over.step_minutes)
    heads = [
        f"From ({report.zone})",
        "Requests",
        *others,
        *_CLASSES,
        f"Users per {unit}",
        *(f"p{p}" for p in _percentiles(report)),
    ]
    note = f"Users and percentiles are those of the fullest and slowest {unit} within."
    return Grid("figures", "Figures over time", heads, lines, len(lines), note)


def span(minutes: int) -> str:
    """minute, 5 minutes, hour, 2 days."""
    for unit, length in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes % length == 0:
            number = minutes // length
            return unit if number == 1 else f"{number:,} {unit}s"
    raise AssertionError


def _percentiles(report: Report) -> list[str]:
    return list(report.latency.percentiles) if report.latency else []


def _middle(report: Report) -> list[str]:
    """The latency columns of a table about something else."""
    percentiles = _percentiles(report)
    return ["avg", "95" if "95" in percentiles else percentiles[-1]] if percentiles else []


def _head(figure: str) -> str:
    return figure.capitalize() if figure in ("avg", "max") else f"p{figure}"


def _text(text: str, of: tuple[tuple[str, str], ...] = ()) -> Cell:
    return Cell(shortened(printable(text), NAME), of=of)


def _endpoint(row: EndpointRow) -> Cell:
    if row.endpoint == schema.OTHER:
        return _text(row.name)
    return _text(row.name, ((("method", row.method),) if row.method else ()) + (("endpoint", row.endpoint),))


def _count(number: int) -> Cell:
    return Cell(count(number) if number else _ABSENT, number)


def _errors(row: EndpointRow | BreakdownRow) -> Cell:
    rate = row.errors / row.requests
    return Cell(share(row.errors, row.requests) if row.errors else _ABSENT, rate, bad=rate > 0)


def _latency(latency: Latency | None, names: Iterable[str]) -> Sequence[Cell]:
    def figure(name: str) -> Cell:
        if latency is None:
            return Cell(_ABSENT, -1)
        value = getattr(latency, name) if name in ("avg", "max") else latency.percentiles[name]
        return Cell(duration(value), value)

    cell: Callable[[str], Cell] = figure
    return [cell(name) for name in names]
