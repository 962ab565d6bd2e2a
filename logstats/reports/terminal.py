"""The report on a terminal, in 80 columns by default."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.text import Text

from logstats import schema
from logstats.reports.document import draw_table, plain_console, to_terminal
from logstats.reports.model import BreakdownRow, EndpointRow, Latency, Report, Table
from logstats.reports.over_time import step_for
from logstats.reports.printable import printable, shortened
from logstats.reports.reasons import describe_reason
from logstats.reports.units import count, counted, describe_invalid, duration, share, size
from logstats.reports.view import Compared

_CLASS_STYLES = {"1xx": "cyan", "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red"}
_TITLES = {"avg": "Slowest endpoints", "total": "Endpoints by total time"}
# Figures of a table, the most important first: where a terminal is narrow, the last ones go.
_KEEP = (
    *("requests", "p95", "errors", "4xx", "5xx", "p99", "avg", "share", "max", "p50", "bytes", "time"),
    *("2xx", "3xx"),
)
_LONG = ("user_agent", "referer")  # columns whose values differ in their middle: shown over several lines
_MORE_FORMATS_HINT = "another format? name it: --format NAME, or --log-format 'the line from the server configuration'"


@dataclass(frozen=True, slots=True)
class _Glyphs:
    bars: str  # a sparkline's heights, lowest first
    blocks: dict[str, str]  # the status bar, so that it reads without colour
    rule: str
    dot: str
    dash: str
    about: str


_UNICODE = _Glyphs("▁▂▃▄▅▆▇█", {"1xx": "░", "2xx": "█", "3xx": "▓", "4xx": "▒", "5xx": "╳"}, "─", "·", "–", "≈")
_TO_ASCII = str.maketrans({"…": "~", "µ": "u"})  # what is left of ours
_ASCII = _Glyphs("_.-=+*#@", {"1xx": "1", "2xx": "=", "3xx": "3", "4xx": "4", "5xx": "X"}, "-", "-", "-", "~")


def render(
    report: Report,
    *,
    width: int = 80,
    colour: bool = False,
    top: int = 10,
    sort: str = "avg",
    unicode: bool = True,
    compared: Sequence[Compared] = (),
) -> str:
    """The report as lines of at most `width` columns; without `colour` there is no escape sequence in it.

    `sort` is what the endpoints are ranked by; the first table says so.
    """
    width = max(40, width)
    out = io.StringIO()
    console = plain_console(out, width, colour=colour)
    _Screen(console, report, width, top, sort, _UNICODE if unicode else _ASCII).draw()
    text = "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
    for one in compared:
        sections = [replace(one.sections[0], title=one.title), *one.sections[1:]]
        text += "\n" + to_terminal(sections, width=width, colour=colour, unicode=unicode)
    return text if unicode else text.translate(_TO_ASCII)


class _Screen:
    def __init__(self, console: Console, report: Report, width: int, top: int, sort: str, glyphs: _Glyphs) -> None:
        self._console, self._report, self._glyphs = console, report, glyphs
        self._width, self._top, self._sort = width, top, sort

    def draw(self) -> None:
        report = self._report
        self._totals()
        if report.requests:
            self._status()
            self._latency()
            self._time()
            self._endpoints()
            for column, rows in report.breakdowns.items():
                self._breakdown(column, rows)
            for table in report.tables.values():
                self._own_table(table)
        if report.events:
            self._events()
        self._rejected()
        self._thresholds()
        self._notes()

    # ------------------------------------------------------------------ parts

    def _totals(self) -> None:
        report, dot = self._report, f" {self._glyphs.dot} "
        if not report.lines:
            unread = any(source.problem for source in report.sources)
            what = "no lines: nothing could be read" if unread else "no lines: the input is empty"
            what = "interrupted before the first line" if report.interrupted else what
            self._print(Text(what, "bold"))
            return
        first = [counted(report.requests, "request")]
        if report.events:
            first.append(counted(report.events, "event"))
        if report.errors:
            first.append(f"{counted(report.errors, 'error')} ({share(report.errors, report.requests)})")
        if report.bytes:
            first.append(size(report.bytes))
        users = report.unique_users
        if users.total:  # otherwise the format logs none
            about = "" if users.exact else self._glyphs.about + " "
            first.append(f"{about}{counted(users.total, 'unique user')}")
        if report.title:
            self._print(Text(self._shown(report.title), "bold"))
        heading = Text(dot.join(first), "bold")
        self._print(heading)
        second = []
        if report.first and report.last:
            seconds = (report.last - report.first).total_seconds()
            second.append(report.clock.span(report.first, report.last, self._glyphs.dash))
            if seconds >= 1:
                second.append(f"{_span(seconds)}, {_rate(report.requests / seconds)}")
        if report.untimed:
            second.append(f"{count(report.untimed)} without a time")
        if second:
            self._print(Text(dot.join(second)))
        lines = [f"{counted(report.lines, 'line')} read"]
        if report.rejected:
            lines.append(f"{count(report.rejected)} rejected ({share(report.rejected, report.lines)})")
        if report.filtered:
            lines.append(f"{count(report.filtered)} filtered out")
        if report.ignored:
            lines.append(f"{count(report.ignored)} blank or comments")
        self._print(Text(dot.join(lines), "dim"))
        if report.filters:
            words = ", ".join(f"{name} {self._shown(value)}" for name, value in report.filters.items())
            self._print(Text(f"filters: {words}", "dim"))
        if left_out := describe_invalid(report.invalid):
            self._print(Text(left_out, "yellow"))
        if report.interrupted:
            self._print(Text("interrupted: this is what had arrived until then", "yellow"))

    def _status(self) -> None:
        report = self._report
        if not report.status_classes:
            return
        self._heading("Status")
        total = sum(report.status_classes.values())
        bar = Text()
        for (name, _), cells in zip(
            report.status_classes.items(),
            _apportion(list(report.status_classes.values()), self._width),
            strict=True,
        ):
            bar.append(self._glyphs.blocks.get(name, "?") * cells, _CLASS_STYLES.get(name, ""))
        self._print(bar)
        legend = Text()
        for name, number in report.status_classes.items():
            if legend:
                legend.append("   ")
            legend.append(self._glyphs.blocks.get(name, "?"), _CLASS_STYLES.get(name, ""))
            legend.append(f" {name} {count(number)}")
            legend.append(f" {share(number, total)}", "dim")
        self._console.print(legend, overflow="fold")
        codes = sorted(report.status.items(), key=lambda pair: -pair[1])
        text = Text()
        for code, number in codes[:12]:
            piece = f"{code} {count(number)}"
            if text and len(text) + 3 + len(piece) > self._width:
                break
            text.append("   " if text else "")
            text.append(code, _CLASS_STYLES.get(f"{code[0]}xx", ""))
            text.append(f" {count(number)}", "dim")
        self._print(text)

    def _latency(self) -> None:
        latency = self._report.latency
        if latency is None:
            return
        self._heading("Latency", f"avg and max exact, percentiles within {latency.relative_error:.0%}")
        figures = [("min", latency.min), ("avg", latency.avg)]
        figures += [(f"p{p}", value) for p, value in latency.percentiles.items()]
        figures.append(("max", latency.max))
        text = Text()
        for name, value in figures:
            piece = f"{name} {duration(value)}"
            if text:
                text.append("   " if len(text.plain.rsplit(chr(10))[-1]) + 3 + len(piece) <= self._width else "\n")
            text.append(f"{name} ", "dim")
            text.append(duration(value), "bold" if name == "p99" else "")
        self._console.print(text)

    def _time(self) -> None:
        report = self._report
        if not report.minutes:
            return
        users = dict(report.unique_users.per_minute)
        times = [m.minute for m in report.minutes]
        label = 10
        cells = _Cells(times[0], times[-1], self._width - label - 16)
        per = "minute" if cells.minutes == 1 else _span(cells.minutes * 60)
        self._heading("Over time", f"one column is {'a minute' if per == 'minute' else per}")
        rows = [
            ("requests", cells.sum((m.minute, m.requests) for m in report.minutes), "", ""),
            ("errors", cells.sum((m.minute, m.errors) for m in report.minutes), "red", ""),
            ("users", cells.max(users.items()), "cyan", "/min"),
        ]
        for name, values, style, unit in rows:
            if not any(value for value in values):
                continue
            peak = max(value for value in values if value is not None)
            line = Text(f"{name:<{label}}")
            line.append(_sparkline(values, self._glyphs.bars), style)
            line.append(f"  peak {_compact(peak)}{unit}", "dim")
            self._print(line)
        first, last = (report.clock.moment(time, seconds=False) for time in (times[0], times[-1]))
        left, right = (first[11:], last[11:]) if first[:10] == last[:10] else (first, last)
        gap = cells.count - len(left) - len(right)
        if gap > 0:
            self._print(Text(f"{'':<{label}}{left}{' ' * gap}{right}", "dim"))
        elif cells.count >= 5:
            self._print(Text(f"{'':<{label}}{left}", "dim"))

    def _endpoints(self) -> None:
        report = self._report
        rows = [row for row in report.endpoints if row.endpoint]
        if not rows:
            return
        busiest = sorted(rows, key=lambda row: (-row.requests, row.name))
        failing = sorted((row for row in rows if row.errors), key=lambda row: (-row.errors, row.name))
        title = _TITLES.get(self._sort, f"Endpoints by {self._sort}")
        refused = sorted(
            (row for row in rows if row.status_classes.get("4xx")),
            key=lambda row: (-row.status_classes["4xx"], row.name),
        )
        timed = [row for row in rows if row.latency and row.endpoint != schema.MALFORMED]
        if timed and self._sort not in ("requests", "errors"):
            heads = ["endpoint", "requests", "avg", "p50", "p95", "p99", "max", "time"]
            self._endpoint_table(title, timed, heads)
        middle = ["avg", "p95"] if timed else []
        self._endpoint_table(
            "Busiest endpoints", busiest, ["endpoint", "requests", "share", "errors", *middle, "bytes"]
        )
        if failing:
            self._endpoint_table("Errors (5xx)", failing, ["endpoint", "5xx", "errors", "4xx", "requests", *middle])
        if refused:
            self._endpoint_table("Client errors (4xx)", refused, ["endpoint", "4xx", "refused", "5xx", "requests"])

    def _endpoint_table(self, title: str, rows: list[EndpointRow], heads: list[str]) -> None:
        more = len(rows) - self._top
        self._heading(title, f"{self._top} of {count(len(rows))}" if more > 0 else "")
        if self._width >= 120:
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
        cells = [self._endpoint_cells(row, heads) for row in rows[: self._top]]
        ranked = (self._sort, *_KEEP) if title == _TITLES.get(self._sort, f"Endpoints by {self._sort}") else _KEEP
        self._table(heads, cells, keep=list(dict.fromkeys((*heads[1:2], *ranked, "refused"))))

    def _endpoint_cells(self, row: EndpointRow, heads: list[str]) -> list[Text]:
        cells = []
        for head in heads:
            if head == "endpoint":
                cells.append(Text(self._shown(row.name)))
            elif head == "requests":
                cells.append(Text(count(row.requests)))
            elif head == "errors":
                style = "red" if row.errors else "dim"
                cells.append(Text(share(row.errors, row.requests) if row.errors else self._glyphs.dash, style))
            elif head == "refused":
                cells.append(Text(share(row.status_classes.get("4xx", 0), row.requests)))
            elif head == "bytes":
                cells.append(Text(size(row.bytes)))
            elif head == "share":
                cells.append(Text(share(row.requests, self._report.requests)))
            elif head == "time":
                cells.append(Text(share(row.share_of_time, 1) if row.share_of_time is not None else self._glyphs.dash))
            elif head.endswith("xx"):
                number = row.status_classes.get(head, 0)
                cells.append(Text(count(number) if number else self._glyphs.dash, "" if number else "dim"))
            else:
                cells.append(Text(_latency_figure(row.latency, head, self._glyphs.dash)))
        return cells

    def _breakdown(self, column: str, rows: list[BreakdownRow]) -> None:
        if not rows:
            return
        rows = sorted(rows, key=lambda row: (-row.requests, row.value))
        more = len(rows) - self._top
        self._heading(f"By {column}", f"{self._top} of {count(len(rows))}" if more > 0 else "")
        timed = any(row.latency for row in rows)
        figures = ["avg", "p50", "p95", "p99", "max"] if timed else []
        heads = [column, "requests", "share", "errors", *figures, "bytes"]
        cells = []
        for row in rows[: self._top]:
            failed = share(row.errors, row.requests) if row.errors else self._glyphs.dash
            cells.append(
                [
                    Text(self._shown(row.value)),
                    Text(count(row.requests)),
                    Text(share(row.requests, self._report.requests)),
                    Text(failed, "red" if row.errors else "dim"),
                    *(Text(_latency_figure(row.latency, figure, self._glyphs.dash)) for figure in figures),
                    Text(size(row.bytes)),
                ]
            )
        keep = ("requests", "share", "errors", "p95", "bytes", *_KEEP)
        self._table(heads, cells, keep=list(dict.fromkeys(keep)), lines=3 if column in _LONG else 1)

    def _own_table(self, table: Table) -> None:
        if not table.rows:
            return
        more = len(table.rows) - self._top
        self._heading(table.title, f"{self._top} of {count(len(table.rows))}" if more > 0 else "")
        cells = [[self._own_cell(value) for value in row] for row in table.rows[: self._top]]
        self._table(list(table.columns), cells, keep=list(table.columns)[1:])

    def _own_cell(self, value: object) -> Text:
        if isinstance(value, int | float):
            return Text(count(value) if isinstance(value, int) else f"{value:,.3f}")
        return Text(self._glyphs.dash if value is None else self._shown(str(value)))

    def _events(self) -> None:
        self._heading("Events", "application lines that are not requests")
        levels = sorted(self._report.levels.items(), key=lambda pair: (-pair[1], pair[0]))
        text = "   ".join(f"{self._shown(level)} {count(number)}" for level, number in levels[:20])
        self._console.print(Text(text), overflow="fold")

    def _rejected(self) -> None:
        report = self._report
        if not report.rejected:
            return
        self._heading("Rejected lines", f"{count(report.rejected)} of {count(report.lines)}")
        for reason, number in sorted(report.rejects.by_reason.items(), key=lambda pair: (-pair[1], pair[0])):
            line = Text(f"{count(number)} × " if self._glyphs is _UNICODE else f"{count(number)} x ")
            line.append(reason, "yellow")
            line.append(f": {describe_reason(reason)}", "dim")
            self._print(line)
            sample = next((s for s in report.rejects.samples if s.reason == reason), None)
            if sample:
                place = f"  {shortened(self._shown(sample.source), 30)}:{count(sample.line).replace(',', '')}: "
                room = max(20, self._width - len(place))
                text = self._shown(sample.text)
                if len(text) > room:
                    text = text[: room - 1] + ("…" if self._glyphs is _UNICODE else "~")
                self._print(Text(place, "dim").append(Text(text)))
        if report.rejected * 5 > report.lines:
            self._console.print(Text(_MORE_FORMATS_HINT, "yellow"))

    def _thresholds(self) -> None:
        if not self._report.thresholds:
            return
        self._heading("Thresholds")
        for threshold in self._report.thresholds:
            style = "green" if threshold.failed is False else "red"
            line = Text(f"{threshold.verdict:<8}", style).append(self._shown(threshold.condition), "bold")
            self._console.print(line, overflow="fold")
            self._console.print(Padding(Text(self._shown(threshold.words), "dim"), (0, 0, 0, 8)))

    def _notes(self) -> None:
        problems = [s for s in self._report.sources if s.problem]
        if not self._report.notes and not problems:
            return
        self._heading("Notes")
        for note in self._report.notes:
            self._console.print(Text(self._shown(note)), overflow="fold")
        for source in problems:
            self._console.print(Text(self._shown(source.problem or ""), "red"), overflow="fold")

    # ------------------------------------------------------------------ pieces

    def _shown(self, text: str) -> str:
        """Text from a log."""
        text = printable(text)
        return text if self._glyphs is _UNICODE else text.encode("ascii", "backslashreplace").decode()

    def _print(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ellipsis" if self._glyphs is _UNICODE else "crop")

    def _heading(self, title: str, note: str = "") -> None:
        self._console.print()
        line = Text(title, "bold")
        if note and len(title) + 2 + len(note) <= self._width:
            line.append(f"  {note}", Style(dim=True))
        self._print(line)

    def _table(self, heads: Sequence[str], rows: list[list[Text]], *, keep: Sequence[str], lines: int = 1) -> None:
        draw_table(self._console, heads, rows, self._width, keep=keep, lines=lines)


class _Cells:
    """Minutes gathered into as many columns as there is room for."""

    def __init__(self, first: datetime, last: datetime, room: int) -> None:
        self.first = first
        span = int((last - first) / timedelta(minutes=1)) + 1
        self.minutes = step_for(span, max(room, 10))
        self.count = (span + self.minutes - 1) // self.minutes

    def _place(self, minute: datetime) -> int:
        return int((minute - self.first) / timedelta(minutes=1)) // self.minutes

    def sum(self, values: Iterable[tuple[datetime, int]]) -> list[int | None]:
        cells: list[int | None] = [None] * self.count
        for minute, value in values:
            place = self._place(minute)
            cells[place] = (cells[place] or 0) + value
        return cells

    def max(self, values: Iterable[tuple[datetime, int]]) -> list[int | None]:
        """The maximum, for unique users: those of several minutes cannot be added up."""
        cells: list[int | None] = [None] * self.count
        for minute, value in values:
            place = self._place(minute)
            if 0 <= place < self.count:
                cells[place] = max(cells[place] or 0, value)
        return cells


def _sparkline(values: list[int | None], bars: str) -> str:
    peak = max((value for value in values if value), default=0)
    text = ""
    for value in values:
        if not value:  # nothing, or no such thing happened: a gap
            text += " "
        else:
            text += bars[min(len(bars) - 1, (value * len(bars) - 1) // peak)]
    return text


def _apportion(parts: list[int], width: int) -> list[int]:
    """Cells for each part: at least one for what is there, by largest remainder."""
    total = sum(parts)
    exact = [part * width / total for part in parts]
    cells = [max(1, int(value)) if part else 0 for part, value in zip(parts, exact, strict=True)]
    by_rest = sorted(range(len(parts)), key=lambda i: int(exact[i]) - exact[i])
    for i in by_rest:
        if sum(cells) < width:
            cells[i] += 1
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    return cells


def _latency_figure(latency: Latency | None, name: str, absent: str) -> str:
    if latency is None:
        return absent
    if name in ("avg", "max"):
        return duration(getattr(latency, name))
    value = latency.percentiles.get(name[1:])
    return absent if value is None else duration(value)


def _span(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    for value, unit in ((days, "day"), (hours, "hour"), (minutes, "minute")):
        if value >= 1:
            shown = f"{value:.1f}".removesuffix(".0")
            return f"{shown} {unit}{'' if shown == '1' else 's'}"
    return counted(round(seconds), "second")


def _rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:,.1f}/s"
    return f"{per_second * 60:,.1f}/min" if per_second * 60 >= 1 else f"{per_second * 3600:,.1f}/h"


def _compact(number: int) -> str:
    for limit, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if number >= limit:
            return f"{number / (1000 if unit == 'k' else limit):.3g}{unit}"
    return f"{number:,}"
