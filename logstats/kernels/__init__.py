"""The few functions that read the bytes of every line, in C (`lines.c`), and how they are called.

They run beside Python: while one thread is in them, others go on. `scripts/build_kernels.py` compiles them when
logstats is installed. Where that was not done `AVAILABLE` is false: every line then takes the slow lane, which says
the same and takes ten times as long.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]
Views = NDArray[np.uint64]  # (rows, 2): an Arrow string view each

LIBRARY: Final = Path(__file__).with_name("kernels.so")
STEP: Final = np.dtype([(name, np.int32) for name in ("code", "column", "literal", "size", "never", "nevers", "least")])


class Table(ctypes.Structure):
    """The hash table of `intern.c`."""

    _fields_ = [
        *(
            (name, ctypes.c_void_p if name in ("slots", "texts", "segments") else ctypes.c_uint64)
            for name in ("slots", "mask", "texts", "segments", "count", "most", "segment", "used", "room", "seed")
        )
    ]


def _loaded() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    address, number, count = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64
    for name, result, arguments in (
        ("count_lines", number, (address, number)),
        ("line_ends", None, (address, number, address)),
        ("texts", None, (address, number, address, address, number, address)),
        ("intern", number, (address, address, address, address, number, number, number, address)),
        ("place", None, (address,)),
        ("group", number, (address, number, address, count, count, address, address)),
        ("group_texts", number, (address, address, number, number, address, count, count, address, address)),
        ("times", None, (address, address, address, number, number, address, number, address, address)),
        ("cut", number, (address, number, address, address, number, address, number, address, address, address)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_library: Final[Any] = _loaded()
AVAILABLE: Final = _library is not None


def line_ends(data: bytes | memoryview) -> Places:
    """Where the newlines of a text stand."""
    array = np.frombuffer(data, np.uint8)
    if not AVAILABLE:
        return np.flatnonzero(array == ord("\n"))
    ends = np.empty(_library.count_lines(_address(array), len(array)), np.int64)
    _library.line_ends(_address(array), len(array), _address(ends))
    return ends


def texts(data: bytes | memoryview, starts: Places, ends: Places) -> Views:
    """Views of what stands between each start and end of some data below 2 GiB. Only if `AVAILABLE`."""
    array, views = np.frombuffer(data, np.uint8), np.empty((len(starts), 2), np.uint64)
    starts, ends = _inside(starts, array), _inside(ends, array)
    _library.texts(_address(array), len(array), _address(starts), _address(ends), len(starts), _address(views))
    return views


def cut(
    data: bytes | memoryview, starts: Places, ends: Places, steps: NDArray[Any], literals: bytes, columns: int
) -> tuple[list[Views], NDArray[np.uint32]]:
    """Run a program (`steps`, of the type `STEP`; see `lines.c`) on every line between a start and an end: views of
    each of so many columns, of the lines that it fits, and which these are. Only if `AVAILABLE`."""
    array, lines = np.frombuffer(data, np.uint8), np.empty(len(starts), np.uint32)
    starts, ends = _inside(starts, array), _inside(ends, array)
    views = [np.empty((len(starts), 2), np.uint64) for _ in range(columns)]
    addresses = np.array([_address(column) for column in views], np.uintp)
    words = np.frombuffer(literals, np.uint8) if literals else np.zeros(1, np.uint8)
    found = _library.cut(
        _address(array),
        len(array),
        _address(starts),
        _address(ends),
        len(starts),
        _address(steps),
        len(steps),
        _address(words),
        _address(addresses),
        _address(lines),
    )
    return [column[:found] for column in views], lines[:found]


def intern(table: Table, texts: Texts, row: int, numbers: NDArray[np.uint32]) -> int:
    """Number texts from a row on; the row at which there was no more room, or how many there are."""
    return int(
        _library.intern(
            ctypes.addressof(table),
            texts.views,
            _address(texts.buffers),
            texts.valid,
            texts.offset,
            row,
            texts.rows,
            _address(numbers),
        )
    )


def group(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The group of each key, numbered from 0 on in the order in which they first come, and the first row of each."""
    if not AVAILABLE:
        _, first, groups = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), np.uint32)
        rank[order] = np.arange(len(order), dtype=np.uint32)
        return rank[groups], first[order].astype(np.uint32)
    return _grouped(_library.group, len(keys), _address(keys), len(keys))


def group_texts(texts: pl.Series) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The same of texts (String), alike if they are the same bytes of memory: one text may be several groups."""
    if not AVAILABLE:
        every = np.arange(len(texts), dtype=np.uint32)
        return every, every
    column = Texts(texts)
    return _grouped(_library.group_texts, column.rows, column.views, column.valid, column.offset, column.rows)


def _grouped(function: Any, rows: int, *keys: int | None) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    slots = np.zeros(1 << (2 * rows).bit_length(), np.uint32)
    groups, firsts = np.empty(rows, np.uint32), np.empty(rows, np.uint32)
    seed = int.from_bytes(os.urandom(8), "little")
    found = function(*keys, _address(slots), len(slots) - 1, seed, _address(groups), _address(firsts))
    return groups, firsts[:found]


def times(texts: pl.Series, form: str) -> tuple[NDArray[np.int64], Mask]:
    """Texts as `strptime` reads them, microseconds since 1970 of UTC or of whatever zone is meant, and which are
    certain: of the form's variables it knows %Y %m %b %d %H %M %S %.f %z %#z. Only if `AVAILABLE`."""
    column, spelled = Texts(texts), np.frombuffer(form.encode(), np.uint8)
    micros, read = np.empty(column.rows, np.int64), np.empty(column.rows, np.bool_)
    _library.times(*column.arguments, _address(spelled), len(spelled), _address(micros), _address(read))
    return micros, read


def place(table: Table) -> None:
    """Fill the slots of a table anew."""
    _library.place(ctypes.addressof(table))


class Texts:
    """A column of texts (String) as the functions take it: where its views lie, and what they are views of."""

    def __init__(self, texts: pl.Series) -> None:
        import polars as pl

        array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
        valid, views, *buffers = array.buffers()
        self._kept = array
        self.rows, self.offset = len(array), array.offset
        self.views = (views.address if views else 0) + 16 * array.offset
        self.valid = valid.address if valid else None
        self.buffers = np.array([buffer.address for buffer in buffers] or [0], np.uintp)

    @property
    def arguments(self) -> tuple[int, int, int | None, int, int]:
        """Views, buffers, bitmap and its first bit, rows."""
        return self.views, _address(self.buffers), self.valid, self.offset, self.rows


def _address(array: NDArray[Any]) -> int:
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])


def _inside(places: Places, data: NDArray[np.uint8]) -> Places:
    """The places as the functions take them: C does not look whether they are in the data."""
    places = np.ascontiguousarray(places, np.int64)
    if len(places) and not (places.min() >= 0 and places.max() <= len(data)):
        raise IndexError("places outside of the data")
    return places
