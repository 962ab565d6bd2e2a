"""`archive add`: delete orphans, ingest the sources, then compact the many small files that this left."""

from __future__ import annotations

from collections.abc import Sequence

from logstats.archive.archive import Archive
from logstats.archive.ingest.ingest import Ingest, IngestOptions
from logstats.archive.ingest.progress import Added
from logstats.archive.log.orphans import sweep
from logstats.archive.log.writer import Workspace
from logstats.archive.tiers.compact import compact
from logstats.inputs import Source as Input
from logstats.pipeline import Interrupt, Listener


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
    with Workspace(archive) as workspace:
        added = Ingest(archive, workspace, sources, options, listener, interrupt or Interrupt()).all()
    if not added.interrupted:
        compact(archive, options.now())
    return added
