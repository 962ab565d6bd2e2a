"""A log-bucket histogram of latencies, after DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019).

With α = 0.01 and γ = (1 + α) / (1 − α), a duration x > 0 lies in bucket i = ⌈log_γ x⌉, and every x in the bucket is
within α of the value that stands for it, 2γ^i / (γ + 1). A bucket of null is exactly 0. A histogram is a table
(key…, bucket Int32, count Int64); merging two is adding their counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

import polars as pl

ALPHA: Final = 0.01
GAMMA: Final = (1 + ALPHA) / (1 - ALPHA)


def bucket(duration: pl.Expr) -> pl.Expr:
    """The bucket (Int32) of a positive Float64; null for 0 and for null."""
    return pl.when(duration > 0).then((duration.log() * (1 / math.log(GAMMA))).ceil()).cast(pl.Int32)


def bucket_ms(number: int | None) -> float:
    """The value that stands for a bucket."""
    return 0.0 if number is None else 2 * GAMMA**number / (GAMMA + 1)


def parse_percentile(text: str | int | float | Decimal) -> Fraction:
    """A percentile above 0 and up to 100, exactly as written: binary floating point gets 99.9 wrong.

    Raises ValueError.
    """
    try:
        exact = Fraction(Decimal(str(text).strip()))
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a percentile") from None
    if not 0 < exact <= 100:
        raise ValueError(f"{text!r} is not a percentile: it must be above 0 and at most 100")
    return exact


def nearest_rank(percentile: Fraction, count: int) -> int:
    """The rank ⌈p·n/100⌉, from 1, of the value that a percentile is in a sorted list of n."""
    return max(1, math.ceil(percentile * count / 100))


def percentiles(
    histogram: pl.DataFrame,
    keys: Sequence[str],
    stats: pl.DataFrame,
    ps: Sequence[str | int | float | Decimal],
) -> pl.DataFrame:
    """Estimate percentiles: (key…, one Float64 column per percentile, named as it was written).

    `histogram` is (key…, bucket, count), `stats` is (key…, count, min_ms, max_ms) with exact figures and one row
    per key, at least one count in each. Every estimate is within α of the nearest-rank value of the sorted
    list, and exact at the first and last rank.
    """
    keys = list(keys)
    exact = [parse_percentile(p) for p in ps]
    if not keys:
        return percentiles(histogram.with_columns(_all=0), ["_all"], stats.with_columns(_all=0), ps).drop("_all")
    # Only distinct counts need exact arithmetic; there are far fewer of them than keys.
    counts = stats["count"].unique().to_list()
    ranks = pl.DataFrame(
        {"count": counts, **{f"r{i}": [nearest_rank(p, n) for n in counts] for i, p in enumerate(exact)}},
        schema={"count": stats.schema["count"], **{f"r{i}": pl.Int64 for i in range(len(exact))}},
    )
    numbered = stats.select(*keys, "count", "min_ms", "max_ms").join(ranks, on="count", how="left")
    running = (
        histogram.lazy()
        .select(*keys, "bucket", pl.col("count").alias("in_bucket"))
        .sort(*keys, "bucket", nulls_last=False)
        .with_columns(upto=pl.col("in_bucket").cum_sum().over(keys))
        .join(numbered.lazy(), on=keys, how="inner", nulls_equal=True)
    )
    value = 2 / (GAMMA + 1) * (pl.col("bucket").cast(pl.Float64) * math.log(GAMMA)).exp()
    estimates = []
    for i, p in enumerate(ps):
        rank = pl.col(f"r{i}").first()
        middle = value.fill_null(0.0).filter(pl.col("upto") >= pl.col(f"r{i}")).min()
        low, high = pl.col("min_ms").first(), pl.col("max_ms").first()
        estimate = pl.when(rank == 1).then(low).when(rank == pl.col("count").first()).then(high)
        estimates.append(estimate.otherwise(middle.clip(low, high)).alias(str(p)))
    found = running.group_by(keys).agg(estimates).collect()
    return stats.select(keys).join(found, on=keys, how="left", nulls_equal=True)
