"""Bytes of a chunk → text lines.

The text that both lanes of every format read: UTF-8, lines ended by a single newline, no byte order mark.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

_BOM = b"\xef\xbb\xbf"
_BLOCK: Final = 1 << 20
_NEWLINE, _SPACE, _HASH = b"\n #"


@dataclass(frozen=True, slots=True)
class Context:
    """What the lines of a chunk do not say themselves.

    `directives` are the W3C directives in force where it begins (`#Fields: …`, `#Date: …`), a line each;
    `modified` is when the source was last written, which tells the year of times that have none.
    """

    directives: str = ""
    modified: datetime | None = None


NO_CONTEXT: Final = Context()


@dataclass(frozen=True)
class Text:
    """The lines of one chunk as one UTF-8 buffer. What an engine does not ask for is not made of it.

    Of lines that were wrapped, `envelope` has what the wrappers say, row i of line i.
    """

    data: bytes
    context: Context = NO_CONTEXT
    envelope: pl.DataFrame | None = None

    @classmethod
    def of(cls, data: bytes, *, start_of_source: bool = False, context: Context = NO_CONTEXT) -> Text:
        """Decode a run of whole lines; bytes that are not UTF-8 become `\\xNN`."""
        if start_of_source and data.startswith(_BOM):
            data = data[len(_BOM) :]
        if not data.endswith(b"\n"):
            data += b"\n"
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if not data.isascii():
            data = _valid_utf8(data)
        return cls(data, context)

    @classmethod
    def of_lines(cls, lines: pl.Series, context: Context = NO_CONTEXT, envelope: pl.DataFrame | None = None) -> Text:
        """Lines (String, no nulls) that are text already and hold no newline."""
        data = io.BytesIO()
        lines.to_frame().write_csv(data, include_header=False, quote_style="never")
        return cls(data.getvalue(), context, envelope)._with(lines)

    def gather(self, places: pl.Series) -> Text:
        """Some of the lines."""
        envelope = None if self.envelope is None else self.envelope[places]
        return Text.of_lines(self.lines.gather(places), self.context, envelope)

    def slice(self, start: int, end: int) -> Text:
        """The lines from one place up to another."""
        if start == 0 and end == len(self):
            return self
        data = self.data[self._starts[start] : self._ends[end - 1] + 1] if end > start else b""
        return Text(data, self.context)._with(self.lines.slice(start, end - start))

    def _with(self, lines: pl.Series) -> Text:
        self.__dict__["lines"] = lines
        return self

    def __len__(self) -> int:
        return len(self._ends)

    @cached_property
    def lines(self) -> pl.Series:
        """The lines as a column (String), without their newlines."""
        lines = pl.read_lines(self.data)["line"]
        if lines.len() != len(self):
            # The reader and the bytes disagree on what a line is: the bytes are right.
            lines = pl.Series("line", self.data.decode().split("\n")[:-1], dtype=pl.String)
        return lines

    def pick(self, places: Iterable[int]) -> list[str]:
        """Some of the lines."""
        starts, ends = self._starts, self._ends
        return [self.data[starts[place] : ends[place]].decode() for place in places]

    @property
    def sizes(self) -> pl.Series:
        """The length of each line in bytes (Int64)."""
        return pl.Series(self._ends - self._starts)

    @property
    def plain(self) -> pl.Series:
        """Which lines are for certain neither blank nor directives (Boolean)."""
        first = self._bytes[self._starts]
        return pl.Series((first > _SPACE) & (first != _HASH))

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        # In blocks: what is compared stays in the processor's cache, and takes no memory to speak of.
        found = [
            np.flatnonzero(self._bytes[start : start + _BLOCK] == _NEWLINE) + start
            for start in range(0, len(self.data), _BLOCK)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], self._ends + 1])[:-1]


def _valid_utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="backslashreplace").encode()
    return data
