"""Tables that are merged by one sort of numbers, held against Polars' own group-by and sort."""

from __future__ import annotations

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logstats.archive.ingest.keyed import united
from logstats.summaries.tables import Shape

UTC = pl.Datetime("us", "UTC")
SHAPE = Shape(
    {"hour": UTC, "text": pl.String(), "bucket": pl.Int32(), "number": pl.Int64()},
    {"requests": pl.Int64(), "bytes": pl.Decimal(38, 0)},
    {"first": UTC, "least": pl.Int64()},
    {"rank": pl.UInt8()},
)
NUMBER = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2)
ROW = st.tuples(
    st.sampled_from([0, 3_600_000_000, -(2**60)]),
    st.none() | st.sampled_from(["", "a", "b", "é", "\U0001f600", "a text that no view holds itself"]),
    st.none() | st.integers(-3, 3),
    NUMBER,
    st.integers(0, 9),
    st.integers(0, 9) | st.sampled_from([2**62, 10**30]),
    st.integers(-(2**60), 2**60),
    NUMBER,
    st.none() | st.integers(0, 255),
)
BIG = (0, "a", 1, 1, 1, 2**62, 0, None, 1)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(ROW, max_size=20), min_size=1, max_size=4))
@example([[BIG, BIG], [BIG]])
@example([[]])
def test_united_tables_are_those_of_polars(tables: list[list[tuple[int | str | None, ...]]]) -> None:
    frames = [pl.DataFrame(rows, schema=SHAPE.schema, orient="row") for rows in tables]
    whole = pl.concat(frames)
    true = whole.group_by(list(SHAPE.keys)).agg(
        pl.col("requests", "bytes").sum(), pl.col("first", "least").min(), pl.col("rank").max()
    )
    found = united(frames, SHAPE)
    assert found.equals(true.sort(list(SHAPE.keys), nulls_last=False))
    assert found.schema == true.schema
