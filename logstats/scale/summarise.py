"""Writes a summary file of what comes, chunk by chunk or shard by shard, and keeps the statistics of it as well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, BinaryIO, Self

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.scale import tables
from logstats.scale.condense import HELD, Condenser
from logstats.scale.description import Description
from logstats.scale.tables import Piece
from logstats.scale.writer import Writer
from logstats.summaries.slowest import NAME as SLOWEST
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics


@dataclass(frozen=True, slots=True)
class SummaryWork:
    """The pieces of a summary; see `work.Work`."""

    spec: ReportSpec

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that are read."""
        return tables.needs(self.spec)

    def work(self, rows: pl.DataFrame, _source: str, _first_line: int) -> Any:
        """The pieces of a chunk."""
        return tables.summarise(rows, self.spec)

    def condense(self, results: list[Any]) -> tuple[list[Any], list[str]]:
        """The pieces of all chunks together. Nothing is folded: that is done once, for the file."""
        pieces: list[Piece] = []
        condenser = Condenser(self.spec, pieces.append, bounded=False)
        for result in results:
            condenser.add(result)
        condenser.close()
        return [pieces], []

    def moved(self, result: Any, lines: int) -> Any:
        """The pieces, with the single requests so many lines further down."""
        if not lines:
            return result
        return [
            replace(piece, frame=piece.frame.with_columns(pl.col("line") + lines)) if piece.table == SLOWEST else piece
            for piece in result
        ]


class Summariser:
    """A summary file in the making. Nothing is written to `file` before `finish`."""

    def __init__(self, spec: ReportSpec, file: BinaryIO) -> None:
        self.statistics = Statistics(spec)
        self._spec = spec
        self._writer = Writer(file, spec)
        self._condenser = Condenser(spec, self._sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.discard()

    @property
    def work(self) -> SummaryWork:
        """What gives the pieces of lines."""
        return SummaryWork(self._spec)

    def add(self, pieces: Iterable[Piece]) -> None:
        """Add the pieces of the next chunk, or shard."""
        self._condenser.add(pieces)

    def finish(self, about: Description) -> None:
        """Write the file, unless reading was interrupted: some of the lines would pass for all."""
        self._condenser.close()
        self.statistics.merge()
        if about.counts.interrupted:
            return
        folded = dict(about.folded)
        for table, over in self._condenser.folded.items():
            folded[table] = folded.get(table, 0) + over
        self._writer.close(replace(about, held=HELD * self._spec.max_endpoints, folded=folded))

    def _sink(self, piece: Piece) -> None:
        self._writer.add(piece)
        self.statistics.add(tables.summaries(piece, self._spec))
