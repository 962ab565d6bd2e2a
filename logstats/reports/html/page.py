"""The report as one self-contained HTML file: styles, script, data and charting library are in it.

Every text goes through `printable` and the template engine's escaping; the only markup from code are charts, made of
numbers. The page's Content-Security-Policy admits its own script and style by their hashes and nothing else, so
that even a text which escaped all of that could neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from logstats import __version__
from logstats.dataclass import dataclass
from logstats.reports import grids
from logstats.reports.html import charts, world_map
from logstats.reports.html.series import Series, series
from logstats.reports.model import Report
from logstats.reports.printable import printable
from logstats.reports.units import count, describe_invalid, duration, share, size
from logstats.reports.view import Compared

ROWS: Final = 200  # of each table, unless --top says how many
LIMIT: Final = 1_000_000  # bytes of a page: if it is larger, its tables get shorter
_LISTED: Final = 50  # rows of what is not a ranking
_FEWEST: Final = 5


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure to be seen first."""

    name: str
    figure: str
    note: str = ""
    bad: bool = False
    of: tuple[tuple[str, str], ...] = ()  # as in `grids.Cell`


def to_html(report: Report, top: int | None = None, sort: str = "avg", compared: Sequence[Compared] = ()) -> str:
    """The page. It has at most `LIMIT` bytes unless `top` rows of each table were asked for."""
    drawn = series(report)
    rows = top or ROWS
    while True:
        page = _page(report, drawn, rows, sort, compared)
        if top or rows <= _FEWEST or len(page.encode()) <= LIMIT:
            return page
        rows //= 2


def _page(report: Report, drawn: Series | None, rows: int, sort: str, compared: Sequence[Compared]) -> str:
    style = asset("uplot/uPlot.min.css") + "\n" + asset("assets/page.css")
    licence = asset("uplot/LICENSE")
    script, uplot = asset("assets/page.js"), f"/*\n{licence}\n*/\n{asset('uplot/uPlot.iife.min.js')}"
    return (
        environment()
        .get_template("page.html")
        .render(
            **panels(report, drawn, rows, sort, compared),
            title=title(report),
            policy="; ".join(
                [
                    "default-src 'none'",
                    f"script-src '{hashed(script)}' '{hashed(uplot)}'",
                    f"style-src '{hashed(style)}'",
                    "img-src data:",
                    "base-uri 'none'",
                    "form-action 'none'",
                ]
            ),
            version=__version__,
            generated=report.clock.zoned(report.generated_at),
            # These are our own files: they stand as they are.
            style=Markup(style),
            script=Markup(script),
            uplot=Markup(uplot),
        )
    )


