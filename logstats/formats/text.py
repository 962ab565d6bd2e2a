"""Bytes of a chunk → text lines.

The text that both lanes of every format read: UTF-8, lines ended by a single newline, no byte order mark.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Context:
    """What the lines of a chunk do not say themselves.

    `directives` are the W3C directives in force where it begins (`#Fields: …`, `#Date: …`), a line each;
    `modified` is when the source was last written, which tells the year of times that have none.
    """

    directives: str = ""
    modified: datetime | None = None


NO_CONTEXT: Final = Context()


@dataclass(frozen=True, slots=True)
class Text:
    """The lines of one chunk: `data` as one UTF-8 buffer, `lines` (String, row i is line i) as a column.

    Of lines that were wrapped, `envelope` has what the wrapper says, row i of line i.
    """

    data: bytes
    lines: pl.Series
    context: Context = NO_CONTEXT
    envelope: pl.DataFrame | None = None

    @classmethod
    def of(
        cls, data: bytes, count: int | None = None, *, start_of_source: bool = False, context: Context = NO_CONTEXT
    ) -> Text:
        """Decode a run of whole lines, `count` of them if the caller knows; bytes that are not UTF-8 become `\\xNN`."""
        if start_of_source and data.startswith(_BOM):
            data = data[len(_BOM) :]
        if not data.endswith(b"\n"):
            data += b"\n"
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if not data.isascii():
            data = _valid_utf8(data)
        return cls(data, _split(data, data.count(b"\n") if count is None else count), context)

    @classmethod
    def of_lines(cls, lines: pl.Series, context: Context = NO_CONTEXT, envelope: pl.DataFrame | None = None) -> Text:
        """Lines that are text already and hold no newline."""
        data = io.BytesIO()
        lines.to_frame().write_csv(data, include_header=False, quote_style="never")
        return cls(data.getvalue(), lines, context, envelope)

    def gather(self, places: pl.Series) -> Text:
        """Some of the lines."""
        envelope = None if self.envelope is None else self.envelope[places]
        return Text.of_lines(self.lines.gather(places), self.context, envelope)

    def __len__(self) -> int:
        return len(self.lines)


def _valid_utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="backslashreplace").encode()
    return data


def _split(data: bytes, count: int) -> pl.Series:
    lines = pl.read_lines(data)["line"]
    if lines.len() != count:
        # The reader and the bytes disagree on what a line is: the bytes are right.
        lines = pl.Series("line", data.decode().split("\n")[:-1], dtype=pl.String)
    return lines
