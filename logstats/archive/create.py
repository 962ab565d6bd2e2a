"""`archive init`: make an archive in a folder, or below a URL."""

from __future__ import annotations

from pathlib import Path

from logstats.archive.archive import Archive
from logstats.archive.log import paths
from logstats.archive.log.commit import ArchiveError, Commit
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.archive.tiers.policy import TEMPLATE


def init(root: str | Path) -> Archive:
    """Write the first commit and a `lifecycle.toml` for the user to edit. Raises ArchiveError if the folder is an
    archive already."""
    archive = Archive(root)
    if archive.storage.names(paths.COMMITS) is not None and archive.snapshot().number:
        raise ArchiveError(f"{root}: there is an archive already", "nothing was changed; logs are added by archive add")
    archive.storage.prepare()
    with Workspace(archive) as workspace:
        if archive.storage.size(paths.LIFECYCLE) is None:
            archive.storage.replace(paths.LIFECYCLE, TEMPLATE.encode(), workspace.folder)

        def first(snapshot: Snapshot) -> Commit | None:
            return None if snapshot.number else Commit(what="init")

        archive.commit(first, workspace.folder)
    return archive
