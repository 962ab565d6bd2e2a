"""Lines that were not counted where they were cut, of several chunks together.

A chunk of a log leaves some dozen of its lines: broken ones, requests of scanners. What is done with them takes as long
for a dozen as for some thousand, so those of some chunks wait and become one chunk of their own. What comes of it is
what would come of each by itself: its lines know their number in the source, and in which order they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logstats.dataclass import dataclass
from logstats.kernels.library import Places

if TYPE_CHECKING:
    from logstats.formats.reader import Reader
    from logstats.formats.text import Text
    from logstats.pipeline.line_counter import Counted, LineCounter

FEW: Final = 500  # lines of a chunk that may wait


@dataclass(frozen=True, slots=True)
class Left:
    """Lines of a chunk, each ended by a newline, and their places in it, from 0."""

    data: bytes
    places: Places


@dataclass(frozen=True, slots=True)
class Known:
    """A counter that has already counted the lines of a text."""

    counter: LineCounter
    counted: tuple[Counted, Places] | None

    def __call__(self, reader: Reader, fields: Any) -> tuple[Counted | None, Any]:
        """Count what the fields have."""
        return self.counter(reader, fields)

    def of_text(self, _reader: Reader, _text: Text) -> tuple[Counted, Places] | None:
        """What was counted."""
        return self.counted


def left(text: Text, places: Places) -> Left:
    """These lines of a text."""
    return Left(b"".join(text.data[text.starts[place] : text.ends[place] + 1] for place in places.tolist()), places)


@dataclass(frozen=True, slots=True)
class Numbers:
    """For each line of a chunk its number in the source, from 1, and a number that grows in the order in which lines of
    its chunk and of the others came."""

    lines: Places
    orders: Places
