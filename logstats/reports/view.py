"""How a report is to be shown: what the renderers are given beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    pass

TABLES: Final = ("endpoints", "minutes", "hours", "over_time", "buckets", "rejects", "sources")  # of `tables.table`
TABLES_OVER_TIME: Final = ("hours", "over_time")  # need what is only computed when it is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a report is to be shown. Renderers take from it what concerns them.

    `top` is the number of rows of each ranking, None what the kind does by itself; `sort` is what the report was
    ranked by; `table` names one of `TABLES` or of the report's breakdowns. `width`, `colour` and `encoding` are
    those of the terminal, `to`, `sender` and `subject` those of an e-mail.
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
