"""The one loop: chunks → batches → results, in the order of the lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from logstats.inputs import ChunkReader, Memory, Source, ahead
from logstats.pipeline.chunk_task import ChunkTask, Part
from logstats.pipeline.counts import Counts
from logstats.pipeline.format_chooser import FormatChooser
from logstats.pipeline.interrupt import Interrupt
from logstats.pipeline.job import PIPED, Job, Result
from logstats.pipeline.listener import Listener
from logstats.pipeline.source_reader import SourceReader


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
    workers = ThreadPoolExecutor(job.workers, thread_name_prefix="logstats")
    with workers as pool, ThreadPoolExecutor(1, thread_name_prefix="logstats-left") as aside:

        def part_is_done() -> bool:
            return bool(waiting) and waiting[0][1].done()

        def idle() -> bool:
            return sum(not part.done() for _, part in waiting) < job.workers

        def emitted(parts: Iterator[Part[Result]]) -> Iterator[tuple[Part[Result], Counts]]:
            for part in parts:
                account(part, counts)
                if rejects is not None and part.rejected_lines:
                    rejects([line for _, _, line in part.rejected_lines])
                yield part, counts

        readers: list[SourceReader[Result]] = []
        before: SourceReader[Result] | None = None
        tasks = _tasks(sources, job, listener, interrupt, part_is_done, idle, readers, aside.submit)
        ended = False
        while not ended or waiting:
            try:
                if not ended and (made := next(tasks)) is not None:
                    reader, task = made
                    waiting.append((reader, pool.submit(task)))
            except StopIteration:
                ended = True
            while waiting and (ended or len(waiting) > job.workers or part_is_done()):
                reader, future = waiting.popleft()
                if before is not None and before is not reader:
                    yield from emitted(before.in_order(None))
                before = reader
                yield from emitted(reader.in_order(future.result()))
        if before is not None:
            yield from emitted(before.in_order(None))
        for reader in readers:
            reader.end()
    counts.interrupted = interrupt.asked


def account(part: Part[Result], counts: Counts) -> None:
    """Add a part to the counts."""
    state = counts.sources[part.source]
    state.lines += part.chunk_lines
    state.bytes += part.chunk_bytes
    counts.lines += part.chunk_lines
    counts.requests += part.requests
    counts.events += part.rows - part.requests
    counts.filtered += part.filtered
    counts.ignored += part.ignored
    counts.cover(part.span)
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
    readers: list[SourceReader[Result]],
    submit: Callable[[ChunkTask[Result]], Future[Part[Result]]],
) -> Iterator[tuple[SourceReader[Result], ChunkTask[Result]] | None]:
    """Yield one task for each chunk, in the main thread, which is also where formats are detected.

    None is yielded when a part is done before the next chunk of a slow source has arrived.
    """
    formats, memory = FormatChooser(job, listener), Memory()
    for source in ahead(sources):
        if interrupt.asked:
            return
        reader = SourceReader(job, source, formats, listener, submit=submit)
        readers.append(reader)
        target = job.chunk if source.size is not None else min(job.chunk, PIPED)
        with ChunkReader(source, target=target, stop=lambda: interrupt.asked, idle=idle, memory=memory) as chunks:
            iterator = iter(chunks)
            while True:
                while not chunks.wait(part_is_done):
                    yield None
                if (chunk := next(iterator, None)) is None:
                    break
                if (task := reader.task(chunk)) is not None:
                    listener.progress(chunks, job.counts)
                    yield reader, task
            if (task := reader.last()) is not None:
                yield reader, task
            reader.state.unfinished += chunks.unfinished
            for words in chunks.notes:
                listener.note(source.name, words)
            if chunks.error is not None:
                reader.state.problem = chunks.error
                listener.problem(chunks.error)
