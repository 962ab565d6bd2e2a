"""HyperLogLog with 16,384 registers, register for register that of the `hyperloglog` package.

The hash of a string is the first 8 bytes, big-endian, of SHA-1 of its msgpack encoding. Its low 14 bits are the
register, the rank is the number of leading zeros of the other 50 bits plus one, a register holds the highest rank
seen, and merging is the maximum. Standard error 1.04 / √16384 = 0.81 %. (Flajolet et al., AofA 2007; the bias
correction is that of Heule, Nunkesser, Hall, EDBT 2013, with the package's tables.)

Decision: SHA-1. The package hashes with it, and sketches with other hashes could not be merged with those of other
Python programs. It protects no secret: as with any hash without a key, a client could choose users that fill registers,
but a key would make the exchange impossible. Its cost is small, because each distinct user of a chunk is hashed once:
DuckDB's `sha1()` on columns did 3.4 million users a second on two cores, the package's own `add_bulk` 0.85 million,
with identical registers. So the macros of an archive compute the same sketches in plain SQL.
"""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from hashlib import sha1
from itertools import groupby
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from logstats.cache import BoundedCache
from logstats.critical import uninterrupted
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers
from logstats.sketches import constants

PRECISION: Final = constants.PRECISION
REGISTERS: Final = constants.REGISTERS
STANDARD_ERROR: Final = 1.04 / 128
MAX_RANK: Final = 64 - PRECISION + 1

_HALVES: Final = REGISTERS // 2  # bytes of registers of 4 bits,
_MOST: Final = 15  # which hold at most this
_ENTRY: Final = 160  # bytes that Python needs to hold a minute's bytes
_BATCH: Final = 1024  # minutes read out at once
_FEW: Final = 64  # … as rows of registers

Registers = NDArray[np.uint8]


def hash_strings(values: pl.Series) -> pl.DataFrame:
    """Strings → (register UInt16, rank UInt8), in the same order; null for null."""
    return _known.lookup(values)


def _hash(values: pl.Series) -> pl.DataFrame:
    register, rank = kernels.registers(values) if kernels.AVAILABLE else registers_of(values)
    return pl.DataFrame([register.alias("register"), rank.alias("rank")])


