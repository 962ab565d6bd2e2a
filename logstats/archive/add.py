"""`archive add`: sweep what nothing needs, ingest the sources, compact what they left in many small files."""

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
    """Add what the archive does not have yet of some sources; each line is in it once, whatever happens.

    A source that cannot be read, or whose format nobody knows, is told to the listener, and the others are still
    added. Raises LogstatsError if the archive cannot be read or written: then everything up to the last commit is in
    it, and running the same again adds the rest.
    """
    sweep(archive, options.now())
    with Workspace(archive) as workspace:
        added = Ingest(archive, workspace, sources, options, listener, interrupt or Interrupt()).all()
    if not added.interrupted:
        compact(archive, options.now())
    return added
