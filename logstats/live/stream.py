"""Sources that go on → parts: what has arrived since the last look is read as a report reads it.

Each file of a source is read as a source of its own: its format is found, its lines are numbered from 1. What is
counted is counted for the source, so that a log that is rotated every hour is one line of a report.

Bytes are taken at each look, because a truncation loses those that were not; lines are read when an interval ends, or
there are many: reading 100 lines takes as long as reading 5,000.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, Generic, TypeVar

from logstats.dataclass import dataclass
from logstats.formats.wrappers.stack import names_of
from logstats.inputs import Arrived, Chunk, Endless, Source
from logstats.pipeline import ChunkTask, FormatChooser, Job, Listener, Once, Part, SourceReader, account

Result = TypeVar("Result")
HELD: Final = 2.0  # seconds that the first lines of a file wait for others that tell their format
ENOUGH: Final = 2 << 20  # bytes, of all files together, that do not wait to be read,
SOON: Final = 0.4  # nor does what came so many seconds ago


@dataclass(slots=True)
class _File(Generic[Result]):
    """One file of a source."""

    reader: SourceReader[Result]
    since: float | None = None  # when lines came that are held back
    waiting: Chunk | None = None  # lines that have come, to be read together


class Stream(Generic[Result]):
    """Reads endless sources. Not for use by several threads at once."""

    def __init__(self, sources: Sequence[Endless], job: Job[Result], listener: Listener) -> None:
        self.counts = job.counts
        self._sources, self._job = list(sources), job
        self._listener: Listener = Once(listener)
        self._formats = FormatChooser(job, self._listener, again=True)
        self._files: dict[tuple[int, int], _File[Result]] = {}
        self._numbers: dict[str, int] = {}
        self._first: dict[int, int] = {}  # of what is followed together, the source that came first
        self._spoken: dict[int, list[str]] = {}
        self._waiting = 0  # bytes of lines that wait,
        self._waits_since: float | None = None  # and since when
        self._pool = ThreadPoolExecutor(job.workers, thread_name_prefix="logstats")

    @property
    def behind(self) -> bool:
        """Whether more has arrived than the last look took."""
        return any(source.behind for source in self._sources)

    @property
    def ended(self) -> bool:
        """Whether nothing follows, of any source."""
        return not self._waiting and self._all_came

    @property
    def _all_came(self) -> bool:
        return all(source.ended for source in self._sources)

    @property
    def stuck(self) -> int:
        """How many names lead to nothing, or to what cannot be read."""
        return sum(source.stuck for source in self._sources)

    @property
    def truncated(self) -> int:
        """How often a file was truncated while it was read."""
        return sum(source.truncated for source in self._sources)

    def look(self, now: float, *, wait: bool = False) -> Iterator[tuple[str, Part[Result]]]:
        """What has arrived since the last look, in the order of the lines of each source, counted; `now` in seconds.

        If a few lines may `wait`, they are read by another look, half a second later at the latest."""
        tasks = self._tasks(now, wait=wait)
        while some := list(islice(tasks, 2 * self._job.workers)):
            if len(some) == 1:  # what usually comes within a second
                yield self._part(some[0][0], some[0][1]())
                continue
            futures: list[tuple[SourceReader[Result], Future[Part[Result]]]] = [
                (reader, self._pool.submit(task)) for reader, task in some
            ]
            for reader, future in futures:
                yield self._part(reader, future.result())

    def finish(self) -> Iterator[tuple[str, Part[Result]]]:
        """The lines that wait, or are held back. Nothing may be looked for any more."""
        for reader, waited in self._waited(0.0):
            yield self._part(reader, waited())
        for file in self._files.values():
            if (task := file.reader.last()) is not None:
                yield self._part(file.reader, task())
            file.reader.end()
        for number, source in enumerate(self._sources):
            if number in self._first:
                self.counts.sources[self._first[number]].unfinished += source.unfinished
        self.close()

    def close(self) -> None:
        """Let go of the sources."""
        for source in self._sources:
            source.close()
        self._sources = []
        self._pool.shutdown()

    def _tasks(self, now: float, *, wait: bool) -> Iterator[tuple[SourceReader[Result], ChunkTask[Result]]]:
        for number, source in enumerate(self._sources):
            for arrived in source.look():
                key = (number, arrived.file)
                file = self._files.get(key) or self._open(key, arrived)
                if arrived.chunk is not None:
                    file.waiting = arrived.chunk if file.waiting is None else file.waiting.joined(arrived.chunk)
                    self._waiting += len(arrived.chunk.data)
                    self._waits_since = now if self._waits_since is None else self._waits_since
                if arrived.ended or self._waiting >= ENOUGH:
                    yield from self._waited(now)
                if arrived.ended:
                    yield from self._last(file)
                    file.reader.end()
                    del self._files[key]
        if not wait or self._all_came or (self._waits_since is not None and now - self._waits_since >= SOON):
            yield from self._waited(now)
        for file in self._files.values():
            if file.since is not None and now - file.since >= HELD:
                yield from self._last(file)

    def _waited(self, now: float) -> Iterator[tuple[SourceReader[Result], ChunkTask[Result]]]:
        """Read the lines that wait, those of a source in the order in which they came."""
        self._waiting, self._waits_since = 0, None
        for file in self._files.values():
            if (chunk := file.waiting) is None:
                continue
            file.waiting = None
            if (task := file.reader.task(chunk)) is not None:
                self._listener.progress(None, self.counts)
                file.since = None
                yield file.reader, task
            elif file.since is None:
                file.since = now

    def _last(self, file: _File[Result]) -> Iterator[tuple[SourceReader[Result], ChunkTask[Result]]]:
        file.since = None
        if (task := file.reader.last()) is not None:
            yield file.reader, task

    def _open(self, key: tuple[int, int], arrived: Arrived) -> _File[Result]:
        number = self._numbers.get(arrived.name)
        reader = SourceReader(self._job, Source(arrived.name, None), self._formats, self._listener, number)
        number = self._numbers.setdefault(arrived.name, len(self.counts.sources) - 1)
        self._first.setdefault(key[0], number)
        file = self._files[key] = _File(reader)
        return file

    def _part(self, reader: SourceReader[Result], part: Part[Result]) -> tuple[str, Part[Result]]:
        settled = reader.settled(part)
        account(settled, self.counts)
        # A file may be written in another format than the one before.
        spoken = self._spoken.setdefault(settled.source, [])
        spoken += [name for name in names_of(reader.state.format) if name not in spoken]
        reader.state.format = "|".join(spoken) or None
        return reader.state.name, settled
