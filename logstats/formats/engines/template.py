"""Templates: lines with the same literal text are split together.

A program writes its lines with one piece of code: the same keys in the same order, the same punctuation. The text that
does not change from line to line is the template; the delimited engine reads the values in between. A template is
learned from a line that no template has read yet; lines that match none are read by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from logstats.formats.engines.scan import left_of
from logstats.formats.text import Text
from logstats.frames import pl
from logstats.kernels.columns import as_numbers

TEMPLATES: Final = 12  # templates that are learned from one chunk at most


class Template(Protocol):
    """The template of some lines."""

    def columns(self, text: Text) -> pl.DataFrame:
        """The lines that certainly match (`line`), with one column for each variable."""


def take_apart(text: Text, learn: Callable[[str], Template | None], names: Sequence[str]) -> pl.DataFrame:
    """Read lines by the known templates and new ones. Returns the lines that were read (`line`, UInt32), with a String
    column for each name."""
    parts: list[pl.DataFrame] = []
    left, places = text, np.arange(len(text), dtype=np.uint32)
    for _ in range(TEMPLATES):
        if not len(left):
            break
        template = learn(left.pick([0])[0])
        found = template.columns(left) if template else None
        if found is None or not found.height or found["line"][0]:
            # A line like no other: its template is not learned.
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
