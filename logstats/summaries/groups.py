"""A fast group-by of the rows of a chunk: each row gets the number of its group.

Polars' general group-by takes ten times as long for a chunk, mostly fixed costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers
from logstats.kernels.interning import Dictionary, once

Numbers = NDArray[np.int64]

_MOST: Final = 2**63
_HALF: Final = 32


class Groups:
    """Groups of rows with the same values (null equals null), in order of first appearance."""

    def __init__(self, keys: Sequence[pl.Series]) -> None:
        self._keys = keys
        whole, size = np.zeros(len(keys[0]), np.uint64), 1
        for key in keys:
            codes, count = _text_codes(key) if key.dtype == pl.String else _codes(key)
            if size * count >= _MOST:
                whole, size = _renumbered(whole)
            whole = whole * np.uint64(count) + codes
            size *= count
        self._group, self._first = kernels.group(whole)

    @cached_property
    def keys(self) -> list[pl.Series]:
        """The values of each group. Texts are copied, so that they do not keep the chunk in memory."""
        return [once(column) if column.dtype == pl.String else column for column in self.borrowed]

    @cached_property
    def borrowed(self) -> list[pl.Series]:
        """The same; texts are where they were."""
        first = as_numbers(self._first)
        return [key[first] for key in self._keys]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """The value of each row's group."""
        return values[self._group]

    @cached_property
    def counts(self) -> Numbers:
        """The number of rows of each group."""
        return np.bincount(self._group, minlength=len(self._first))

    def sums(self, values: Numbers) -> pl.Series:
        """The exact sum of each group (Int128)."""
        if not len(values) or max(int(values.max()), -int(values.min())) * len(values) < _MOST:
            return as_numbers(self.totals(values)).cast(pl.Int128)
        high, low = (self.totals(half) for half in (values >> _HALF, values & ((1 << _HALF) - 1)))
        whole = [(a << _HALF) + b for a, b in zip(high.tolist(), low.tolist(), strict=True)]
        return pl.Series(whole, dtype=pl.Int128)

    def totals(self, values: Numbers) -> Numbers:
        """The sum of each group in 64 bits, for counts, which do not overflow."""
        sums = np.zeros(len(self._first), np.int64)
        kernels.reduce(self._group, values, kernels.SUM, sums)
        return sums

    def minima(self, values: NDArray[Any]) -> NDArray[Any]:
        """The least value of each group."""
        least = values[self._first]
        kernels.reduce(self._group, values, kernels.LEAST, least)
        return least

    def maxima(self, values: NDArray[Any]) -> NDArray[Any]:
        """The greatest value of each group."""
        most = values[self._first]
        kernels.reduce(self._group, values, kernels.GREATEST, most)
        return most


def _text_codes(key: pl.Series) -> tuple[NDArray[np.uint64], int]:
    """As `_codes`. Most texts of a chunk share their memory, so only distinct places are compared by content."""
    group, first = kernels.group_texts(key)
    known = Dictionary()
    numbers = known.numbers(key[as_numbers(first)]).astype(np.uint64)
    return numbers[group], len(known) + 1


def _codes(key: pl.Series) -> tuple[NDArray[np.uint64], int]:
    """(a code for each row, equal for equal values, also for null; an upper bound of the codes)."""
    values = key.to_physical() if key.dtype.is_temporal() else key
    low, high = values.min(), values.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return np.zeros(len(key), np.uint64), 1  # all null
    missing = values.null_count()
    present = values.fill_null(low).to_numpy() if missing else values.to_numpy()
    if high - low >= _MOST // 2:
        codes, count = _renumbered(present)
    else:
        codes, count = (present.astype(np.int64) - low).astype(np.uint64), high - low + 1
    if missing:
        codes[values.is_null().to_numpy()] = count
        count += 1
    return codes, count


def _renumbered(values: NDArray[Any]) -> tuple[NDArray[np.uint64], int]:
    distinct, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.uint64), len(distinct)
