"""Conversion between Polars columns and the arguments and results of the functions in C."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Views = NDArray[np.uint64]  # (rows, 2): one Arrow string view for each row
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
    """The place in memory of a column of texts (String)."""

    def __init__(self, texts: pl.Series) -> None:
        import polars as pl

        array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
        valid, views, *self.buffers = array.buffers()
        self._addresses = np.array([buffer.address for buffer in self.buffers] or [0], np.uintp)
        self._array = array  # kept alive as long as the pointers to it
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
        """The same texts, with null for those that are not present."""
        import pyarrow as pa

        bits = np.packbits(np.concatenate([np.zeros(self._array.offset, np.bool_), present]), bitorder="little")
        _, *others = self._array.buffers()
        parts = [pa.py_buffer(bits), *others]
        return _series(pa.Array.from_buffers(pa.string_view(), self.rows, parts, offset=self._array.offset))


def as_numbers(values: NDArray[Any], present: Mask | None = None) -> pl.Series:
    """A column of these values, with null for those that are not present.

    `pl.Series` and `pyarrow.array` would do the same, but load `numpy.ma`.
    """
    import pyarrow as pa

    parts = [_bits(present), pa.py_buffer(np.ascontiguousarray(values))]
    return _series(pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), parts))


def as_texts(views: Views, buffers: Sequence[pa.Buffer | Any], present: Mask | None = None) -> pl.Series:
    """A column of texts (String) from views of buffers of UTF-8, which it keeps alive; null for those that are not
    present."""
    import pyarrow as pa

    parts = [_bits(present), pa.py_buffer(views), *map(pa.py_buffer, buffers)]
    return _series(pa.Array.from_buffers(pa.string_view(), len(views), parts))


def _bits(present: Mask | None) -> pa.Buffer | None:
    import pyarrow as pa

    if present is None or present.all():
        return None
    return pa.py_buffer(np.packbits(present, bitorder="little"))


class _Exported:
    """Hides that an array is pyarrow's, for which Polars would load `pyarrow.compute`."""

    def __init__(self, array: pa.Array) -> None:
        self.__arrow_c_array__ = array.__arrow_c_array__


def _series(array: pa.Array) -> pl.Series:
    import polars as pl

    return pl.Series(_Exported(array))


def address(array: NDArray[Any]) -> int:
    """The address of the first element of an array."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])
