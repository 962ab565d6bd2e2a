"""The interface to the functions in C, which read the bytes of every line and the texts of every row.

They release the GIL: other threads run meanwhile. `scripts/build_kernels.py` compiles them when logstats is installed.
If that failed, `AVAILABLE` is false, and the reference path of every format reads every line, with the same result in
ten times the time. A value that is `certain` here is the one that the slower code would give; the others are left to
that code.

Decision: C, called through ctypes. The work on every byte decides the speed, and takes ten times as long in Python. The
functions are few, take pointers and numbers, and allocate nothing, so that nothing of Python's own interface is needed:
one library serves every Python, and a platform takes one wheel (`py3-none`) instead of one for each version. They use
no header of a C library and no symbol but memcpy and the like, so any compiler makes them, Zig's for six platforms on
one machine. The price is that nothing checks a call: the arguments are made in this file only, places are checked
against the data before they are passed, and a library whose functions are called otherwise (`ABI`) is not used. The
other ways were slower for a whole report: 800,000 lines/s with a regular expression in Polars, 1,070,000 with SQL by
hand in DuckDB and twice the memory (scripts/bench_duckdb.py), against 1,520,000 with these functions.

`columns` shares Polars columns with C; `interning` numbers texts. May use: nothing of the package.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels.columns import Mask, Strings, Texts, address, as_numbers, as_texts

Places = NDArray[np.int64]
Marks = tuple[Places, bool, bool]  # of `marked_line_ends`
Numbers = NDArray[np.uint32]

_BLOCK: Final = 1 << 20
_SHORT: Final = 32  # bytes of a line; if there are more lines than that makes, their ends are looked for again
_UNCERTAIN: Final = 0  # states in `numbers.c`: another reader must read the text,
_VALUE: Final = 1  # and: the value is certain

Item = TypeVar("Item", bound=np.generic)

_NO_BUCKET: Final = -(2**31)  # as in `histograms.c`
_PAIR: Final = 40  # bytes that a pair takes there, at most

WORD, ADDRESS, WORDS = 0, 1, 2  # kinds of texts in `numbers.c`

LIBRARY: Final = Path(__file__).with_name("kernels.so")
STEP: Final = np.dtype([(name, np.int32) for name in ("code", "column", "literal", "size", "never", "nevers", "least")])

ABI: Final = 15  # as in kernels.h: the version of the signatures

# The functions that return a number, and those that only write to their arguments.
_COUNTING: Final = (
    *("abi", "count_lines", "line_ends", "cut", "intern", "group", "group_texts", "limit"),
    *("text_bytes", "templates", "integers", "durations", "present", "shaped"),
    *("tally", "highest", "merge_tallies", "ends_of", "pack", "add_cells"),
)
_FILLING: Final = (
    *("texts", "place", "times", "request_lines", "targets", "ranks", "registers", "raise"),
    *("ranks_of_columns", "reduce", "histograms", "users"),
    "count_requests",
    "count_text",
)


class Table(ctypes.Structure):
    """The hash table of `intern.c`."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("slots", "texts", "segments")),
        *((name, ctypes.c_uint64) for name in ("mask", "count", "most", "segment", "used", "room", "seed")),
    ]


def _loaded() -> ctypes.CDLL | None:
    """The library; None if there is none for this machine, or if it is of another version: it lacks a function, or has
    another `ABI`."""
    if sys.byteorder != "little":  # Arrow's views have the machine's byte order; `lines.c` requires little-endian
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    try:
        for name in _COUNTING:
            getattr(library, name).restype = ctypes.c_int64
        for name in _FILLING:
            getattr(library, name).restype = None
        known = library.abi() == ABI
    except AttributeError:  # it lacks a function
        known = False
    return library if known else None


_library: Final[Any] = _loaded()
AVAILABLE: Final = _library is not None


def call(name: str, *arguments: int | NDArray[Any] | Texts | Strings | ctypes.Structure) -> int:
    """Call a function with numbers (64 bits), and pointers to everything else."""
    passed = []
    for argument in arguments:
        if isinstance(argument, int):
            passed.append(ctypes.c_uint64(argument))
        elif isinstance(argument, np.ndarray):
            passed.append(ctypes.c_uint64(address(argument)))
        elif isinstance(argument, Texts | Strings):
            passed.append(ctypes.c_uint64(argument.pointer))
        else:
            passed.append(ctypes.c_uint64(ctypes.addressof(argument)))
    return int(getattr(_library, name)(*passed) or 0)


