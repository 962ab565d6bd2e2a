"""The first and the last time of requests and events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from logstats.frames import pl
from logstats.summaries.aggregate import Aggregate, MergedTable
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Shape

FIRST: Final = {"earliest": "Datetime"}
LAST: Final = {"latest": "Datetime"}
TIMES: Final = Shape({}, {}, FIRST, LAST)


def aggregates(_spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of every report."""
    yield Aggregate("times", frozenset({"timestamp"}), summarise, Times, rows="all")


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of one chunk → one row (earliest, latest)."""
    return rows.select(pl.col("timestamp").min().alias("earliest"), pl.col("timestamp").max().alias("latest"))


class Times(MergedTable):
    """The first and the last time."""

    def __init__(self) -> None:
        super().__init__(TIMES)

    def span(self) -> tuple[datetime | None, datetime | None]:
        """(first, last); None if no row has a time."""
        table = self._held.table()
        return table.row(0) if table.height else (None, None)
