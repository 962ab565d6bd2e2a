"""Events by level."""

from __future__ import annotations

from collections.abc import Iterable

from logstats.frames import pl
from logstats.summaries.aggregate import Aggregate, CappedTable
from logstats.summaries.spec import ReportSpec


def aggregates(_spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of every report. Only rows that may be events have a level, so it is not asked for."""
    yield Aggregate("levels", frozenset(), summarise, Levels, rows="events")


def summarise(events: pl.DataFrame) -> pl.DataFrame:
    """Events of one chunk → (level, events, first)."""
    return events.group_by("level").agg(pl.len().cast(pl.Int64).alias("events"), pl.col("line").min().alias("first"))


class Levels(CappedTable):
    """Events by level."""

    def __init__(self) -> None:
        super().__init__(["level"], ["events"])

    def counts(self) -> dict[str, int]:
        """The number of events by level, in the order of the levels."""
        return dict(self.result().sort("level").iter_rows())
