"""Conversion between Polars columns and the arguments and results of the functions in C."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.kernels.arrow import VIEWS, Imported, exported

if TYPE_CHECKING:
    import polars as pl

Views = NDArray[np.uint64]  # (rows, 2): one Arrow string view for each row
Mask = NDArray[np.bool_]

# Arrow's letters for the types of NumPy.
_FORMATS: Final = dict(
    zip(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"], (b"%c" % c for c in b"CSILcsilfg"), strict=True)
)


class Pointers(ctypes.Structure):
    """The `column` of `kernels.h`."""

    _fields_ = [
        ("views", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("valid", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("rows", ctypes.c_int64),
    ]


class Buffer:
    """Bytes in memory, and the object that keeps them there."""

    def __init__(self, place: int, size: int, owner: object) -> None:
        self.place, self.size, self.owner = place, size, owner


class Texts:
    """The place in memory of a column of texts (String)."""

    def __init__(self, texts: pl.Series) -> None:
        self._column = column = Imported(texts)  # kept alive as long as the pointers to it
        self.buffers = [Buffer(*given, column) for given in zip(column.buffers, column.sizes, strict=True)]
        self._addresses = np.array(column.buffers or [0], np.uintp)
        self._pointers = Pointers(
            (column.views or 0) + 16 * column.offset,
            address(self._addresses),
            column.valid,
            column.offset,
            column.rows,
        )
        self.rows = column.rows
        self.pointer = ctypes.addressof(self._pointers)

    @property
    def places(self) -> tuple[int, int]:
        """The addresses of the views, and of the addresses of their buffers."""
        return int(self._pointers.views or 0), int(self._pointers.buffers)

    def where(self, present: Mask) -> pl.Series:
        """The same texts, with null for those that are not present."""
        offset = self._column.offset
        bits = np.packbits(np.concatenate([np.zeros(offset, np.bool_), present]), bitorder="little")
        views = Buffer(self._column.views or 0, 0, self._column)
        return _texts(self.rows, [_buffer(bits), views, *self.buffers], offset)


def as_numbers(values: NDArray[Any], present: Mask | None = None) -> pl.Series:
    """A column of these values, with null for those that are not present.

    `pl.Series` would do the same, but loads `numpy.ma`.
    """
    parts = [_bits(present), _buffer(np.ascontiguousarray(values))]
    return exported(_FORMATS[values.dtype.str[1:]], len(values), _places(parts), parts)


def as_texts(
    views: Views, buffers: Sequence[Buffer | NDArray[Any] | bytes | memoryview], present: Mask | None = None
) -> pl.Series:
    """A column of texts (String) from views of buffers of UTF-8, which it keeps alive; null for those that are not
    present."""
    given = [each if isinstance(each, Buffer) else _buffer(np.frombuffer(each, np.uint8)) for each in buffers]
    return _texts(len(views), [_bits(present), _buffer(np.ascontiguousarray(views)), *given])


def _texts(rows: int, parts: Sequence[Buffer | None], offset: int = 0) -> pl.Series:
    """A column of texts from the bitmap of those that are present, the views, and the buffers that these point into."""
    sizes = _buffer(np.array([part.size for part in parts[2:] if part], np.int64))
    every = [*parts, sizes]
    return exported(VIEWS, rows, _places(every), every, offset)


def _places(parts: Sequence[Buffer | None]) -> list[int | None]:
    return [None if part is None else part.place for part in parts]


def _bits(present: Mask | None) -> Buffer | None:
    if present is None or present.all():
        return None
    return _buffer(np.packbits(present, bitorder="little"))


def _buffer(array: NDArray[Any]) -> Buffer:
    return Buffer(address(array), array.nbytes, array)


def address(array: NDArray[Any]) -> int:
    """The address of the first element of an array."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])
