"""Merging of keyed tables by one sort of whole numbers.

Each key of a row becomes the rank of its value, the ranks of all keys together one number of 64 bits, and the rows are
sorted by it. So rows with the same keys are neighbours, to be added up, and the result is in the order of its keys.
For tables of many keys with few rows each, like the rollups of an hour, this takes a fifth of the time of a general
group-by and sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels import tallies
from logstats.kernels.columns import as_numbers
from logstats.kernels.interning import Dictionary
from logstats.summaries.tables import Shape

Ranks = NDArray[np.uint64]
Figures = tuple[NDArray[np.int64], NDArray[np.bool_] | None]  # and which of them there are, if not all

_LARGEST: Final = 2**63 - 1
_MOST: Final = 2**64
_NEUTRAL: Final = {kernels.SUM: 0, kernels.LEAST: _LARGEST, kernels.GREATEST: -_LARGEST}  # changes nothing


def united(frames: Sequence[pl.DataFrame], shape: Shape) -> pl.DataFrame:
    """Merge tables as `shape.merge` does, into one whose keys do not repeat and are in order, nulls first."""
    schema = pl.Schema(shape.schema)
    whole = pl.concat([shape.empty(), *(frame.select(list(schema)).cast(schema) for frame in frames)])
    figures = _as_numbers(whole, shape)
    if figures is None:
        return shape.merge([whole, shape.empty()]).sort(*shape.keys, nulls_last=False)
    packed = _packed([whole[name] for name in shape.keys])
    order = tallies.order(packed.copy()) if bool((packed[1:] < packed[:-1]).any()) else None
    begins = np.ones(len(packed), np.bool_)  # a key, in their order
    if order is not None:
        packed = packed[order]
    np.not_equal(packed[1:], packed[:-1], out=begins[1:])
    starts, in_order = np.flatnonzero(begins), np.cumsum(begins, dtype=np.uint32) - np.uint32(1)
    groups = in_order if order is None else np.empty_like(in_order)
    if order is not None:
        groups[order] = in_order
    first = as_numbers(starts if order is None else order[starts])
    columns = [whole[name][first] for name in shape.keys]
    for name in schema.names()[len(shape.keys) :]:
        values, present = figures[name]
        how = _how(name, shape)
        merged, some = np.full(len(starts), _NEUTRAL[how]), None
        kernels.reduce(groups, values, how, merged)
        if present is not None:
            some = np.zeros(len(starts), np.bool_)
            some[groups[present]] = True
        columns.append(as_numbers(merged, some).cast(schema[name]).alias(name))
    return pl.DataFrame(columns)


def _how(name: str, shape: Shape) -> int:
    return kernels.SUM if name in shape.sums else kernels.LEAST if name in shape.minima else kernels.GREATEST


def _as_numbers(whole: pl.DataFrame, shape: Shape) -> dict[str, Figures] | None:
    """The figures; None if there are no rows, or a sum may need more than 64 bits."""
    found: dict[str, Figures] = {}
    for name in (*shape.sums, *shape.minima, *shape.maxima):
        column = whole[name].to_physical() if whole[name].dtype.is_temporal() else whole[name]
        nothing = column.null_count()
        column = column.cast(pl.Int64, strict=False)
        if not len(column) or column.null_count() > nothing:
            return None
        present = column.is_not_null().to_numpy() if nothing else None
        neutral = _NEUTRAL[_how(name, shape)]
        values = (column.fill_null(neutral) if nothing else column).to_numpy()
        if name in shape.sums and max(int(values.max()), -int(values.min())) * len(values) > _LARGEST:
            return None
        found[name] = values, present
    return found


def _packed(keys: Sequence[pl.Series]) -> Ranks:
    """A number for each row, in the order of its keys, and equal for equal keys."""
    whole, size = np.zeros(len(keys[0]), np.uint64), 1
    for key in keys:
        ranks, count = _text_ranks(key) if key.dtype == pl.String else _ranks(key)
        if size * count > _MOST:
            whole, size = _renumbered(whole)
        if size * count > _MOST:
            ranks, count = _renumbered(ranks)
        whole = whole * np.uint64(count) + ranks
        size *= count
    return whole


def _ranks(key: pl.Series) -> tuple[Ranks, int]:
    """(a rank for each row, in the order of the values and from 0, which is null; an upper bound of the ranks)."""
    values = key.to_physical()
    low, high = values.min(), values.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return np.zeros(len(key), np.uint64), 1  # all null
    missing = values.null_count()
    present = (values.fill_null(low) if missing else values).to_numpy().astype(np.int64)
    if high - low >= _LARGEST:
        ranks, count = _renumbered(present)
    else:
        ranks, count = (present - low).astype(np.uint64), high - low + 1
    ranks = ranks + np.uint64(1)
    if missing:
        ranks[values.is_null().to_numpy()] = 0
    return ranks, count + 1


def _text_ranks(key: pl.Series) -> tuple[Ranks, int]:
    """As `_ranks`. Texts of a chunk share their memory, so only distinct places are compared by content."""
    group, first = kernels.group_texts(key)
    known = Dictionary()
    numbers = known.numbers(key[as_numbers(first)])
    order = known.texts().arg_sort().to_numpy()
    ranks = np.zeros(len(order) + 1, np.uint64)
    ranks[order + 1] = np.arange(1, len(order) + 1, dtype=np.uint64)
    return ranks[numbers][group], len(ranks)


def _renumbered(values: NDArray[Any]) -> tuple[Ranks, int]:
    distinct, ranks = np.unique(values, return_inverse=True)
    return ranks.astype(np.uint64), len(distinct)