def registers_of(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The register (UInt16) and rank (UInt8) of each text: the Python twin of `kernels.registers`."""
    encoded = [value.encode() for value in values.to_list()]
    digests = [sha1(_msgpack_header(len(value)) + value, usedforsecurity=False).digest()[:8] for value in encoded]
    hashes = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)
    rest = hashes >> np.uint64(PRECISION)
    # frexp's exponent of a whole number below 2^53 is its bit length.
    rank = (64 - PRECISION + 1) - np.frexp(rest.astype(np.float64))[1]
    register = hashes & np.uint64(REGISTERS - 1)
    return as_numbers(register.astype(np.uint16)), as_numbers(rank.astype(np.uint8))


def _msgpack_header(size: int) -> bytes:
    if size < 32:
        return _SHORT[size]
    if size < 1 << 8:
        return b"\xd9" + size.to_bytes(1, "big")
    if size < 1 << 16:
        return b"\xda" + size.to_bytes(2, "big")
    return b"\xdb" + size.to_bytes(4, "big")


_SHORT: Final = [bytes([0xA0 | size]) for size in range(32)]
_known: Final = BoundedCache(_hash)


@cache
def _bias_tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    raws, biases = constants.bias_tables()
    return np.asarray(raws), np.asarray(biases)


def estimate(registers: Registers) -> int:
    """The number of distinct values, as `round(card())` of the package."""
    return int(estimate_many(np.bincount(registers, minlength=64)[np.newaxis, :])[0])


def estimate_many(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Estimates of many sketches at once, from the number of registers with each rank: (sketches, 64) → (sketches,).

    They are at most 2^62, which only forged registers reach.
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    zeros = ranks[:, 0]
    with np.errstate(divide="ignore"):
        linear = REGISTERS * np.log(REGISTERS / zeros)
    estimates = constants.ALPHA_M2 / (ranks @ np.power(2.0, -np.arange(ranks.shape[1])))
    use_linear = (zeros > 0) & (linear <= constants.LINEAR)
    biased = np.flatnonzero(~use_linear & (estimates <= 5 * REGISTERS))
    if biased.size:
        raws, biases = _bias_tables()
        nearest = np.argsort((estimates[biased, np.newaxis] - raws) ** 2, axis=1)[:, :6]
        estimates[biased] -= biases[nearest].sum(axis=1) / 6
    return np.rint(np.where(use_linear, linear, np.minimum(estimates, 2.0**62))).astype(np.int64)


def _rows_of(registers: Registers) -> NDArray[np.uint32]:
    """The registers that are not 0, as rows `register << 6 | rank`."""
    used = np.flatnonzero(registers).astype(np.uint32)
    return np.asarray(used << 6 | registers[used], np.uint32)


def _table_of(minutes: Sequence[int | None], rows: Sequence[NDArray[np.uint32]]) -> pl.DataFrame:
    """(minute, register, rank) of the rows of each minute."""
    whole = np.concatenate(rows)
    places = np.repeat(np.arange(len(rows), dtype=np.uint32), [len(some) for some in rows])
    named = pl.Series("minute", minutes, pl.Int64)[as_numbers(places)]
    register, rank = as_numbers((whole >> 6).astype(np.uint16)), as_numbers((whole & 63).astype(np.uint8))
    return pl.DataFrame([named, register.alias("register"), rank.alias("rank")])


# A packed minute of fewer than `_HALVES` bytes is rows. A longer one begins with the registers in 4 bits each, followed
# by rows of those that are higher; one of `REGISTERS` bytes is the registers. So adding a few rows is appending them.


def _are_rows(packed: bytes) -> bool:
    return len(packed) < _HALVES


def _room(packed: bytes) -> int:
    """Bytes of rows that may be appended."""
    return (_HALVES if _are_rows(packed) else REGISTERS) - len(packed) - 1


def _pack(registers: Registers) -> bytes:
    return kernels.pack(registers) if kernels.AVAILABLE else pack(registers)


def pack(registers: Registers) -> bytes:
    """The Python twin of `kernels.pack`."""
    rows = _rows_of(registers)
    if rows.nbytes < _HALVES:
        return rows.tobytes()
    low = np.minimum(registers, np.uint8(_MOST))
    packed = (low[::2] | low[1::2] << 4).tobytes() + rows[rows & 63 > _MOST].tobytes()
    return packed if len(packed) < REGISTERS else registers.tobytes()


def _unpack(packed: bytes) -> Registers:
    if len(packed) == REGISTERS:
        return np.frombuffer(bytearray(packed), np.uint8)
    registers: Registers = np.zeros(REGISTERS, np.uint8)
    start = 0 if _are_rows(packed) else _HALVES
    if start:
        low = np.frombuffer(packed, np.uint8, start)
        registers[::2], registers[1::2] = low & _MOST, low >> 4
    _raise(registers, np.frombuffer(packed, np.uint32, offset=start))
    return registers


def _raise(registers: Registers, rows: NDArray[np.uint32]) -> None:
    kernels.raise_registers(rows, registers)


def _ranks_of_rows(rows: NDArray[np.uint32], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of registers with each rank, for sketches that consist of rows, up to `ends` each: (sketches, 64)."""
    if kernels.AVAILABLE:
        return kernels.ranks(rows, ends, REGISTERS)
    sketch = np.repeat(np.arange(len(ends), dtype=np.int64), np.diff(ends, prepend=0))
    ordered = np.sort(rows.astype(np.int64) | sketch << 20)
    highest = ordered[np.diff(ordered >> 6, append=-1) != 0]
    ranks = np.bincount(highest >> 20 << 6 | highest & 63, minlength=len(ends) << 6).reshape(-1, 64)
    ranks[:, 0] = REGISTERS - ranks[:, 1:].sum(axis=1)
    return ranks


def users_by_minute(table: pl.DataFrame) -> tuple[pl.DataFrame, Registers]:
    """(minute, register, rank), in any order → ((minute, users Int64) of each distinct minute, in order; the registers
    of all of them together)."""
    table = table.rechunk()
    found = counted(*(table[name].to_physical().to_numpy() for name in ("minute", "register", "rank")))
    if found is None:  # such as those of a day that was added in several commits
        return users_by_minute(table.sort("minute"))
    ends, users, registers = found
    return pl.DataFrame(
        [table["minute"][as_numbers(ends - 1)].alias("minute"), as_numbers(users).alias("users")]
    ), registers


def counted(
    minutes: NDArray[np.int64], of_row: NDArray[np.uint16], rank: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Registers] | None:
    """Rows of (minute, register, rank), in the order of minutes → (where the rows of each minute end, the users of
    each, the registers of all of them together); None if they are in another order."""
    ends = _ends_of(minutes)
    if ends is None:
        return None
    registers: Registers = np.zeros(REGISTERS, np.uint8)
    if kernels.AVAILABLE:
        ranks = kernels.ranks_of_columns(of_row, rank, ends, registers)
    else:
        rows: NDArray[np.uint32] = of_row.astype(np.uint32) << np.uint32(6) | rank
        ranks = _ranks_of_rows(rows, ends)
        _raise(registers, rows)
    return ends, estimate_many(ranks), registers


def _ends_of(minutes: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Where the rows of each minute end; None if they are not in order."""
    if kernels.AVAILABLE:
        return kernels.ends_of(minutes)
    ends = np.flatnonzero(np.append(minutes[1:] != minutes[:-1], minutes[:1] == minutes[:1])) + 1
    return None if (np.diff(minutes[ends - 1]) < 0).any() else ends


class MinuteSketches:
    """A sketch per minute (whole minutes since the epoch, also negative), and one of everything.

    A minute takes at most 16 KiB: a quiet one is stored as rows of 4 bytes, a busy one as registers, if it was not used
    lately in half a byte each. Those beyond `budget` bytes are moved to an unnamed temporary file until they are used
    again. Values of minutes beyond the first `max_minutes` are only counted in the whole, and in `folded`. The same
    input in the same order gives the same sketches; below the cap, in any order.

    Not for use by several threads at once. Any method may raise OSError if the temporary folder is full.
    """

    def __init__(self, *, budget: int = 256 << 20, max_minutes: int = 1_000_000) -> None:
        self.total_registers: Registers = np.zeros(REGISTERS, np.uint8)
        self.folded = 0  # rows of minutes that are not held
        # Each minute is in one of these, the least recently touched first.
        self._open: OrderedDict[int, Registers] = OrderedDict()
        self._packed: dict[int, bytes] = {}
        self._spilled: dict[int, tuple[int, int]] = {}  # slot in the file, length
        self._max_minutes = max_minutes
        self._max_open = max(1, budget // 128 // REGISTERS)  # by default 128
        self._max_packed = max(0, budget - self._max_open * REGISTERS)
        self._packed_bytes = 0
        self._file: IO[bytes] | None = None
        self._free: list[int] = []  # free slots of the file

    def add(self, table: pl.DataFrame) -> None:
        """Add rows of (minute Int64, register UInt16, rank UInt8), which may repeat.

        Rows with a minute of null are only counted in the whole.
        """
        rows = table["register"].to_numpy().astype(np.uint32) << 6 | table["rank"].to_numpy()
        kernels.raise_registers(rows, self.total_registers)
        whole = table["minute"]
        if whole.null_count():
            rows, whole = rows[whole.is_not_null().to_numpy()], whole.drop_nulls()
        minutes = whole.to_numpy()
        if (minutes[1:] < minutes[:-1]).any():
            order = np.argsort(minutes, kind="stable")
            rows, minutes = rows[order], minutes[order]
        begins = np.ones(len(minutes), np.bool_)  # a minute
        np.not_equal(minutes[1:], minutes[:-1], out=begins[1:])
        starts = np.flatnonzero(begins)
        ends = np.append(starts[1:], len(minutes))
        for minute, start, end in zip(minutes[starts].tolist(), starts.tolist(), ends.tolist(), strict=False):
            self._add(minute, rows[start:end])

    def _add(self, minute: int, rows: NDArray[np.uint32]) -> None:
        held = self._open.get(minute)
        if held is None:
            packed = self._take(minute)
            if packed is None:
                if len(self._open) + len(self._packed) + len(self._spilled) >= self._max_minutes:
                    self.folded += len(rows)
                    return
                packed = b""
            if rows.nbytes <= _room(packed):
                self._keep(minute, packed + rows.tobytes())
                return
            held = self._open[minute] = _unpack(packed)
            if len(self._open) > self._max_open:
                oldest, registers = self._open.popitem(last=False)
                self._keep(oldest, _pack(registers))
        else:
            self._open.move_to_end(minute)
        _raise(held, rows)

    def _keep(self, minute: int, packed: bytes) -> None:
        self._packed[minute] = packed
        self._packed_bytes += len(packed) + _ENTRY
        if self._packed_bytes > self._max_packed:
            self._spill()

    def _spill(self) -> None:
        """Move the least recently used minutes to the file until a quarter of their budget is free."""
        excess = self._packed_bytes - self._max_packed * 3 // 4
        oldest = []
        for minute, packed in self._packed.items():
            if excess <= 0:
                break
            excess -= len(packed) + _ENTRY
            oldest.append(minute)
        if self._file is None:
            with uninterrupted():
                self._file = tempfile.TemporaryFile(prefix="logstats-")  # noqa: SIM115 (lives as long as this object)
        for minute in oldest:
            packed = self._packed.pop(minute)
            self._packed_bytes -= len(packed) + _ENTRY
            slot = self._free.pop() if self._free else len(self._spilled)
            self._file.seek(slot * REGISTERS)
            self._file.write(packed)
            self._spilled[minute] = slot, len(packed)

    def _read(self, slot: int, length: int) -> bytes:
        assert self._file is not None
        self._file.seek(slot * REGISTERS)
        return self._file.read(length)

    def _take(self, minute: int) -> bytes | None:
        packed = self._packed.pop(minute, None)
        if packed is not None:
            self._packed_bytes -= len(packed) + _ENTRY
            return packed
        place = self._spilled.pop(minute, None)
        if place is None:
            return None
        self._free.append(place[0])
        return self._read(*place)

    def _look(self, minute: int) -> Registers | bytes:
        """The state of a minute, open or packed, without counting as a use; empty if it is not held."""
        if minute in self._open:
            return self._open[minute]
        place = self._spilled.get(minute)
        return self._packed.get(minute, b"") if place is None else self._read(*place)

    def _minutes(self) -> list[int]:
        return sorted([*self._open, *self._packed, *self._spilled])

    def forget(self, before: int) -> None:
        """Drop the minutes before one; their values count in the whole."""
        for minute in self._minutes():
            if minute < before and self._open.pop(minute, None) is None:
                self._take(minute)

    def registers(self, minute: int) -> Registers:
        """A copy of the registers of a minute (zeros for one that is not held)."""
        held = self._look(minute)
        return _unpack(held) if isinstance(held, bytes) else held.copy()

    def merge(self, other: MinuteSketches) -> None:
        """Add the content of another; the other is not changed."""
        np.maximum(self.total_registers, other.total_registers, out=self.total_registers)
        self.folded += other.folded
        for minute in other._minutes():
            held = other._look(minute)
            if isinstance(held, bytes) and _are_rows(held):
                self._add(minute, np.frombuffer(held, np.uint32))
            else:
                self._add(minute, _rows_of(_unpack(held) if isinstance(held, bytes) else held))

    def raise_total(self, registers: Registers) -> None:
        """Add registers to the whole, in which all minutes count."""
        np.maximum(self.total_registers, registers, out=self.total_registers)

    def total(self) -> int:
        """Distinct values of everything."""
        return estimate(self.total_registers)

    def per_minute(self) -> pl.DataFrame:
        """(minute Int64, users Int64), in order."""
        minutes = self._minutes()
        users = np.zeros(len(minutes), np.int64)
        for start in range(0, len(minutes), _BATCH):
            some = minutes[start : start + _BATCH]
            users[start : start + len(some)] = estimate_many(self._count_ranks(some))
        return pl.DataFrame([pl.Series("minute", minutes, pl.Int64), as_numbers(users).alias("users")])

    def per_step(self, step: int) -> pl.DataFrame:
        """(minute Int64, users Int64), in order: the union of each `step` minutes, which begin at its multiples."""
        starts: list[int] = []
        users: list[int] = []
        for start, minutes in groupby(self._minutes(), key=lambda minute: minute // step * step):
            union: Registers = np.zeros(REGISTERS, np.uint8)
            for minute in minutes:
                held = self._look(minute)
                if isinstance(held, bytes) and _are_rows(held):
                    _raise(union, np.frombuffer(held, np.uint32))
                else:
                    np.maximum(union, _unpack(held) if isinstance(held, bytes) else held, out=union)
            starts.append(start)
            users.append(estimate(union))
        return pl.DataFrame({"minute": starts, "users": users}, schema={"minute": pl.Int64, "users": pl.Int64})

    def _count_ranks(self, minutes: list[int]) -> NDArray[np.int64]:
        """The number of registers with each rank: (minutes, 64)."""
        ranks = np.zeros((len(minutes), 64), np.int64)
        few: dict[int, bytes] = {}  # together, because counting 16 KiB of registers for a few users is slow
        for place, minute in enumerate(minutes):
            held = self._look(minute)
            if isinstance(held, bytes) and _are_rows(held) and (kernels.AVAILABLE or len(held) < 1024):
                few[place] = held
            else:
                ranks[place] = np.bincount(_unpack(held) if isinstance(held, bytes) else held, minlength=64)
        if few:
            ends = np.cumsum([len(rows) // 4 for rows in few.values()], dtype=np.int64)
            ranks[[*few]] = _ranks_of_rows(np.frombuffer(b"".join(few.values()), np.uint32), ends)
        return ranks

    def to_rows(self) -> Iterator[pl.DataFrame]:
        """(minute Int64, register UInt16, rank UInt8) as `add` takes them, each register that is not 0 once.

        The rows of minute null, which come first, are everything. A frame has at most a million rows. `folded` is not
        part of it.
        """
        yield _table_of([None], [_rows_of(self.total_registers)])
        minutes = self._minutes()
        for start in range(0, len(minutes), _FEW):
            some = minutes[start : start + _FEW]
            yield _table_of(some, [_rows_of(self.registers(minute)) for minute in some])

    def to_table(self) -> Iterator[pl.DataFrame]:
        """(minute Int64, registers Binary of 16,384 bytes), in order, a frame of at most 16 MiB at a time.

        The first row, of minute null, is everything. `folded` is not part of it.
        """
        schema = {"minute": pl.Int64, "registers": pl.Binary}
        yield pl.DataFrame({"minute": [None], "registers": [self.total_registers.tobytes()]}, schema=schema)
        minutes = self._minutes()
        for start in range(0, len(minutes), _BATCH):
            some = minutes[start : start + _BATCH]
            stored = [self.registers(minute).tobytes() for minute in some]
            yield pl.DataFrame({"minute": some, "registers": stored}, schema=schema)

    @classmethod
    def from_table(
        cls, frames: Iterable[pl.DataFrame], *, budget: int = 256 << 20, max_minutes: int = 1_000_000
    ) -> MinuteSketches:
        """Sketches from the frames of `to_table`; those of several are merged.

        Raises ValueError for registers that are impossible in a sketch.
        """
        made = cls(budget=budget, max_minutes=max_minutes)
        for frame in frames:
            for minute, stored in frame.select("minute", "registers").iter_rows():
                registers = np.frombuffer(stored or b"", np.uint8)
                if len(registers) != REGISTERS or registers.max() > MAX_RANK:
                    raise ValueError(f"minute {minute}: not {REGISTERS} registers of a sketch, each up to {MAX_RANK}")
                np.maximum(made.total_registers, registers, out=made.total_registers)
                if minute is not None:
                    made._add(minute, _rows_of(registers))
        return made
