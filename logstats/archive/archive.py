"""The archive in a folder or a store: its commit log, and what is published from it."""

from __future__ import annotations

import tomllib

from logstats.archive.log import paths
from logstats.archive.log.log import CommitLog
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.publish import catalog, iceberg
from logstats.errors import LogstatsError


class Archive(CommitLog):
    """An archive. Open one with `Archive.open`."""

    def prepare(self) -> None:
        """Raise ArchiveError, before any work, if what is published after a commit could not be written."""
        if self.publishes_iceberg():
            iceberg.check()

    def publish(self, snapshot: Snapshot, within: str) -> None:
        """Write the files that are derived from a snapshot: `catalog.sql`, every 32 commits the checkpoint, and Iceberg
        tables if lifecycle.toml asks for them. Raises LogstatsError."""
        super().publish(snapshot, within)
        self.storage.replace(paths.CATALOG, catalog.script(snapshot).encode(), within)
        if self.publishes_iceberg():
            iceberg.publish(self, snapshot, within)

    def publishes_iceberg(self) -> bool:
        """Whether lifecycle.toml says `publish = ["iceberg"]`. (What is wrong in it is said by `tiers.policy`.)"""
        try:
            wanted = tomllib.loads((self.storage.read(paths.LIFECYCLE) or b"").decode()).get("publish")
        except (OSError, ValueError, LogstatsError):
            return False
        return isinstance(wanted, list) and "iceberg" in wanted
