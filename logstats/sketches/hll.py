"""HyperLogLog with 16,384 registers, register for register that of the `hyperloglog` package.

The hash of a string is the first 8 bytes, big-endian, of SHA-1 of its msgpack encoding. Its low 14 bits are the
register, the rank is the number of leading zeros of the other 50 bits plus one, a register holds the highest rank
seen, and merging is the maximum. Standard error 1.04 / √16384 = 0.81 %. (Flajolet et al., AofA 2007; the bias
correction is that of Heule, Nunkesser, Hall, EDBT 2013, with the package's tables.)
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from typing import IO, TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    import duckdb

PRECISION: Final = 14
REGISTERS: Final = 1 << PRECISION
STANDARD_ERROR: Final = 1.04 / 128
FEW: Final = 5_000  # values below which loading DuckDB costs more than it saves

Registers = NDArray[np.uint8]
HASHED: Final = {"register": pl.UInt16, "rank": pl.UInt8}

_connections = threading.local()


def hash_strings(values: pl.Series) -> pl.DataFrame:
    """Strings → (register UInt16, rank UInt8), in the order of the input, which has no nulls."""
    hashes = _hash_few(values.to_list()) if values.len() < FEW else _hash_many(values)
    rest = hashes >> np.uint64(PRECISION)
    # frexp's exponent of a whole number below 2^53 is its bit length.
    rank = (64 - PRECISION + 1) - np.frexp(rest.astype(np.float64))[1]
    register = hashes & np.uint64(REGISTERS - 1)
    return pl.DataFrame({"register": register.astype(np.uint16), "rank": rank.astype(np.uint8)}, schema=HASHED)


def _msgpack_header(size: int) -> bytes:
    if size < 32:
        return bytes([0xA0 | size])
    if size < 1 << 8:
        return b"\xd9" + size.to_bytes(1, "big")
    if size < 1 << 16:
        return b"\xda" + size.to_bytes(2, "big")
    return b"\xdb" + size.to_bytes(4, "big")


def _hash_few(values: list[str]) -> NDArray[np.uint64]:
    digests = []
    for value in values:
        encoded = value.encode()
        digest = hashlib.sha1(_msgpack_header(len(encoded)) + encoded, usedforsecurity=False).digest()
        digests.append(digest[:8])
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


_SHORT = ", ".join(f"'\\x{0xA0 | size:02X}'::BLOB" for size in range(32))
_SHA1: Final = f"""
    SELECT ('0x' || sha1(
        CASE WHEN strlen(value) < 32 THEN [{_SHORT}][strlen(value) + 1]
             WHEN strlen(value) < 256 THEN unhex(printf('d9%02x', strlen(value)))
             WHEN strlen(value) < 65536 THEN unhex(printf('da%04x', strlen(value)))
             ELSE unhex(printf('db%08x', strlen(value))) END || encode(value)
    )[:16])::UBIGINT AS hash FROM strings
"""


def _hash_many(values: pl.Series) -> NDArray[np.uint64]:
    connection: duckdb.DuckDBPyConnection | None = getattr(_connections, "one", None)
    if connection is None:
        import duckdb

        connection = _connections.one = duckdb.connect(config={"threads": 1})
    connection.register("strings", values.alias("value").to_frame().to_arrow())
    hashes: NDArray[np.uint64] = connection.sql(_SHA1).fetchnumpy()["hash"]
    connection.unregister("strings")
    return np.asarray(hashes, dtype=np.uint64)


@cache
def _bias() -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The package's tables for this precision: raw estimates, their biases, and the linear counting threshold."""
    from hyperloglog.const import biasData, rawEstimateData, tresholdData

    row = PRECISION - 4
    return np.asarray(rawEstimateData[row]), np.asarray(biasData[row]), float(tresholdData[row])


def estimate(registers: Registers) -> int:
    """The number of distinct values, as `round(card())` of the package."""
    return int(estimate_many(np.bincount(registers, minlength=64)[np.newaxis, :])[0])