def copied(array: NDArray[Item]) -> NDArray[Item]:
    """A copy of an array, during which, unlike during NumPy's, other threads run."""
    copy = np.empty_like(array)
    ctypes.memmove(address(copy), address(array), array.nbytes)
    return copy


def sort(numbers: NDArray[np.uint64]) -> None:
    """Sort numbers where they are. NumPy does so with the processor's vectors, and lets other threads run meanwhile."""
    numbers.sort()


def count_lines(data: bytes | memoryview) -> int:
    """The number of newlines."""
    array = np.frombuffer(data, np.uint8)
    if not AVAILABLE:
        blocks = range(0, len(array), _BLOCK)  # in blocks, which need little memory
        return sum(int(np.count_nonzero(array[start : start + _BLOCK] == ord("\n"))) for start in blocks)
    return call("count_lines", array, len(array))


def line_ends(data: bytes | memoryview) -> Places:
    """The offsets of the newlines."""
    return marked_line_ends(data)[0]


def marked_line_ends(data: bytes | memoryview) -> Marks:
    """(the offsets of the newlines, whether there may be a carriage return or a NUL, whether a byte may not be
    ASCII)."""
    array = np.frombuffer(data, np.uint8)
    if not AVAILABLE:
        return np.flatnonzero(array == ord("\n")), True, True
    marks, room = np.zeros(1, np.uint8), len(array) // _SHORT + 1
    while True:
        ends = np.empty(room, np.int64)
        found = call("line_ends", array, len(array), ends, room, marks)
        if found <= room:
            return ends[:found], bool(marks[0] & 1), bool(marks[0] & 2)
        room = found


def texts(data: bytes | memoryview, starts: Places, ends: Places) -> pl.Series:
    """The texts (String) between each start and end, as views of the UTF-8 data, which is below 2 GiB."""
    array, views = np.frombuffer(data, np.uint8), np.empty((len(starts), 2), np.uint64)
    call("texts", array, len(array), inside(starts, array), inside(ends, array), len(starts), views)
    return as_texts(views, [data])


def cut(
    data: bytes | memoryview, starts: Places, ends: Places, steps: NDArray[Any], literals: bytes, columns: int
) -> tuple[Numbers, list[pl.Series]]:
    """Run a program (`steps` of type `STEP`; see `lines.c`) on every line of UTF-8 data below 2 GiB. Returns the lines
    that match, and their columns of texts, as views of the data."""
    array, lines = np.frombuffer(data, np.uint8), np.empty(len(starts), np.uint32)
    views = [np.empty((len(starts), 2), np.uint64) for _ in range(columns)]
    places = np.array([address(column) for column in views] or [0], np.uintp)
    words = np.frombuffer(literals or b"\0", np.uint8)
    found = call(
        "cut",
        array,
        len(array),
        inside(starts, array),
        inside(ends, array),
        len(starts),
        steps,
        len(steps),
        words,
        places,
        lines,
    )
    return lines[:found], [as_texts(column[:found], [data]) for column in views]


def intern(table: Table, texts: Texts, row: int, numbers: Numbers) -> int:
    """Number texts from a row on. Returns the row at which there was no more room, or the number of rows."""
    return call("intern", table, texts, row, numbers)


def place(table: Table) -> None:
    """Fill the slots of a table again, after their number has grown."""
    call("place", table)


def group(keys: NDArray[np.uint64]) -> tuple[Numbers, Numbers]:
    """(the group of each key, numbered from 0 in order of first appearance; the first row of each group)."""
    if len(keys) and bool((keys[1:] >= keys[:-1]).all()):  # as those of a file are, by the first columns of its order
        starts = np.append(True, keys[1:] != keys[:-1])
        return np.cumsum(starts, dtype=np.uint32) - np.uint32(1), np.flatnonzero(starts).astype(np.uint32)
    if not AVAILABLE:
        _, first, groups = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), np.uint32)
        rank[order] = np.arange(len(order), dtype=np.uint32)
        return rank[groups], first[order].astype(np.uint32)
    return _grouped("group", len(keys), keys, len(keys))


