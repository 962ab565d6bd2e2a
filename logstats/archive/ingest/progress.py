"""The progress of each source of an `add`, since the last commit and in total."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from logstats.archive.ingest.known_sources import (
    BlockDigest,
    Known,
    Place,
)
from logstats.archive.log.commit import Advance, Counts, End
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError, SourceError


@dataclass(slots=True)
class Outcome:
    """The outcome for one source: `counts` of the lines added, after `known` lines that the archive already had.

    `left` is the size in bytes of a last line that still lacks its newline. `problem` says why the source was not read,
    or not to its end. `record` is what the last commit with lines of it calls the source; the bytes from `tail` on
    are those by which it can be known again.
    """

    name: str
    format: str | None = None
    spelling: str | None = None  # of the format: what it takes to go on as before
    known: int = 0
    counts: Counts = field(default_factory=Counts)
    left: int = 0
    problem: LogstatsError | None = None
    record: str = ""
    tail: int = 0


@dataclass(slots=True)
class Added:
    """The result of an `add`."""

    outcomes: list[Outcome] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)
    interrupted: bool = False

    @property
    def counts(self) -> Counts:
        """The lines added, of all sources."""
        total = Counts()
        for outcome in self.outcomes:
            total += outcome.counts
        return total

    def failed(self, problems: Iterable[SourceError]) -> None:
        """Record sources that could not be opened."""
        self.outcomes += [Outcome(problem.source, problem=problem) for problem in problems]


@dataclass(slots=True)
class SourceProgress:
    """The progress of one source since the last commit: from `known` to `end`."""

    id: str
    outcome: Outcome
    known: Known
    end: End
    digest: BlockDigest
    place: Place | None
    counts: Counts = field(default_factory=Counts)
    last_time: int | None = None  # of the last row read, in µs since 1970

    @property
    def moved(self) -> bool:
        """Whether anything was read since the last commit."""
        return self.end.bytes > self.known.end.bytes

    def advance(self, label: str | None) -> Advance:
        """The progress in the form that a commit takes."""
        source, begun = self.known.source, len(self.known.digest.blocks) if self.known.digest else 0
        return Advance(
            id=self.id,
            name=self.outcome.name,
            label=label,
            format=self.outcome.spelling,
            parent=source.id if source is not None and source.id != self.id else None,
            start=(begun, self.known.end.bytes, self.known.end.lines),
            blocks=tuple(self.digest.blocks[begun:]),
            end=self.end,
            counts=self.counts,
            heads=tuple(self.digest.heads),
            places={self.place.key: (self.place.size, self.place.last)} if self.place else {},
        )
