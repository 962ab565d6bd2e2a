"""A document (`reports.document`) as one self-contained HTML page, with a picture above it. It has no script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from logstats import __version__
from logstats.dataclass import dataclass
from logstats.reports.clock import Clock
from logstats.reports.document import Section
from logstats.reports.html.page import asset, environment, hashed
from logstats.reports.view import Compared


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with its title and legend."""

    title: str
    drawing: Markup
    key: Markup


def to_html(title: str, sections: Sequence[Section], clock: Clock, picture: Picture | None) -> str:
    """The page."""
    style = asset("assets/page.css")
    policy = f"default-src 'none'; style-src '{hashed(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        environment()
        .get_template("document.html")
        .render(
            title=title,
            one=Compared(title, sections, {}),
            picture=picture,
            policy=policy,
            style=Markup(style),
            version=__version__,
            generated=clock.zoned(datetime.now(UTC)),
        )
    )
