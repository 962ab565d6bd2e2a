"""What an engine makes of lines before anything is interpreted: the texts of their fields.

`Tokens.fields` has the columns `line` (UInt32, index in the chunk) and one String column per variable of the
format; `Tokens.rejected` has `line` and `reason`. Every line of the chunk is in one of the two, or ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import polars as pl

from logstats.formats.buffer import Mask
from logstats.formats.text import Text

REJECTED = {"line": pl.UInt32, "reason": pl.String}


@dataclass(frozen=True, slots=True)
class Reject(Exception):
    """Why a line cannot be read, and at which character of it that showed."""

    reason: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """The fields of the lines that have the format's shape, and the lines that do not."""

    fields: pl.DataFrame
    rejected: pl.DataFrame
    ignored: int


def joined(parts: Sequence[Tokens], lines: Sequence[int]) -> Tokens:
    """What was made of some lines after others, so many each."""
    if len(parts) == 1:
        return parts[0]
    shifts = [pl.lit(before, pl.UInt32) for before in accumulate(lines, initial=0)]
    moved = pl.col("line")
    return Tokens(
        pl.concat([p.fields.with_columns(moved + n) for p, n in zip(parts, shifts, strict=False)], rechunk=True),
        pl.concat([p.rejected.with_columns(moved + n) for p, n in zip(parts, shifts, strict=False)]),
        sum(part.ignored for part in parts),
    )


class Tokeniser(Protocol):
    """An engine, made ready for one format and for the variables that are wanted."""

    names: list[str]

    def __call__(self, text: Text) -> Tokens: ...
    def scan(self, line: str) -> dict[str, str | None]: ...
    def stop(self, line: str, name: str = "") -> int: ...


Scan = Callable[[str], dict[str, str | None]]  # the slow lane: one line to its fields, or raises Reject


BLANK = " \t\r\v\f"


def ignorable(line: str) -> bool:
    """Blank lines and `#` directives are neither requests nor mistakes."""
    return line.startswith("#") or not line.strip(BLANK)


def scan_lines(lines: Iterable[tuple[int, str]], scan: Scan, names: Collection[str]) -> Tokens:
    """The slow lane over (index, line) pairs."""
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
    return Tokens(frame, pl.DataFrame(refused, schema=REJECTED, orient="row"), ignored)


def two_lanes(text: Text, fast: pl.DataFrame, proven: Mask, scan: Scan, names: list[str]) -> Tokens:
    """Join the lanes: `fast` has the rows of the lines that are `proven`, the slow lane reads the others."""
    plain = text.plain
    if not plain.all():  # blank lines and directives are not for the fast lane to judge
        fast = fast.filter(pl.Series(plain[proven]))
        proven = proven & plain
    numbered = pl.DataFrame([pl.Series("line", np.flatnonzero(proven).astype(np.uint32)), *(fast[n] for n in names)])
    if numbered.height == len(text):
        return Tokens(numbered, pl.DataFrame(schema=REJECTED), 0)
    left = np.flatnonzero(~proven).tolist()
    slow = scan_lines(zip(left, text.pick(left), strict=True), scan, names)
    return Tokens(in_order(numbered, slow.fields), slow.rejected, slow.ignored)


def in_order(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The rows of both, by line."""
    if not other.height:
        return one
    both = pl.concat([one, other])
    return both[np.argsort(both["line"].to_numpy(), kind="stable")]
