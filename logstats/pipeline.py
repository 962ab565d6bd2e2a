"""The one loop: chunks → batches → summaries.

The main thread takes chunks from the readers, workers parse and summarise them, the main thread merges
the results in the order of the lines. Only a few chunks and the merged summaries are in memory at any moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final, Generic, Protocol, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from logstats.errors import SourceError
from logstats.filters import Filters
from logstats.formats import registry
from logstats.formats.detection.detect import SAMPLE_LINES, SURE, Detected, Detector, sample_of
from logstats.formats.detection.unread import Further, Unread, picked
from logstats.formats.engines.scan import BLANK
from logstats.formats.fields import units
from logstats.formats.fields.columns import Batch, ReadOptions
from logstats.formats.fields.units import OpenUnit
from logstats.formats.model import Format
from logstats.formats.text import Context, Text
from logstats.formats.wrappers import partial_lines
from logstats.formats.wrappers.stack import (
    FormatStack,
    StackReader,
    name_of,
    names_of,
    parse,
    stack_reader,
    with_further,
)
from logstats.inputs import LINES, Chunk, ChunkReader, Digest, Source, Start

WORKERS: Final = max(2, min(4, os.cpu_count() or 2))
CHUNK: Final = 12 << 20
PIPED: Final = 9 << 20  # the same of a pipe, of which the pieces are there as well when they are put together
SAMPLES: Final = 3  # rejected lines shown per reason
SAMPLE_TEXT: Final = 2_000  # characters of each
UNKNOWN: Final = "unknown_format"
UNTIMED: Final = "no_time"
TAIL: Final = 64 << 10  # bytes at the end of a chunk in which directives are looked for

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Part(Generic[Result]):
    """A chunk that was read: its counts, and what `work` made of its rows."""

    source: int
    chunk_lines: int
    chunk_bytes: int
    rows: int
    requests: int
    rejected: list[tuple[int, str, str]]  # (line number, reason, text), only the samples
    reasons: dict[str, int]
    rejected_lines: list[tuple[int, str, bytes]]  # (line number, reason, the line whole), only if somebody keeps them
    filtered: int
    ignored: int
    invalid: Mapping[str, int]
    result: Result | None
    end: End
    line_bytes: NDArray[np.int64] | None = None  # of each line, its newline included; only if the job is `timed`
    tail: bytes = b""  # the last of its bytes
    unread: tuple[ChunkTask[Result], Unread] | None = None  # what was rejected, for `SourceReader.settled`


@dataclass(frozen=True, slots=True)
class End:
    """Where a chunk ends: so many bytes and lines of the source come before, `digest` is theirs if it has one, and
    these W3C directives are in force."""

    bytes: int
    lines: int
    digest: Digest | None
    directives: str


@dataclass(slots=True)
class SourceState:
    """What became of one source; `format` is how it is written, as `--format` takes it."""

    name: str
    format: str | None = None
    lines: int = 0
    bytes: int = 0
    unfinished: int = 0  # bytes of a last line without its newline that was left
    problem: SourceError | None = None

    @property
    def formats(self) -> list[str]:
        """Its formats one by one."""
        return names_of(self.format)


@dataclass(slots=True)
class Counts:
    """Every line, accounted for."""

    lines: int = 0
    requests: int = 0
    events: int = 0
    rejected: int = 0
    filtered: int = 0
    ignored: int = 0
    invalid: dict[str, int] = field(default_factory=dict)  # values without meaning, by field
    reasons: dict[str, int] = field(default_factory=dict)
    samples: list[tuple[str, int, str, str]] = field(default_factory=list)  # (source, line, reason, text)
    sources: list[SourceState] = field(default_factory=list)
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)  # what whoever reads the figures should know
    unopened: int = 0  # of `sources`, the first ones, which could not be opened

    @property
    def read(self) -> int:
        """Lines that a format could read, whether or not they count."""
        return self.requests + self.events + self.filtered

    def failed(self, problem: SourceError) -> None:
        """Record a source that could not be opened. Call this before the others are read."""
        self.sources.append(SourceState(problem.source, problem=problem))
        self.unopened += 1

    def add(self, other: Counts) -> None:
        """Add the counts of the lines that come next, as if all had been read at once."""
        for name in ("lines", "requests", "events", "rejected", "filtered", "ignored"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.invalid, other.invalid), (self.reasons, other.reasons)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
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


class Listener(Protocol):
    """Receives progress events. Methods are called on the main thread only."""

    def format_found(self, source: str, found: Detected) -> None: ...
    def format_added(self, source: str, name: str, line: int) -> None: ...
    def format_unknown(self, source: str) -> None: ...
    def note(self, source: str, text: str) -> None: ...
    def problem(self, error: SourceError) -> None: ...
    def progress(self, reader: ChunkReader | None, counts: Counts) -> None: ...


class Silence:
    """A listener that ignores all events; the default of the library."""

    def format_found(self, source: str, found: Detected) -> None:
        """Do nothing."""

    def format_added(self, source: str, name: str, line: int) -> None:
        """Nothing is said."""

    def format_unknown(self, source: str) -> None:
        """Do nothing."""

    def note(self, source: str, text: str) -> None:
        """Nothing is said."""

    def problem(self, error: SourceError) -> None:
        """Do nothing."""

    def progress(self, reader: ChunkReader | None, counts: Counts) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a chunk, for work that is about more than rows: `rows` are those that count, their `line` the place
    in `text`; None if they were not read. `first` is the number of the first line."""

    text: Text
    data: bytes
    rows: pl.DataFrame | None
    source: str
    first: int

    def raw(self) -> Text:
        """The lines as they came."""
        data = self.data
        return self.text if self.text.data is data else Text(data if data.endswith(b"\n") else data + b"\n")


