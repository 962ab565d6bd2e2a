"""The ranking of the endpoints, which is also that of all requests: see `ranking`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from logstats.summaries import ranking
from logstats.summaries.aggregate import Aggregate
from logstats.summaries.spec import ReportSpec

KEYS: Final = ("method", "endpoint")


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of every report."""
    state = partial(ranking.Ranking, KEYS, spec.max_endpoints)
    yield Aggregate("endpoints", ranking.needs(KEYS), partial(ranking.summarise, keys=KEYS), state)
