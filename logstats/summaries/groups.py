"""The rows of a chunk by the values of some columns: one sort of one number a row, and everything else follows it.

The general group-by of a library costs a chunk three times as much, most of it before the first row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_MOST: Final = 2**63
_HALF: Final = 32


class Groups:
    """Groups of rows that have the same values (nulls are alike, too), in no particular order."""

    def __init__(self, keys: Sequence[pl.Series]) -> None:
        self._types = [key.dtype for key in keys]
        self._keys = [key.cast(_numbered()) if key.dtype == pl.String else key for key in keys]
        whole, size = np.zeros(len(keys[0]), np.uint64), 1
        for key in self._keys:
            codes, count = _codes(key)
            if size * count >= _MOST:
                whole, size = _renumbered(whole)
            whole = whole * np.uint64(count) + codes
            size *= count
        self._order = np.argsort(whole)
        ordered = whole[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(whole)])

    @cached_property
    def keys(self) -> list[pl.Series]:
        """The values of each group; texts are copies, which keep no chunk in memory."""
        first = self._order[self._starts]
        return [key.gather(first).cast(kind) for key, kind in zip(self._keys, self._types, strict=True)]

    @cached_property
    def counts(self) -> Numbers:
        """How many rows each group has."""
        return np.diff(self._starts, append=len(self._order))

    def sums(self, values: Numbers) -> pl.Series:
        """The exact sum of each group (Int128)."""
        if not len(values) or max(int(values.max()), -int(values.min())) * len(values) < _MOST:
            return pl.Series(self._reduced(np.add, values)).cast(pl.Int128)
        high, low = (self._reduced(np.add, half) for half in (values >> _HALF, values & ((1 << _HALF) - 1)))
        whole = [(a << _HALF) + b for a, b in zip(high.tolist(), low.tolist(), strict=True)]
        return pl.Series(whole, dtype=pl.Int128)

    def minima(self, values: NDArray[Any]) -> NDArray[Any]:
        """The least value of each group."""
        return self._reduced(np.minimum, values)

    def maxima(self, values: NDArray[Any]) -> NDArray[Any]:
        """The greatest value of each group."""
        return self._reduced(np.maximum, values)

    def _reduced(self, by: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(by.reduceat(values[self._order], self._starts)) if len(self._starts) else values[:0]


def _numbered() -> pl.DataType:
    """A type for texts that counts the distinct ones of a column."""
    return pl.Categorical(pl.Categories.random())


def _codes(key: pl.Series) -> tuple[NDArray[np.uint64], int]:
    """A number below the second result for each value, the same for the same; null has one, too."""
    values = key.to_physical()
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