@dataclass(frozen=True)
class LineWork(Generic[Result]):
    """Work on whole lines: `look` instead of `Job.work`, of every chunk. A chunk of which `reads` says no is not
    parsed; its lines count as filtered."""

    look: Callable[[Lines], Result]
    reads: Callable[[bytes], bool]


@dataclass(frozen=True)
class Job(Generic[Result]):
    """What to do with every chunk: read it with `reading`, keep the rows that pass `filters`, call `work`.

    `work(rows, source, first_line)` runs in a worker thread; it is not called for a chunk without rows. `format` is
    given, or found out for each source. If `timed`, a line without a usable time is rejected.
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


class Interrupt:
    """Turns the first Ctrl-C into "finish with what has arrived"; the second is a KeyboardInterrupt again.

    As a context manager, in the main thread, it is in force; otherwise Ctrl-C is what it always is.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            if callable(self._before):
                self._before(number, frame)
            raise KeyboardInterrupt
        self.asked = True


def run(
    sources: Sequence[Source],
    job: Job[Result],
    listener: Listener,
    *,
    interrupt: Interrupt | None = None,
    rejects: Callable[[list[bytes]], None] | None = None,
) -> Generator[tuple[Part[Result], Counts]]:
    """Yield the parts in the order of the lines, with the counts up to and with each.

    A source that cannot be read is reported to the listener; the others are still read. When `interrupt` is asked,
    reading stops, what has arrived is finished, and `counts.interrupted` is set. `rejects` gets the rejected
    lines as they came. The last counts are also those of an input without lines: see `Counts`.
    """
    interrupt = interrupt or Interrupt()
    counts = job.counts
    waiting: deque[tuple[SourceReader[Result], Future[Part[Result]]]] = deque()
    with ThreadPoolExecutor(job.workers, thread_name_prefix="logstats") as pool:

        def part_is_done() -> bool:
            return bool(waiting) and waiting[0][1].done()

        def idle() -> bool:
            return sum(not part.done() for _, part in waiting) < job.workers

        feeds: list[SourceReader[Result]] = []
        tasks = _tasks(sources, job, listener, interrupt, part_is_done, idle, feeds)
        ended = False
        while not ended or waiting:
            try:
                if not ended and (made := next(tasks)) is not None:
                    feed, task = made
                    waiting.append((feed, pool.submit(task)))
            except StopIteration:
                ended = True
            while waiting and (ended or len(waiting) > job.workers or part_is_done()):
                feed, future = waiting.popleft()
                part = feed.settled(future.result())
                _account(part, counts)
                if rejects is not None and part.rejected_lines:
                    rejects([line for _, _, line in part.rejected_lines])
                yield part, counts
        for feed in feeds:
            feed.end()
    counts.interrupted = interrupt.asked