def group_texts(texts: pl.Series) -> tuple[Numbers, Numbers]:
    """The same for texts (String), compared by their place in memory, so that equal texts may be in several groups."""
    if not AVAILABLE:
        every = np.arange(len(texts), dtype=np.uint32)
        return every, every
    return _grouped("group_texts", len(texts), Texts(texts))


SUM, LEAST, GREATEST = 0, 1, 2  # what `reduce` makes of the values of a group


def reduce(groups: Numbers, values: NDArray[Any], how: int, to: NDArray[Any]) -> None:
    """Make one number of the values of each group, in `to`, which begins with 0 for a sum, else with one of them.
    `groups` has the number of each value's group, which must be one of `to`. (NumPy would hold the interpreter.)"""
    if AVAILABLE and values.dtype == to.dtype == np.int64:
        assert len(groups) == len(values)
        assert not len(groups) or int(groups.max()) < len(to)
        call("reduce", groups, np.ascontiguousarray(values), len(groups), how, to)
    else:
        (np.add, np.minimum, np.maximum)[how].at(to, groups, values)


def _grouped(name: str, rows: int, *keys: Any) -> tuple[Numbers, Numbers]:
    slots = np.zeros(1 << (2 * rows).bit_length(), np.uint32)
    groups, firsts = np.empty(rows, np.uint32), np.empty(rows, np.uint32)
    seed = int.from_bytes(os.urandom(8), "little")
    found = call(name, *keys, slots, len(slots) - 1, seed, groups, firsts)
    return groups, firsts[:found]


def times(texts: pl.Series | Strings, form: str) -> tuple[NDArray[np.int64], Mask]:
    """(times in microseconds since 1970, as `strptime` reads them and without regard to a zone that is not in the text;
    which are certain).

    The form may use %Y %m %b %d %H %M %S %.f %z %#z.
    """
    spelled = np.frombuffer(form.encode(), np.uint8)
    micros, certain = np.empty(len(texts), np.int64), np.empty(len(texts), np.bool_)
    call("times", texts if isinstance(texts, Strings) else Texts(texts), spelled, len(spelled), micros, certain)
    return micros, certain


def integers(texts: pl.Series, least: int, most: int) -> tuple[pl.Series, Mask]:
    """(whole numbers in a range, Int64, with null for `-`, an empty text and null; the rows that are not certain)."""
    values, states = np.empty(len(texts), np.int64), np.empty(len(texts), np.uint8)
    certain = call("integers", Texts(texts), least, most, values, states)
    return _known(values, states, bool(certain))


def durations(texts: pl.Series, power: int, most: int) -> tuple[pl.Series, Mask]:
    """The same for durations in nanoseconds (Int64) up to a value. The unit of a number without one is ten to the power
    of `power` nanoseconds."""
    values, states = np.empty(len(texts), np.int64), np.empty(len(texts), np.uint8)
    certain = call("durations", Texts(texts), power, most, values, states)
    return _known(values, states, bool(certain))


def _known(values: NDArray[np.int64], states: NDArray[np.uint8], certain: bool) -> tuple[pl.Series, Mask]:
    return as_numbers(values, states == _VALUE), np.zeros(0, np.bool_) if certain else states == _UNCERTAIN


def present(texts: pl.Series) -> pl.Series:
    """The texts (String), with null for `-` and the empty text."""
    column, states = Texts(texts), np.empty(len(texts), np.bool_)
    return texts if call("present", column, states) else column.where(states).alias(texts.name)


def shaped(texts: pl.Series, table: bytes, kind: int) -> Mask | None:
    """The texts (String) that certainly have a form (see `shaped` in numbers.c), as a mask; None if all have."""
    column, states = Texts(texts), np.empty(len(texts), np.bool_)
    return None if call("shaped", column, np.frombuffer(table, np.uint8), kind, states) else states


def request_lines(texts: pl.Series) -> tuple[pl.Series, pl.Series, pl.Series, Mask]:
    """(method, target, protocol, which rows are certain) of request lines; rows that are not certain are null."""
    column, certain = Texts(texts), np.empty(len(texts), np.bool_)
    methods, targets, protocols = (np.empty((len(texts), 2), np.uint64) for _ in range(3))
    call("request_lines", column, methods, targets, protocols, certain)
    method, target, protocol = (as_texts(views, column.buffers, certain) for views in (methods, targets, protocols))
    return method, target, protocol, certain


