"""How a report is shown: the settings that renderers get beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from logstats.dataclass import dataclass
from logstats.summaries.names import AGGREGATES

if TYPE_CHECKING:
    from logstats.reports.document import Section

TABLES: Final = (  # of `tables.table`
    *("endpoints", "minutes", "hours", "over_time", "buckets", "rejects", "sources"),
    *(name for name, title in AGGREGATES.items() if title),
)
TABLES_OVER_TIME: Final = ("hours", "over_time")  # need statistics that are only computed on request


@dataclass(frozen=True, slots=True)
class Compared:
    """The report against an earlier one: `title` says which, `sections` are for people, `data` for programs."""

    title: str
    sections: Sequence[Section]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a report is to be shown. Renderers take from it what concerns them.

    `top` is the number of rows of each ranking, None what the kind does by itself; `sort` is what the report was
    ranked by; `table` names one of `TABLES` or of the report's breakdowns. `width`, `colour` and `encoding` are
    those of the terminal, `to`, `sender` and `subject` those of an e-mail. `compared` are earlier reports that this one
    is held against, for renderers that say so.
    """

    top: int | None = None
    sort: str = "avg"
    table: str = "endpoints"
    width: int = 80
    colour: bool = False
    encoding: str = "utf-8"
    to: str = ""
    sender: str = ""
    subject: str = ""
    compared: Sequence[Compared] = ()
