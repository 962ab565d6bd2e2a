"""Columns that Polars and C share without a copy: the Arrow C data interface, by hand.

https://arrow.apache.org/docs/format/CDataInterface.html and CDataInterface/PyCapsuleInterface.html describe the three
structures, and who releases them. PyArrow would do the same, but takes 50 ms and 30 MB to load, which is more than
reading an ordinary log.

An array that is exported keeps its owners (what its addresses point into) in `_held` until Polars releases it, from any
thread. An array that is imported is released with its `Imported`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final

from logstats.frames import pl

VIEWS: Final = b"vu"  # the format of columns of string views
_NULLABLE: Final = 2  # ARROW_FLAG_NULLABLE


class _Schema(ctypes.Structure):
    """`struct ArrowSchema`."""

    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("format", "name", "metadata")),
        *((name, ctypes.c_int64) for name in ("flags", "n_children")),
        *((name, ctypes.c_void_p) for name in ("children", "dictionary", "release", "private_data")),
    ]


class _Array(ctypes.Structure):
    """`struct ArrowArray`."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        *((name, ctypes.c_void_p) for name in ("children", "dictionary", "release", "private_data")),
    ]


class _Stream(ctypes.Structure):
    """`struct ArrowArrayStream`."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("schema", "next", "last_error", "release", "private_data")]


_Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Get = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_capsule: Final = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_pointer: Final = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

_held: Final[dict[int, object]] = {}
_keys: Final = count(1)


def _release_array(place: int, held: dict[int, object] = _held, array: Any = _Array) -> None:
    """Called when an exported array is no longer needed. Its names are arguments, since those of the module are gone
    when Python ends."""
    released = array.from_address(place)
    released.release = None
    held.pop(released.private_data, None)


def _release_schema(place: int, schema: Any = _Schema) -> None:
    schema.from_address(place).release = None


def _forever(function: Callable[[int], None]) -> int | None:
    """The address of a function that Polars may call, even when this module is gone."""
    made = _Release(function)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    return ctypes.cast(made, ctypes.c_void_p).value


_RELEASE_ARRAY, _RELEASE_SCHEMA = _forever(_release_array), _forever(_release_schema)


class _Exported:
    """An array as Polars takes it."""

    def __init__(self, schema: _Schema, array: _Array) -> None:
        self._schema, self._array = schema, array

    def __arrow_c_array__(self, _requested: object = None) -> tuple[object, object]:
        return (
            _capsule(ctypes.addressof(self._schema), b"arrow_schema", None),
            _capsule(ctypes.addressof(self._array), b"arrow_array", None),
        )


def exported(form: bytes, rows: int, addresses: Sequence[int | None], owners: object, offset: int = 0) -> pl.Series:
    """A column of this format ("l" for Int64; the specification lists them) over the buffers at these addresses, of
    which the first is the validity bitmap, or None. Nothing is copied; the owners are kept as long as the column."""
    key, places = next(_keys), (ctypes.c_void_p * len(addresses))(*addresses)
    _held[key] = (places, owners)
    nulls = 0 if addresses[0] is None else -1
    pointer = ctypes.cast(places, ctypes.POINTER(ctypes.c_void_p))
    array = _Array(rows, nulls, offset, len(addresses), 0, pointer, None, None, _RELEASE_ARRAY, key)
    schema = _Schema(form, b"", None, _NULLABLE, 0, None, None, _RELEASE_SCHEMA, None)
    try:
        return pl.Series(_Exported(schema, array))
    finally:
        if array.release:  # Polars has not taken it
            _held.pop(key, None)


_checked: Final[list[bool]] = []


def _check(stream: int) -> None:
    """Raise TypeError if Polars gives a stream of texts as anything but string views, which once is enough to know."""
    if _checked:
        return
    schema = _Schema()
    if _Get(_Stream.from_address(stream).schema)(stream, ctypes.addressof(schema)) or schema.format != VIEWS:
        raise TypeError(f"Polars shares texts as {schema.format!r}, not as string views")
    _Release(schema.release)(ctypes.addressof(schema))
    _checked.append(True)


class Imported:
    """The place in memory of a column of texts (String): 16 bytes of Arrow's string view for each row, and the buffers
    of long texts. The addresses hold as long as this object."""

    def __init__(self, texts: pl.Series) -> None:
        self._array = _Array()
        capsule = texts.rechunk().__arrow_c_stream__(None)  # which the capsule releases
        place = _pointer(capsule, b"arrow_array_stream")
        _check(place)
        if _Get(_Stream.from_address(place).next)(place, ctypes.addressof(self._array)):
            raise MemoryError("a column of texts cannot be shared")
        found, self.rows, self.offset = self._array, int(self._array.length), int(self._array.offset)
        self.valid: int | None = None
        self.views: int | None = None
        self.buffers: list[int] = []
        self.sizes: list[int] = []
        if found.release:  # else no row was given
            self.valid, self.views, *self.buffers, sizes = found.buffers[: found.n_buffers]
            self.sizes = list((ctypes.c_int64 * len(self.buffers)).from_address(sizes)) if self.buffers else []

    def __del__(self) -> None:
        if self._array.release:
            _Release(self._array.release)(ctypes.addressof(self._array))
