"""Percentiles from buckets, held against a sorted list."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logstats.sketches import loghist

PERCENTILES = ["0.001", "1", "25", "50", "90", "95", "99", "99.9", "99.99", "100"]
WITHIN = 0.01 * (1 + 1e-9)  # the promise, and room for the rounding of a logarithm


def exact(values: list[float], p: str) -> float:
    """The nearest rank in a sorted list, in whole numbers: p as thousandths of a percent."""
    thousandths = round(float(p) * 1000)
    rank = -(-thousandths * len(values) // 100_000)
    return sorted(values)[max(rank, 1) - 1]


def tables(groups: dict[str | None, list[float]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The histogram and the exact figures of some keys, the rows in a shuffled order."""
    rows = [(key, value) for key, values in groups.items() for value in values]
    random.Random(len(rows)).shuffle(rows)
    frame = pl.DataFrame(rows, schema={"key": pl.String, "ms": pl.Float64}, orient="row")
    histogram = frame.group_by("key", loghist.bucket(pl.col("ms")).alias("bucket")).agg(count=pl.len().cast(pl.Int64))
    ms = pl.col("ms")
    return histogram, frame.group_by("key").agg(count=pl.len().cast(pl.Int64), min_ms=ms.min(), max_ms=ms.max())


durations = st.one_of(
    st.just(0.0),
    st.floats(min_value=1e-3, max_value=1e9),
    st.sampled_from([1.0, 1.5, 10.0, 100.0]),  # ties
    st.integers(-3000, 3000).map(lambda i: loghist.GAMMA**i),  # the edges of buckets
    st.floats(min_value=1e-300, max_value=1.7e308),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", None, ""]), st.lists(durations, min_size=1, max_size=60), min_size=1))
def test_every_percentile_of_every_key_is_within_one_percent_of_the_sorted_list(
    groups: dict[str | None, list[float]],
) -> None:
    histogram, stats = tables(groups)
    found = loghist.percentiles(histogram, ["key"], stats, PERCENTILES)
    assert found.columns == ["key", *PERCENTILES]
    assert sorted(found["key"].to_list(), key=str) == sorted(groups, key=str)
    for row in found.iter_rows(named=True):
        for p in PERCENTILES:
            assert row[p] == pytest.approx(exact(groups[row["key"]], p), rel=WITHIN, abs=0), (row["key"], p)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000])
def test_the_first_and_the_last_rank_are_exact(count: int) -> None:
    values = [1.2345 + i * 7.77 for i in range(count)]
    histogram, stats = tables({"a": values})
    row = loghist.percentiles(histogram, ["key"], stats, ["0.0001", "100"]).row(0)
    assert row == ("a", values[0], values[-1])


