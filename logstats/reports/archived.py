"""The status of an archive, for people."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from logstats.reports.printable import printable, shortened
from logstats.reports.units import size

if TYPE_CHECKING:
    from logstats.archive.status import Status

SOURCES: Final = 20  # the last ones are shown


def render(status: Status) -> str:
    """Plain text, at most 80 columns wide but for paths."""
    counts = status.counts
    lines = [
        printable(status.root),
        f"commit {status.number:,} of {_time(status.at)}",
        f"{counts.lines:,} lines of {size(counts.bytes)}: {counts.requests:,} requests, {counts.events:,} events, "
        f"{counts.rejected:,} rejected",
        "",
        f"{'tier':8}{'days':>6}{'files':>8}{'rows':>14}{'bytes':>11}{'of raw':>8}  oldest and newest (UTC)",
    ]
    for held in status.held:
        ratio = f"{held.ratio:.1%}" if held.ratio is not None else ""
        span = f"{_day(held.oldest)} – {_day(held.newest)}" if held.oldest and held.newest else ""
        figures = f"{held.days:>6,}{held.files:>8,}{held.rows:>14,}{size(held.bytes):>11}{ratio:>8}"
        lines.append(f"{held.name:8}{figures}  {span}".rstrip())
    if status.waiting_files:
        lines.append(f"{status.waiting_files:,} replaced files ({size(status.waiting_bytes)}) wait to be deleted")
    lines += ["", f"{'lines':>15}{'bytes':>11}  {'format':18}source"]
    for source in status.sources[-SOURCES:]:
        name = printable(source.name) + (f" ({printable(source.label)})" if source.label else "")
        form = shortened(printable(source.format or "?"), 16)
        lines.append(f"{source.end.lines:>15,}{size(source.end.bytes):>11}  {form:18}{name}")
    if len(status.sources) > SOURCES:
        lines.append(f"and {len(status.sources) - SOURCES:,} earlier ones (-o json has all)")
    lines.append("")
    if status.due is None:
        lines.append("There is no lifecycle.toml: nothing moves, nothing is deleted.")
    elif not status.due:
        lines.append("Nothing is due.")
    else:
        lines.append("Due, by logstats archive tier:")
        lines += [f"  {step.describe()}" for step in status.due]
    return "\n".join(lines) + "\n"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
