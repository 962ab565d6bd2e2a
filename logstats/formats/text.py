"""Bytes of a chunk → text lines.

The text that both lanes of every format read: UTF-8, lines ended by a single newline, no byte order mark.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Text:
    """The lines of one chunk: `data` as one UTF-8 buffer, `lines` (String, row i is line i) as a column."""

    data: bytes
    lines: pl.Series

    @classmethod
    def of(cls, data: bytes, count: int | None = None, *, start_of_source: bool = False) -> Text:
        """Decode a run of whole lines, `count` of them if the caller knows; bytes that are not UTF-8 become `\\xNN`."""
        if start_of_source and data.startswith(_BOM):
            data = data[len(_BOM) :]
        if not data.endswith(b"\n"):
            data += b"\n"
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if not data.isascii():
            data = _valid_utf8(data)
        return cls(data, _split(data, data.count(b"\n") if count is None else count))

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
