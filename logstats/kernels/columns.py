"""Columns, as the functions in C take them and give them back."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Views = NDArray[np.uint64]  # (rows, 2): an Arrow string view each
Mask = NDArray[np.bool_]


class Pointers(ctypes.Structure):
    """The `column` of `kernels.h`."""

    _fields_ = [
        ("views", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("valid", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("rows", ctypes.c_int64),
    ]


class Texts:
    """A column of texts (String), where it lies in memory."""

    def __init__(self, texts: pl.Series) -> None:
        import polars as pl

        array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
        valid, views, *self.buffers = array.buffers()
        self._addresses = np.array([buffer.address for buffer in self.buffers] or [0], np.uintp)
        self._array = array  # kept as long as the pointers to it
        self._pointers = Pointers(
            (views.address if views else 0) + 16 * array.offset,
            address(self._addresses),
            valid.address if valid else None,
            array.offset,
            len(array),
        )
        self.rows = len(array)
        self.pointer = ctypes.addressof(self._pointers)

    def where(self, present: Mask) -> pl.Series:
        """The same texts, null where they are not present."""
        import polars as pl
        import pyarrow as pa

        bits = np.packbits(np.concatenate([np.zeros(self._array.offset, np.bool_), present]), bitorder="little")
        _, *others = self._array.buffers()
        parts = [pa.py_buffer(bits), *others]
        return pl.Series(pa.Array.from_buffers(pa.string_view(), self.rows, parts, offset=self._array.offset))


def as_numbers(values: NDArray[Any], present: Mask) -> pl.Series:
    """The values, null where they are not present."""
    import polars as pl
    import pyarrow as pa

    return pl.Series(values) if present.all() else pl.Series(pa.array(values, mask=~present))


def as_texts(views: Views, buffers: Sequence[pa.Buffer | Any], valid: Mask | None = None) -> pl.Series:
    """The texts (String) that are views of these buffers of UTF-8, which they keep in memory; null where not valid."""
    import polars as pl
    import pyarrow as pa

    bits = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    parts = [bits, pa.py_buffer(views), *map(pa.py_buffer, buffers)]
    return pl.Series(pa.Array.from_buffers(pa.string_view(), len(views), parts))


def address(array: NDArray[Any]) -> int:
    """Where an array begins."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])
