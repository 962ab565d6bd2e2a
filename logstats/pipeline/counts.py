"""Counts: every line of a run is in exactly one of them."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import SourceError
from logstats.formats.detection.unread import Left
from logstats.formats.wrappers.stack import names_of

LEFT_OUT: Final = "(left out: --anonymize)"  # instead of the text of a rejected line
SAMPLES: Final = 3  # rejected lines shown per reason


@dataclass(slots=True)
class SourceState:
    """The counts of one source. `format` has the names of its formats, as `--format` takes them, `spelling` what it
    takes to go on reading as before (`stack.spelling_of`)."""

    name: str
    format: str | None = None
    lines: int = 0
    bytes: int = 0
    unfinished: int = 0  # bytes of a last line that lacks its newline and was not read
    problem: SourceError | None = None
    spelling: str | None = None
    left: Left | None = None  # for the next part of the source, if it is read in parts

    @property
    def formats(self) -> list[str]:
        """The names of its formats."""
        return names_of(self.format)


@dataclass(slots=True)
class Counts:
    """The counts of a run: lines = requests + events + rejected + filtered + ignored."""

    lines: int = 0
    requests: int = 0
    events: int = 0
    rejected: int = 0
    filtered: int = 0
    ignored: int = 0
    invalid: dict[str, int] = field(default_factory=dict)  # invalid values of requests, by field
    reasons: dict[str, int] = field(default_factory=dict)
    samples: list[tuple[str, int, str, str]] = field(default_factory=list)  # (source, line, reason, text)
    sources: list[SourceState] = field(default_factory=list)
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)  # remarks for readers of the figures
    span: tuple[datetime, datetime] | None = None  # first and last time of all rows, if only a range of time counts
    unopened: int = 0  # how many of `sources` (the first ones) could not be opened

    @property
    def read(self) -> int:
        """Lines that a format could read, whether or not they count."""
        return self.requests + self.events + self.filtered

    def caveats(self) -> list[str]:
        """Remarks for readers of figures that were made of these lines."""
        found = list(self.notes)
        if self.rejected:
            found.append(f"{self.rejected:,} of {self.lines:,} lines could not be read (logstats report says why)")
        if self.interrupted:
            found.append("interrupted: this is what had arrived until then")
        return found

    def failed(self, problem: SourceError) -> None:
        """Record a source that could not be opened. Call this before the others are read."""
        self.sources.append(SourceState(problem.source, problem=problem))
        self.unopened += 1

    def cover(self, span: tuple[datetime, datetime] | None) -> None:
        """Extend the span."""
        if span is not None:
            self.span = span if self.span is None else (min(self.span[0], span[0]), max(self.span[1], span[1]))

    def add(self, other: Counts, *, goes_on: bool = False) -> None:
        """Add the counts of the lines that come next, as if all had been read at once. If it `goes_on`, their first
        source is a further part of the last one; its line numbers count from the beginning of that."""
        if goes_on:
            whole, part = self.sources[-1], other.sources[0]
            whole.lines += part.lines
            whole.bytes += part.bytes
            whole.unfinished += part.unfinished
            whole.format, whole.spelling = part.format, part.spelling
            whole.problem = part.problem or whole.problem
            other.sources = other.sources[1:]
        for name in ("lines", "requests", "events", "rejected", "filtered", "ignored"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.invalid, other.invalid), (self.reasons, other.reasons)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.cover(other.span)
        for sample in other.samples:
            self.sample(*sample)
        self.sources[self.unopened : self.unopened] = other.sources[: other.unopened]
        self.sources += other.sources[other.unopened :]
        self.unopened += other.unopened
        self.notes += other.notes
        self.interrupted = self.interrupted or other.interrupted

    def sample(self, source: str, line: int, reason: str, text: str) -> None:
        """Keep a rejected line, unless there are enough of its reason."""
        if sum(sample[2] == reason for sample in self.samples) < SAMPLES:
            self.samples.append((source, line, reason, text))
