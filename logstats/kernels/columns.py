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
        import pyarrow as pa

        bits = np.packbits(np.concatenate([np.zeros(self._array.offset, np.bool_), present]), bitorder="little")
        _, *others = self._array.buffers()
        parts = [pa.py_buffer(bits), *others]
        return _series(pa.Array.from_buffers(pa.string_view(), self.rows, parts, offset=self._array.offset))


def as_numbers(values: NDArray[Any], present: Mask | None = None) -> pl.Series:
    """The values as a column, null where they are not present.

    `pl.Series` and `pyarrow.array` do the same of an array, and load `numpy.ma` to look at it.
    """
    import pyarrow as pa

    parts = [_bits(present), pa.py_buffer(np.ascontiguousarray(values))]
    return _series(pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), parts))


def as_texts(views: Views, buffers: Sequence[pa.Buffer | Any], present: Mask | None = None) -> pl.Series:
    """The texts (String) that are views of these buffers of UTF-8, which they keep alive; null where not present."""
    import pyarrow as pa

    parts = [_bits(present), pa.py_buffer(views), *map(pa.py_buffer, buffers)]
    return _series(pa.Array.from_buffers(pa.string_view(), len(views), parts))


def _bits(present: Mask | None) -> pa.Buffer | None:
    import pyarrow as pa

    if present is None or present.all():
        return None
    return pa.py_buffer(np.packbits(present, bitorder="little"))


class _Exported:
    """An array as any library would hand it over: Polars would load `pyarrow.compute` to look at one of pyarrow's."""

    def __init__(self, array: pa.Array) -> None:
        self.__arrow_c_array__ = array.__arrow_c_array__


def _series(array: pa.Array) -> pl.Series:
    import polars as pl

    return pl.Series(_Exported(array))


def address(array: NDArray[Any]) -> int:
    """Where an array begins."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])
