"""The time that requests spent in the upstream, against the time in front of it, where a log has both.

`part` is one of `PARTS`. A table (part, bucket Int32, count Int64, ns Int128), whose buckets are those of
`sketches.loghist`; `ns` is the sum in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from logstats.durations import MS, nanoseconds
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.sketches import loghist
from logstats.summaries import latency
from logstats.summaries.aggregate import Aggregate, MergedTable
from logstats.summaries.groups import Groups
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Shape
from logstats.summaries.traffic import minute

NAME: Final = "upstream"
PARTS: Final = ("in the upstream", "in front of it")
SHAPE: Final = Shape({"part": "String", "bucket": "Int32"}, {"count": "Int64", "ns": "Int128"}, {}, {})
_NEEDS: Final = frozenset({"upstream_ms", "duration_ms", "timestamp"})
_PERCENTILES: Final = ("50", "95", "99")


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of reports that look at each request."""
    if spec.upstream:
        summarise = partial(_summarise, keys=("part", "bucket"))
        by_minute = partial(_summarise, keys=("minute", "part", "bucket"))
        yield Aggregate(NAME, _NEEDS, summarise, Upstream, by_minute=by_minute)


def _summarise(rows: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    """Requests of one chunk → (key…, count, ns)."""
    if rows["upstream_ms"].null_count() == rows.height:
        kinds = {"minute": pl.Int64(), **SHAPE.schema}
        return pl.DataFrame(schema={name: kind for name, kind in kinds.items() if name in (*keys, *SHAPE.sums)})
    chosen = rows.select("upstream_ms", "duration_ms", *([minute()] if "minute" in keys else []))
    both = chosen.drop_nulls(["upstream_ms", "duration_ms"])
    behind = pl.col("upstream_ms")
    minutes = [pl.col("minute").cast(pl.Int64)] if "minute" in keys else []
    return pl.concat(
        _counted(both.select(*minutes, span.alias("ms")), part)
        for part, span in zip(PARTS, (behind, (pl.col("duration_ms") - behind).clip(0)), strict=True)
    )


def _counted(spans: pl.DataFrame, part: str) -> pl.DataFrame:
    """Durations `ms`, and perhaps the `minute` of each → (minute, part, bucket, count, ns)."""
    spans = spans.with_columns(bucket=loghist.bucket(pl.col("ms")), ns=nanoseconds(pl.col("ms")))
    names = [name for name in ("minute", "bucket") if name in spans.columns]
    groups = Groups([spans[name] for name in names])
    keys = [key.alias(name) for name, key in zip(names, groups.keys, strict=True)]
    found = pl.DataFrame(
        [*keys, as_numbers(groups.counts).alias("count"), groups.sums(spans["ns"].to_numpy()).alias("ns")]
    )
    return found.select(*names[:-1], pl.lit(part).alias("part"), "bucket", "count", "ns")


class Upstream(MergedTable):
    """The merged histograms of both parts."""

    def __init__(self) -> None:
        super().__init__(SHAPE)

    def result(self) -> pl.DataFrame:
        """(upstream, requests, share, avg_ms, p50_ms, p95_ms, p99_ms) for each part; `share` is that of the time.
        Percentiles are within 1 % of the nearest rank."""
        held = self._held.table()
        if held.is_empty():
            return pl.DataFrame(schema={"upstream": pl.String()})
        sums = held.group_by("part").agg(pl.col("count").sum().alias("requests"), pl.col("ns").sum())
        found = latency.percentiles(held.select("part", "bucket", "count"), ["part"], _PERCENTILES)
        order = pl.col("part").replace_strict({part: n for n, part in enumerate(PARTS)}, return_dtype=pl.Int8)
        return (
            sums.join(found.drop("count"), on="part")
            .sort(order)
            .select(
                pl.col("part").alias("upstream"),
                "requests",
                (pl.col("ns") / pl.max_horizontal(pl.col("ns").sum(), 1)).alias("share"),
                (pl.col("ns") / (pl.col("requests") * MS)).alias("avg_ms"),
                *(pl.col(p).alias(f"p{p}_ms") for p in _PERCENTILES),
            )
        )
