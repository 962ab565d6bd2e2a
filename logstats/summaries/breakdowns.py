"""The rankings by columns that were asked for (`--by`): see `ranking`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from logstats.summaries import ranking
from logstats.summaries.aggregate import Aggregate
from logstats.summaries.spec import ReportSpec


def name(column: str) -> str:
    """The name of the aggregate that ranks by a column."""
    return f"by {column}"


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """One for each column."""
    for column in spec.by:
        keys = (column,)
        state = partial(ranking.Ranking, keys, spec.max_endpoints)
        yield Aggregate(name(column), ranking.needs(keys), partial(ranking.summarise, keys=keys), state)