def targets(texts: pl.Series) -> tuple[pl.Series, pl.Series, Mask]:
    """(path, query, which rows are certain) of request targets; rows that are not certain are null."""
    column, certain, has_query = Texts(texts), np.empty(len(texts), np.bool_), np.empty(len(texts), np.bool_)
    paths, queries = np.empty((len(texts), 2), np.uint64), np.empty((len(texts), 2), np.uint64)
    call("targets", column, paths, queries, has_query, certain)
    return as_texts(paths, column.buffers, certain), as_texts(queries, column.buffers, has_query), certain


def templates(paths: pl.Series) -> tuple[pl.Series, Mask]:
    """(endpoints, which rows are certain) of paths; rows that are not certain are null."""
    column, certain = Texts(paths), np.empty(len(paths), np.bool_)
    room = np.empty(3 * call("text_bytes", column) + 4 * len(paths), np.uint8)
    views = np.empty((len(paths), 2), np.uint64)
    used = call("templates", column, 0, room, views, certain)
    return as_texts(views, [room[:used].copy()], certain), certain


def inside(places: Places, data: NDArray[np.uint8]) -> Places:
    """The offsets as the functions take them. Raises IndexError for one outside of the data, which C does not check."""
    places = np.ascontiguousarray(places, np.int64)
    if len(places) and not (places.min() >= 0 and places.max() <= len(data)):
        raise IndexError("places outside of the data")
    return places


def ranks(rows: Numbers, ends: Places, registers: int) -> NDArray[np.int64]:
    """The number of registers with each rank: (sketches, 64). The rows of sketch i end at `ends[i]`; each is `register
    << 6 | rank`, and the highest rank of a register counts. `registers` is a power of two."""
    counts = np.zeros((len(ends), 64), np.int64)
    counts[:, 0] = registers
    call("ranks", rows, ends, len(ends), np.zeros(registers, np.uint8), registers - 1, counts)
    return counts


def ranks_of_columns(
    rows: NDArray[np.uint16], of_rows: NDArray[np.uint8], ends: Places, registers: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """As `ranks`, of rows in two columns, the registers and their ranks; `registers` are raised to all of them."""
    rows, of_rows = np.ascontiguousarray(rows, np.uint16), np.ascontiguousarray(of_rows, np.uint8)
    if not len(rows) == len(of_rows) == (ends[-1] if len(ends) else 0):
        raise IndexError("not one rank for each row")
    counts = np.zeros((len(ends), 64), np.int64)
    counts[:, 0] = len(registers)
    held = np.zeros(len(registers), np.uint8)
    call("ranks_of_columns", rows, of_rows, ends, len(ends), held, len(registers) - 1, counts, registers)
    return counts


def pack(registers: NDArray[np.uint8]) -> bytes:
    """The registers of a sketch in fewer bytes, as sketches.c has it."""
    packed = np.empty_like(registers)
    return packed[: call("pack", registers, len(registers), packed)].tobytes()


def users(
    codes: NDArray[np.uint64], minutes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint8]]:
    """The minutes, registers and ranks of codes in order: the number of a minute << 20 | register << 6 | rank. Raises
    IndexError for a code of no minute."""
    if len(codes) and int(codes[-1] >> np.uint64(20)) >= len(minutes):
        raise IndexError("a code has no minute")
    if not AVAILABLE:
        ranks = codes.astype(np.uint8) & np.uint8(63)
        return minutes[codes >> np.uint64(20)], (codes >> np.uint64(6)).astype(np.uint16) & np.uint16(0x3FFF), ranks
    found = np.empty(len(codes), np.int64), np.empty(len(codes), np.uint16), np.empty(len(codes), np.uint8)
    call("users", codes, len(codes), np.ascontiguousarray(minutes, np.int64), *found)
    return found


