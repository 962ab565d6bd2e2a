"""The report as Markdown (GitHub's flavour)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logstats.reports.printable import printable
from logstats.reports.units import count, describe_invalid, duration, size

if TYPE_CHECKING:
    from logstats.reports.grids import Grid
    from logstats.reports.model import Report

_MARKUP = {character: f"&#{ord(character)};" for character in "\\`*_{}[]<>()#+!|&~$^:@"}


def escaped(text: str) -> str:
    """A text for Markdown that is nothing but text, not even a link (GitHub makes one of `www.`)."""
    shown = "".join(_MARKUP.get(character, character) for character in printable(text))
    return shown.replace("www.", "www&#46;")


def code(text: str) -> str:
    """A text from a log as a code span, in which markup, @mentions and #numbers have no effect.

    What would end it, or a cell of a table, becomes an escape such as those of `printable`.
    """
    shown = printable(text).replace("`", r"\x60").replace("|", r"\x7c")
    return f"`{shown}`" if shown else ""


def to_markdown(report: Report, top: int = 10, sort: str = "avg") -> str:
    """Totals, then endpoints, breakdowns and rejected lines, for chats and tickets."""
    from logstats.reports import grids

    lines = [f"# {escaped(report.heading)}", ""]
    show = report.clock.iso
    span = f"{show(report.first)} – {show(report.last)}" if report.first and report.last else "no times"
    lines += [
        f"- **Requests** {count(report.requests)} ({span}), {size(report.bytes)}",
        f"- **Status** {', '.join(f'{k} {count(v)}' for k, v in report.status_classes.items()) or 'none'}",
        f"- **Lines** {count(report.lines)}: {count(report.rejected)} rejected, {count(report.filtered)} filtered, "
        f"{count(report.events)} events, {count(report.ignored)} ignored",
        *([f"- **Left out** {left_out}"] if (left_out := describe_invalid(report.invalid)) else []),
        f"- **Unique users** {'' if report.unique_users.exact else '≈ '}{count(report.unique_users.total)}",
    ]
    if report.latency:
        shown = ", ".join(f"p{p} {duration(v)}" for p, v in report.latency.percentiles.items())
        lines.append(
            f"- **Latency** avg {duration(report.latency.avg)}, {shown}, max {duration(report.latency.max)} "
            f"(percentiles within {report.latency.relative_error:.0%})"
        )
    lines += [f"- **{t.verdict}** {code(t.condition)}: {escaped(t.words)}" for t in report.thresholds]
    lines += [f"- {escaped(note)}" for note in report.notes]
    lines += [f"- **Not read** {escaped(source.problem)}" for source in report.sources if source.problem]
    for grid in [
        *grids.endpoints(report, top, sort, sparks=False),
        *(grids.breakdown(report, column, top) for column in report.breakdowns),
        *grids.own_tables(report, top),
        grids.rejects(report, top),
    ]:
        if grid.rows:
            lines += ["", *_table(grid)]
    return "\n".join(lines) + "\n"


def _table(grid: Grid) -> list[str]:
    rules = ["---:" if cell.figure else "---" for cell in grid.rows[0]]
    lines = [f"## {grid.title}", "", f"| {' | '.join(grid.heads)} |", f"| {' | '.join(rules)} |"]
    lines += [f"| {' | '.join(cell.text if cell.figure else code(cell.text) for cell in row)} |" for row in grid.rows]
    if len(grid.rows) < grid.total:
        lines += ["", f"{count(len(grid.rows))} of {count(grid.total)}."]
    return lines
