"""A job: what a run does with every chunk."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from logstats.dataclass import dataclass
from logstats.enrich.computed import Columns
from logstats.filters import Filters
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.text import Text
from logstats.formats.wrappers.stack import FormatStack
from logstats.frames import pl
from logstats.pipeline.counts import Counts

if TYPE_CHECKING:
    from logstats.enrich.privacy import Anonymizer
    from logstats.summaries.spec import ReportSpec

WORKERS: Final = max(2, min(4, os.cpu_count() or 2))
CHUNK: Final = 12 << 20  # bytes
PIPED: Final = 9 << 20  # bytes of a chunk of a pipe, whose pieces are in memory as well while they are joined

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a chunk, for work that needs more than rows.

    `rows` are the rows that pass the filters, whose `line` is the index in `text`; None if the chunk was not parsed.
    `first` is the number of the first line, from 1.
    """

    text: Text
    data: bytes
    rows: pl.DataFrame | None
    source: str
    first: int

    def raw(self) -> Text:
        """The lines with their original bytes."""
        return raw_lines(self.text, self.data)


def raw_lines(text: Text, data: bytes) -> Text:
    """The lines of a chunk with their original bytes, which differ from `text` if they are not UTF-8."""
    return text if text.data is data else Text(data if data.endswith(b"\n") else data + b"\n")


@dataclass(frozen=True)
class LineWork(Generic[Result]):
    """Work on whole lines: `look` is called with every chunk. If `reads` returns False for the bytes of a chunk, it is
    not parsed, and its lines count as filtered."""

    look: Callable[[Lines], Result]
    reads: Callable[[bytes], bool]


@dataclass(frozen=True)
class Job(Generic[Result]):
    """What to do with every chunk: read it with `reading`, keep the rows that pass `filters`, call `work`.

    `work(rows, source, first_line)` runs in a worker thread; it is not called for a chunk without rows. Without a
    `format`, that of each source is detected. If `timed`, a line without a usable time is rejected. With an
    `anonymizer`, work sees the rows as that leaves them, and nothing is kept of the text of a rejected line. `computed`
    are the names of further columns that work reads, and `columns` computes these, of what the anonymizer has left (but
    those that are impersonal before it). If `report` is given, `work` makes the summaries of that report, and lines may
    be counted without making rows of them (`line_counter`).
    """

    reading: ReadOptions
    filters: Filters
    work: Callable[[pl.DataFrame, str, int], Result] | LineWork[Result]
    format: tuple[FormatStack, ...] | None = None
    formats_dir: Path | None = None
    keep_rejected: bool = False
    timed: bool = False
    chunk: int = CHUNK
    workers: int = WORKERS
    counts: Counts = field(default_factory=Counts)
    anonymizer: Anonymizer | None = None
    columns: Columns = field(default_factory=Columns)
    computed: frozenset[str] = frozenset()
    report: ReportSpec | None = None
