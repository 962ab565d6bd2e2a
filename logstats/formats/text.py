"""Bytes of a chunk → text lines.

The text that both lanes of every format read: UTF-8, lines ended by a single newline, no byte order mark.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

import numpy as np
import polars as pl

from logstats.formats.buffer import Buffer, Mask, Places

_BOM = b"\xef\xbb\xbf"
_BLOCK: Final = 4 << 20
_LONG: Final = 64 << 10
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

    data: bytes | memoryview
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
        return cls(data.getvalue(), context, envelope)._with(lines=lines)

    def gather(self, places: Places) -> Text:
        """Some of the lines."""
        envelope = None if self.envelope is None else self.envelope[places]
        return Text(self.data, self.context, envelope)._with(
            buffer=self.buffer, starts=self.starts[places], ends=self.ends[places], some=True
        )

    def slice(self, start: int, end: int) -> Text:
        """The lines from one place up to another."""
        return self if start == 0 and end == len(self) else self.gather(np.arange(start, end))

    def blocks(self) -> list[Text]:
        """The same lines a few MiB at a time: what is looked at again is then still in the processor's cache."""
        data, starts = memoryview(self.data), [0]
        while len(data) - starts[-1] > _BLOCK * 3 // 2:
            about = starts[-1] + _BLOCK
            rest = bytes(data[about : about + _LONG]).find(b"\n")
            if rest < 0:  # lines of megabytes
                return [self]
            starts.append(about + rest + 1)
        if len(starts) == 1:
            return [self]
        return [Text(data[a:b], self.context) for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]

    def counted(self, blocks: Sequence[Text]) -> None:
        """Learn of its blocks where the lines end."""
        before = accumulate((len(block.data) for block in blocks), initial=0)
        self._with(ends=np.concatenate([block.ends + size for block, size in zip(blocks, before, strict=False)]))

    def _with(self, **known: Any) -> Text:
        self.__dict__.update(known)
        return self

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def lines(self) -> pl.Series:
        """The lines as a column (String), without their newlines."""
        return self.buffer.texts(self.starts, self.ends).alias("line")

    def line(self, place: int) -> bytes:
        """The bytes of one line."""
        return bytes(self.data[self.starts[place] : self.ends[place]])

    def pick(self, places: Iterable[int]) -> list[str]:
        """Some of the lines."""
        return [self.line(place).decode() for place in places]

    @cached_property
    def plain(self) -> Mask:
        """Which lines are for certain neither blank nor directives."""
        first = self.buffer.bytes[self.starts]
        return np.asarray((first > _SPACE) & (first != _HASH))

    @cached_property
    def buffer(self) -> Buffer:
        """The same, to be looked at in columns."""
        return Buffer(self.data)

    @cached_property
    def ends(self) -> Places:
        """Where the newline of each line stands."""
        return self.buffer.places_of(_NEWLINE)

    @cached_property
    def starts(self) -> Places:
        """Where each line begins."""
        return np.concatenate([[0], self.ends + 1])[:-1]

    @cached_property
    def quotes(self) -> tuple[Places, Places, Places]:
        """Where double quotes and newlines stand, in order, and for each line which of these is the first from its
        start on, and which is the first from its end on."""
        marks = self.buffer.quotes
        if self.__dict__.get("some"):
            return marks, np.searchsorted(marks, self.starts), np.searchsorted(marks, self.ends)
        last = np.flatnonzero(self.buffer.bytes[marks] == _NEWLINE)
        self._with(ends=marks[last])
        return marks, np.concatenate([[0], last + 1])[:-1], last


def _valid_utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="backslashreplace").encode()
    return data
