"""`archive add`: delete orphans, ingest the sources, then compact the many small files that this left.

Several workers read files and write Parquet; one process commits what they have written, in the order of the files. One
large file is not split among workers. What the archive records of it is a chain: the digests of its blocks, the number
of the line, the format, the time of lines that have none follow from what comes before, so each stretch would have to
wait for those before it, with its rows held or written twice. One process reads a file with all cores already, and
writes meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from logstats.archive.apart import each_committed, together
from logstats.archive.archive import Archive
from logstats.archive.ingest.ingest import Ingest, IngestOptions
from logstats.archive.ingest.progress import Added
from logstats.archive.log.commit import Commit
from logstats.archive.log.orphans import sweep
from logstats.archive.log.writer import Workspace
from logstats.archive.tiers.compact import compact
from logstats.errors import UsageError
from logstats.inputs import Source as Input
from logstats.pipeline import Interrupt, Listener
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
    now: datetime,
    listener: Listener,
    interrupt: Interrupt,
    executor: Executor,
    *,
    duplicates: bool = False,
) -> Added:
    """Add sources as `add` does, by workers that read some files each and write their rows; this process commits them.
    `work` is what a worker does: it adds some, and gives what the listener is to be told. `duplicates` are not looked
    for. Raises UsageError for a source that only this process can read."""
    pipe = next((source for source in sources if source.size is None), None)
    if pipe is not None:
        raise UsageError(f"{pipe.name} is no file that a worker could read", "add it without --workers")
    sweep(archive, now)
    total = sum(source.size or 0 for source in sources)
    pieces = [
        (some[0].name, ([replace(one, path=one.path.absolute()) if one.path else one for one in some],))
        for some in together(sources, lambda source: source.size or 0, total, executor.workers)
    ]
    whole = Added()
    done = 0
    for made in each_committed(archive, work, pieces, executor, lambda: interrupt.asked, known=not duplicates):
        added, events = made.result
        for method, *arguments in events:
            getattr(listener, method)(*arguments)
        _count(added, made.before)
        whole.outcomes += added.outcomes
        whole.commits += made.commits
        done += 1
    whole.interrupted = done < len(pieces)
    if not whole.interrupted:
        compact(archive, now)
    return whole


def _count(added: Added, before: Iterable[Commit]) -> None:
    """Count what earlier commits of this run have added of the same sources, which their last reading found known."""
    for advance in (advance for commit in before for advance in commit.sources):
        for outcome in added.outcomes:
            if outcome.name == advance.name:
                outcome.counts += advance.counts
                outcome.known -= advance.counts.lines
