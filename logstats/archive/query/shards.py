"""The rows of an archive, summarised: frame by frame in this process, or some files at a time in others.

A shard is some files of rows, in the order of the snapshot, and what is made of it is merged in that order. So a report
is the same, byte for byte, by however many workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from logstats.archive.apart import each, together
from logstats.archive.archive import Archive
from logstats.archive.query.passing import Passing
from logstats.archive.query.rows import Span, frames_of
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.options import Options
from logstats.scale.calls import Executor
from logstats.scale.work import ReportWork

if TYPE_CHECKING:
    from logstats.archive.log.commit import DataFile
    from logstats.summaries.statistics import Summaries


@dataclass(frozen=True, slots=True)
class RowsTask:
    """What is made of the rows of an archive, as data. `options` are those of filters and computed columns, `columns`
    what the work reads."""

    work: ReportWork
    options: Options
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """What became of some rows: their summaries, how many of each kind there are, and what has to be said."""

    summaries: list[Summaries]
    requests: int = 0
    events: int = 0
    filtered: int = 0
    notes: tuple[str, ...] = ()


def summarised(work: ReportWork, frames: Iterable[pl.DataFrame], passing: Passing, threads: int = 0) -> Iterator[Rows]:
    """What becomes of some frames, one by one. With `threads`, so many frames at a time are read or worked on."""

    def make(frame: pl.DataFrame) -> Rows:
        held = passing(frame)
        summaries = work.work(held.with_row_index("line"), "", 0)
        events = int((held["kind"] == "event").sum())
        return Rows([summaries], held.height - events, events, frame.height - held.height)

    if not threads:
        yield from map(make, frames)
        return
    with ThreadPoolExecutor(threads, "logstats-rows") as pool:
        working: deque[Future[Rows]] = deque()
        for frame in frames:
            working.append(pool.submit(make, frame))
            while len(working) >= threads or (working and working[0].done()):
                yield working.popleft().result()
        while working:
            yield working.popleft().result()


def read(archive: Archive, task: RowsTask, files: Sequence[DataFile], span: Span) -> Rows:
    """What a worker makes of a shard. Raises LogstatsError."""
    passing = Passing.of(task.options, task.options.filters(), task.columns)
    frames = frames_of(archive, files, span, passing.reads, passing.computed, together=True)
    found = list(summarised(task.work, frames, passing))
    condensed, said = task.work.condense([one for some in found for one in some.summaries])
    return Rows(
        condensed,
        sum(some.requests for some in found),
        sum(some.events for some in found),
        sum(some.filtered for some in found),
        tuple(f"{files[0].path}: {text}" for text in said),
    )


def results(
    archive: Archive,
    task: RowsTask,
    spans: Sequence[tuple[Span, Sequence[DataFile]]],
    executor: Executor,
    until: Callable[[], bool],
) -> Iterator[Rows]:
    """What becomes of the rows of some files, shard by shard, in order; up to where `until` says so."""
    total = sum(file.bytes for _, files in spans for file in files)
    pieces = (
        (some[0].path, (task, some, span))
        for span, files in spans
        for some in together(files, lambda file: file.bytes, total, executor.workers)
    )
    return each(archive, read, pieces, executor, until)
