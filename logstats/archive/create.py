"""`archive init`: make an archive of a folder."""

from __future__ import annotations

from pathlib import Path

from logstats.archive.archive import Archive
from logstats.archive.log import paths
from logstats.archive.log.commit import ArchiveError, Commit
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.storage import cannot_write
from logstats.archive.log.writer import Workspace
from logstats.archive.tiers.policy import TEMPLATE


def init(root: str | Path) -> Archive:
    """Write the first commit and a `lifecycle.toml` for the user to edit. Raises ArchiveError if the folder is an
    archive already."""
    archive = Archive(root)
    try:
        (archive.root / paths.COMMITS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(error, archive.root) from None
    if archive.snapshot().number:
        raise ArchiveError(f"{root}: there is an archive already", "nothing was changed; logs are added by archive add")
    with Workspace(archive) as workspace:
        if archive.storage.size(paths.LIFECYCLE) is None:
            archive.storage.replace(paths.LIFECYCLE, TEMPLATE.encode(), workspace.folder)

        def first(snapshot: Snapshot) -> Commit | None:
            return None if snapshot.number else Commit(what="init")

        archive.commit(first, workspace.folder)
    return archive
