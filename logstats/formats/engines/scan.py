"""The result of an engine, the texts of the fields of lines; and how its two paths are joined.

`Tokens.fields` has the columns `line` (UInt32, index in the chunk) and one String column per variable of the format;
`Tokens.rejected` has `line` and `reason`. Every line of the chunk is in one of the two, or is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from logstats.dataclass import dataclass
from logstats.formats.text import Text
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers

if TYPE_CHECKING:
    from logstats.formats.engines.program import Program

DOUBTFUL = "doubtful"  # the reason of a line that the format can read, but which may well be of another format


@dataclass(frozen=True, slots=True)
class Reject(Exception):
    """The reason why a line cannot be read, and the character at which that was found."""

    reason: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """The fields of the lines that match the format, and the lines that do not."""

    fields: pl.DataFrame
    rejected: pl.DataFrame
    ignored: int


def rejects(found: Sequence[tuple[int, str]] = ()) -> pl.DataFrame:
    """A table of rejected lines: (line, reason)."""
    return pl.DataFrame(found, schema={"line": pl.UInt32, "reason": pl.String}, orient="row")


class Tokeniser(Protocol):
    """An engine, prepared for one format and the variables that are wanted."""

    names: list[str]

    def __call__(self, text: Text) -> Tokens: ...
    def program(self, text: Text) -> Program | None:
        """A program that cuts lines into these variables as the fast path does, for most lines of a text."""
        ...

    def scan(self, line: str) -> Mapping[str, str | None]: ...
    def stop(self, line: str, name: str = "") -> int: ...


Scan = Callable[[str], Mapping[str, str | None]]  # the reference path: one line → its fields, or raises Reject


BLANK = " \t\r\v\f"


def ignorable(line: str) -> bool:
    """Whether a line is blank or a `#` directive: neither a request nor an error."""
    return line.startswith("#") or not line.strip(BLANK)


def scan_lines(lines: Iterable[tuple[int, str]], scan: Scan, names: Collection[str]) -> Tokens:
    """The reference path over (index, line) pairs."""
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    kept: list[int] = []
    refused: list[tuple[int, str]] = []
    ignored = 0
    for index, line in lines:
        if ignorable(line):
            ignored += 1
            continue
        try:
            fields = scan(line)
        except Reject as reject:
            refused.append((index, reject.reason))
            continue
        kept.append(index)
        for name, column in columns.items():
            column.append(fields.get(name))
    frame = pl.DataFrame({"line": kept, **columns}, schema={"line": pl.UInt32, **dict.fromkeys(names, pl.String)})
    return Tokens(frame, rejects(refused), ignored)


def fast_then_reference(text: Text, fast: pl.DataFrame, scan: Scan, names: list[str]) -> Tokens:
    """Join the two paths: `fast` has the lines that the fast path has read; the reference path reads the others."""
    columns = ["line", *names]
    numbered = fast if fast.columns == columns else fast.select(columns)
    if numbered.height == len(text):
        return Tokens(numbered, rejects(), 0)
    others = left_of(text, fast)
    left = others[text.ends[others] > text.starts[others]].tolist()
    slow = scan_lines(zip(left, text.pick(left), strict=True), scan, names)
    blank = len(others) - len(left)
    return Tokens(in_order(numbered, slow.fields), slow.rejected, slow.ignored + blank)


def left_of(text: Text, read: pl.DataFrame) -> kernels.Places:
    """The lines that were not read."""
    left = np.ones(len(text), np.bool_)
    left[read["line"].to_numpy()] = False
    return np.flatnonzero(left)


def in_order(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The rows of both, ordered by line."""
    if not other.height:
        return one
    both = pl.concat([one, other])
    return both[as_numbers(np.argsort(both["line"].to_numpy(), kind="stable"))]
