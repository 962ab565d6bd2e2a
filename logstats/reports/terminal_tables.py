"""The tables of a report on a terminal: endpoints, breakdowns, and aggregates with a table of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from logstats.reports import units
from logstats.reports.canvas import Canvas
from logstats.reports.model import BreakdownRow, EndpointRow, Latency, Report, Table
from logstats.reports.printable import shortened
from logstats.reports.ranked import REFUSED, TIMED, largest
from logstats.reports.styled import Text
from logstats.reports.units import count, duration, figure, share, size

_TITLES: Final = {"avg": "Slowest endpoints", "total": "Endpoints by total time"}
# Figures of a table, the most important first: on a narrow terminal, the last ones are left out.
_KEEP: Final = (
    *("requests", "p95", "errors", "4xx", "5xx", "p99", "avg", "share", "max", "p50", "bytes", "time"),
    *("2xx", "3xx"),
)
_LONG: Final = ("user_agent", "referer")  # columns whose values differ in their middle, shown over several lines


class Tables:
    """Draws the tables of a report, `top` rows of each; `sort` is what endpoints are ranked by."""

    def __init__(self, canvas: Canvas, report: Report, top: int, sort: str) -> None:
        self._canvas, self._report, self._top, self._sort = canvas, report, top, sort

    def endpoints(self) -> None:
        """The slowest, the busiest and the failing endpoints."""
        report = self._report
        busiest, number = largest(report.endpoints, "requests", self._top)
        if not busiest:
            return
        timed, number_timed = largest(report.endpoints, TIMED, self._top)
        failing, number_failing = largest(report.endpoints, "errors", self._top)
        refused, number_refused = largest(report.endpoints, REFUSED, self._top)
        title = _TITLES.get(self._sort, f"Endpoints by {self._sort}")
        if timed and self._sort not in ("requests", "errors"):
            heads = ["endpoint", "requests", "avg", "p50", "p95", "p99", "max", "time"]
            self._endpoint_table(title, timed, number_timed, heads)
        middle = ["avg", "p95"] if timed else []
        heads = ["endpoint", "requests", "share", "errors", *middle, "bytes"]
        self._endpoint_table("Busiest endpoints", busiest, number, heads)
        if failing:
            heads = ["endpoint", "5xx", "errors", "4xx", "requests", *middle]
            self._endpoint_table("Errors (5xx)", failing, number_failing, heads)
        if refused:
            heads = ["endpoint", "4xx", "refused", "5xx", "requests"]
            self._endpoint_table("Client errors (4xx)", refused, number_refused, heads)

    def _endpoint_table(self, title: str, rows: list[EndpointRow], number: int, heads: list[str]) -> None:
        self._canvas.heading(title, f"{self._top} of {count(number)}" if number > self._top else "")
        if self._canvas.width >= 120:
            wide = [
                "requests",
                "errors",
                "avg",
                "p50",
                "p95",
                "p99",
                "max",
                "time",
                "bytes",
                "2xx",
                "3xx",
                "4xx",
                "5xx",
            ]
            timed = any(row.latency for row in rows)
            latency = ("avg", "p50", "p95", "p99", "max", "time")
            heads = [*heads, *(head for head in wide if head not in heads and (timed or head not in latency))]
        cells = [self._endpoint_cells(row, heads) for row in rows]
        ranked = (self._sort, *_KEEP) if title == _TITLES.get(self._sort, f"Endpoints by {self._sort}") else _KEEP
        self._canvas.table(heads, cells, keep=list(dict.fromkeys((*heads[1:2], *ranked, "refused"))))

    def _endpoint_cells(self, row: EndpointRow, heads: list[str]) -> list[Text]:
        cells, dash = [], self._canvas.glyphs.dash
        for head in heads:
            if head == "endpoint":
                cells.append(Text(self._canvas.shown(row.name)))
            elif head == "requests":
                cells.append(Text(count(row.requests)))
            elif head == "errors":
                style = "red" if row.errors else "dim"
                cells.append(Text(share(row.errors, row.requests) if row.errors else dash, style))
            elif head == "refused":
                cells.append(Text(share(row.status_classes.get("4xx", 0), row.requests)))
            elif head == "bytes":
                cells.append(Text(size(row.bytes)))
            elif head == "share":
                cells.append(Text(share(row.requests, self._report.requests)))
            elif head == "time":
                cells.append(Text(share(row.share_of_time, 1) if row.share_of_time is not None else dash))
            elif head.endswith("xx"):
                number = row.status_classes.get(head, 0)
                cells.append(Text(count(number) if number else dash, "" if number else "dim"))
            else:
                cells.append(Text(_latency_figure(row.latency, head, dash)))
        return cells

    def breakdown(self, by: str, rows: Sequence[BreakdownRow]) -> None:
        """The ranking of a `--by`."""
        if not rows:
            return
        rows = sorted(rows, key=lambda row: (-row.requests, row.value))
        more = len(rows) - self._top
        columns = by.split(",")
        shown = self._canvas.shown(", ".join(columns))
        self._canvas.heading(f"By {shown}", f"{self._top} of {count(len(rows))}" if more > 0 else "")
        timed = any(row.latency for row in rows)
        figures = ["avg", "p50", "p95", "p99", "max"] if timed else []
        heads = [shown, "requests", "share", "errors", *figures, "bytes"]
        cells, dash = [], self._canvas.glyphs.dash
        for row in rows[: self._top]:
            failed = share(row.errors, row.requests) if row.errors else dash
            cells.append(
                [
                    Text(self._canvas.shown(row.value) or "(empty)"),
                    Text(count(row.requests)),
                    Text(share(row.requests, self._report.requests)),
                    Text(failed, "red" if row.errors else "dim"),
                    *(Text(_latency_figure(row.latency, figure, dash)) for figure in figures),
                    Text(size(row.bytes)),
                ]
            )
        keep = ("requests", "share", "errors", "p95", "bytes", *_KEEP)
        long = 3 if set(columns) & set(_LONG) else 1
        self._canvas.table(heads, cells, keep=list(dict.fromkeys(keep)), lines=long)

    def own_table(self, table: Table) -> None:
        """The table of an aggregate."""
        if not table.rows:
            return
        more = len(table.rows) - self._top
        self._canvas.heading(table.title, f"{self._top} of {count(len(table.rows))}" if more > 0 else "")
        cells = [list(map(self._own_cell, table.columns, row)) for row in table.rows[: self._top]]
        heads = [units.head(column) for column in table.columns]
        self._canvas.table(heads, cells, keep=heads[1:])

    def slowest(self, table: Table) -> None:
        """The slowest single requests: what took how long and when, and below it where it is logged."""
        if not table.rows:
            return
        self._canvas.heading(table.title)
        shown, gap = self._canvas.shown, "  "
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        times = [duration(row["duration_ms"]) for row in rows]
        wide = max(map(len, times))
        for row, took in zip(rows, times, strict=True):
            about = [str(row["status"])] if row["status"] is not None else []
            about += [self._report.clock.moment(row["time"])] if row["time"] is not None else []
            room = max(20, self._canvas.width - wide - len(gap.join(["", *about])) - len(gap))
            what = shortened(shown(" ".join(filter(None, (row["method"], row["target"])))), room)
            self._canvas.print(Text(gap.join([took.rjust(wide), what or self._canvas.glyphs.dash, *about])))
            trace = [f"trace {shown(row['trace_id'])}"] if row["trace_id"] is not None else []
            place = gap.join([f"{shown(row['source'] or '?')}:{row['line']}", *trace])
            self._canvas.print(Text(" " * (wide + len(gap)) + place, "dim"))

    def _own_cell(self, column: str, value: object) -> Text:
        if isinstance(value, datetime):
            return Text(self._report.clock.moment(value))
        if isinstance(value, int | float):
            return Text(figure(column, value))
        return Text(self._canvas.glyphs.dash if value is None else self._canvas.shown(str(value)))


def _latency_figure(latency: Latency | None, name: str, absent: str) -> str:
    if latency is None:
        return absent
    if name in ("avg", "max"):
        return duration(getattr(latency, name))
    value = latency.percentiles.get(name[1:])
    return absent if value is None else duration(value)