def _account(part: Part[Result], counts: Counts) -> None:
    state = counts.sources[part.source]
    state.lines += part.chunk_lines
    state.bytes += part.chunk_bytes
    counts.lines += part.chunk_lines
    counts.requests += part.requests
    counts.events += part.rows - part.requests
    counts.filtered += part.filtered
    counts.ignored += part.ignored
    for name, count in part.invalid.items():
        counts.invalid[name] = counts.invalid.get(name, 0) + count
    for reason, count in part.reasons.items():
        counts.rejected += count
        counts.reasons[reason] = counts.reasons.get(reason, 0) + count
    for line, reason, text in part.rejected:
        counts.sample(state.name, line, reason, text)


def _tasks(
    sources: Sequence[Source],
    job: Job[Result],
    listener: Listener,
    interrupt: Interrupt,
    part_is_done: Callable[[], bool],
    idle: Callable[[], bool],
    feeds: list[SourceReader[Result]],
) -> Iterator[tuple[SourceReader[Result], ChunkTask[Result]] | None]:
    """One task per chunk, made in the main thread: that is where formats are found.

    None means that a part is done while the next chunk of a slow source is not there yet.
    """
    formats = FormatChooser(job, listener)
    for source in sources:
        if interrupt.asked:
            return
        feed = SourceReader(job, source, formats, listener)
        feeds.append(feed)
        target = job.chunk if source.size is not None else min(job.chunk, PIPED)
        with ChunkReader(source, target=target, stop=lambda: interrupt.asked, idle=idle) as chunks:
            iterator = iter(chunks)
            while True:
                while not chunks.wait(part_is_done):
                    yield None
                if (chunk := next(iterator, None)) is None:
                    break
                if (task := feed.task(chunk)) is not None:
                    listener.progress(chunks, job.counts)
                    yield feed, task
            if (task := feed.last()) is not None:
                yield feed, task
            feed.state.unfinished += chunks.unfinished
            if chunks.error is not None:
                feed.state.problem = chunks.error
                listener.problem(chunks.error)


def _join(first: Chunk, second: Chunk) -> Chunk:
    cut = {**first.cut, **{first.lines + line: size for line, size in second.cut.items()}}
    lines = first.lines + second.lines
    return Chunk(first.data + second.data, first.first_line, first.offset, second.end, lines, cut, second.digest)


