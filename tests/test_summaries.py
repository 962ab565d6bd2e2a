"""Every aggregate is rebuilt from the tables that it condenses itself to, and merges by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logstats import schema
from logstats.pipeline import Counts
from logstats.reports.build import build
from logstats.reports.merged import by_selection
from logstats.summaries.arrays import Arrays, together
from logstats.summaries.spec import ReportSpec, Selection
from logstats.summaries.statistics import Statistics, aggregates, summarise

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = st.sampled_from([None, "", "a", "b", "é", "(other)", "a text that no view holds itself"])
ROW = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["request", "request", "event"]),
        "level": st.sampled_from(["INFO", "ERROR", "odd"]),
        "timestamp": st.none() | st.integers(-200, 200).map(lambda seconds: EPOCH + timedelta(seconds=seconds)),
        "method": TEXTS,
        "endpoint": TEXTS,
        "status": st.sampled_from([None, 100, 200, 404, 500, 999]),
        "duration_ms": st.sampled_from([None, 0.0, 0.001, 12.5, 1e9]),
        "bytes": st.none() | st.integers(0, 2**62),
        "user_id": TEXTS,
        "client_ip": TEXTS,
    }
)
SELECTIONS = (
    Selection("failed", pl.col("status").fill_null(0) >= 500, frozenset({"status"}), users=True),
    Selection("all", pl.col("line") >= 0, frozenset()),
)
SPECS = [
    ReportSpec(by=("client_ip", "status"), over_time=True, selections=SELECTIONS),
    ReportSpec(by=("client_ip",), max_endpoints=2, exact_users=True, over_time=True),
]


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    types = {name: kind for name, kind in schema.dtypes().items() if name in rows[0]}
    return pl.DataFrame(rows, schema=types).with_row_index("line")


def report(statistics: Statistics) -> tuple[Any, ...]:
    statistics.merge()
    return build(statistics, Counts(), generated_at=EPOCH).to_dict(), by_selection(statistics)


@settings(deadline=None, max_examples=12)
@given(st.lists(ROW, min_size=1, max_size=40), st.lists(st.integers(1, 40), max_size=3), st.sampled_from(SPECS))
def test_what_is_condensed_counts_as_what_it_came_from(
    rows: list[dict[str, Any]], cuts: list[int], spec: ReportSpec
) -> None:
    """Past the caps as well, where the order of the lines matters."""
    whole, rebuilt = Statistics(spec), Statistics(spec)
    bounds = sorted({0, *(cut for cut in cuts if cut < len(rows)), len(rows)})
    for start, end in zip(bounds, bounds[1:], strict=False):
        chunk = summarise(frame(rows[start:end]), spec)
        whole.add(chunk)
        shard = Statistics(replace(spec, max_endpoints=99))
        shard.add(chunk)
        for tables in shard.condense():
            before = {name: table.clone() for name, table in tables.items()}
            rebuilt.add(tables)
            rebuilt.merge()
            assert all(table.equals(before[name]) for name, table in tables.items())
    assert report(rebuilt) == report(whole)
    again = Statistics(spec)
    for tables in rebuilt.condense():
        again.add(tables)
    assert report(again) == report(whole)


@pytest.mark.parametrize("spec", SPECS, ids=["sketched", "exact"])
def test_each_aggregate_condenses_to_one_keyed_table(spec: ReportSpec) -> None:
    request = {"method": "GET", "endpoint": "/", "status": 200, "bytes": 1, "user_id": "u", "client_ip": "i"}
    kinds = [{"kind": kind, "level": "INFO", "timestamp": EPOCH} for kind in ("request", "event")]
    rows = frame([{**kind, **request, "duration_ms": ms} for kind in kinds for ms in (None, 0.0, 1.5)])
    statistics = Statistics(spec)
    for _ in range(2):
        statistics.add(summarise(rows, spec))
    pieces: dict[str, list[pl.DataFrame]] = {}
    for tables in statistics.condense():
        for name, table in tables.items():
            pieces.setdefault(name, []).append(table)
    assert list(pieces) == [aggregate.name for aggregate in aggregates(spec)]
    figures = {"requests", "bytes", "timed", "ns", "ns_min", "ns_max", "count", "events", "rank", "first"}
    for name, some in pieces.items():
        table = pl.concat(some)  # they have one schema
        keys = [column for column in table.columns if column not in figures]
        assert not table.select(keys).is_duplicated().any(), name


@given(st.lists(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2**31)), max_size=5), min_size=1, max_size=4))
def test_arrays_of_chunks_are_one_frame(chunks: list[list[tuple[int, int]]]) -> None:
    """The line of a chunk is a number that grows from chunk to chunk; 7 stands for null."""
    arrays = [
        Arrays(
            {
                "bucket": np.array([bucket for bucket, _ in rows], np.int32),
                "bytes": np.array([line for _, line in rows], np.int64),
                "first": np.array([line for _, line in rows], np.uint32),
            },
            {"bytes": "Int128"},
            {"bucket": 7},
        )
        for rows in chunks
    ]
    frame = together([*enumerate(arrays)], 32).frame()
    assert frame.schema == {"bucket": pl.Int32, "bytes": pl.Int128, "first": pl.Int64}
    assert frame.rows() == [
        (None if bucket == 7 else bucket, line, number * 2**32 + line)
        for number, rows in enumerate(chunks)
        for bucket, line in rows
    ]
    assert [one.height for one in arrays] == [*map(len, chunks)]
