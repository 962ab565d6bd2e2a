"""Lines, taken apart by a small program that `logstats.kernels` runs over all of them.

    LITERAL "[", UNTIL "] " → time, SECTION, UNTIL " " → method, REST → target, CLOSE

A step is passed or the line does not fit, which is all that is said of it: the reference path looks at that line again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import polars as pl

from logstats.formats.text import Text
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers


class Code(IntEnum):
    """What a step does; `lines.c` has the same list."""

    SECTION = 0  # what follows is up to the next quote,
    LAST = 1  # or up to the end of the line, in which no quote is left,
    ANY = 2  # or up to the end of the line, quotes and all
    CLOSE = 3  # the section must be used up, and its quote is passed
    ESCAPED = 4  # the same; a backslash before the quote would escape it
    ENDS = 5  # the section must end with a literal
    LITERAL = 6  # must stand here
    UNTIL = 7  # a variable goes up to a literal, which is passed
    UPTO = 8  # a variable goes up to a byte, or to the end of the section
    REST = 9  # a variable goes up to the end of the section
    TEXT = 10  # a variable is the inside of a JSON text without escapes
    NUMBER = 11  # a variable is a number as everybody writes it in JSON, or true, false, null
    SPELLED = 12  # the same if it is certain that whoever writes it again spells it so
    TIME = 13  # the same if it is certain that no exponent appears then
    PLAIN = 14  # the line is for certain neither blank nor a directive


@dataclass(frozen=True, slots=True)
class Step:
    """One step. A variable without a name is not wanted; it must hold none of the bytes `never`, and `least` others."""

    code: Code
    literal: bytes = b""
    name: str | None = None
    never: bytes = b""
    least: int = 0


class Program:
    """Steps, made ready to run; safe to run in several threads."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.names: Final = list(dict.fromkeys(step.name for step in steps if step.name is not None))
        self._literals = b""
        rows = []
        for step in steps:
            column = -1 if step.name is None else self.names.index(step.name)
            rows.append((step.code, column, *self._kept(step.literal), *self._kept(step.never), step.least))
        self._steps = np.array(rows, kernels.STEP)

    def _kept(self, literal: bytes) -> tuple[int, int]:
        place = len(self._literals)
        self._literals += literal
        return place, len(literal)

    def __call__(self, text: Text) -> pl.DataFrame:
        """Which lines it fits (`line`, UInt32), and the variables (String) of those."""
        if not kernels.AVAILABLE:
            return pl.DataFrame(schema={"line": pl.UInt32, **dict.fromkeys(self.names, pl.String)})
        lines, columns = kernels.cut(text.data, text.starts, text.ends, self._steps, self._literals, len(self.names))
        named = zip(self.names, columns, strict=True)
        return pl.DataFrame([as_numbers(lines).alias("line"), *(column.alias(name) for name, column in named)])