class FormatChooser(Generic[Result]):
    """Chooses the format of each source of a run: the given one, or the detected one."""

    def __init__(self, job: Job[Result], listener: Listener) -> None:
        self._job, self._listener = job, listener
        self._readers: dict[str, StackReader] = {}
        self._further: dict[str, StackReader] = {}
        self._known: Mapping[str, Format] | None = None
        self._detector: Detector | None = None

    def reader(self, stacks: Sequence[FormatStack]) -> StackReader:
        """The reader of these formats, built once and shared by all sources."""
        name = name_of(stacks)
        if name not in self._readers:
            self._readers[name] = stack_reader(stacks, self._job.reading, named=bool(self._job.format))
        return self._readers[name]

    def given(self, source: Source) -> StackReader | None:
        """The reader of a source whose format needs no detection."""
        if source.start is not None and source.start.format and not self._job.format:
            return self.reader(parse(source.start.format, self.known()))
        asked = self._job.format
        # Of one format that was asked for it is found out what is around it.
        return self.reader(asked) if asked and (len(asked) > 1 or asked[0].wrappers) else None

    def known(self) -> Mapping[str, Format]:
        """All formats, by name."""
        if self._known is None:
            self._known = registry.formats(self._job.formats_dir)
        return self._known

    def detector(self) -> Detector:
        """What finds out how lines are written, of which nothing was asked for."""
        if self._detector is None:
            self._detector = Detector(self.known().values())
        return self._detector

    def further(self, stack: FormatStack) -> StackReader:
        """The reader of a stack for lines that others have left."""
        if stack.name not in self._further:
            self._further[stack.name] = stack_reader([stack], self._job.reading, further=True)
        return self._further[stack.name]

    def find(self, chunk: Chunk, name: str, context: Context, *, last: bool) -> tuple[StackReader | None, bool]:
        """The reader for a source that begins so, and whether to go on with it (or None) or to wait for more lines."""
        sample = sample_lines(chunk.data, start_of_source=chunk.offset == 0)
        enough = last or len(sample) >= SAMPLE_LINES or len(chunk.data) >= self._job.chunk or chunk.lines >= LINES
        asked = self._job.format
        if asked and self._detector is None:
            self._detector = Detector([asked[0].format, *(f for f in self.known().values() if f.wraps)], exact=True)
        found = self.detector().detect(sample, context)
        if asked:
            if found is None and not enough:
                return None, False
            self._say_units(name, found.stacks if found else asked, found.open_units if found else ())
            return self.reader(found.stacks if found else asked), True
        if found is None:
            return None, enough
        if not enough and found.share < SURE:
            return None, False
        self._listener.format_found(name, found)
        self._say_units(name, found.stacks, found.open_units)
        return self.reader(found.stacks), True

    def _say_units(self, source: str, stacks: Sequence[FormatStack], left: Sequence[OpenUnit]) -> None:
        """Say which units are open, and which that a user gave mean nothing here."""
        given = self._job.reading.units
        known = {name for stack in stacks for name in units.names_of(stack.format)}
        for name in sorted(given.keys() - known):
            self._note(source, f"--unit {name}={given[name]} is not about these lines: no duration is called so")
        for one in left if not given else [one for one in left if not _is_given(one, stacks, given)]:
            others = " or ".join(one.others)
            self._note(
                source,
                f"nothing says the unit of {one.field}; it is read as {one.unit}, and could be {others}: "
                f"--unit {one.field}={one.unit} settles it",
            )

    def _note(self, source: str, text: str) -> None:
        self._listener.note(source, text)
        self._job.counts.notes.append(f"{source}: {text}")


def _is_given(one: OpenUnit, stacks: Sequence[FormatStack], given: Mapping[str, str]) -> bool:
    fields = [stack.format.fields[one.field] for stack in stacks if one.field in stack.format.fields]
    return not {"duration", one.field, *(key for field in fields for key in field.keys)}.isdisjoint(given)


def _nothing_read(text: Text) -> Batch:
    """A chunk that no format in force reads."""
    lines = text.lines
    blank = (lines.str.strip_chars(BLANK) == "") | lines.str.starts_with("#")
    left = (~blank).arg_true().cast(pl.UInt32)
    rejected = pl.DataFrame({"line": left, "reason": UNKNOWN}, schema={"line": pl.UInt32, "reason": pl.String})
    return Batch(pl.DataFrame(schema={"line": pl.UInt32}), rejected, int(blank.sum()), len(text), {})


def sample_lines(data: bytes, *, start_of_source: bool = True) -> list[str]:
    """The first lines, as far as detection looks at them."""
    sample: list[str] = []
    for size in (256 << 10, SAMPLE_LINES * 40_000):
        head = data[:size]
        if len(head) < len(data) and b"\n" in head:
            head = head[: head.rindex(b"\n") + 1]
        lines = Text.from_bytes(head, start_of_source=start_of_source).lines
        sample = sample_of(lines.head(20 * SAMPLE_LINES).to_list())
        if len(sample) >= SAMPLE_LINES or len(head) == len(data):
            break
    return sample


