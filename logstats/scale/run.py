"""The one ordered merge: shards are read anywhere, and their results come in the order of the lines.

It gives what `pipeline.run` gives over the same sources: results that add up to the same, and the same counts, events,
rejected lines and line numbers. What makes a stretch of a file depend on those before it is that lines which no format
reads may be looked at once more: if a stretch finds a further format, it and the rest of its file are read again here,
beginning with what the stretches before have left.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import field, replace
from typing import Any

from logstats.dataclass import dataclass
from logstats.formats.detection.unread import Looks
from logstats.inputs import Source
from logstats.pipeline import Counts, Interrupt, Listener, run
from logstats.scale.calls import AHEAD, Call, Executor
from logstats.scale.shards import Shard
from logstats.scale.work import Outcome, Task, read

Rejects = Callable[[list[bytes]], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source is read, as a listener shows it."""

    source: Source
    total_bytes: int | None
    read_bytes: int


@dataclass(slots=True)
class _File:
    """The file whose stretches are merged: lines so far, and what was tried on those that nothing reads."""

    lines: int = 0
    bytes: int = 0
    looks: Looks = field(default_factory=Looks)
    done: bool = False  # its rest was read here


def run_shards(
    shards: Iterator[Shard],
    task: Task,
    executor: Executor,
    counts: Counts,
    listener: Listener,
    *,
    interrupt: Interrupt | None = None,
    rejects: Rejects | None = None,
) -> Generator[Any]:
    """Yield the results in the order of the lines; `counts` are complete when the last one is taken.

    When `interrupt` is asked, what was merged so far is all: it is of the first lines.
    """
    interrupt = interrupt or Interrupt()
    waiting: deque[tuple[Shard, Any]] = deque()
    file = _File()
    try:
        while not interrupt.asked:
            while len(waiting) < AHEAD * executor.workers and (shard := next(shards, None)) is not None:
                waiting.append((shard, None if shard.local else executor.submit(_call(task, shard.sources))))
            if not waiting:
                break
            shard, ticket = waiting.popleft()
            file = file if shard.goes_on else _File()
            if file.done:
                continue
            if shard.local:
                yield from _here(shard.sources, task, counts, listener, interrupt, rejects, goes_on=False)
                continue
            outcome: Outcome | None = executor.result(ticket, lambda: interrupt.asked)
            if outcome is None:
                break
            left = outcome.counts.sources[0].left
            if shard.sources[0].stop is not None or shard.goes_on:
                if left is not None and left.changed:
                    again = _rest(shard.sources[0], file)
                    yield from _here([again], task, counts, listener, interrupt, rejects, goes_on=shard.goes_on)
                    file.done = True
                    continue
                file.done = outcome.counts.sources[0].problem is not None
                for seen, looks in left.looks if left is not None else ():
                    file.looks.fail(looks, seen)
            yield from _merge(shard, outcome, task, file, counts, listener, rejects)
    finally:
        executor.close()
    counts.interrupted = interrupt.asked


def _call(task: Task, sources: Sequence[Source]) -> Call:
    """Read a shard, wherever the folder may be another one."""
    found = tuple(replace(one, path=one.path.absolute()) if one.path else one for one in sources)
    return Call(sources[0].name, read, (task, found))


def _rest(part: Source, file: _File) -> Source:
    """A file from one of its stretches on."""
    start = replace(part.start, line=file.lines + 1, looks=file.looks) if part.start is not None else None
    return replace(part, stop=None, start=start)


def _here(
    sources: Sequence[Source],
    task: Task,
    counts: Counts,
    listener: Listener,
    interrupt: Interrupt,
    rejects: Rejects | None,
    *,
    goes_on: bool,
) -> Iterator[Any]:
    """Read sources in this process."""
    own = Counts()
    with contextlib.closing(run(sources, task.job(own), listener, interrupt=interrupt, rejects=rejects)) as parts:
        for part, _ in parts:
            if part.result is not None:
                yield part.result
    counts.add(own, goes_on=goes_on)


def _merge(
    shard: Shard,
    outcome: Outcome,
    task: Task,
    file: _File,
    counts: Counts,
    listener: Listener,
    rejects: Rejects | None,
) -> Iterator[Any]:
    own, before = outcome.counts, file.lines
    if shard.goes_on:
        own.samples = [(source, line + before, reason, text) for source, line, reason, text in own.samples]
    file.lines += own.sources[0].lines
    file.bytes += own.sources[0].bytes
    last = shard.sources[-1]
    counts.add(own, goes_on=shard.goes_on)
    for method, *arguments in outcome.events:
        getattr(listener, method)(*arguments)
    listener.progress(Progress(last, last.size, file.bytes if last.stop or shard.goes_on else last.size or 0), counts)
    if rejects is not None and outcome.rejected:
        rejects(outcome.rejected)
    for result in outcome.results:
        yield task.work.moved(result, before if shard.goes_on else 0)
