"""The work of a thread on one chunk: reading its lines, filtering its rows, summarising them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Generic, cast

import numpy as np
from numpy.typing import NDArray

from logstats import schema
from logstats.dataclass import dataclass
from logstats.formats.detection.unread import Further, Unread, picked
from logstats.formats.engines.scan import BLANK
from logstats.formats.fields.beginnings import PART
from logstats.formats.fields.columns import Batch
from logstats.formats.text import Context, Text
from logstats.formats.wrappers.stack import StackReader, with_further, with_rest
from logstats.frames import pl
from logstats.inputs import Chunk, Digest
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers
from logstats.pipeline.counts import LEFT_OUT, SAMPLES
from logstats.pipeline.job import Job, Lines, LineWork, Result, raw_lines
from logstats.pipeline.left import FEW, Known, Left, Numbers, left
from logstats.pipeline.line_counter import Counted, LineCounter
from logstats.summaries.statistics import Summaries, joined

SAMPLE_TEXT: Final = 2_000  # characters of a rejected line that is shown
UNKNOWN: Final = "unknown_format"
UNTIMED: Final = "no_time"
FEW_REFUSED: Final = 64  # lines that are looked at one by one
TAIL: Final = 64 << 10  # bytes at the end of a chunk that are searched for directives


@dataclass(frozen=True, slots=True)
class End:
    """The end of a chunk: the bytes and lines of the source before it, the `digest` of these bytes if the source has
    one, and the W3C directives in force."""

    bytes: int
    lines: int
    digest: Digest | None
    directives: str


@dataclass(frozen=True, slots=True)
class Part(Generic[Result]):
    """A chunk that was read: its counts, and the `result` of the job's work on its rows."""

    source: int
    chunk_lines: int
    chunk_bytes: int
    rows: int
    requests: int
    rejected: list[tuple[int, str, str]]  # (line number, reason, text), only the samples
    reasons: dict[str, int]
    rejected_lines: list[tuple[int, str, bytes]]  # (line number, reason, whole line), if the job keeps them
    filtered: int
    ignored: int
    invalid: Mapping[str, int]
    result: Result | None
    end: End
    line_bytes: NDArray[np.int64] | None = None  # of each line with its newline, if the job is `timed`
    span: tuple[datetime, datetime] | None = None  # first and last time of its rows, if only a range of time counts
    tail: bytes = b""  # the last bytes of the chunk
    unread: tuple[ChunkTask[Result], Unread] | None = None  # rejected lines, for `SourceReader.settled`
    left: Left | None = None  # lines of which nothing is in this part yet
    waits: bool = False  # for those of other chunks


