"""The report as Markdown (GitHub's flavour)."""

from __future__ import annotations

from logstats.reports.model import EndpointRow, Report, iso
from logstats.reports.printable import printable
from logstats.reports.units import count, duration, share, size

_MARKUP = {character: f"&#{ord(character)};" for character in "\\`*_{}[]<>()#+!|&~$^:@"}


def escaped(text: str) -> str:
    """A text for Markdown that is nothing but text."""
    return "".join(_MARKUP.get(character, character) for character in printable(text))


def to_markdown(report: Report, top: int | None = 10) -> str:
    """Totals, then the endpoint table, for chats and tickets."""
    lines = ["# Access log report", ""]
    span = f"{iso(report.first)} – {iso(report.last)}" if report.first and report.last else "no times"
    lines += [
        f"- **Requests** {count(report.requests)} ({span}), {size(report.bytes)}",
        f"- **Status** {', '.join(f'{k} {count(v)}' for k, v in report.status_classes.items()) or 'none'}",
        f"- **Lines** {count(report.lines)}: {count(report.rejected)} rejected, {count(report.filtered)} filtered, "
        f"{count(report.events)} events, {count(report.ignored)} ignored",
        f"- **Unique users** {'' if report.unique_users.exact else '≈ '}{count(report.unique_users.total)}",
    ]
    if report.latency:
        shown = ", ".join(f"p{p} {duration(v)}" for p, v in report.latency.percentiles.items())
        lines.append(
            f"- **Latency** avg {duration(report.latency.avg)}, {shown}, max {duration(report.latency.max)} "
            f"(percentiles within {report.latency.relative_error:.0%})"
        )
    lines += [f"- **{t.verdict}** {escaped(t.condition)}: {escaped(t.words)}" for t in report.thresholds]
    lines += [f"- {escaped(note)}" for note in report.notes]
    percentiles = list(report.latency.percentiles) if report.latency else []
    heads = ["Endpoint", "Requests", "Errors", "Bytes"]
    heads += ["Avg", *(f"p{p}" for p in percentiles), "Max", "Time"] if report.latency else []
    lines += ["", f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    lines += [_markdown_row(row, percentiles) for row in report.endpoints[:top]]
    if top is not None and len(report.endpoints) > top:
        lines += ["", f"{count(len(report.endpoints) - top)} more endpoints are not shown."]
    return "\n".join(lines) + "\n"


def _markdown_row(row: EndpointRow, percentiles: list[str]) -> str:
    cells = [escaped(row.name), count(row.requests), share(row.errors, row.requests), size(row.bytes)]
    if percentiles:
        latency = row.latency
        cells += (
            [
                duration(latency.avg),
                *(duration(latency.percentiles[p]) for p in percentiles),
                duration(latency.max),
                share(row.share_of_time or 0, 1),
            ]
            if latency
            else ["–"] * (len(percentiles) + 3)
        )
    return f"| {' | '.join(cells)} |"