def panels(
    report: Report,
    drawn: Series | None,
    rows: int,
    sort: str,
    compared: Sequence[Compared] = (),
    narrow: Callable[[Sequence[tuple[str, str]]], str] | None = None,
) -> dict[str, Any]:
    """What the template of the panels shows. `narrow` makes a link to the requests with these values of columns."""
    shown = tables(report, rows, sort)
    countries = {row.value: row.requests for row in report.breakdowns.get("country", ())}
    world = world_map.world(countries) if countries else None
    changes = [(f"compared-{number}", one) for number, one in enumerate(compared, 1)]
    sections = [
        *((id, one.title) for id, one in changes),
        *([("time", "Over time")] if drawn else []),
        *([("world", "Where from")] if world else []),
        *((grid.id, grid.title) for grid in shown),
    ]
    return {
        "report": report,
        "period": period(report),
        "data": Markup(drawn.to_json()) if drawn else "",  # numbers, safe within `<script>`
        "series": drawn,
        "coarse": drawn.heat and drawn.heat.coarser(-(-drawn.heat.columns // 96), 2) if drawn else None,
        "charts": charts,
        "unit": grids.span(report.over_time.step_minutes) if report.over_time else "",
        "figures": grids.figures(report, report.over_time) if drawn and report.over_time else None,
        "warnings": warnings(report),
        "notes": report.notes,
        "tiles": tiles(report),
        "sections": [*sections, ("made", "How the figures were made")],
        "grids": shown,
        "world": world,
        "changes": changes,
        "facts": facts(report),
        "narrow": narrow,
    }


def tables(report: Report, rows: int, sort: str) -> list[grids.Grid]:
    """The tables of the page that have rows."""
    listed = min(rows, _LISTED)
    found = [
        *grids.endpoints(report, rows, sort),
        *(grids.breakdown(report, column, min(rows, ROWS // 2)) for column in report.breakdowns),
        *grids.own_tables(report, min(rows, ROWS // 2)),
        grids.statuses(report, listed),
        grids.levels(report, listed),
        grids.rejects(report, listed),
        grids.sources(report, listed),
    ]
    return [grid for grid in found if grid.rows]


def title(report: Report) -> str:
    """The title of the page."""
    return f"{report.heading}, {period(report)}"


def period(report: Report) -> str:
    """The range of times that the report covers."""
    if not report.first or not report.last:
        return f"{report.day}: no times" if report.day else "no times"
    return report.clock.span(report.first, report.last)


def warnings(report: Report) -> list[str]:
    """Warnings that affect how far the figures can be trusted."""
    found = ["Reading was interrupted: this is what had arrived until then."] if report.interrupted else []
    found += [f"{printable(source.problem)}" for source in report.sources if source.problem][:_FEWEST]
    if not report.lines:
        found.append("There is nothing to report: the input has no lines.")
    elif report.rejected and report.rejected * 5 > report.lines:
        found.append(f"{share(report.rejected, report.lines)} of the lines could not be read.")
    return found


def tiles(report: Report) -> list[Tile]:
    """The figures at the top of the page."""
    users = report.unique_users
    failed = f"{count(report.errors)} of {count(report.requests)}"
    found = [
        Tile("Requests", count(report.requests), _rate(report)),
        Tile(
            "Errors (5xx)",
            share(report.errors, report.requests),
            failed,
            bad=report.errors > 0,
            of=(("status", "5xx"),) if report.errors else (),
        ),
    ]
    if report.latency:
        figures = [(f"p{p}", value) for p, value in report.latency.percentiles.items()]
        found += [Tile(name, duration(value)) for name, value in figures if name in ("p50", "p95", "p99")]
        found.append(Tile("Avg", duration(report.latency.avg), f"max {duration(report.latency.max)}"))
    about = "" if users.exact else "≈ "
    found.append(Tile("Unique users", f"{about}{count(users.total)}", "" if users.exact else "± 0.8 %"))
    found.append(Tile("Sent", size(report.bytes)))
    if report.rejected:
        found.append(Tile("Rejected lines", count(report.rejected), f"{share(report.rejected, report.lines)} of all"))
    return found


def facts(report: Report) -> list[tuple[str, str]]:
    """How the figures were made."""
    users = report.unique_users
    found = [
        (
            "Lines",
            f"{count(report.lines)} = {count(report.requests)} requests + {count(report.events)} events + "
            f"{count(report.rejected)} rejected + {count(report.filtered)} filtered + "
            f"{count(report.ignored)} blank or comments",
        ),
        ("Filters", ", ".join(f"{name} {value}" for name, value in report.filters.items()) or "none"),
        ("Errors", "Answers with a status of 5xx. Counts, sums and averages are exact."),
    ]
    if left_out := describe_invalid(report.invalid):
        found.append(("Values left out", f"{left_out}."))
    if report.latency:
        found.append(
            (
                "Percentiles",
                f"Nearest rank, within {report.latency.relative_error:.0%} of the exact value, from a histogram whose "
                "buckets grow by 2% (after DDSketch); minimum, maximum and average are exact. "
                f"{count(report.latency.count)} requests have a duration.",
            )
        )
    else:
        found.append(("Latency", "No request has a duration."))
    found.append(
        (
            "Unique users",
            "Counted one by one."
            if users.exact
            else f"Estimated by HyperLogLog, standard error {users.standard_error or 0:.2%}. "
            "Users of an hour or of all are a union, never the sum of minutes.",
        )
    )
    if report.untimed:
        found.append(("Without a time", f"{count(report.untimed)} requests, in all figures but those over time."))
    if report.endpoints_folded:
        found.append(("(other)", f"{count(report.endpoints_folded)} requests to endpoints beyond those that are held."))
    found.append(("Times", f"{report.zone}."))
    return found


def _rate(report: Report) -> str:
    if not report.first or not report.last or (seconds := (report.last - report.first).total_seconds()) < 1:
        return ""
    for unit, length in (("second", 1), ("minute", 60), ("hour", 3600)):
        rate = report.requests / seconds * length
        if rate >= 1:
            return f"{rate:,.1f} per {unit}"
    return ""


def hashed(text: str) -> str:
    """How a Content-Security-Policy names a style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def asset(name: str) -> str:
    """A file of this folder."""
    return (resources.files("logstats.reports.html") / name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """The templates: everything is escaped, and what does not print is shown as an escape."""
    made = Environment(
        loader=PackageLoader("logstats.reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_text,
    )
    made.filters |= {"count": count, "number": _number}
    return made


def _text(value: Any) -> Any:
    return printable(value) if type(value) is str else value


def _number(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
