"""Cells by key and class of status: as a plain dictionary of sums, minima and maxima has them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats.kernels import library as kernels
from logstats.kernels.counting import KEY_CELL
from logstats.kernels.interning import Dictionary
from logstats.sketches import loghist
from logstats.summaries.cells import Cells
from logstats.summaries.numbered import Numbered
from logstats.summaries.ranking import COUNTS, Ranking

_DURATIONS = st.lists(st.integers(0, 2**50), max_size=3)
_KEYS = 13
_REQUESTS = st.tuples(st.integers(0, _KEYS - 1), st.integers(0, 9), st.integers(0, 2**40), _DURATIONS)


def _cell(key: int, status_class: int, size: int, durations: list[int]) -> tuple[int, ...]:
    least, greatest = min(durations, default=2**63 - 1), max(durations, default=-(2**63))
    return key, status_class, max(len(durations), 1), size, len(durations), sum(durations), least, greatest


@given(
    st.lists(st.lists(_REQUESTS, max_size=20), max_size=6),
    st.lists(st.integers(-1, 30), min_size=_KEYS, max_size=_KEYS),
    st.booleans(),
)
def test_cells_are_what_a_dictionary_has(
    chunks: list[list[tuple[int, int, int, list[int]]]], ids: list[int], native: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "AVAILABLE", native and kernels.AVAILABLE)
        _check_cells(chunks, ids)


def _check_cells(chunks: list[list[tuple[int, int, int, list[int]]]], ids: list[int]) -> None:
    cells = Cells()
    expected: dict[tuple[int, int], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, None, None])
    for chunk in chunks:
        rows = np.array([_cell(*request) for request in chunk], KEY_CELL)
        assert cells.add(np.array(ids), rows)
        for key, status_class, size, durations in chunk:
            held = expected[ids[key], status_class]
            sums = [max(len(durations), 1), size, len(durations), sum(durations)]
            held[:4] = [one + more for one, more in zip(held, sums, strict=False)]
            if durations:
                held[4] = min(durations) if held[4] is None else min(held[4], *durations)
                held[5] = max(durations) if held[5] is None else max(held[5], *durations)
    assert len(cells) == len(expected)
    table = cells.table()
    assert dict(table.schema) == COUNTS.schema
    assert {row[:2]: list(row[2:]) for row in table.rows()} == expected


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("cell", "ids", "room"),
    [
        ((2, 0), [0, 0], 9),  # no such key
        ((-1, 0), [0, 0], 9),
        ((0, 10), [0, 0], 9),  # no such class
        ((0, -1), [0, 0], 9),
        ((0, 0), [1, 0], 9),  # no such id
        ((0, 0), [-2, 0], 9),
        ((0, 0), [0, 0], 1),  # no room for a second cell
    ],
)
def test_cells_without_a_place_are_refused(
    cell: tuple[int, int], ids: list[int], room: int, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "AVAILABLE", native and kernels.AVAILABLE)
    rows, places, totals = np.array([[*cell, 1, 1, 1, 1, 1, 1]]), np.full(20, -1), np.zeros(4, np.int64)
    held, figures = np.zeros(room, np.int64), np.zeros((room, 6), np.int64)
    with pytest.raises(IndexError):
        kernels.add_cells(rows, np.array(ids), 10, places, held, figures, 1, totals)
    assert (places == -1).all() and not figures.any() and not totals.any()


@pytest.mark.parametrize("native", [True, False])
def test_totals_beyond_64_bits_are_not_added(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "AVAILABLE", native and kernels.AVAILABLE)
    cells, ids = Cells(), np.zeros(1, np.int64)
    for size, added in ((2**62, True), (2**62, False), (2**62 - 1, True), (1, False), (0, True)):
        assert cells.add(ids, np.array([(0, 2, 1, size, 1, 5, 5, 5)], KEY_CELL)) is added
    assert cells.table().row(0, named=True)["bytes"] == 2**63 - 1


def test_sums_beyond_64_bits_are_exact() -> None:
    ranking = Ranking(["endpoint"], 10)
    size, chunks = 2**61, 9
    rows = np.array([(0, 2, 1, size, 1, size, size, size)], KEY_CELL)
    bucket = np.array([int(pl.select(loghist.bucket(pl.lit(1.0))).item())])
    one = np.ones(1, np.int64)
    names = Dictionary()
    keys = names.held(names.numbers(pl.Series(["/a"])))
    table = Numbered(keys, np.zeros(1, np.uint32), rows, np.zeros(1, np.int64), bucket, one)
    ranking.add_numbered([(number, table) for number in range(chunks)])
    (found,) = ranking.counts_by_id().rows(named=True)
    assert (found["requests"], found["bytes"], found["ns"]) == (chunks, chunks * size, chunks * size)
    assert chunks * size > 2**63