def context_of(source: Source) -> Context:
    """What the first lines do not say themselves: the directives in force, and when the file was modified."""
    modified = None
    with contextlib.suppress(ValueError, OverflowError, OSError):
        modified = datetime.fromtimestamp(source.modified, UTC) if source.modified is not None else None
    return Context(source.start.directives if source.start else "", modified)


class SourceReader(Generic[Result]):
    """Makes tasks of the chunks of one source, in order."""

    def __init__(self, job: Job[Result], source: Source, formats: FormatChooser[Result], listener: Listener) -> None:
        self.state = SourceState(source.name)
        self._listener = listener
        self._meant = False  # whether it has lines that are neither blank nor directives, and not read
        self._further: Further | None = None  # what it turns out to be written in further on
        self._job, self._source, self._formats = job, source, formats
        self._number = len(job.counts.sources)
        job.counts.sources.append(self.state)
        self._reader = formats.given(source)
        self._held: Chunk | None = None  # came before the format was sure, or ends in the middle of a line
        self._context = context_of(source)
        self._final = (source.start or Start()).final

    def task(self, chunk: Chunk, *, last: bool = False) -> ChunkTask[Result] | None:
        """The task for a chunk and the lines held back before it; None if more lines are needed first."""
        if self._held is not None and not last:
            chunk = _join(self._held, chunk)
        self._held = None
        if self._reader is None and self._further is None:
            self._reader, sure = self._formats.find(chunk, self._source.name, self._context, last=last)
            if not sure:
                self._held = chunk
                return None
        if not last and self._reader is not None and self._reader.partial and partial_lines.unfinished(chunk.data):
            self._held = chunk
            return None
        if self._further is None:
            self.state.format = self._reader.name if self._reader else None
            if self._job.format is None:
                stacks = self._reader.stacks if self._reader else ()
                self._further = Further(stacks, self._formats.detector, self._formats.further)
        context = self._context
        if self._reader is not None and self._reader.directed:
            directives = partial_lines.directives_after(context.directives, chunk.data, self._reader)
            self._context = replace(context, directives=directives)
        name, after = self._source.name, self._context.directives
        further = self._further.ready() if self._further is not None else None
        return ChunkTask(self._job, self._reader, further, chunk, self._number, name, context, after)

    def settled(self, part: Part[Result]) -> Part[Result]:
        """A part, in its turn, with what can be read of it after all."""
        further = self._further
        self._meant = self._meant or bool(part.reasons)
        if further is None:
            return part
        if part.unread is None:
            further.passed(part.tail)
            return part
        known = len(further.stacks)
        task, unread = part.unread
        batch = further.settle(unread, part.end.bytes)
        for stack, line in zip(further.stacks[known:], further.lines[known:], strict=True):
            self._listener.format_added(self._source.name, stack.name, task.chunk.first_line + line)
        self.state.format = name_of([*(self._reader.stacks if self._reader else ()), *further.stacks]) or None
        return part if batch is unread.batch else task.part(unread.text, batch)

    def end(self) -> None:
        """All of it is read: if no format was found for any of it, that is said."""
        if self._further is not None and self.state.format is None and self._meant:
            self._listener.format_unknown(self._source.name)

    def last(self) -> ChunkTask[Result] | None:
        """The task for lines still held back at the end of the source; an incomplete line is left unread."""
        if self._held is None:
            return None
        if self._reader is not None and not self._final:
            self.state.unfinished = self._held.end - self._held.offset
            return None
        return self.task(self._held, last=True)


