"""Lines that were not counted where they were cut, of several chunks together.

A chunk of a log leaves some dozen of its lines: broken ones, requests of scanners. What is done with them takes as long
for a dozen as for some thousand, so those of some chunks wait and become one chunk of their own. What comes of it is
what would come of each by itself: its lines know their number in the source, and in which order they came.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, cast

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.inputs import Chunk
from logstats.kernels.library import Places
from logstats.pipeline.job import Result
from logstats.summaries.statistics import ORDER_BITS, Several, Summaries

if TYPE_CHECKING:
    from logstats.formats.reader import Reader
    from logstats.formats.text import Text
    from logstats.pipeline.chunk_task import Part
    from logstats.pipeline.line_counter import Counted, LineCounter

FEW: Final = 500  # lines of a chunk that may wait
CHUNKS: Final = 16  # that wait at most; as many as are merged at once


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

    lines: NDArray[np.int64]
    orders: NDArray[np.int64]


class Waiting(Generic[Result]):
    """Parts of a source, in order, whose lines that are left wait for those of others."""

    def __init__(self) -> None:
        self.parts: list[Part[Result]] = []

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return len(self.parts) >= CHUNKS

    def chunk(self) -> Chunk:
        """All lines that wait, as one chunk."""
        found = [part.left for part in self.parts if part.left is not None]
        data, last = b"".join(one.data for one in found), self.parts[-1]
        return Chunk(data, 0, last.end.bytes, last.end.bytes, sum(len(one.places) for one in found))

    def numbers(self) -> Numbers:
        """Where these lines were."""
        lines, orders = [], []
        for number, part in enumerate(self.parts):
            if part.left is not None:
                lines.append(part.left.places + (part.end.lines - part.chunk_lines + 1))
                orders.append(part.left.places + (number << ORDER_BITS))
        return Numbers(np.concatenate(lines), np.concatenate(orders))

    def together(self, of_left: Part[Result] | None) -> Part[Result]:
        """One part of all: what was counted, and what came of the lines that were left."""
        parts, self.parts = self.parts, []
        chunks = tuple(cast(Summaries, part.result) for part in parts)
        several = Several(chunks, cast(Summaries, of_left.result) if of_left and of_left.result is not None else {})
        first = parts[-1] if of_left is None else replace(of_left, end=parts[-1].end)
        return replace(
            first,
            chunk_lines=sum(part.chunk_lines for part in parts),
            chunk_bytes=sum(part.chunk_bytes for part in parts),
            rows=sum(part.rows for part in parts) + (of_left.rows if of_left else 0),
            requests=sum(part.requests for part in parts) + (of_left.requests if of_left else 0),
            result=cast(Result, several),
            left=None,
            unread=None,
        )
