"""The report on a terminal, in 80 columns by default."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from logstats.reports.by_minute import in_columns
from logstats.reports.canvas import ASCII, UNICODE, Canvas
from logstats.reports.document import to_terminal
from logstats.reports.model import Report
from logstats.reports.printable import shortened
from logstats.reports.reasons import describe_reason
from logstats.reports.styled import Page, Text
from logstats.reports.terminal_tables import Tables
from logstats.reports.text_charts import Columns, apportion, sparkline
from logstats.reports.units import compact, count, counted, describe_invalid, duration, length, rate, share, size
from logstats.reports.view import Compared
from logstats.summaries.slowest import NAME as SLOWEST
from logstats.summaries.traffic import moment

_CLASS_STYLES: Final = {"1xx": "cyan", "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red"}
_MORE_FORMATS_HINT: Final = (
    "another format? name it: --format NAME, or --log-format 'the line from the server configuration'"
)
_TO_ASCII: Final = str.maketrans({"…": "~", "µ": "u"})  # characters of ours, besides the glyphs


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
    page = Page(width, colour=colour)
    canvas = Canvas(page, UNICODE if unicode else ASCII)
    _Screen(canvas, report, Tables(canvas, report, top, sort)).draw()
    text = page.text()
    for one in compared:
        sections = [replace(one.sections[0], title=one.title), *one.sections[1:]]
        text += "\n" + to_terminal(sections, width=width, colour=colour, unicode=unicode)
    return text if unicode else text.translate(_TO_ASCII)


class _Screen:
    """Draws a report, part by part."""

    def __init__(self, canvas: Canvas, report: Report, tables: Tables) -> None:
        self._canvas, self._report, self._tables = canvas, report, tables

    def draw(self) -> None:
        """Draw all parts that the report has."""
        report, tables = self._report, self._tables
        self._totals()
        if report.requests:
            self._status()
            self._latency()
            self._time()
            tables.endpoints()
            for column, rows in report.breakdowns.items():
                tables.breakdown(column, rows)
            for name, table in report.tables.items():
                (tables.slowest if name == SLOWEST else tables.own_table)(table)
        if report.events:
            self._events()
        self._rejected()
        self._thresholds()
        self._notes()

    def _totals(self) -> None:
        report, dot = self._report, f" {self._canvas.glyphs.dot} "
        if not report.lines:
            unread = any(source.problem for source in report.sources)
            what = "no lines: nothing could be read" if unread else "no lines: the input is empty"
            what = "interrupted before the first line" if report.interrupted else what
            self._canvas.print(Text(what, "bold"))
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
            about = "" if users.exact else self._canvas.glyphs.about + " "
            first.append(f"{about}{counted(users.total, 'unique user')}")
        if report.title:
            self._canvas.print(Text(self._canvas.shown(report.title), "bold"))
        heading = Text(dot.join(first), "bold")
        self._canvas.print(heading)
        second = []
        if report.first and report.last:
            seconds = (report.last - report.first).total_seconds()
            second.append(report.clock.span(report.first, report.last, self._canvas.glyphs.dash))
            if seconds >= 1:
                second.append(f"{length(seconds)}, {rate(report.requests / seconds)}")
        if report.untimed:
            second.append(f"{count(report.untimed)} without a time")
        if second:
            self._canvas.print(Text(dot.join(second)))
        lines = [f"{counted(report.lines, 'line')} read"]
        if report.rejected:
            lines.append(f"{count(report.rejected)} rejected ({share(report.rejected, report.lines)})")
        if report.filtered:
            lines.append(f"{count(report.filtered)} filtered out")
        if report.ignored:
            lines.append(f"{count(report.ignored)} blank or comments")
        self._canvas.print(Text(dot.join(lines), "dim"))
        if report.filters:
            words = ", ".join(f"{name} {self._canvas.shown(value)}" for name, value in report.filters.items())
            for line in textwrap.wrap(f"filters: {words}", self._canvas.width, subsequent_indent="  "):
                self._canvas.print(Text(line, "dim"))
        if left_out := describe_invalid(report.invalid):
            self._canvas.print(Text(left_out, "yellow"))
        if report.interrupted:
            self._canvas.print(Text("interrupted: this is what had arrived until then", "yellow"))

    def _status(self) -> None:
        report = self._report
        if not report.status_classes:
            return
        self._canvas.heading("Status")
        total = sum(report.status_classes.values())
        bar = Text()
        for (name, _), cells in zip(
            report.status_classes.items(),
            apportion(list(report.status_classes.values()), self._canvas.width),
            strict=True,
        ):
            bar.append(self._canvas.glyphs.blocks.get(name, "?") * cells, _CLASS_STYLES.get(name, ""))
        self._canvas.print(bar)
        legend = Text()
        for name, number in report.status_classes.items():
            if legend:
                legend.append("   ")
            legend.append(self._canvas.glyphs.blocks.get(name, "?"), _CLASS_STYLES.get(name, ""))
            legend.append(f" {name} {count(number)}")
            legend.append(f" {share(number, total)}", "dim")
        self._canvas.page.print(legend)
        codes = sorted(report.status.items(), key=lambda pair: -pair[1])
        text = Text()
        for code, number in codes[:12]:
            piece = f"{code} {count(number)}"
            if text and len(text) + 3 + len(piece) > self._canvas.width:
                break
            text.append("   " if text else "")
            text.append(code, _CLASS_STYLES.get(f"{code[0]}xx", ""))
            text.append(f" {count(number)}", "dim")
        self._canvas.print(text)

    def _latency(self) -> None:
        latency = self._report.latency
        if latency is None:
            return
        self._canvas.heading("Latency", f"avg and max exact, percentiles within {latency.relative_error:.0%}")
        figures = [("min", latency.min), ("avg", latency.avg)]
        figures += [(f"p{p}", value) for p, value in latency.percentiles.items()]
        figures.append(("max", latency.max))
        text = Text()
        for name, value in figures:
            piece = f"{name} {duration(value)}"
            if text:
                text.append(
                    "   " if len(text.plain.rsplit(chr(10))[-1]) + 3 + len(piece) <= self._canvas.width else "\n"
                )
            text.append(f"{name} ", "dim")
            text.append(duration(value), "bold" if name == "p99" else "")
        self._canvas.page.print(text)

    def _time(self) -> None:
        report = self._report
        if not report.minutes:
            return
        minutes, requests = in_columns(report.minutes, "requests")
        _, errors = in_columns(report.minutes, "errors")
        label = 10
        cells = Columns(int(minutes[0]), int(minutes[-1]), self._canvas.width - label - 16)
        per = "minute" if cells.minutes == 1 else length(cells.minutes * 60)
        self._canvas.heading("Over time", f"one column is {'a minute' if per == 'minute' else per}")
        rows = [
            ("requests", cells.sum(minutes, requests), "", ""),
            ("errors", cells.sum(minutes[errors > 0], errors[errors > 0]), "red", ""),
            ("users", cells.max(*in_columns(report.unique_users.per_minute, "users")), "cyan", "/min"),
        ]
        for name, values, style, unit in rows:
            if not any(value for value in values):
                continue
            peak = max(value for value in values if value is not None)
            line = Text(f"{name:<{label}}")
            line.append(sparkline(values, self._canvas.glyphs.bars), style)
            line.append(f"  peak {compact(peak)}{unit}", "dim")
            self._canvas.print(line)
        first, last = (report.clock.moment(moment(int(time)), seconds=False) for time in minutes[[0, -1]])
        left, right = (first[11:], last[11:]) if first[:10] == last[:10] else (first, last)
        gap = cells.count - len(left) - len(right)
        if gap > 0:
            self._canvas.print(Text(f"{'':<{label}}{left}{' ' * gap}{right}", "dim"))
        elif cells.count >= 5:
            self._canvas.print(Text(f"{'':<{label}}{left}", "dim"))

    def _events(self) -> None:
        self._canvas.heading("Events", "application lines that are not requests")
        levels = sorted(self._report.levels.items(), key=lambda pair: (-pair[1], pair[0]))
        text = "   ".join(f"{self._canvas.shown(level)} {count(number)}" for level, number in levels[:20])
        self._canvas.page.print(Text(text))

    def _rejected(self) -> None:
        report = self._report
        if not report.rejected:
            return
        self._canvas.heading("Rejected lines", f"{count(report.rejected)} of {count(report.lines)}")
        for reason, number in sorted(report.rejects.by_reason.items(), key=lambda pair: (-pair[1], pair[0])):
            line = Text(f"{count(number)} × " if self._canvas.glyphs is UNICODE else f"{count(number)} x ")
            line.append(reason, "yellow")
            line.append(f": {describe_reason(reason)}", "dim")
            self._canvas.print(line)
            sample = next((s for s in report.rejects.samples if s.reason == reason), None)
            if sample:
                place = f"  {shortened(self._canvas.shown(sample.source), 30)}:{count(sample.line).replace(',', '')}: "
                room = max(20, self._canvas.width - len(place))
                text = self._canvas.shown(sample.text)
                if len(text) > room:
                    text = text[: room - 1] + ("…" if self._canvas.glyphs is UNICODE else "~")
                self._canvas.print(Text(place, "dim").append(text))
        if report.rejected * 5 > report.lines:
            self._canvas.page.print(Text(_MORE_FORMATS_HINT, "yellow"))

    def _thresholds(self) -> None:
        if not self._report.thresholds:
            return
        self._canvas.heading("Thresholds")
        for threshold in self._report.thresholds:
            style = "green" if threshold.failed is False else "red"
            line = Text(f"{threshold.verdict:<8}", style).append(self._canvas.shown(threshold.condition), "bold")
            self._canvas.page.print(line)
            self._canvas.page.print(Text(self._canvas.shown(threshold.words), "dim"), indent=8)

    def _notes(self) -> None:
        problems = [s for s in self._report.sources if s.problem]
        if not self._report.notes and not problems:
            return
        self._canvas.heading("Notes")
        for note in self._report.notes:
            self._canvas.page.print(Text(self._canvas.shown(note)))
        for source in problems:
            self._canvas.page.print(Text(self._canvas.shown(source.problem or ""), "red"))
