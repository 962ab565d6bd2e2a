"""Conversion between Polars columns and the arguments and results of the functions in C."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels.arrow import VIEWS, Imported, exported

INLINE: Final = 12  # bytes of a text that its view has itself
_SHORT_VIEW: Final = Struct("<I12s")  # the size and the text,
_LONG_VIEW: Final = Struct("<I4sII")  # or the size, its first bytes, and the buffer and offset where it is

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


class Strings:
    """A column of Python's texts that grows at its end. The addresses hold until it does."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._views = np.zeros((0, 2), np.uint64)
        self._segments: list[NDArray[np.uint8]] = []
        self._size = 0
        self.append(texts)

    def __len__(self) -> int:
        return self._size

    def append(self, texts: Sequence[str]) -> None:
        """Append texts."""
        made, segment = bytearray(), bytearray()
        for text in texts:
            encoded = text.encode()
            if len(encoded) <= INLINE:
                made += _SHORT_VIEW.pack(len(encoded), encoded)
            else:
                made += _LONG_VIEW.pack(len(encoded), encoded[:4], len(self._segments), len(segment))
                segment += encoded
        size = self._size + len(texts)
        if size > len(self._views):
            grown = np.zeros((max(size, 2 * len(self._views)), 2), np.uint64)
            grown[: self._size] = self._views[: self._size]
            self._views = grown
        self._views[self._size : size] = np.frombuffer(made, np.uint64).reshape(-1, 2)
        self._size = size
        if segment:
            self._segments.append(np.frombuffer(segment, np.uint8))
        self._addresses = np.array([*map(address, self._segments)] or [0], np.uintp)
        self._pointers = Pointers(address(self._views), address(self._addresses), None, 0, size)

    @property
    def pointer(self) -> int:
        """The address of the `column` of kernels.h."""
        return ctypes.addressof(self._pointers)

    @property
    def places(self) -> tuple[int, int]:
        """The addresses of the views, and of the addresses of their buffers."""
        return int(self._pointers.views), int(self._pointers.buffers)


def strings(views: Views, segments: Sequence[NDArray[np.uint8]]) -> list[str]:
    """The texts of views as Python's."""
    raw, found = views.tobytes(), []
    for place, (size, _, buffer, offset) in zip(range(4, len(raw), 16), _LONG_VIEW.iter_unpack(raw), strict=False):
        inline = size <= INLINE
        text = raw[place : place + size] if inline else segments[buffer][offset : offset + size].tobytes()
        found.append(text.decode())
    return found


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
