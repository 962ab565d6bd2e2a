"""Lines that are written alike are taken apart together.

A program writes its lines with one piece of code: the same keys in the same order, the same punctuation. What does
not change from line to line is a skeleton, and the delimited engine reads what stands between its bones. A skeleton is
learned from a line that nothing has read yet; lines of which it is not certain are left to whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import polars as pl

from logstats.formats.buffer import Mask
from logstats.formats.text import Text

SKELETONS: Final = 12  # how many are learned of one chunk
_PLACE: Final = "\0place"  # no variable is called so


class Skeleton(Protocol):
    """How some lines are written."""

    def columns(self, text: Text) -> tuple[pl.DataFrame, Mask]:
        """Which lines are certainly written so, and one column per variable of those."""


def take_apart(text: Text, learn: Callable[[str], Skeleton | None], names: Sequence[str]) -> tuple[pl.DataFrame, Mask]:
    """Which lines could be read, and one String column per name of those."""
    parts: list[pl.DataFrame] = []
    read = np.zeros(len(text), np.bool_)
    left, places = text, np.arange(len(text))
    for _ in range(SKELETONS):
        if not len(left):
            break
        skeleton = learn(left.pick([0])[0])
        found, good = skeleton.columns(left) if skeleton else (None, None)
        if found is None or good is None or not good[0]:
            # One of a kind.
            left, places = left.slice(1, len(left)), places[1:]
            continue
        if good.all() and len(left) == len(text):
            return found, good
        parts.append(found.with_columns(pl.Series(_PLACE, places[good])))
        read[places[good]] = True
        left, places = left.gather(np.flatnonzero(~good)), places[~good]
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String)), read
    return pl.concat(parts).sort(_PLACE).drop(_PLACE), read
