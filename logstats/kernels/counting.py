"""The interface to `count.c`: requests of a chunk → the tables of a report, in one call for all its lines.

The memory that it works in is a `Workspace`, of which each thread has one; it is used again for every chunk.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import Pointers, Strings, Texts, address
from logstats.kernels.interning import Dictionary
from logstats.kernels.library import Numbers, Places
from logstats.kernels.tallies import Codes

ROLES: Final = ("time", "request", "method", "target", "status", "size", "user", "client")
LONGEST_NS: Final = 1 << 50  # 13 days: a longer duration is not certain here
_SUM: Final = 2**63 - 1  # of durations at most
BUCKET_BITS: Final = 11
_LEFT, _COUNTED, _WAITING = 0, 1, 2
_CLASSES: Final = 10
_CELL_BITS: Final = 6
_ROOM: Final = 1024 * 32
_USERS: Final = 1 << 18
_USER: Final = 32  # bytes
_LINES: Final = 1 << 14
_LINE: Final = 64  # bytes
_BLOCK: Final = 256
_STATUSES: Final = 1000
_KNOWN: Final = 100_000  # names, and methods and paths that Python decided about, …
_BYTES: Final = 20 << 20  # … and their bytes, beyond which they are forgotten
_NAMES: Final = 1 << 13  # names that have room at once
_LONG: Final = 1 << 20  # bytes of long texts that have room at once
_ROUNDS: Final = 64

KEY_CELL: Final = np.dtype(
    [(n, np.int64) for n in ("key", "status_class", "requests", "bytes", "timed", "ns", "ns_min", "ns_max")]
)
MINUTE_CELL: Final = np.dtype([(name, np.int64) for name in ("minute", "status_class", "requests", "bytes")])


class _Requests(ctypes.Structure):
    """The `requests` of count.c."""

    _fields_ = [
        ("columns", ctypes.c_void_p * len(ROLES)),
        *((name, ctypes.c_void_p) for name in ("fit", "lines")),
        ("rows", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("durations", "powers", "looks")),
        *((name, ctypes.c_int64) for name in ("duration_count", "longest")),
        *((name, ctypes.c_void_p) for name in ("shaped", "tables", "kinds")),
        ("shaped_count", ctypes.c_int64),
        ("form", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("form_size", "earliest", "latest")),
        *((name, ctypes.c_void_p) for name in ("bounds", "cells", "targets", "decisions", "buffers", "target_names")),
        *((name, ctypes.c_int64) for name in ("decided", "templates", "events")),
        ("users", ctypes.c_void_p),
        ("request_lines", ctypes.c_void_p),
        ("seed", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("names", "name_keys", "key_names", "key_first", "key_cells", "text")),
        *((name, ctypes.c_void_p) for name in ("minutes", "minute_first", "minute_cells", "slots")),
        ("slot_mask", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("states", "by_key", "by_minute", "key_codes", "minute_codes")),
        *((name, ctypes.c_void_p) for name in ("user_codes", "statuses")),
        *((name, ctypes.c_int64) for name in ("counted", "key_count", "key_cell_count", "minute_cell_count")),
        *((name, ctypes.c_int64) for name in ("minute_count", "timed", "user_count", "first", "last")),
    ]


class _TextLines(ctypes.Structure):
    """The `text_lines` of count.c."""

    _fields_ = [
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("ends", ctypes.c_void_p),
        ("lines", ctypes.c_int64),
        ("steps", ctypes.c_void_p),
        ("step_count", ctypes.c_int64),
        ("literals", ctypes.c_void_p),
        ("views", ctypes.c_void_p),
    ]


class Source(Protocol):
    """The texts of fields with these names, of so many rows."""

    rows: int
    names: Sequence[str]

    def column(self, name: str) -> int:
        """The address of a `column` of kernels.h. The source keeps it."""
        ...

    def count(self, it: ctypes.Structure) -> None:
        """Count the requests that wait."""
        ...


class Fields:
    """The texts of fields in columns (String), and the number of the line of each row (`line`, UInt32)."""

    def __init__(self, fields: pl.DataFrame) -> None:
        self.rows = fields.height
        self.names: Sequence[str] = fields.columns
        self._fields, self._columns = fields, dict[str, Texts]()
        self._lines = np.ascontiguousarray(fields["line"].to_numpy())

    def column(self, name: str) -> int:
        """The address of a column."""
        if name not in self._columns:
            self._columns[name] = Texts(self._fields[name])
            assert self._columns[name].rows == self.rows
        return self._columns[name].pointer

    def count(self, it: ctypes.Structure) -> None:
        """Count the requests that wait."""
        it.lines, it.rows = address(self._lines), self.rows
        kernels.call("count_requests", it)


class Lines:
    """The lines of a text, which a program (`steps` of type `STEP`; see lines.c) cuts into the columns of these `names`
    while they are counted. The data is UTF-8 and below 2 GiB."""

    def __init__(
        self,
        data: bytes | memoryview,
        starts: Places,
        ends: Places,
        steps: NDArray[Any],
        literals: bytes,
        names: Sequence[str],
    ) -> None:
        array = np.frombuffer(data, np.uint8)
        self.rows, self.names = len(starts), names
        starts, ends = kernels.inside(starts, array), kernels.inside(ends, array)
        words, views = np.frombuffer(literals or b"\0", np.uint8), np.empty((len(names) or 1, _BLOCK, 2), np.uint64)
        buffers, columns = np.array([address(array)], np.uintp), np.array([address(one) for one in views], np.uintp)
        self._columns = {
            name: Pointers(int(columns[place]), address(buffers), None, 0, _BLOCK) for place, name in enumerate(names)
        }
        self._kept = (array, starts, ends, steps, words, views, buffers, columns)
        places = [address(one) for one in (starts, ends)]
        self._lines = _TextLines(
            address(array), len(array), *places, self.rows, address(steps), len(steps), address(words), address(columns)
        )

    def column(self, name: str) -> int:
        """The address of a column."""
        return ctypes.addressof(self._columns[name])

    def count(self, it: ctypes.Structure) -> None:
        """Count the requests that wait."""
        kernels.call("count_text", it, self._lines)


class Buckets:
    """The greatest duration of each bucket in whole nanoseconds, in order, up to at least `LONGEST_NS`."""

    def __init__(self, bounds: NDArray[np.int64]) -> None:
        assert bounds[-1] >= LONGEST_NS and len(bounds) < 1 << BUCKET_BITS
        self.bounds = bounds
        # The least duration with each exponent and first bits of a Float64, and its bucket.
        octaves = range(LONGEST_NS.bit_length() + 1)
        steps = np.arange(1 << _CELL_BITS) / (1 << _CELL_BITS) + 1
        least = np.concatenate([np.ceil(2.0**octave * steps) for octave in octaves])
        self.cells = np.searchsorted(bounds, least.astype(np.int64)).astype(np.uint16)


class Duration:
    """A column of durations: the unit of its numbers is ten to the power of `power` nanoseconds. `looks` are those that
    a certain one may have, as count.c has them; None for any."""

    def __init__(self, name: str, power: int, looks: bytes | None) -> None:
        assert looks is None or len(looks) == 256
        self.name, self.power, self.looks = name, power, looks


class Shaped:
    """A column whose texts must have a form: see `library.shaped`."""

    def __init__(self, name: str, table: bytes, kind: int) -> None:
        self.name, self.table, self.kind = name, table, kind


class Question:
    """What to count: the names of the `columns` by role, which rows may be counted (`fit`, None for all), and what is
    said in count.c. `decide` gives the names of its `targets`, about which C is not certain; `over_time` asks for
    durations by minute."""

    def __init__(
        self,
        columns: Mapping[str, str],
        durations: Sequence[Duration],
        shaped: Sequence[Shaped],
        form: str,
        span: tuple[int, int],
        decide: Callable[[list[str]], list[str]],
        *,
        templates: bool,
        events: bool,
        over_time: bool,
        fit: NDArray[np.bool_] | None = None,
    ) -> None:
        self.columns, self.fit, self.durations, self.shaped = columns, fit, durations, shaped
        self.form, self.span, self.decide = form, span, decide
        self.templates, self.events, self.over_time = templates, events, over_time


class Found:
    """What was counted: how many requests, which rows are `left`; the cells, and codes as count.c says."""

    def __init__(self, question: Question, it: _Requests, work: Workspace, rows: int) -> None:
        self.counted = int(it.counted)
        self.left = work.states[:rows] != _COUNTED
        self.span = int(it.first), int(it.last)
        self.keys = work.names.held(work.key_names[: it.key_count])
        self.key_first = work.key_first[: it.key_count].copy()
        self.by_key = kernels.copied(work.by_key[: it.key_cell_count])
        self.minutes = work.minutes[: it.minute_count].copy()
        self.minute_first = work.minute_first[: it.minute_count].copy()
        self.by_minute = work.by_minute[: it.minute_cell_count].copy()
        self.statuses = work.statuses.copy()
        self.key_codes: Codes = work.key_codes[: it.timed]
        self.minute_codes: Codes = work.minute_codes[: it.timed if question.over_time else 0]
        self.user_codes: Codes = work.user_codes[: it.user_count]


class Workspace:
    """The memory of one thread, for questions with the same buckets that decide in the same way."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._seed = int.from_bytes(os.urandom(8), "little")
        self._users = _aligned(_USERS * _USER)
        self._request_lines = _aligned(_LINES * _LINE)
        self._text = np.empty(_ROOM, np.uint8)
        self.statuses = np.zeros(_STATUSES, np.int64)
        self._rows = 0
        self._forget()
        self._make_room(1 << 10)

    def _forget(self) -> None:
        self.names, self._targets = Dictionary(_NAMES, _LONG), Dictionary(0, _LONG)
        self._decisions, self._target_names = Strings(), np.zeros(0, np.uint32)
        self._name_keys = np.zeros(0, np.uint32)
        self._request_lines[:] = 0

    def _make_room(self, rows: int) -> None:
        """Have room for so many rows."""
        if rows <= self._rows:
            return
        self._rows = rows = max(rows, 2 * self._rows)
        self.states = np.empty(rows, np.uint8)
        self.by_key, self.by_minute = np.empty(rows, KEY_CELL), np.empty(rows, MINUTE_CELL)
        self.key_names, self.key_first = np.empty(rows, np.uint32), np.empty(rows, np.uint32)
        self.key_cells = np.empty(rows * _CLASSES, np.uint32)
        self.minutes, self.minute_first = np.empty(rows, np.int64), np.empty(rows, np.uint32)
        self.minute_cells = np.empty(rows * _CLASSES, np.uint32)
        self.slots = np.zeros(1 << (2 * rows).bit_length(), np.uint32)
        self.key_codes, self.minute_codes, self.user_codes = (np.empty(rows, np.uint64) for _ in range(3))

    def count(self, question: Question, source: Source) -> Found:
        """Count what is certain. The codes that are found are valid until the next call."""
        rows = source.rows
        self._make_room(rows)
        self.states[:rows] = _WAITING
        self.statuses[:] = 0
        self.slots[:] = 0
        if any(known.nbytes > _BYTES or len(known) > _KNOWN for known in (self.names, self._targets)):
            self._forget()
        it, kept = self._prepared(question, source)
        name_keys = self._name_keys
        name_keys[:] = 0
        for _ in range(_ROUNDS):
            decided = len(self._decisions)
            it.decisions, it.buffers = self._decisions.places
            it.decided = decided
            self._target_names = _longer(self._target_names, decided)
            self._name_keys = name_keys = _longer(name_keys, int(self.names.table.most))
            it.target_names, it.name_keys = address(self._target_names), address(name_keys)
            it.targets, it.names = ctypes.addressof(self._targets.table), ctypes.addressof(self.names.table)
            source.count(it)
            if not (self.states[:rows] == _WAITING).any():
                break
            if len(self._targets) > decided:
                self._decisions.append(question.decide(self._targets.strings(decided)))
            for dictionary in (self._targets, self.names):
                dictionary.grow_if_short(_LONG)
        del kept
        return Found(question, it, self, rows)

    def _prepared(self, question: Question, source: Source) -> tuple[_Requests, list[Any]]:
        """The argument, and what it points to."""
        it, kept = _Requests(), list[Any]()

        def pointer(array: NDArray[Any]) -> int:
            kept.append(array)
            return address(array)

        def pointers(numbers: Sequence[int]) -> int:
            return pointer(np.array(numbers or [0], np.uint64))

        for place, role in enumerate(ROLES):
            it.columns[place] = source.column(question.columns[role]) if role in question.columns else None
        it.fit = None if question.fit is None else pointer(np.ascontiguousarray(question.fit))
        it.durations = pointers([source.column(one.name) for one in question.durations])
        it.powers, it.duration_count = pointers([one.power for one in question.durations]), len(question.durations)
        it.longest = min(LONGEST_NS, _SUM // max(source.rows, 1))
        looks = [0 if one.looks is None else pointer(np.frombuffer(one.looks, np.uint8)) for one in question.durations]
        it.looks = pointers(looks)
        it.shaped = pointers([source.column(one.name) for one in question.shaped])
        it.tables = pointers([pointer(np.frombuffer(one.table, np.uint8)) for one in question.shaped])
        it.kinds, it.shaped_count = pointers([one.kind for one in question.shaped]), len(question.shaped)
        form = np.frombuffer(question.form.encode(), np.uint8)
        it.form, it.form_size = pointer(form), len(form)
        it.earliest, it.latest = question.span
        it.bounds, it.cells = address(self._buckets.bounds), address(self._buckets.cells)
        it.templates, it.events = question.templates, question.events
        it.users, it.request_lines, it.seed = address(self._users), address(self._request_lines), self._seed
        it.text = address(self._text)
        for name in ("key_names", "key_first", "key_cells", "minutes", "minute_first", "minute_cells", "slots"):
            setattr(it, name, address(getattr(self, name)))
        for name in ("states", "by_key", "by_minute", "key_codes", "user_codes", "statuses"):
            setattr(it, name, address(getattr(self, name)))
        it.minute_codes = address(self.minute_codes) if question.over_time else None
        it.slot_mask = len(self.slots) - 1
        it.first, it.last = 2**63 - 1, -(2**63)
        return it, kept


def _aligned(size: int) -> NDArray[np.uint8]:
    """Zeros that begin at the beginning of a cache line."""
    room = np.zeros(size + _LINE, np.uint8)
    begin = -address(room) % _LINE
    return room[begin : begin + size]


def _longer(numbers: Numbers, size: int) -> Numbers:
    """The numbers, followed by zeros up to a size."""
    if len(numbers) >= size:
        return numbers
    longer = np.zeros(size, np.uint32)
    longer[: len(numbers)] = numbers
    return longer
