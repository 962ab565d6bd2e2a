"""`logstats formats detect` and `test`: which format a source has, and how well a format reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Final

from logstats.dataclass import dataclass
from logstats.endpoints import Endpoints
from logstats.filters import Filters
from logstats.formats.detection.detect import Detected, Detector
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.model import Format
from logstats.formats.wrappers.stack import FormatStack, stack_reader
from logstats.frames import pl
from logstats.inputs import ChunkReader, Source
from logstats.pipeline import Job, Listener, Silence, context_of, run, sample_lines

if TYPE_CHECKING:
    from logstats.formats.detection.verdicts import Verdict

SHOWN: Final = 3  # bad lines of each reason
_ENOUGH: Final = 1 << 20  # bytes of a pipe that detection waits for


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read: its `number`, without its wrappers, and the character where reading stopped."""

    source: str
    number: int
    reason: str
    text: str
    column: int


@dataclass(slots=True)
class Trial:
    """The result of a test: how well a format reads some sources. `example` has the columns of the first row that are
    not null."""

    lines: int = 0
    requests: int = 0
    events: int = 0
    ignored: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    bad: list[BadLine] = field(default_factory=list)
    example: dict[str, object] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """Lines that were read."""
        return self.requests + self.events


def detect(source: Source, formats: Mapping[str, Format]) -> tuple[Detected | None, list[str]]:
    """(the detected format of a source or None, the lines that it was detected from). Raises SourceError."""
    data = b""
    with ChunkReader(source) as chunks:
        for chunk in chunks:
            data += chunk.data
            lines = sample_lines(data)
            if len(data) >= _ENOUGH or len(lines) >= 100:
                break
        if chunks.error is not None and not data:
            raise chunks.error
    lines = sample_lines(data)
    return Detector(formats.values()).detect(lines, context_of(source), thorough=True), lines


def verdicts(
    source: Source, formats: Mapping[str, Format], detected: Detected | None, lines: Sequence[str]
) -> list[Verdict]:
    """For each format, whether it reads these lines of a source, and if not, why."""
    from logstats.formats.detection import verdicts as of_formats

    return of_formats.verdicts(formats.values(), lines, detected, context_of(source))


def first_row(stack: FormatStack, lines: Sequence[str], zone: str = "UTC") -> dict[str, object]:
    """The first row that a stack reads: the columns that are not null."""
    from logstats.formats.text import Text

    reading = ReadOptions(Endpoints(), zone=zone)
    batch = stack_reader([stack], reading, named=True)(Text.from_bytes("\n".join(lines).encode()))
    rows = batch.rows.sort("line").head(1).drop("line")
    return {name: value for name, value in (rows.to_dicts() or [{}])[0].items() if value is not None}


def read_with(
    stacks: Sequence[FormatStack], sources: Sequence[Source], reading: ReadOptions, listener: Listener | None = None
) -> Trial:
    """Read all lines of some sources with these stacks. A source that cannot be read is reported to the listener."""
    found = Trial()
    ready = stack_reader(stacks, reading, named=True)
    seen: dict[str, int] = {}

    def first(rows: pl.DataFrame, _source: str, _line: int) -> pl.DataFrame:
        return rows.sort("line").head(1)

    job = Job(reading, Filters(), first, tuple(stacks), keep_rejected=True)
    for part, counts in run(sources, job, listener or Silence()):
        name = counts.sources[part.source].name
        if part.result is not None and not found.example:
            row = part.result.drop("line").to_dicts()[0]
            found.example = {column: value for column, value in row.items() if value is not None}
        for number, reason, line in part.rejected_lines:
            if seen.get(reason, 0) < SHOWN:
                seen[reason] = seen.get(reason, 0) + 1
                text = line.decode(errors="backslashreplace").rstrip("\r")
                found.bad.append(BadLine(name, number, reason, *ready.stop(text, reason)))
    counts = job.counts
    found.lines, found.requests, found.events, found.ignored = (
        counts.lines,
        counts.requests,
        counts.events,
        counts.ignored,
    )
    found.rejected = dict(sorted(counts.reasons.items(), key=lambda item: -item[1]))
    return found
