"""`archive add`: delete orphans, ingest the sources, then compact the many small files that this left.

Several workers read files, or `stretches` of a large one, and write Parquet; one process commits what they have
written, in the order of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from logstats.archive.apart import Piece, each_committed, together
from logstats.archive.archive import Archive
from logstats.archive.ingest.ingest import Ingest, IngestOptions, job_of
from logstats.archive.ingest.progress import Added
from logstats.archive.log.commit import Commit
from logstats.archive.log.orphans import sweep
from logstats.archive.log.writer import Workspace
from logstats.archive.stretches import Stretch, stretches
from logstats.archive.tiers.compact import compact
from logstats.errors import UsageError
from logstats.inputs import Source as Input
from logstats.pipeline import Interrupt, Listener
from logstats.scale import shards
from logstats.scale.calls import Executor


def add(
    archive: Archive,
    sources: Sequence[Input],
    options: IngestOptions,
    listener: Listener,
    interrupt: Interrupt | None = None,
) -> Added:
    """Add those lines of the sources that the archive does not have yet. Each line is stored exactly once.

    A source that cannot be read, or whose format is unknown, is reported to the listener; the others are still added.
    Raises LogstatsError if the archive cannot be read or written. Everything up to the last commit is stored by then,
    and calling this again with the same sources adds the rest.
    """
    sweep(archive, options.now())
    added = ingest(archive, sources, options, listener, interrupt or Interrupt())
    if not added.interrupted:
        compact(archive, options.now())
    return added


def ingest(
    archive: Archive, sources: Sequence[Input], options: IngestOptions, listener: Listener, interrupt: Interrupt
) -> Added:
    """The same, without tidying up before and after."""
    with Workspace(archive) as workspace:
        return Ingest(archive, workspace, sources, options, listener, interrupt).all()


def add_apart(
    archive: Archive,
    sources: Sequence[Input],
    work: Callable[..., tuple[Added, list[tuple[Any, ...]]]],
    options: IngestOptions,
    listener: Listener,
    interrupt: Interrupt,
    executor: Executor,
) -> Added:
    """Add sources as `add` does, by workers that read some files each, or a stretch of a large one, and write their
    rows; this process commits them. `work` is what a worker does: it adds some, and gives what the listener is to be
    told. Raises UsageError for a source that only this process can read."""
    pipe = next((source for source in sources if source.size is None), None)
    if pipe is not None:
        raise UsageError(f"{pipe.name} is no file that a worker could read", "add it without --workers")
    sweep(archive, options.now())
    here = [replace(one, path=one.path.absolute()) if one.path else one for one in sources]
    whole = Added()
    given: list[Piece | None] = []  # and None, when these are all

    def pieces() -> Iterator[Piece]:
        for piece in _pieces(archive, here, options, executor.workers):
            given.append(piece)
            yield piece
        given.append(None)

    done = 0
    committed = each_committed(archive, work, pieces(), executor, lambda: interrupt.asked, known=not options.duplicates)
    for made in committed:
        done += 1
        if made.result is None:
            continue
        added, events = made.result
        for method, *arguments in events:
            getattr(listener, method)(*arguments)
        _count(added, made.before)
        stretch = made.piece.link
        outcomes = map(stretch.chain.add, added.outcomes) if isinstance(stretch, Stretch) else added.outcomes
        whole.outcomes += filter(None, outcomes)
        whole.commits += made.commits
    whole.interrupted = given[done:] != [None]
    if not whole.interrupted:
        compact(archive, options.now())
    return whole


def _pieces(archive: Archive, sources: Sequence[Input], options: IngestOptions, workers: int) -> Iterator[Piece]:
    """What a worker adds at once: some files, or a stretch of a large one."""
    total = sum(source.size or 0 for source in sources)
    job, aim = job_of(options), shards.aim_of(total, workers)
    held: list[Input] = []

    def files() -> Iterator[Piece]:
        for some in together(held, lambda source: source.size or 0, total, workers):
            yield Piece(some[0].name, (some,))
        held.clear()

    for source in sources:
        split = None if options.duplicates else stretches(archive, source, options.source_name, job, aim)
        if split is None:
            held.append(source)
            continue
        yield from files()
        for stretch in split:
            yield Piece(source.name, ([stretch.source], stretch.before), stretch, ([source],))
    yield from files()


def _count(added: Added, before: Iterable[Commit]) -> None:
    """Count what earlier commits of this run have added of the same sources, which their last reading found known."""
    for advance in (advance for commit in before for advance in commit.sources):
        for outcome in added.outcomes:
            if outcome.name == advance.name:
                outcome.counts += advance.counts
                outcome.known -= advance.counts.lines
