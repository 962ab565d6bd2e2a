"""The page that is served: the panels of the report's page, with links that narrow them; its script asks for them anew.

No text of a log gets into it but through the templates, which escape, and through `urlencode`. Style and script are
files of their own, so that a Content-Security-Policy needs to admit nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from markupsafe import Markup

from logstats import __version__
from logstats.dataclass import dataclass
from logstats.reports.html.page import asset, environment, panels, title
from logstats.reports.html.series import series
from logstats.reports.model import Report

ROWS: Final = 25  # of each table
_LONGEST: Final = 1_000  # characters of a link: what a reader cannot copy need not be one


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time that can be chosen."""

    name: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """What the page is narrowed to, with a link to the page that is not."""

    kind: str
    name: str
    href: str


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that is firing."""

    condition: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is around the panels. `narrow` makes a link to the requests with some values of columns."""

    ranges: Sequence[Range]
    chips: Sequence[Chip]
    narrow: Callable[[Sequence[tuple[str, str]]], str]
    alerts: Sequence[Firing] = ()


def to_view(report: Report, around: Around, sort: str = "avg") -> str:
    """All of the page that changes."""

    def narrow(of: Sequence[tuple[str, str]]) -> str:
        link = around.narrow(of)
        return link if len(link) <= _LONGEST else ""

    shown = panels(report, series(report), ROWS, sort, narrow=narrow)
    return (
        environment()
        .get_template("view.html")
        .render(**shown, ranges=around.ranges, chips=around.chips, alerts=around.alerts)
    )


def to_page(report: Report, view: str) -> str:
    """The page, with this in it."""
    return (
        environment()
        .get_template("live.html")
        .render(
            title=title(report), policy="", style="", version=__version__, assets=assets_version(), view=Markup(view)
        )
    )


@cache
def assets_version() -> str:
    """What changes when one of the files does."""
    digest = hashlib.sha256()
    for _, content in assets().values():
        digest.update(content)
    return digest.hexdigest()[:12]


@cache
def assets() -> dict[str, tuple[str, bytes]]:
    """The files of the page by name: their type and content."""
    uplot = f"/*\n{asset('uplot/LICENSE')}\n*/\n{asset('uplot/uPlot.iife.min.js')}"
    style = "\n".join(asset(name) for name in ("uplot/uPlot.min.css", "assets/page.css", "assets/live.css"))
    script = "text/javascript; charset=utf-8"
    return {
        "page.css": ("text/css; charset=utf-8", style.encode()),
        "uplot.js": (script, uplot.encode()),
        "page.js": (script, asset("assets/page.js").encode()),
        "live.js": (script, asset("assets/live.js").encode()),
    }