@dataclass(frozen=True, slots=True)
class ChunkTask(Generic[Result]):
    """Reads one chunk in a worker thread."""

    job: Job[Result]
    reader: StackReader | None
    further: tuple[StackReader, ...] | None  # for lines that it does not read; None if the format was asked for
    chunk: Chunk
    source: int
    name: str
    context: Context
    directives: str  # in force after it

    def __call__(self) -> Part[Result]:
        text = Text.from_bytes(self.chunk.data, start_of_source=self.chunk.offset == 0, context=self.context)
        if isinstance(self.job.work, LineWork) and not self.job.work.reads(self.chunk.data):
            return self._passed_over(text, self.job.work)
        batch = self.reader(text) if self.reader is not None else _nothing_read(text)
        if self.further is None:
            return self.part(text, batch)
        batch = with_further(text, batch, self.further)
        part = self.part(text, batch)
        if not batch.rejected.height:
            return replace(part, tail=self.chunk.data[-TAIL:])
        return replace(part, unread=(self, Unread(text, batch, len(self.further), picked(text, batch))))

    def _passed_over(self, text: Text, work: LineWork[Result]) -> Part[Result]:
        chunk, lines = self.chunk, len(text)
        result = work.look(Lines(text, chunk.data, None, self.name, chunk.first_line))
        return Part(
            source=self.source,
            chunk_lines=lines,
            chunk_bytes=chunk.end - chunk.offset,
            rows=0,
            requests=0,
            rejected=[],
            reasons={},
            rejected_lines=[],
            filtered=lines,
            ignored=0,
            invalid={},
            result=result,
            end=self._end(),
        )

    def part(self, text: Text, batch: Batch) -> Part[Result]:
        """What becomes of the chunk if this was read of it."""
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
        if self.job.timed and rows.height and rows["timestamp"].null_count():
            untimed = rows.filter(pl.col("timestamp").is_null()).select("line", reason=pl.lit(UNTIMED))
            rows, rejected = rows.drop_nulls("timestamp"), pl.concat([rejected, untimed])
        before = rows.height
        keep = self.job.filters.expression()
        if keep is not None and rows.height:  # without rows, there need not be columns
            rows = rows.filter(keep)
        work, result = self.job.work, None
        if isinstance(work, LineWork):
            result = work.look(Lines(text, chunk.data, rows, self.name, chunk.first_line))
        elif rows.height:
            result = work(rows, self.name, chunk.first_line)
        requests = int((rows["kind"] == "request").sum()) if "kind" in rows.columns else rows.height
        return Part(
            self.source,
            len(text),
            chunk.end - chunk.offset,
            rows.height,
            requests,
            *self._rejects(text, rejected),
            before - rows.height,
            batch.ignored,
            {name: len(odd) for name, odd in batch.invalid.items() if len(odd)},
            result,
            self._end(),
            self._line_bytes() if self.job.timed else None,
        )

    def _line_bytes(self) -> NDArray[np.int64]:
        data = np.frombuffer(self.chunk.data, np.uint8)
        ends = np.append(np.flatnonzero(data == ord("\n")) + 1, len(data))[: self.chunk.lines]
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
        reasons = dict(rejected.group_by("reason").len().sort("reason").iter_rows())
        first = rejected.sort("line").group_by("reason", maintain_order=True).head(SAMPLES).sort("line")
        samples = []
        for line, reason in first.select("line", "reason").iter_rows():
            (shown,) = text.pick([line])
            if len(shown) > SAMPLE_TEXT:
                shown = shown[:SAMPLE_TEXT] + "…"
            samples.append((self.chunk.first_line + line, reason, shown))
        whole: list[tuple[int, str, bytes]] = []
        if self.job.keep_rejected:
            data = self.chunk.data  # as it came, which `text` need not be
            raw = text if text.data is data else Text(data if data.endswith(b"\n") else data + b"\n")
            lines = rejected.sort("line").select("line", "reason").iter_rows()
            whole = [(self.chunk.first_line + line, reason, raw.line(line)) for line, reason in lines]
        return samples, reasons, whole
