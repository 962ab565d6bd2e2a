"""Lines that are written alike are taken apart together.

A program writes its lines with one piece of code: the same keys in the same order, the same punctuation. What does
not change from line to line is a skeleton, and the delimited engine reads what stands between its bones. A skeleton is
learned from a line that nothing has read yet; lines of which it is not certain are left to whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import polars as pl

from logstats.formats.text import Text

SKELETONS: Final = 12  # how many are learned of one chunk


class Skeleton(Protocol):
    """How some lines are written."""

    def columns(self, text: Text) -> tuple[pl.DataFrame, pl.Series]:
        """One column per variable for every line, and of which lines that is certain."""


def take_apart(
    text: Text, learn: Callable[[str], Skeleton | None], names: Sequence[str]
) -> tuple[pl.DataFrame, pl.Series]:
    """One String column per name, and which lines could be read."""
    parts: list[pl.DataFrame] = []
    left, places = text, pl.int_range(len(text), dtype=pl.UInt32, eager=True)
    for _ in range(SKELETONS):
        if not len(left):
            break
        skeleton = learn(left.pick([0])[0])
        read, good = skeleton.columns(left) if skeleton else (None, None)
        if read is None or good is None or not good[0]:
            # One of a kind.
            left, places = left.slice(1, len(left)), places[1:]
            continue
        if good.all() and len(left) == len(text):
            return read, good
        parts.append(read.with_columns(place=places).filter(good))
        rest = ~good
        left, places = left.gather(rest.arg_true()), places.filter(rest)
    proven = pl.Series([False]).new_from_index(0, len(text))
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String)).clear(len(text)), proven
    found = pl.concat(parts)
    every = pl.DataFrame({"place": pl.int_range(len(text), dtype=pl.UInt32, eager=True)})
    joined = every.join(found.with_columns(read=True), on="place", how="left", maintain_order="left")
    return joined.drop("place", "read"), joined["read"].fill_null(value=False)