def test_a_million_durations_with_a_heavy_tail() -> None:
    source = random.Random(7)
    values = [round(source.paretovariate(0.7), 3) if source.random() > 0.01 else 0.0 for _ in range(1_000_000)]
    histogram, stats = tables({"a": values})
    found = loghist.percentiles(histogram, ["key"], stats, PERCENTILES).row(0, named=True)
    values.sort()
    for p in PERCENTILES:
        assert found[p] == pytest.approx(values[-(-round(float(p) * 1000) * 1_000_000 // 100_000) - 1], rel=WITHIN)


def test_without_keys_there_is_one_row_about_everything() -> None:
    histogram, stats = tables({"a": [0.0, 0.0, 0.0, 5.0]})
    found = loghist.percentiles(histogram.drop("key"), [], stats.drop("key"), ["50", "75", "76"])
    assert found.rows() == [(0.0, 0.0, 5.0)]


def test_several_keys_in_the_order_of_the_figures_and_null_for_what_counted_nothing() -> None:
    histogram = pl.DataFrame(
        {"method": ["GET", "GET", "PUT"], "path": ["/", "/a", "/"], "bucket": [None, 231, 0], "count": [2, 1, 1]},
        schema_overrides={"bucket": pl.Int32},
    )
    stats = pl.DataFrame(
        {
            "method": ["PUT", "GET", "HEAD", "GET"],
            "path": ["/", "/a", "/", "/"],
            "count": [1, 1, 0, 2],
            "min_ms": [0.99, 100.5, None, 0.0],
            "max_ms": [0.99, 100.5, None, 0.0],
        }
    )
    found = loghist.percentiles(histogram, ["method", "path"], stats, ["50"])
    assert found.rows() == [("PUT", "/", 0.99), ("GET", "/a", 100.5), ("HEAD", "/", None), ("GET", "/", 0.0)]


def test_percentiles_of_shards_added_up_are_those_of_the_whole() -> None:
    values = {"a": [1.0, 2.0, 0.0, 400.0], "b": [3.0] * 9}
    histogram, stats = tables({key: times * 3 for key, times in values.items()})
    part, _ = tables(values)
    added = pl.concat([part, part, part]).group_by("key", "bucket").agg(pl.col("count").sum())
    order = ["key", "bucket"]
    assert added.sort(order).equals(histogram.sort(order))
    whole = loghist.percentiles(histogram, ["key"], stats, PERCENTILES)
    assert loghist.percentiles(added, ["key"], stats, PERCENTILES).equals(whole)


def test_the_smallest_and_the_largest_float_have_a_bucket_and_a_value() -> None:
    values = [5e-324, 2.2e-308, 1e308, 1.7976931348623157e308]
    buckets = pl.DataFrame({"ms": values}).select(loghist.bucket(pl.col("ms")))["ms"]
    assert buckets.dtype == pl.Int32
    # ⌈ln x / ln (1.01/0.99)⌉, by `bc -l`
    assert buckets.to_list() == [-37220, -35419, 35459, 35488]
    for value, number in zip(values[1:], buckets.to_list()[1:], strict=True):
        assert loghist.bucket_ms(number) == pytest.approx(value, rel=WITHIN)
    assert loghist.bucket_ms(2**31 - 1) < float("inf")


def test_zero_and_negative_zero_have_the_bucket_null_which_stands_for_exactly_zero() -> None:
    frame = pl.DataFrame({"ms": [0.0, -0.0]}).select(loghist.bucket(pl.col("ms")))
    assert frame["ms"].to_list() == [None, None]
    assert loghist.bucket_ms(None) == 0.0


@pytest.mark.parametrize(
    ("p", "n", "rank"),
    [
        ("99.9", 1000, 999),  # 99.9 × 1000 / 100 is 999.0000000000001 in binary
        (99.9, 1000, 999),
        (Decimal("99.9"), 1000, 999),
        ("29", 100, 29),  # 0.29 × 100 is 28.999999999999996
        ("7", 100, 7),  # 0.07 × 100 is 7.000000000000001
        ("50", 1, 1),
        ("50", 2, 1),
        ("50", 3, 2),
        ("100", 10, 10),
        ("1e-30", 1000, 1),
        (95, 10**18 + 1, 950_000_000_000_000_001),
    ],
)
def test_the_nearest_rank_is_counted_in_exact_arithmetic(p: str | float | Decimal, n: int, rank: int) -> None:
    assert loghist.nearest_rank(loghist.parse_percentile(p), n) == rank


def test_a_percentile_is_what_was_written() -> None:
    assert loghist.parse_percentile(" 99.9 ") == Fraction(999, 1000) * 100
    assert loghist.parse_percentile(0.1) == Fraction(1, 10)


@pytest.mark.parametrize(
    "text", ["0", "-0", "-1", "100.001", "nan", "sNaN", "inf", "", "p99", "99%", "1e999999999", "1e-999999999", True]
)
def test_what_is_no_percentile_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not a percentile"):
        loghist.parse_percentile(text)


def test_a_percentile_asked_for_twice_is_refused() -> None:
    histogram, stats = tables({"a": [1.0]})
    with pytest.raises(ValueError, match="twice"):
        loghist.percentiles(histogram, ["key"], stats, ["50", "50"])
