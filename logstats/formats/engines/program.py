"""Programs: small lists of steps by which `logstats.kernels` splits all lines of a chunk.

    LITERAL "[", UNTIL "] " → time, SECTION, UNTIL " " → method, REST → target, CLOSE

A line for which a step fails does not match; the reference path reads it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import numpy as np

from logstats.dataclass import dataclass
from logstats.formats.text import Text
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers


class Code(IntEnum):
    """The kinds of steps; `lines.c` has the same list."""

    SECTION = 0  # begin a section that ends at the next quote,
    LAST = 1  # or at the end of the line, without any quote in it,
    ANY = 2  # or at the end of the line, with or without quotes
    CLOSE = 3  # the section must be used up; skip its quote
    ESCAPED = 4  # the same, but fail if a backslash escapes the quote
    ENDS = 5  # the section must end with a literal
    LITERAL = 6  # a literal must follow
    UNTIL = 7  # a variable up to a literal, which is skipped
    UPTO = 8  # a variable up to a byte, or to the end of the section
    REST = 9  # a variable up to the end of the section
    TEXT = 10  # a variable that is the inside of a JSON text without escapes
    NUMBER = 11  # a variable that is a plain JSON number, or true, false, or null, which becomes the empty text
    SPELLED = 12  # the same, for numbers that any JSON writer spells in this way
    TIME = 13  # the same, for numbers that are never spelled with an exponent
    PLAIN = 14  # the line must certainly be neither blank nor a directive
    QUOTED = 15  # a variable up to the next quote, which is skipped, and which no backslash escapes


@dataclass(frozen=True, slots=True)
class Step:
    """One step. A variable without a name is dropped. It must contain none of the bytes `never`, and at least `least`
    bytes."""

    code: Code
    literal: bytes = b""
    name: str | None = None
    never: bytes = b""
    least: int = 0


class Program:
    """Steps, prepared to run. Threads may share it."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.names: Final = list(dict.fromkeys(step.name for step in steps if step.name is not None))
        self.literals = b""
        rows = []
        for step in steps:
            column = -1 if step.name is None else self.names.index(step.name)
            rows.append((step.code, column, *self._kept(step.literal), *self._kept(step.never), step.least))
        self.steps: Final = np.array(rows, kernels.STEP)

    def _kept(self, literal: bytes) -> tuple[int, int]:
        place = len(self.literals)
        self.literals += literal
        return place, len(literal)

    def __call__(self, text: Text) -> pl.DataFrame:
        """The lines that match (`line`, UInt32), with their variables (String)."""
        if not kernels.AVAILABLE:
            return pl.DataFrame(schema={"line": pl.UInt32, **dict.fromkeys(self.names, pl.String)})
        lines, columns = kernels.cut(text.data, text.starts, text.ends, self.steps, self.literals, len(self.names))
        named = zip(self.names, columns, strict=True)
        return pl.DataFrame([as_numbers(lines).alias("line"), *(column.alias(name) for name, column in named)])
