"""The report as an e-mail: text, a body in the HTML that mail programs show, and the whole page attached.

Mail programs show neither script nor SVG, and clip a body of more than some 100 KB; so the page itself is a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Final

from logstats import __version__
from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.reports import grids
from logstats.reports.html import page
from logstats.reports.html.series import Series, series
from logstats.reports.model import Report
from logstats.reports.terminal import render
from logstats.reports.units import count, duration, share
from logstats.reports.view import Compared

ROWS: Final = 10
_BARS: Final = 48
_HEIGHT: Final = 60  # pixels of the highest bar
# Plain \n ends lines, as sendmail wants them from a pipe; everything is ASCII, so that any relay takes it.
_POLICY: Final = EmailPolicy(cte_type="7bit", max_line_length=78)


@dataclass(frozen=True, slots=True)
class Bar:
    """A column of the chart: pixels of requests answered with 5xx, and of the others."""

    errors: int
    others: int


def to_email(
    report: Report,
    recipients: str,
    sender: str = "",
    subject: str = "",
    *,
    sort: str = "avg",
    compared: Sequence[Compared] = (),
) -> bytes:
    """A MIME message for `sendmail -t`. Raises UsageError for addresses that are none."""
    message = EmailMessage(_POLICY)
    try:
        message["To"] = recipients
        if sender:
            message["From"] = sender
        message["Subject"] = subject or summary(report)
        message["Date"] = report.generated_at
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: suppresses automatic replies
        message.set_content(render(report, width=80, sort=sort, compared=compared), cte="quoted-printable")
        message.add_alternative(to_body(report, sort, compared), subtype="html", cte="quoted-printable")
        name = f"report-{report.day}.html" if report.day else "report.html"
        attached = page.to_html(report, sort=sort, compared=compared).encode()
        message.add_attachment(attached, maintype="text", subtype="html", filename=name, params={"charset": "utf-8"})
        return message.as_bytes()
    except (MessageError, ValueError) as error:
        raise UsageError(f"the message's head means nothing: {error}", "see --email-to, --email-from") from None


def summary(report: Report) -> str:
    """The default subject: missed thresholds come first."""
    missed = [threshold for threshold in report.thresholds if threshold.failed is not False]
    verdict = f"{missed[0].verdict.upper()}: " if missed else "OK: " if report.thresholds else ""
    about = " ".join(["Access log", *([report.title] if report.title else []), *([report.day] if report.day else [])])
    if not report.requests:
        return f"NO DATA: {about}: no requests"
    parts = [f"{count(report.requests)} requests", f"{share(report.errors, report.requests)} errors"]
    if report.latency and (p99 := report.latency.percentiles.get("99")) is not None:
        parts.append(f"p99 {duration(p99)}")
    return f"{verdict}{about}: {', '.join(parts)}"


def to_body(report: Report, sort: str = "avg", compared: Sequence[Compared] = ()) -> str:
    """The HTML that mail programs show."""
    drawn = series(report)
    shown = [*grids.endpoints(report, ROWS, sort, sparks=False)]
    shown += [grid for grid in (grids.rejects(report, ROWS),) if grid.rows]
    return (
        page.environment()
        .get_template("mail.html")
        .render(
            title=page.title(report),
            heading=report.heading,
            period=page.period(report),
            warnings=page.warnings(report),
            notes=report.notes,
            thresholds=report.thresholds,
            tiles=page.tiles(report),
            bars=_bars(drawn) if drawn else [],
            bars_note=_note(drawn) if drawn else "",
            grids=shown,
            changes=compared,
            version=__version__,
            generated=report.clock.zoned(report.generated_at),
        )
    )


def _bars(drawn: Series) -> list[Bar]:
    wide = -(-drawn.count // _BARS)
    sums = [
        (sum(drawn.requests[start : start + wide]), sum(drawn.errors[start : start + wide]))
        for start in range(0, drawn.count, wide)
    ]
    most = max(requests for requests, _ in sums)
    bars = []
    for requests, errors in sums:
        height = -(-_HEIGHT * requests // most)
        red = -(-height * errors // requests) if requests else 0
        bars.append(Bar(red, height - red))
    return bars


def _note(drawn: Series) -> str:
    wide = -(-drawn.count // _BARS)
    return f"A bar is {grids.span(wide * drawn.step // 60)}; errors (5xx) are red."
