"""Parts of a source whose lines that are left wait for those of others: see `left`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Generic, cast

import numpy as np

from logstats.inputs import Chunk
from logstats.pipeline.chunk_task import Part
from logstats.pipeline.job import Result
from logstats.pipeline.left import Numbers
from logstats.summaries.statistics import ORDER_BITS, Several, Summaries

CHUNKS: Final = 16  # that wait at most; as many as are merged at once


class Waiting(Generic[Result]):
    """Parts of a source, in order, whose lines that are left wait for those of others."""

    def __init__(self) -> None:
        self.parts: list[Part[Result]] = []

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return len(self.parts) >= CHUNKS

    @property
    def left(self) -> int:
        """How many lines wait."""
        return sum(len(part.left.places) for part in self.parts if part.left is not None)

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
