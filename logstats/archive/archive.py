"""The archive in a folder: its commit log, and what is published from it."""

from __future__ import annotations

from logstats.archive.log import paths
from logstats.archive.log.log import CommitLog
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.publish import catalog


class Archive(CommitLog):
    """An archive on disk. Open one with `Archive.open`."""

    def publish(self, snapshot: Snapshot, within: str) -> None:
        """Write the files that are derived from a snapshot: `catalog.sql`, and every 32 commits the checkpoint. Raises
        LogstatsError."""
        super().publish(snapshot, within)
        self.storage.replace(paths.CATALOG, catalog.script(snapshot).encode(), within)