def estimate_many(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Estimates of many sketches at once, from how many registers hold each rank: (sketches, 64) → (sketches,)."""
    ranks = np.asarray(ranks, dtype=np.float64)
    zeros = ranks[:, 0]
    with np.errstate(divide="ignore"):
        linear = REGISTERS * np.log(REGISTERS / zeros)
    alpha = 0.7213 / (1 + 1.079 / REGISTERS)
    raw = alpha * REGISTERS**2 / (ranks @ np.power(2.0, -np.arange(ranks.shape[1])))
    raws, biases, threshold = _bias()
    use_linear = (zeros > 0) & (linear <= threshold)
    corrected = raw.copy()
    for place in np.flatnonzero(~use_linear & (raw <= 5 * REGISTERS)):
        nearest = np.argsort((raw[place] - raws) ** 2)[:6]
        corrected[place] -= biases[nearest].sum() / 6
    return np.rint(np.where(use_linear, linear, corrected)).astype(np.int64)


class MinuteSketches:
    """A sketch per minute, and one of everything.

    A minute takes 16 KiB at the most while it is being filled. Minutes that have not been touched for a while are kept
    compressed, which for a quiet minute is a few bytes per user; what exceeds `budget` bytes of those goes to a
    temporary file. Values of minutes beyond the first `max_minutes` count in the whole only.
    """

    _OPEN = 2048  # minutes held uncompressed: 32 MiB

    def __init__(self, *, budget: int = 128 << 20, max_minutes: int = 1_000_000) -> None:
        self.total_registers: Registers = np.zeros(REGISTERS, np.uint8)
        self.folded = 0  # (minute, register) rows beyond the cap
        self._budget = budget
        self._max_minutes = max_minutes
        self._open: OrderedDict[int, Registers] = OrderedDict()
        self._closed: OrderedDict[int, bytes | tuple[int, int]] = OrderedDict()  # bytes, or place in the file
        self._closed_bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, table: pl.DataFrame) -> None:
        """Add rows of (minute Int64, register UInt16, rank UInt8); a null minute counts in the whole only."""
        np.maximum.at(self.total_registers, table["register"].to_numpy(), table["rank"].to_numpy())
        timed = table.drop_nulls("minute").sort("minute")
        if not timed.height:
            return
        minutes = timed["minute"].to_numpy()
        registers, ranks = timed["register"].to_numpy(), timed["rank"].to_numpy()
        starts = np.flatnonzero(np.diff(minutes, prepend=minutes[0] - 1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(minutes)], strict=True):
            self._add(int(minutes[start]), registers[start:end], ranks[start:end])
        self._close()

    def _add(self, minute: int, registers: NDArray[np.uint16], ranks: Registers) -> None:
        held = self._open.get(minute)
        if held is None:
            packed = self._closed.pop(minute, None)
            if packed is not None:
                held = self._unpack(packed)
                self._closed_bytes -= len(packed) if isinstance(packed, bytes) else 0
            elif len(self._open) + len(self._closed) >= self._max_minutes:
                self.folded += len(registers)
                return
            elif len(self._open) >= self._OPEN and len(registers) < 1000:
                fresh = np.zeros(REGISTERS, np.uint8)
                np.maximum.at(fresh, registers, ranks)
                self._pack(minute, fresh)
                return
            else:
                held = np.zeros(REGISTERS, np.uint8)
            self._open[minute] = held
        else:
            self._open.move_to_end(minute)
        np.maximum.at(held, registers, ranks)

    def _close(self) -> None:
        while len(self._open) > self._OPEN:
            self._pack(*self._open.popitem(last=False))

    def _pack(self, minute: int, registers: Registers) -> None:
        used = np.flatnonzero(registers).astype(np.uint16)
        if len(used) < REGISTERS // 8:
            packed = b"s" + used.tobytes() + registers[used].tobytes()
        else:
            packed = b"z" + zlib.compress(registers.tobytes(), 1)
        if self._closed_bytes + len(packed) > self._budget:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="logstats-")  # noqa: SIM115 (lives as long as this object)
            place = self._file.seek(0, 2)
            self._file.write(packed)
            self._closed[minute] = (place, len(packed))
        else:
            self._closed[minute] = packed
            self._closed_bytes += len(packed)

    def _unpack(self, packed: bytes | tuple[int, int]) -> Registers:
        if isinstance(packed, tuple):
            assert self._file is not None
            self._file.seek(packed[0])
            packed = self._file.read(packed[1])
        if packed[:1] == b"z":
            return np.frombuffer(bytearray(zlib.decompress(packed[1:])), np.uint8)
        registers = np.zeros(REGISTERS, np.uint8)
        count = (len(packed) - 1) // 3
        used = np.frombuffer(packed, np.uint16, count, 1)
        registers[used] = np.frombuffer(packed, np.uint8, count, 1 + 2 * count)
        return registers

    def _each(self) -> Iterator[tuple[int, Registers]]:
        for minute in sorted([*self._open, *self._closed]):
            yield minute, self.registers(minute)

    def registers(self, minute: int) -> Registers:
        """The registers of a minute (zeros for one that is not held)."""
        if minute in self._open:
            return self._open[minute]
        packed = self._closed.get(minute)
        return np.zeros(REGISTERS, np.uint8) if packed is None else self._unpack(packed)

    def merge(self, other: MinuteSketches) -> None:
        """Add all of another; the other is left as it is."""
        np.maximum(self.total_registers, other.total_registers, out=self.total_registers)
        for minute, registers in other._each():
            used = np.flatnonzero(registers).astype(np.uint16)
            self._add(minute, used, registers[used])
            self._close()

    def total(self) -> int:
        """Distinct values of everything."""
        return estimate(self.total_registers)

    def per_minute(self) -> pl.DataFrame:
        """(minute Int64, users Int64), in order."""
        minutes: list[int] = []
        estimates: list[NDArray[np.int64]] = []
        rows: list[NDArray[np.int64]] = []
        for minute, registers in self._each():
            minutes.append(minute)
            rows.append(np.bincount(registers, minlength=64))
            if len(rows) == 4096:
                estimates.append(estimate_many(np.stack(rows)))
                rows.clear()
        if rows:
            estimates.append(estimate_many(np.stack(rows)))
        users = np.concatenate(estimates) if estimates else np.zeros(0, np.int64)
        return pl.DataFrame({"minute": minutes, "users": users}, schema={"minute": pl.Int64, "users": pl.Int64})
