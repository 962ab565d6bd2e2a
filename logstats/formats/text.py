"""Bytes of a chunk → text lines.

Both paths of every format read this text: UTF-8, each line ended by one newline, no byte order mark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers
from logstats.kernels.library import Places

_SURROGATE = b"\\udc"
_LEFT_OUT = re.compile(rb"^\0+(?=[^\0\n])", re.MULTILINE)
_HOLES = re.compile(rb"^(?=[^\n]*[^\0\n]\0\0)", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Context:
    """Facts about the lines of a chunk that are not in the lines.

    `directives` are the W3C directives in force where the chunk begins (`#Fields: …`, `#Date: …`), one on each line.
    `modified` is when the source was last written, from which the year of times without one is derived.
    `before` are the last whole lines before the chunk, if its lines may go on from those.
    """

    directives: str = ""
    modified: datetime | None = None
    before: bytes = b""


NO_CONTEXT: Final = Context()
_FEW: Final = 200  # lines that Python joins sooner than Polars has begun


@dataclass(frozen=True)
class Text:
    """The lines of one chunk as one UTF-8 buffer. Other forms of it are made when they are first used.

    For lines that were in wrappers, `envelope` has the wrappers' fields, row i for line i.
    """

    data: bytes | memoryview
    context: Context = NO_CONTEXT
    envelope: pl.DataFrame | None = None

    @classmethod
    def from_bytes(cls, data: bytes, *, context: Context = NO_CONTEXT, marks: kernels.Marks | None = None) -> Text:
        """Decode a run of whole lines; bytes that are not UTF-8 become `\\xNN`. NULs that a line begins with are what
        a writer left out that went on after copytruncate. A hole of some NULs within a line, as a crash leaves it, is
        between what need not be of one line: such a line begins with a NUL, and no format reads it. A byte order mark
        may begin any line, where files were joined. `marks` is what `kernels.marked_line_ends` said of the data."""
        if not data.endswith(b"\n"):
            data, marks = data + b"\n", None
        ends, odd, others = marks or kernels.marked_line_ends(data)
        whole = data
        for _ in range(2 if odd else 0):  # twice, since some lines end in `\r\r\n`
            if b"\r\n" in data:
                data = data.replace(b"\r\n", b"\n")
        if odd and b"\0" in data:
            data = _LEFT_OUT.sub(b"", data)
            data = _HOLES.sub(b"\0", data) if b"\0" in data else data
        if others and not data.isascii():
            data = _without_marks(_valid_utf8(data))
        text = cls(data, context)
        return text._with(ends=ends) if data is whole else text

    @classmethod
    def from_lines(cls, lines: pl.Series, context: Context = NO_CONTEXT, envelope: pl.DataFrame | None = None) -> Text:
        """A text of these lines (String, no nulls), which contain no newline."""
        if len(lines) <= _FEW:
            return cls("".join(f"{line}\n" for line in lines.to_list()).encode(), context, envelope)._with(lines=lines)
        data = io.BytesIO()
        lines.to_frame().write_csv(data, include_header=False, quote_style="never")
        return cls(data.getvalue(), context, envelope)._with(lines=lines)

    def within(self, context: Context) -> Text:
        """The same lines with another context."""
        return Text(self.data, context, self.envelope)._with(starts=self.starts, ends=self.ends)

    def gather(self, places: Places) -> Text:
        """Some of the lines."""
        envelope = None if self.envelope is None else self.envelope[as_numbers(places)]
        return Text(self.data, self.context, envelope)._with(starts=self.starts[places], ends=self.ends[places])

    def between(self, starts: Places, ends: Places) -> Text:
        """These stretches of the data as lines, without an envelope."""
        return Text(self.data, self.context)._with(starts=starts, ends=ends)

    def slice(self, start: int, end: int) -> Text:
        """The lines from `start` up to `end`."""
        return self if start == 0 and end == len(self) else self.gather(np.arange(start, end))

    def _with(self, **known: Any) -> Text:
        self.__dict__.update(known)
        return self

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def lines(self) -> pl.Series:
        """The lines as a column (String), without their newlines; views of the data."""
        if not kernels.AVAILABLE:
            return pl.Series("line", self.pick(range(len(self))), pl.String)
        return kernels.texts(self.data, self.starts, self.ends).alias("line")

    def line(self, place: int) -> bytes:
        """The bytes of one line."""
        return bytes(self.data[self.starts[place] : self.ends[place]])

    def pick(self, places: Iterable[int]) -> list[str]:
        """Some of the lines."""
        return [self.line(place).decode() for place in places]

    @cached_property
    def ends(self) -> Places:
        """The offset of the newline of each line."""
        return kernels.line_ends(self.data)

    @cached_property
    def starts(self) -> Places:
        """The offset of the first byte of each line."""
        starts = np.empty(len(self.ends), np.int64)
        starts[:1] = 0
        np.add(self.ends[:-1], 1, out=starts[1:])
        return starts


def _without_marks(data: bytes) -> bytes:
    return data.replace(b"\n" + _BOM, b"\n").removeprefix(_BOM) if _BOM in data else data


def _valid_utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        if _SURROGATE in data:  # as text, which cannot be told from the ones below
            return data.decode(errors="backslashreplace").encode()
        # The same, three times as fast: each such byte becomes a surrogate, and that becomes `\udcNN`.
        whole = data.decode(errors="surrogateescape").encode(errors="backslashreplace")
        return whole.replace(_SURROGATE, b"\\x")
    return data
