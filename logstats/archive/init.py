"""`archive init`: a folder becomes an archive."""

from __future__ import annotations

from pathlib import Path

from logstats.archive import layout
from logstats.archive.commits import Archive, ArchiveError, Commit, Snapshot
from logstats.archive.files import cannot_write
from logstats.archive.lifecycle import TEMPLATE
from logstats.archive.workspace import Workspace


def init(root: str | Path) -> Archive:
    """Make an archive: its first commit, and `lifecycle.toml` to be edited. Raises ArchiveError if there is one."""
    archive = Archive(root)
    try:
        (archive.root / layout.COMMITS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(error, archive.root) from None
    if archive.snapshot().number:
        raise ArchiveError(f"{root}: there is an archive already", "nothing was changed; logs are added by archive add")
    with Workspace(archive) as workspace:
        if archive.files.size(layout.LIFECYCLE) is None:
            archive.files.replace(layout.LIFECYCLE, TEMPLATE.encode(), workspace.folder)

        def first(snapshot: Snapshot) -> Commit | None:
            return None if snapshot.number else Commit(what="init")

        archive.commit(first, workspace.folder)
    return archive
