"""Keyed tables: merged, they are what a Counter says; keys are numbered as a dict numbers them."""

from __future__ import annotations

from collections import Counter

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logstats.summaries import histogram, latency
from logstats.summaries.tables import Keys, Shape

TEXTS = st.none() | st.sampled_from(["", "a", "b", "é", "(other)", "a text that no view holds itself"])
COUNTS = st.lists(st.tuples(st.none() | st.integers(-3, 3), st.none() | st.integers(-(2**31), 2**31 - 1),
                            st.integers(0, 2**40)), max_size=40)  # fmt: skip


@settings(deadline=None)
@given(st.lists(COUNTS, min_size=2, max_size=4), st.sampled_from([histogram.HISTOGRAM, latency.LATENCY]))
def test_merging_adds_counts(parts: list[list[tuple[int | None, int | None, int]]], shape: Shape) -> None:
    tables = [pl.DataFrame(rows, schema=shape.schema, orient="row") for rows in parts]
    right: Counter[tuple[int | None, int | None]] = Counter()
    for first, second, count in (row for rows in parts for row in rows):
        right[first, second] += count
    merged = shape.merge(tables)
    assert merged.schema == pl.Schema(shape.schema)
    found = [(row[:2], row[2]) for row in merged.iter_rows()]
    assert len(found) == len(dict(found))
    assert dict(found) == dict(right)


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(TEXTS, TEXTS), max_size=20), max_size=4), st.integers(1, 8))
@example([[], [("a", "a")]], 1)
def test_keys_are_numbered_as_they_come(parts: list[list[tuple[str | None, str | None]]], cap: int) -> None:
    keys, known = Keys(("method", "endpoint"), cap), dict[tuple[str | None, str | None], int]()
    schema = {"method": pl.String, "endpoint": pl.String, "count": pl.Int64, "first": pl.Int64}
    for rows in parts:
        for key in rows:
            if key not in known and len(known) < cap and key[1] != "(other)":
                known[key] = len(known)
        # In whatever order the rows are: `first` says which came first.
        backwards = [(*key, place, place) for place, key in enumerate(rows)][::-1]
        table = keys.number(pl.DataFrame(backwards, schema=schema, orient="row"))
        assert table.columns == ["count", "id"]
        assert table["id"].to_list() == [known.get(key, Keys.OTHER) for key in reversed(rows)]
    table = keys.name(pl.DataFrame({"id": [*known.values(), Keys.OTHER]}, schema={"id": pl.Int32}))
    named = {(row["method"], row["endpoint"]): row["id"] for row in table.filter(~pl.col("folded")).to_dicts()}
    assert named == known
