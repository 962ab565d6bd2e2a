"""Groups of rows, held against Polars' own."""

from __future__ import annotations

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logstats.summaries.groups import Groups

ROWS = st.lists(
    st.tuples(
        st.none() | st.sampled_from(["", "a", "b", "é"]),
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2),
        st.none() | st.integers(0, 999),
        st.integers(-(2**62), 2**62),
    ),
    max_size=60,
)
SCHEMA = {"text": pl.String, "number": pl.Int64, "status": pl.UInt16, "value": pl.Int64}
BIG = 2**62


@settings(max_examples=200, deadline=None)
@given(ROWS)
@example([("a", 1, 200, BIG), ("a", 1, 200, BIG), ("a", 1, 200, BIG), (None, None, None, -BIG)])
@example([])
def test_groups_are_those_of_polars(rows: list[tuple[str | None, int | None, int | None, int]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    keys = ["text", "number", "status"]
    groups = Groups([frame[key] for key in keys])
    value = frame["value"].to_numpy()
    found = pl.DataFrame(
        [
            *groups.keys,
            pl.Series("rows", groups.counts, dtype=pl.Int64),
            groups.sums(value).alias("sum"),
            pl.Series("least", groups.minima(value), dtype=pl.Int64),
            pl.Series("most", groups.maxima(value), dtype=pl.Int64),
        ]
    )
    true = frame.group_by(keys).agg(
        rows=pl.len().cast(pl.Int64),
        sum=pl.col("value").cast(pl.Int128).sum(),
        least=pl.col("value").min(),
        most=pl.col("value").max(),
    )
    assert found.sort(keys).equals(true.sort(keys))
    assert found.schema == true.schema
