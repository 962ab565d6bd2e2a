"""A log-bucket histogram of latencies, after DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019).

With α = 0.01 and γ = (1 + α) / (1 − α), a duration x > 0 lies in bucket i = ⌈log_γ x⌉, and every x in the bucket is
within the relative error α of its middle value, 2γ^i / (γ + 1). The bucket null holds durations of exactly 0. A
histogram is a table (key…, bucket Int32, count Int64); merging two is adding their counts.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers
from logstats.sketches import constants

ALPHA: Final = constants.ALPHA
GAMMA: Final = constants.GAMMA
DECIMALS: Final = 30  # digits of a percentile; a billion of them would fill the memory

_LOG_GAMMA: Final = math.log(GAMMA)
_LOG_MIDDLE: Final = math.log(2 / (GAMMA + 1))
_LOG_MS: Final = math.log(1e6)  # of the nanoseconds of a millisecond
_LOG_LARGEST: Final = math.log(sys.float_info.max)


def bucket(duration: pl.Expr) -> pl.Expr:
    """The bucket (Int32) of a Float64 that is finite and not negative; null for 0, and for null."""
    return pl.when(duration > 0).then((duration.log() * (1 / _LOG_GAMMA)).ceil()).cast(pl.Int32)


def bucket_ms(number: int | None) -> float:
    """The middle value of a bucket, in milliseconds."""
    return 0.0 if number is None else math.exp(min(number * _LOG_GAMMA + _LOG_MIDDLE, _LOG_LARGEST))


def middle(bucket: pl.Expr) -> pl.Expr:
    """The middle values of buckets (Float64)."""
    return (bucket.cast(pl.Float64) * _LOG_GAMMA + _LOG_MIDDLE).exp().fill_null(0.0)


def upper_ms(number: int | None) -> float:
    """The upper edge of a bucket, in milliseconds. The number of requests up to an edge is known exactly."""
    return 0.0 if number is None else math.exp(min(number * _LOG_GAMMA, _LOG_LARGEST))


def bucket_of(milliseconds: float) -> int:
    """The bucket of one duration above 0."""
    return math.ceil(math.log(milliseconds) / _LOG_GAMMA)


@cache
def bounds(longest_ns: int) -> tuple[int, NDArray[np.int64]]:
    """(the bucket of 1 ns, the greatest whole number of nanoseconds in each bucket from that on), up to the bucket of
    `longest_ns`, which is at most 2^50. They are those of `bucket`: Polars has its logarithm from the same library as
    Python (a test asks it about the numbers near each)."""
    log, scale = math.log, 1 / _LOG_GAMMA

    def number(ns: int) -> int:
        return math.ceil(log(ns / 1e6) * scale)

    first, found = number(1), []
    for bucket in range(first, number(longest_ns) + 1):
        near = int(math.exp(bucket * _LOG_GAMMA + _LOG_MS))
        while near > 1 and number(near) > bucket:
            near -= 1
        while number(near + 1) <= bucket:
            near += 1
        found.append(near)
    return first, np.array(found, np.int64)


def parse_percentile(text: str | int | float | Decimal) -> Fraction:
    """Parse a percentile above 0 and up to 100, exactly: binary floating point cannot represent 99.9.

    Raises ValueError.
    """
    try:
        written = Decimal(str(text).strip())
        in_range = 0 < written <= 100
    except InvalidOperation:  # not a number, or the one called NaN
        raise ValueError(f"{text!r} is not a percentile") from None
    if not in_range:
        raise ValueError(f"{text!r} is not a percentile: it must be above 0 and at most 100")
    exponent = written.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS:
        raise ValueError(f"{text!r} is not a percentile: it has more than {DECIMALS} decimals")
    return Fraction(written)


def nearest_rank(percentile: Fraction, count: int) -> int:
    """The rank ⌈p·n/100⌉, from 1, of the value that a percentile is in a sorted list of n."""
    return max(1, math.ceil(percentile * count / 100))


def within(
    buckets: Sequence[tuple[int | None, int]], percentile: Fraction, low: float, high: float
) -> tuple[float, float, float]:
    """(the estimate of one percentile of one histogram, the lower and the upper bound of its exact value).

    `buckets` are (bucket, count) in order, null first, with a count in all; `low` and `high` are the exact minimum and
    maximum.
    """
    total = sum(count for _, count in buckets)
    rank = nearest_rank(percentile, total)
    if rank in (1, total):
        exact = low if rank == 1 else high
        return exact, exact, exact
    running = accumulate(count for _, count in buckets)
    bucket = next(bucket for (bucket, _), seen in zip(buckets, running, strict=True) if seen >= rank)
    if bucket is None:
        return 0.0, 0.0, 0.0
    return min(max(bucket_ms(bucket), low), high), max(upper_ms(bucket - 1), low), min(upper_ms(bucket), high)


def percentiles(
    histogram: pl.DataFrame,
    keys: Sequence[str],
    stats: pl.DataFrame,
    ps: Sequence[str | int | float | Decimal],
    *,
    ordered: bool = False,
) -> pl.DataFrame:
    """Percentiles: (key…, a Float64 column per percentile, named as it was written), in the order of `stats`.

    `histogram` is (key…, bucket, count), `stats` is (key…, count, min_ms, max_ms) with exact figures and one row
    per key, whose count is the sum of its buckets. Every estimate is within α of the nearest-rank value of the
    sorted list, and exact at the first and last rank; it is null for a key that counted nothing. `keys` may be
    empty, for one row about everything. `ordered` says that the histogram is in the order of its keys and buckets
    already, nulls first. Raises ValueError for what is no percentile, or is asked for twice.
    """
    keys = list(keys)
    exact = {str(p): parse_percentile(p) for p in ps}
    if len(exact) < len(ps):
        raise ValueError("a percentile is asked for twice")
    if not keys:
        return percentiles(histogram.with_columns(_all=0), ["_all"], stats.with_columns(_all=0), ps).drop("_all")
    lines = histogram.filter(pl.col("count") > 0)
    if not ordered:
        lines = lines.sort(*keys, "bucket", nulls_last=False)
    each = pl.struct(keys) if len(keys) > 1 else pl.col(keys[0])
    runs = lines.select(each.rle_id()).to_series().to_numpy()
    begins = np.flatnonzero(np.diff(runs, prepend=-1))
    found = lines[as_numbers(begins)].select(keys)
    limits = found.join(stats, on=keys, how="left", nulls_equal=True, maintain_order="left")
    low, high = (limits[name].to_numpy() for name in ("min_ms", "max_ms"))
    columns = estimates(lines["bucket"], lines["count"].to_numpy(), begins, low, high, list(exact.values()))
    found = found.with_columns(pl.Series(name, column) for name, column in zip(exact, columns, strict=True))
    return stats.select(keys).join(found, on=keys, how="left", nulls_equal=True, maintain_order="left")


def estimates(
    buckets: pl.Series,
    counts: NDArray[np.int64],
    begins: NDArray[np.int64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    ps: Sequence[Fraction],
) -> NDArray[np.float64]:
    """The estimates of percentiles, a row for each of them, of histograms of which one lies behind the other: their
    buckets in order and the counts of these, all above 0, the place where each begins, and its exact minimum and
    maximum."""
    # With one running count over all of them, the rank r of one is at (the count before it) + r.
    running = np.cumsum(counts, dtype=np.int64)
    before = np.where(begins > 0, running[begins - 1], 0)
    totals = np.append(before[1:], running[-1:]) - before
    # Only distinct totals need exact arithmetic; there are far fewer of them than keys.
    which, first = kernels.group(totals.astype(np.uint64))
    of_distinct = [nearest_rank(p, n) for p in ps for n in totals[first].tolist()]
    ranks = np.array(of_distinct, dtype=np.int64).reshape(len(ps), len(first))[:, which]
    at = buckets.gather(as_numbers(np.searchsorted(running, before + ranks).ravel()))
    held = pl.select(middle(pl.lit(at))).to_series().to_numpy().reshape(ranks.shape)
    inside = np.minimum(np.maximum(held, low), high)
    return np.where(ranks == 1, low, np.where(ranks == totals, high, inside))
