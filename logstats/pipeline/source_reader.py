"""The chunks of one source, in order, as tasks for the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Generic

from logstats.dataclass import dataclass
from logstats.formats.detection.unread import Further, Looks
from logstats.formats.fields import units
from logstats.formats.fields.beginnings import BEFORE
from logstats.formats.wrappers import partial_lines
from logstats.formats.wrappers.stack import FormatStack, name_of, spelling_of
from logstats.frames import load_aside
from logstats.inputs import Chunk, Source, Start
from logstats.inputs.compression import compression
from logstats.pipeline.chunk_task import FEW_REFUSED, ChunkTask, Part
from logstats.pipeline.counts import SourceState
from logstats.pipeline.format_chooser import FormatChooser, context_of
from logstats.pipeline.job import Job, Result
from logstats.pipeline.listener import Listener
from logstats.pipeline.waiting import CHUNKS, Waiting


@dataclass(slots=True)
class _Gathered(Generic[Result]):
    """Parts that waited. If lines are left of them, they were `refused`, or a thread is reading them."""

    waiting: Waiting[Result]
    refused: Part[Result] | None = None
    reading: Future[Part[Result]] | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is read any more."""
        return self.reading is None or self.reading.done()


class SourceReader(Generic[Result]):
    """Makes tasks of the chunks of one source, in order."""

    def __init__(
        self,
        job: Job[Result],
        source: Source,
        formats: FormatChooser[Result],
        listener: Listener,
        number: int | None = None,
        *,
        submit: Callable[[ChunkTask[Result]], Future[Part[Result]]] | None = None,
    ) -> None:
        """`number` is that of a source in the job's counts, if this is a further file of it. With `submit`, which has a
        thread do a task, lines that are left of a chunk may wait for those of the next ones (`left`)."""
        self._submit, self._waiting = submit, Waiting[Result]()
        self._gathered: _Gathered[Result] | None = None
        self._listener = listener
        self._meant = False  # whether there are rejected lines
        self._further: Further | None = None  # the formats found later in the source
        self._job, self._source, self._formats = job, source, formats
        if number is None:
            job.counts.sources.append(SourceState(source.name))
        self._number = len(job.counts.sources) - 1 if number is None else number
        self.state = job.counts.sources[self._number]
        self._reader = formats.given(source)
        self._held: Chunk | None = None  # held back until the format is known, or a line complete
        self._context = context_of(source)
        self._prepared = False  # whether Polars is loaded already
        self._tail: bytes | None = None  # the end of the chunk before, if lines may go on from it
        self._final = (source.start or Start()).final

    def task(self, chunk: Chunk, *, last: bool = False) -> ChunkTask[Result] | None:
        """The task for a chunk and the lines held back before it; None if more lines are needed first."""
        if self._held is not None and not last:
            chunk = self._held.joined(chunk)
        self._held = None
        if self._reader is None and self._further is None:
            self._reader, sure = self._formats.find(chunk, self._source.name, self._context, last=last)
            if not sure:
                self._held = chunk
                return None
        if not last and self._in_parts() and partial_lines.unfinished(chunk.data):
            self._held = chunk
            return None
        if self._further is None:
            self._name(self._reader.stacks if self._reader else ())
            stacks = self._reader.stacks if self._reader else ()
            if self._job.format is None or any(units.of_undetermined(stack.format) for stack in stacks):
                looks = self._source.start.looks if self._source.start else None
                known = looks if isinstance(looks, Looks) else None
                self._further = Further(stacks, self._formats.detector, self._formats.further, known)
        context = self._context
        if self._reader is not None and self._reader.directed:
            directives = partial_lines.directives_after(context.directives, chunk.data, self._reader)
            self._context = replace(context, directives=directives)
        if self._reader is not None and self._reader.pairs:
            context = replace(context, before=self._before(chunk))
        if self._submit is not None and self._formats.counter is not None:
            expected = max(self._source.size or 0, 2 * chunk.end)  # of a pipe, as much again as has come
            self._prepare(needed=expected >= CHUNKS * self._job.chunk)
        name, after = self._source.name, self._context.directives
        further = self._further.ready() if self._further is not None else None
        counter, waits = self._formats.counter, self._submit is not None
        return ChunkTask(self._job, self._reader, further, chunk, self._number, name, context, after, counter, waits)

    def _prepare(self, *, needed: bool) -> None:
        """Have Polars loaded before it is `needed`: by then, all workers would wait for it."""
        if needed and not self._prepared:
            self._prepared = True
            load_aside()

    def _in_parts(self) -> bool:
        """Whether lines may be logged in parts. A format in which they are may be found only in a later chunk, so only
        formats that the user named are asked."""
        return self._job.format is None or (self._reader is not None and self._reader.partial)

    def _before(self, chunk: Chunk) -> bytes:
        """The last lines before a chunk."""
        tail = self._tail if self._tail is not None else _lines_before(self._source, chunk.offset)
        self._tail = (tail + chunk.data)[-BEFORE:]
        return tail[tail.find(b"\n") + 1 :] if len(tail) == BEFORE else tail

    def in_order(self, part: Part[Result] | None) -> Iterator[Part[Result]]:
        """The parts that are settled once this one has come; None is the end. Those that wait become one part, which
        may come later, but before the next one."""
        if part is not None and part.waits:
            self._waiting.parts.append(part)
            self._prepare(needed=self._waiting.left > FEW_REFUSED)
            if self._waiting.full:
                yield from self._together()
                self._gather()
            if self._gathered is not None and self._gathered.done:
                yield from self._together()
            return
        yield from self._together()
        if self._waiting.parts:
            self._gather()
            yield from self._together()
        if part is not None:
            yield self.settled(part)

    def _gather(self) -> None:
        """Have the lines read that are left of the parts that wait."""
        waiting, self._waiting, further = self._waiting, Waiting(), self._further
        self._gathered = _Gathered(waiting)
        if self._submit is None or all(part.left is None for part in waiting.parts):
            return
        chunk, numbers = waiting.chunk(), waiting.numbers()
        ready = further.ready() if further is not None else None
        task = ChunkTask(
            self._job, self._reader, ready, chunk, self._number, self._source.name, self._context, "", numbers=numbers
        )
        self._gathered.refused = task.refused(further)
        if self._gathered.refused is None:
            self._gathered.reading = self._submit(task)
        else:
            self._meant = True

    def _together(self) -> Iterator[Part[Result]]:
        """The parts that were gathered, if there are any, as one."""
        if self._gathered is not None:
            found, self._gathered = self._gathered, None
            left = found.refused if found.reading is None else self.settled(found.reading.result())
            yield found.waiting.together(left)

    def settled(self, part: Part[Result]) -> Part[Result]:
        """The part, with its rejected lines read by formats found later in the source. Call this in order."""
        further = self._further
        self._meant = self._meant or bool(part.reasons)
        if further is None:
            return part
        if part.unread is None:
            further.passed(part.tail)
            return part
        known = len(further.stacks)
        task, unread = part.unread
        batch = further.settle(unread, part.end.bytes, task.reader)
        for stack, line in zip(further.stacks[known:], further.lines[known:], strict=True):
            self._listener.format_added(self._source.name, stack.name, task.number(line))
        base = self._reader.stacks if self._reader else ()
        for place, added in enumerate(further.added[known:], known):
            self._formats.say_alike(self._source.name, [added.stack], [*base, *further.stacks[:place]])
            self._formats.say(self._source.name, [added.stack], added.open_units, filter(None, [added.kept_out]))
        self._name([*base, *further.stacks])
        return part if batch is unread.batch else task.part(unread.text, batch)

    def _name(self, stacks: Sequence[FormatStack]) -> None:
        self.state.format, self.state.spelling = name_of(stacks) or None, spelling_of(stacks) or None

    def end(self) -> None:
        """Settle, at the end of the source, what its lines leave; report if no format was found for any of them."""
        if self._further is not None:
            self.state.left = self._further.left()
        if self._further is not None and self.state.format is None and self._meant:
            self._listener.format_unknown(self._source.name)

    def last(self) -> ChunkTask[Result] | None:
        """The task for lines still held back at the end of the source; an incomplete line is left unread."""
        if self._held is None:
            return None
        if self._reader is not None and self._reader.partial and not self._final:
            self.state.unfinished = self._held.end - self._held.offset
            return None
        return self.task(self._held, last=True)


def _lines_before(source: Source, offset: int) -> bytes:
    """The last lines before a place of a file from which reading goes on; nothing where that takes decompression."""
    if not offset or source.path is None:
        return b""
    try:
        with source.path.open("rb") as file:
            if compression(file.read(16)) is not None:
                return b""
            file.seek(max(offset - BEFORE, 0))
            return file.read(min(BEFORE, offset))
    except OSError:
        return b""
