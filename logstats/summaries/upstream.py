"""The time that requests spent in the upstream, against the time in front of it, where a log has both.

`part` is one of `PARTS`. A table (part, bucket Int32, count Int64, us Int64), whose buckets are those of
`sketches.loghist`; `us` is the sum in whole microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

import polars as pl

from logstats.sketches import loghist
from logstats.summaries import latency
from logstats.summaries.aggregate import Aggregate, MergedTable
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Shape
from logstats.summaries.traffic import minute

NAME: Final = "upstream"
PARTS: Final = ("in the upstream", "in front of it")
SHAPE: Final = Shape({"part": pl.String(), "bucket": pl.Int32()}, {"count": pl.Int64(), "us": pl.Int64()}, {}, {})
_NEEDS: Final = frozenset({"upstream_ms", "duration_ms", "timestamp"})
_PERCENTILES: Final = ("50", "95", "99")


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of reports that look at each request."""
    if spec.upstream:
        summarise = partial(_summarise, keys=("part", "bucket"))
        by_minute = partial(_summarise, keys=("minute", "part", "bucket"))
        yield Aggregate(NAME, _NEEDS, summarise, Upstream, by_minute=by_minute)


def _summarise(rows: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    """Requests of one chunk → (key…, count, us)."""
    both = rows.filter(pl.col("upstream_ms").is_not_null() & pl.col("duration_ms").is_not_null())
    if both.height and "minute" in keys:
        both = both.with_columns(minute().cast(pl.Int64))
    spans = (pl.col("upstream_ms"), (pl.col("duration_ms") - pl.col("upstream_ms")).clip(0))
    parts = [both.with_columns(pl.lit(name).alias("part"), ms=span) for name, span in zip(PARTS, spans, strict=True)]
    micros = (pl.col("ms") * 1000).round().cast(pl.Int64)
    kinds = {"minute": pl.Int64(), **SHAPE.schema}
    if not both.height:
        return pl.DataFrame(schema={name: kinds[name] for name in (*keys, *SHAPE.sums)})
    return (
        pl.concat(parts)
        .group_by(*(loghist.bucket(pl.col("ms")).alias("bucket") if key == "bucket" else key for key in keys))
        .agg(pl.len().cast(pl.Int64).alias("count"), micros.sum().alias("us"))
    )


class Upstream(MergedTable):
    """The merged histograms of both parts."""

    def __init__(self) -> None:
        super().__init__(SHAPE)

    def result(self) -> pl.DataFrame:
        """(upstream, requests, share, avg_ms, p50_ms, p95_ms, p99_ms) for each part; `share` is that of the time.
        Percentiles are within 1 % of the nearest rank."""
        held = self._held.table()
        sums = held.group_by("part").agg(pl.col("count").sum().alias("requests"), pl.col("us").sum())
        found = latency.percentiles(held.select("part", "bucket", "count"), ["part"], _PERCENTILES)
        order = pl.col("part").replace_strict({part: n for n, part in enumerate(PARTS)}, return_dtype=pl.Int8)
        return (
            sums.join(found.drop("count"), on="part")
            .sort(order)
            .select(
                pl.col("part").alias("upstream"),
                "requests",
                (pl.col("us") / pl.max_horizontal(pl.col("us").sum(), 1)).alias("share"),
                (pl.col("us") / pl.col("requests") / 1000).alias("avg_ms"),
                *(pl.col(p).alias(f"p{p}_ms") for p in _PERCENTILES),
            )
        )
