"""Requests by status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.summaries.aggregate import Aggregate, MergedTable
from logstats.summaries.groups import Groups
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Shape

STATUSES: Final = Shape({"status": "UInt16"}, {"requests": "Int64"}, {}, {})


def aggregates(_spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of every report."""
    yield Aggregate("statuses", frozenset({"status"}), summarise, Statuses)


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (status, requests); null is a status that was not logged."""
    groups = Groups([rows["status"]])
    return pl.DataFrame([*groups.keys, as_numbers(groups.counts).alias("requests")])


class Statuses(MergedTable):
    """Requests by status. `result` is (status, requests), ordered, null last."""

    def __init__(self) -> None:
        super().__init__(STATUSES)
