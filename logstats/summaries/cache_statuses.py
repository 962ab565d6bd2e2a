"""Requests and bytes by what a cache in front said of them, and how many of them it served itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from logstats import schema
from logstats.frames import pl
from logstats.summaries.agents import COUNTS, shares
from logstats.summaries.aggregate import Aggregate, CappedTable
from logstats.summaries.spec import ReportSpec
from logstats.summaries.traffic import minute

NAME: Final = "cache_statuses"
HITS: Final = "(hits)"
# Statuses of answers from the cache: those with HIT in them, and nginx's and Squid's for what was stale or confirmed.
_HIT: Final = r"HIT|^(?:STALE|UPDATING|REVALIDATED|REFRESH_UNMODIFIED)$"


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of reports that look at each request."""
    if spec.upstream:
        summarise = partial(_summarise, keys=("cache",))
        by_minute = partial(_summarise, keys=("minute", "cache"))
        yield Aggregate(NAME, frozenset({"cache", "bytes", "timestamp"}), summarise, CacheStatuses, by_minute=by_minute)


def _summarise(rows: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    """Requests of one chunk → (key…, requests, bytes, first)."""
    if rows["cache"].null_count() == rows.height:
        kinds = {"minute": "Int64", "cache": "String"}
        return pl.DataFrame(schema=schema.typed({**{key: kinds[key] for key in keys}, **COUNTS, "first": "UInt32"}))
    cached = rows.select("cache", "bytes", "line", *([minute().cast(pl.Int64)] if "minute" in keys else []))
    return (
        cached.drop_nulls("cache")
        .group_by(keys)
        .agg(
            pl.len().cast(pl.Int64).alias("requests"),
            pl.col("bytes").cast(pl.Int128).sum(),
            pl.col("line").min().alias("first"),
        )
    )


class CacheStatuses(CappedTable):
    """Requests and bytes by cache status."""

    def __init__(self) -> None:
        super().__init__(["cache"], COUNTS)

    def result(self) -> pl.DataFrame:
        """(cache, requests, share, bytes, bytes_share), the most requests first. The first row, `(hits)`, adds up what
        was served from the cache: its share is the hit ratio, of all requests that have a cache status."""
        counted = super().result()
        if counted.is_empty():
            return counted
        table = shares(counted.select("cache", *COUNTS))
        hits = table.filter(pl.col("cache").str.contains(_HIT)).sum().with_columns(cache=pl.lit(HITS))
        return pl.concat([hits.cast(table.schema), table])
