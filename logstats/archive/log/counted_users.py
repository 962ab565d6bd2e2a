"""What a file of the rollup `users` says of its own rows: the users of each minute, and the registers of all of them.

A month of a busy site has twenty million registers by minute. Nearly always, all those of a minute lie in one file: how
many users they are is known when the file is written, and a report that needs no more need not read them again.

The text stands in the file's metadata as `KEY`: base64 of what zlib makes of the registers (`hll.REGISTERS` bytes), the
minutes, in order, and the users of each (Int64, little-endian; microseconds since 1970). Whoever does not know the key
loses nothing by it: it can always be made of the rows. Its bytes are under the digest of the file, like the rows.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.sketches import hll

if TYPE_CHECKING:
    import pyarrow as pa

KEY: Final = "logstats.users"
_MOST: Final = 64 << 20  # bytes that a text can become: more minutes than two years have
_NUMBER: Final = np.dtype("<i8")

Counted = tuple[pl.DataFrame, hll.Registers]  # (minute Datetime, users Int64), in order; the registers of all


class Counting:
    """Counts the users of rows while they are written."""

    KEY = KEY

    def __init__(self) -> None:
        self._minutes: list[pl.DataFrame] = []
        self._registers = np.zeros(hll.REGISTERS, np.uint8)
        self._last: int | None = None
        self._in_order = True

    def add(self, rows: pa.Table) -> None:
        """Add (minute, register, rank). A minute that comes again later cannot be counted so."""
        if not self._in_order:
            return
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)
        counted, registers = hll.users_by_minute(frame)
        minutes = counted["minute"].to_physical()
        self._in_order = self._last is None or minutes[0] > self._last
        self._last = minutes[-1]
        self._minutes.append(counted)
        np.maximum(self._registers, registers, out=self._registers)

    def text(self) -> str | None:
        """What the file says of itself; None if it says nothing."""
        return packed(pl.concat(self._minutes), self._registers) if self._in_order and self._minutes else None


def packed(counted: pl.DataFrame, registers: hll.Registers) -> str:
    """The text for some minutes and the registers of all."""
    columns = (counted["minute"].to_physical(), counted["users"])
    numbers = b"".join(column.to_numpy().astype(_NUMBER).tobytes() for column in columns)
    return base64.b64encode(zlib.compress(registers.tobytes() + numbers)).decode()


def unpacked(text: str) -> Counted:
    """The inverse of `packed`. Raises ValueError if it is nothing that `packed` makes."""
    try:
        reader = zlib.decompressobj()
        data = reader.decompress(base64.b64decode(text, validate=True), _MOST)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
    if not reader.eof or len(data) < hll.REGISTERS or (len(data) - hll.REGISTERS) % (2 * _NUMBER.itemsize):
        raise ValueError("it is cut off")
    registers = np.frombuffer(data, np.uint8, hll.REGISTERS)
    minutes, users = np.frombuffer(data, _NUMBER, offset=hll.REGISTERS).reshape(2, -1).astype(np.int64)
    if registers.max() > hll.MAX_RANK or not len(minutes) or (np.diff(minutes) <= 0).any() or (users <= 0).any():
        raise ValueError("no sketch has such values")
    kind = pl.Datetime("us", "UTC")
    return pl.DataFrame([as_numbers(minutes).cast(kind).alias("minute"), as_numbers(users).alias("users")]), registers
