"""Where to begin in a log that is there already: so that the screen is full at once, and the rest is left unread."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.inputs import Begin, Source, Start
from logstats.kernels import library as kernels
from logstats.live.log_clock import SECOND
from logstats.pipeline import Counts, Job, Silence, run

FIRST: Final = 1 << 20  # bytes at the end that are looked at first; then four times as many,
MOST: Final = 256 << 20  # up to so many
_HEAD: Final = 64 << 10  # bytes at the beginning in which directives are looked for
_LINES: Final = 1_000  # at the end of a log without times
_LAST: Final = 101  # lines at the end that tell what the newest time is
_BLOCK: Final = 1 << 16


class _Bytes:
    """A part of a file, as a source."""

    pipe = False

    def __init__(self, data: bytes) -> None:
        self._data, self.read_bytes = data, 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        piece = self._data[self.read_bytes : self.read_bytes + size]
        self.read_bytes += len(piece)
        return piece

    def close(self) -> None:
        """Do nothing."""


def last_lines(count: int) -> Begin:
    """Begin with the last so many lines."""
    return lambda _name, descriptor, size: _last_lines(descriptor, size, count)


def _last_lines(descriptor: int, size: int, count: int) -> int:
    place, left = size, count
    while place > 0:
        start = max(0, place - _BLOCK)
        block = os.pread(descriptor, place - start, start)
        if place == size and block.endswith(b"\n"):
            left += 1  # the newline of the last line ends it
        ends = [index for index, byte in enumerate(block) if byte == 10]
        if len(ends) >= left:
            return start + ends[-left] + 1 if left else size
        left -= len(ends)
        place = start
    return 0


@dataclass(frozen=True, slots=True)
class LastWindow:
    """Begin with the last so many seconds of each log, by the times in its lines.

    Of a file that was last modified so long before `modified`, that of the newest one, nothing is in the window.
    """

    seconds: float
    job: Job[pl.DataFrame]
    modified: float | None

    def __call__(self, name: str, descriptor: int, size: int) -> int:
        """The offset of the first line of the window. A log without times begins with its last lines."""
        if self.modified is not None and os.fstat(descriptor).st_mtime < self.modified - self.seconds:
            return size
        directives = _directives(os.pread(descriptor, _HEAD, 0))
        length = FIRST
        while True:
            start = max(0, size - length)
            data = _read(descriptor, start, size)
            data = data[data.find(b"\n") + 1 :] if start else data
            found = self._first_line(name, data, directives)
            if found is not None or start == 0 or length >= MOST:
                break
            length *= 4
        if found is None:
            return (
                size - len(data)
                if _times(self._rows(name, data, directives)).size
                else _last_lines(descriptor, size, _LINES)
            )
        return size - len(data) + found

    def _first_line(self, name: str, data: bytes, directives: str) -> int | None:
        """Where the first line of the window begins, if the line before it is there, too."""
        rows = self._rows(name, data, directives)
        times = _times(rows)
        if not times.size:
            return None
        middle = int(np.median(times[-_LAST:]))
        newest = int(times[times <= middle + 3600 * SECOND].max())
        inside = np.flatnonzero((times >= newest - self.seconds * SECOND) & (times <= newest))
        if not inside[0]:
            return None
        line = int(rows.filter(pl.col("timestamp").is_not_null())["line"][int(inside[0])])
        return int(kernels.line_ends(data)[line - 1] + 1)

    def _rows(self, name: str, data: bytes, directives: str) -> pl.DataFrame:
        """(timestamp, line) of the lines that can be read, in order."""
        source = Source(name, None, start=Start(directives=directives, opened=_Bytes(data)))
        job = replace(self.job, workers=1, counts=Counts())
        frames = [pl.DataFrame(schema={"timestamp": pl.Datetime("us", "UTC"), "line": pl.Int64})]
        for part, _ in run([source], job, Silence()):
            if part.result is not None:
                before = part.end.lines - part.chunk_lines
                frames.append(part.result.with_columns(pl.col("line").cast(pl.Int64) + before))
        return pl.concat(frames).sort("line")


def times_only(rows: pl.DataFrame, _source: str, _line: int) -> pl.DataFrame:
    """The work of `LastWindow`'s job."""
    return rows.select("timestamp", "line")


def _times(rows: pl.DataFrame) -> NDArray[np.int64]:
    times: NDArray[np.int64] = rows["timestamp"].drop_nulls().to_physical().to_numpy()
    return times


def _directives(head: bytes) -> str:
    """The lines at the beginning of a W3C log that say what its columns are."""
    lines = [line.rstrip("\r") for line in head.decode("utf-8", "backslashreplace").split("\n") if line.startswith("#")]
    return "\n".join(lines)


def _read(descriptor: int, start: int, end: int) -> bytes:
    pieces = []
    while start < end and (piece := os.pread(descriptor, min(end - start, 8 << 20), start)):
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)
