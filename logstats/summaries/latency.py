"""Latency over time: a histogram of durations for each minute.

A table (minute Int64, bucket Int32, count Int64), whose buckets are those of `sketches.loghist`: null is exactly
0 ms. Requests without a duration are not in it; those without a time have a minute of null. Histograms of any
stretch of time are sums of those of its minutes, and their percentiles are within 1 % of the nearest rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.sketches import loghist
from logstats.summaries.aggregate import Aggregate, State
from logstats.summaries.groups import Groups
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Accumulator, Minutes, Shape
from logstats.summaries.traffic import MAX_MINUTES, minute

LATENCY: Final = Shape({"minute": "Int64", "bucket": "Int32"}, {"count": "Int64"}, {}, {})


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of reports over time."""
    if spec.over_time:
        yield Aggregate("latency", frozenset({"timestamp", "duration_ms"}), summarise, LatencyOverTime)


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (minute, bucket, count, first)."""
    timed = rows.filter(pl.col("duration_ms").is_not_null())
    bucket = loghist.bucket(pl.col("duration_ms")).alias("bucket")
    groups = Groups(timed.select(minute(), bucket).get_columns())
    first = as_numbers(groups.minima(timed["line"].to_numpy())).alias("first")
    return pl.DataFrame([*groups.keys, as_numbers(groups.counts).alias("count"), first])


class LatencyOverTime(State):
    """The merged histograms by minute."""

    def __init__(self, max_minutes: int = MAX_MINUTES) -> None:
        self._known = Minutes(max_minutes)
        self._held = Accumulator(LATENCY)

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk."""
        self._held.add(self._known.fold(table).select(list(LATENCY.schema)))

    def forget(self, before: int) -> None:
        """Count the minutes before one as those beyond the cap."""
        self._held.replace(self._known.forget(self._held.table(), before))

    def condense(self) -> Iterator[pl.DataFrame]:
        """(minute, bucket, count, first), in one piece."""
        yield self._known.restore(self._held.table())

    def table(self) -> pl.DataFrame:
        """(minute, bucket, count), in order, nulls first."""
        held = self._held.table().filter(pl.col("minute").ne_missing(Minutes.BEYOND))
        return held.sort("minute", "bucket", nulls_last=False)

    def folded(self) -> int:
        """Requests with a duration, in minutes beyond the cap."""
        return int(self._held.table().filter(pl.col("minute") == Minutes.BEYOND)["count"].sum())


def percentiles(table: pl.DataFrame, keys: Sequence[str], ps: Sequence[str]) -> pl.DataFrame:
    """Of (key…, bucket, count) → (key…, count, a Float64 column per percentile), in order.

    The exact minimum and maximum of a range of time are not kept, so all percentiles are estimates within 1 %.
    """
    lowest, highest = pl.col("bucket").sort(nulls_last=False).first(), pl.col("bucket").max()
    stats = (
        table.group_by(keys)
        .agg(
            pl.col("count").sum(),
            loghist.middle(lowest).alias("min_ms"),
            loghist.middle(highest).alias("max_ms"),
        )
        .sort(keys)
    )
    found = loghist.percentiles(table, keys, stats, list(ps))
    return stats.select(*keys, "count").join(found, on=keys, how="left", nulls_equal=True, maintain_order="left")