def add_cells(
    cells: NDArray[np.int64],
    ids: NDArray[np.int64],
    classes: int,
    places: Places,
    held: NDArray[np.int64],
    figures: NDArray[np.int64],
    known: int,
    totals: NDArray[np.int64],
) -> int | None:
    """Add cells (rows, 8) to figures (rows, 6), as `add_cells` in `tallies.c` says. Returns how many of these are known
    then; None if a total would need more than 64 bits. Raises IndexError for cells without a place, or room."""
    if known + len(cells) > min(len(held), len(figures)):
        raise IndexError("there is no room for so many cells")
    if AVAILABLE:
        cells, ids = np.ascontiguousarray(cells), np.ascontiguousarray(ids)
        room = places, len(places), held, figures
        found = call("add_cells", cells, len(cells), ids, len(ids), classes, *room, known, totals)
        if found == -1:
            raise IndexError("a cell has no place")
        return found if found >= 0 else None
    keys, of_class = cells[:, 0], cells[:, 1]
    if ((keys < 0) | (keys >= len(ids)) | (of_class < 0) | (of_class >= classes)).any():
        raise IndexError("a cell has no such key or class")
    used = ids[keys]
    if ((used < -1) | (used >= len(places) // classes - 1)).any():
        raise IndexError("a cell has no place")
    sums = [total + sum(column) for total, column in zip(totals.tolist(), cells[:, 2:6].T.tolist(), strict=True)]
    if max(sums) > 2**63 - 1:
        return None
    of_cells = (used + 1) * classes + of_class
    new, first = np.unique(of_cells[places[of_cells] < 0], return_index=True)
    most = known + len(new)
    held[known:most] = new[np.argsort(first)]
    places[held[known:most]] = np.arange(known, most)
    at = places[of_cells]
    np.add.at(figures[:, :4], at, cells[:, 2:6])
    np.minimum.at(figures[:, 4], at, cells[:, 6])
    np.maximum.at(figures[:, 5], at, cells[:, 7])
    totals[:] = sums
    return most


def histograms(buckets: pl.Series, counts: pl.Series, ends: Places) -> pl.Series:
    """Histograms as JSON (`histograms.c`): lists of [bucket, count], of a bucket (Int32) that may be null and a count
    (Int64). Those of histogram i end at `ends[i]`. Raises IndexError if that is not so."""
    ends, count = np.ascontiguousarray(ends, np.int64), len(ends)
    if (np.diff(ends, prepend=0) < 0).any() or not len(buckets) == len(counts) == (ends[-1] if count else 0):
        raise IndexError("not one count for each bucket, or not in order")
    numbers = np.ascontiguousarray(buckets.fill_null(_NO_BUCKET).to_numpy(), np.int32)
    room, texts_end = np.empty(_PAIR * len(buckets) + 2 * count, np.uint8), np.empty(count, np.int64)
    call("histograms", numbers, np.ascontiguousarray(counts.to_numpy(), np.int64), ends, count, room, texts_end)
    begins = np.append(0, texts_end[:-1]) if count else texts_end
    return texts(room[: texts_end[-1] if count else 0].tobytes(), begins, texts_end)


def ends_of(keys: NDArray[np.int64]) -> Places | None:
    """Where each run of equal keys ends; None if they are not in order."""
    keys = np.ascontiguousarray(keys, np.int64)
    ends = np.empty(len(keys), np.int64)
    runs = call("ends_of", keys, len(keys), ends)
    return None if runs < 0 else ends[:runs].copy()


def registers(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The register (UInt16) and rank (UInt8) of each text in a HyperLogLog sketch (`sha1.c`); both 0 for null."""
    found, rank = np.empty(len(texts), np.uint16), np.empty(len(texts), np.uint8)
    call("registers", Texts(texts), found, rank)
    return as_numbers(found), as_numbers(rank)


def raise_registers(rows: Numbers, registers: NDArray[np.uint8]) -> None:
    """Raise registers, a power of two of them, to the ranks of rows `register << 6 | rank`."""
    if not AVAILABLE:
        np.maximum.at(registers, rows >> 6, (rows & 63).astype(np.uint8))
        return
    call("raise", np.require(rows, requirements=["C", "A"]), len(rows), registers, len(registers) - 1)


def limit(
    times: NDArray[np.int64],
    begins: Mask,
    algorithm: int,
    most: int,
    period: int,
    burst: int,
    state: NDArray[np.int64],
    admitted: NDArray[np.int64],
    waits: NDArray[np.int64] | None,
) -> int:
    """Replay a rate limit (`limits.c`), and return how many requests are refused."""
    if len(begins) != len(times) or (waits is not None and len(waits) != len(times)) or most < 1 or period < 1:
        raise IndexError("one value for each request")
    if max(most, burst) * period > 2**61 or len(state) < 3 or (algorithm == 2 and len(admitted) < most):
        raise IndexError("more than the algorithm can count")
    place = waits if waits is not None else 0
    return call("limit", times, begins, len(times), algorithm, most, period, burst, state, admitted, place)
