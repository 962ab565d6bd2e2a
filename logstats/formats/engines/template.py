"""Lines that are written alike are taken apart together.

A program writes its lines with one piece of code: the same keys in the same order, the same punctuation. What does
not change from line to line is a template, and the delimited engine reads what stands between its literals. A
template is learned from a line that nothing has read yet; the caller reads the lines that fit none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import polars as pl

from logstats.formats.engines.scan import left_of
from logstats.formats.text import Text
from logstats.kernels.columns import as_numbers

SKELETONS: Final = 12  # how many are learned of one chunk


class Template(Protocol):
    """How some lines are written."""

    def columns(self, text: Text) -> pl.DataFrame:
        """Which lines are certainly written so (`line`), and one column per variable of those."""


def take_apart(text: Text, learn: Callable[[str], Template | None], names: Sequence[str]) -> pl.DataFrame:
    """Which lines could be read (`line`, UInt32), and one String column per name of those."""
    parts: list[pl.DataFrame] = []
    left, places = text, np.arange(len(text), dtype=np.uint32)
    for _ in range(SKELETONS):
        if not len(left):
            break
        template = learn(left.pick([0])[0])
        found = template.columns(left) if template else None
        if found is None or not found.height or found["line"][0]:
            # One of a kind.
            left, places = left.slice(1, len(left)), places[1:]
            continue
        if found.height == len(text):
            return found
        parts.append(found.with_columns(line=as_numbers(places[found["line"].to_numpy()])))
        rest = left_of(left, found)
        left, places = left.gather(rest), places[rest]
    if not parts:
        return pl.DataFrame(schema={"line": pl.UInt32, **dict.fromkeys(names, pl.String)})
    return pl.concat(parts).sort("line")