@dataclass(frozen=True, slots=True)
class ChunkTask(Generic[Result]):
    """Reads one chunk in a worker thread. If few of its lines are not counted, they may wait (`waits`); those of chunks
    before, as a chunk, have `numbers`."""

    job: Job[Result]
    reader: StackReader | None
    further: tuple[StackReader, ...] | None  # for lines that `reader` cannot read; None if the user gave the format
    chunk: Chunk
    source: int
    name: str
    context: Context
    directives: str  # in force after the chunk
    counter: LineCounter | None = None
    waits: bool = False
    numbers: Numbers | None = None

    def __call__(self) -> Part[Result]:
        text = Text.from_bytes(self.chunk.data, context=self.context, marks=self.chunk.marks)
        if isinstance(self.job.work, LineWork) and not self.job.work.reads(self.chunk.data):
            return self._not_parsed(text, self.job.work)
        # A line that was cut to its beginning is known by its row.
        counter: LineCounter | Known | None = None if self.chunk.cut else self.counter
        if self.waits and isinstance(counter, LineCounter) and self.reader is not None:
            found = self.reader.counted(text, counter)
            if found is not None and len(found[1]) <= FEW and _is_whole(text, self.chunk.data):
                waiting = left(text, found[1]) if len(found[1]) else None
                return replace(self._counted(text, found[0]), left=waiting, waits=True)
            counter = Known(counter, found)
        if self.further is None:
            return self.part(text, self.reader(text, counter) if self.reader is not None else _nothing_read(text))
        fitting = self.reader.fitting(text, counter) if self.reader is not None else _nothing_read(text)
        fitting = with_further(text, fitting, self.further)
        if not fitting.rejected.height:
            return replace(self.part(text, fitting), tail=self.chunk.data[-TAIL:])
        batch = with_rest(text, fitting, self.readers(self.further))
        unread = Unread(text, fitting, batch, len(self.further), picked(text, fitting))
        return replace(self.part(text, batch), unread=(self, unread))

    def readers(self, further: Sequence[StackReader]) -> list[StackReader]:
        """The reader of the source, if it has one, and the further ones."""
        return [*([] if self.reader is None else [self.reader]), *further]

    def _not_parsed(self, text: Text, work: LineWork[Result]) -> Part[Result]:
        result = work.look(Lines(text, self.chunk.data, None, self.name, self.chunk.first_line))
        return replace(self._empty(text), filtered=len(text), result=result)

    def _counted(self, text: Text, counted: Counted) -> Part[Result]:
        """The part for the chunk, all lines of which were counted."""
        result = cast(Result, counted.summaries)
        return replace(self._empty(text), rows=counted.lines, requests=counted.lines, result=result)

    def refused(self, further: Further | None) -> Part[Result] | None:
        """The part for the chunk, if it has few lines, and neither the reader reads any of them, nor may another
        format; None if that is not sure."""
        if self.reader is None or self.job.keep_rejected or self.chunk.lines > FEW_REFUSED:
            return None
        text = Text.from_bytes(self.chunk.data, context=self.context)
        lines = text.pick(range(len(text)))
        reasons = self.reader.refused(lines)
        if reasons is None or (further is not None and not further.refused(lines, self.chunk.end, self.context)):
            return None
        counts = Counter(reasons)
        first = [place for why in counts for place in [n for n, other in enumerate(reasons) if other == why][:SAMPLES]]
        samples = self._samples(text, [(line, reasons[line]) for line in sorted(first)])
        return replace(self._empty(text), rejected=samples, reasons=dict(sorted(counts.items())))

    def _empty(self, text: Text) -> Part[Result]:
        """A part for the chunk in which nothing is counted yet."""
        return Part(
            source=self.source,
            chunk_lines=len(text),
            chunk_bytes=self.chunk.end - self.chunk.offset,
            rows=0,
            requests=0,
            rejected=[],
            reasons={},
            rejected_lines=[],
            filtered=0,
            ignored=0,
            invalid={},
            result=None,
            end=self._end(),
        )

    def part(self, text: Text, batch: Batch) -> Part[Result]:
        """The part for the chunk, given its batch."""
        chunk, rows, rejected = self.chunk, batch.rows, batch.rejected
        if chunk.cut:
            cut = list(chunk.cut)
            rows = rows.filter(~pl.col("line").is_in(cut))
            rejected = pl.concat(
                [
                    rejected.filter(~pl.col("line").is_in(cut)),
                    pl.DataFrame({"line": cut, "reason": "too_long"}, schema=rejected.schema),
                ]
            )
        beginnings = 0
        if rows.height and "kind" in rows.columns:
            whole = rows.filter(pl.col("kind") != PART)
            beginnings, rows = rows.height - whole.height, whole
        if self.job.timed and rows.height and rows["timestamp"].null_count():
            untimed = rows.filter(pl.col("timestamp").is_null()).select("line", reason=pl.lit(UNTIMED))
            rows, rejected = rows.drop_nulls("timestamp"), pl.concat([rejected, untimed])
        before, span = rows.height, self._span(rows)
        columns, label = self.job.columns, self.job.columns.label(self.name)
        if rows.height:  # without rows, there need not be columns
            rows = columns.add(rows, self.job.computed & schema.IMPERSONAL)
        keep = self.job.filters.expression()
        if keep is not None and rows.height:
            whole = columns.add(rows, self.job.filters.needs, label)
            kept = whole.filter(keep)
            rows = kept if self.job.anonymizer is None else kept.select(rows.columns)
        if self.job.anonymizer is not None:
            rows = self.job.anonymizer.rows(rows)
        if rows.height:
            rows = columns.add(rows, self.job.computed, label, chunk.first_line)
            if self.numbers is not None:
                rows = rows.with_columns(line=as_numbers(self.numbers.orders).gather(rows["line"]))
        work, result = self.job.work, None
        if isinstance(work, LineWork):
            result = work.look(Lines(text, chunk.data, rows, self.name, chunk.first_line))
        elif rows.height:
            result = work(rows, label, chunk.first_line)
        counted: Counted | None = batch.counted
        if counted is not None:
            of_rows = cast(Summaries | None, result)
            result = cast(Result, counted.summaries if of_rows is None else joined(counted.summaries, of_rows))
        of_counter = 0 if counted is None else counted.lines
        requests = int((rows["kind"] == "request").sum()) if "kind" in rows.columns else rows.height
        return Part(
            self.source,
            len(text),
            chunk.end - chunk.offset,
            rows.height + of_counter,
            requests + of_counter,
            *self._rejects(text, rejected),
            before - rows.height,
            batch.ignored + beginnings,
            {name: len(odd) for name, odd in batch.invalid.items() if len(odd)},
            result,
            self._end(),
            self._line_bytes(text) if self.job.timed else None,
            span,
        )

    def number(self, line: int) -> int:
        """The number of a line of the chunk in its source, from 1."""
        return self.chunk.first_line + line if self.numbers is None else int(self.numbers.lines[line])

    def _span(self, rows: pl.DataFrame) -> tuple[datetime, datetime] | None:
        if not rows.height or self.job.filters.span() == (None, None):
            return None
        first, last = rows.select(pl.col("timestamp").min().alias("first"), pl.col("timestamp").max()).row(0)
        return (first, last) if first is not None else None

    def _line_bytes(self, text: Text) -> NDArray[np.int64]:
        newlines = text.ends if text.data is self.chunk.data else kernels.line_ends(self.chunk.data)
        ends = np.append(newlines + 1, len(self.chunk.data))[: self.chunk.lines]
        sizes = np.diff(ends, prepend=0)
        for line, size in self.chunk.cut.items():
            sizes[line] = size
        return sizes

    def _end(self) -> End:
        last_line = self.chunk.first_line + self.chunk.lines - 1
        return End(self.chunk.end, last_line, self.chunk.digest, self.directives)

    def _rejects(
        self, text: Text, rejected: pl.DataFrame
    ) -> tuple[list[tuple[int, str, str]], dict[str, int], list[tuple[int, str, bytes]]]:
        if not rejected.height:
            return [], {}, []
        lines, of_lines = rejected["line"], rejected["reason"]
        reasons: dict[str, int] = dict(sorted(of_lines.value_counts().iter_rows()))
        first = [
            (line, why) for why in reasons for line in lines.filter(of_lines == why).sort().head(SAMPLES).to_list()
        ]
        samples = self._samples(text, sorted(first))
        whole: list[tuple[int, str, bytes]] = []
        if self.job.keep_rejected:
            raw = raw_lines(text, self.chunk.data)
            of = raw.line if self.job.anonymizer is None else lambda _: LEFT_OUT.encode()
            whole = [
                (self.number(line), reason, of(line))
                for line, reason in rejected.sort("line").select("line", "reason").iter_rows()
            ]
        return samples, reasons, whole

    def _samples(self, text: Text, refused: Sequence[tuple[int, str]]) -> list[tuple[int, str, str]]:
        samples = []
        for line, reason in refused:
            (shown,) = text.pick([line]) if self.job.anonymizer is None else (LEFT_OUT,)
            if len(shown) > SAMPLE_TEXT:
                shown = shown[:SAMPLE_TEXT] + "…"
            samples.append((self.number(line), reason, shown))
        return samples


def _is_whole(text: Text, data: bytes) -> bool:
    """Whether a text has the bytes of a chunk as they are, but for the newline that a last line may lack."""
    return text.data is data or (len(text.data) == len(data) + 1 and bytes(text.data).startswith(data))


def _nothing_read(text: Text) -> Batch:
    """The batch of a chunk for which there is no reader: all lines are rejected, except blank ones and comments."""
    lines = text.lines
    blank = (lines.str.strip_chars(BLANK) == "") | lines.str.starts_with("#")
    left = (~blank).arg_true().cast(pl.UInt32)
    rejected = pl.DataFrame({"line": left, "reason": UNKNOWN}, schema={"line": pl.UInt32, "reason": pl.String})
    return Batch(pl.DataFrame(schema={"line": pl.UInt32}), rejected, int(blank.sum()), len(text), {})
