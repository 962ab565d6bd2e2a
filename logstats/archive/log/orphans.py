"""Delete the files of writers that died, and files that are no longer part of the archive.

Also finish moves that a writer began before it died: replaced files are moved aside, live ones back into their folders.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from logstats.archive.log import faults, paths
from logstats.archive.log.commit import Commit
from logstats.archive.log.log import CommitLog
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.storage import cannot_write
from logstats.archive.log.writer import Workspace, abandoned, folders, journal, lock_of

GRACE: Final = timedelta(hours=24)  # the least time that a reader of an older snapshot has to finish


@dataclass(frozen=True, slots=True)
class Swept:
    """The numbers of deleted files: of writers that died, and of files that a commit had removed."""

    left_over: int
    removed: int


def sweep(archive: CommitLog, now: datetime, grace: timedelta = GRACE) -> Swept:
    """Delete the files of dead writers, and files that were removed at least `grace` ago. Safe while others read and
    write.

    Raises LogstatsError if a file cannot be deleted.
    """
    left_over = _abandoned(archive)
    tidy(archive)
    with Workspace(archive) as workspace:
        return Swept(left_over, _removed(archive, workspace, now - grace))


def _abandoned(archive: CommitLog) -> int:
    """Delete the files of writers that died, except those that a commit names; return how many."""
    deleted = 0
    for place in folders(archive):
        with abandoned(place) as dead:
            if not dead:
                continue
            # Read after the lock was taken: this writer commits no more, so a file that no commit names now never will
            # be.
            snapshot = archive.snapshot()
            try:
                for path in journal(archive, place):
                    if path not in snapshot.files and path not in snapshot.removed:
                        deleted += archive.storage.delete(path + paths.TEMPORARY) or archive.storage.delete(path)
                faults.reach("workspace.abandoned")
                shutil.rmtree(place, ignore_errors=True)
                lock_of(place).unlink(missing_ok=True)
            except OSError as error:
                raise cannot_write(error, place) from None
    return deleted


def tidy(archive: CommitLog) -> None:
    """Move removed files aside and live ones back, where a crash (or a copy of the archive made meanwhile) left them
    elsewhere. Raises LogstatsError."""
    # The order matters: a file that was aside before the snapshot was read, and is part of it, was not removed since.
    lying = [] if archive.storage.empty(paths.REPLACED) else list(archive.storage.listing(paths.REPLACED))
    snapshot = archive.snapshot()
    try:
        for path in map(paths.unreplaced, lying):
            if path in snapshot.files:
                archive.storage.bring_back(path)
        archive.storage.set_aside(path for path in snapshot.removed if archive.storage.exists(path))
    except OSError as error:
        raise cannot_write(error, archive.root) from None


def _removed(archive: CommitLog, workspace: Workspace, before: datetime) -> int:
    def due(snapshot: Snapshot) -> list[str]:
        return [path for path, gone in snapshot.removed.items() if gone.at <= before]

    snapshot = archive.snapshot()
    paths = due(snapshot)
    if not paths:
        return 0
    archive.publish(snapshot, workspace.folder)  # the catalog must not name files that are deleted now
    faults.reach("sweep.begin")
    for path in paths:
        try:
            archive.storage.delete(path)
        except OSError as error:
            raise cannot_write(error, archive.root / path) from None
        faults.reach("sweep.file")
    faults.reach("sweep.deleted")

    def made(latest: Snapshot) -> Commit | None:
        deleted = tuple(path for path in paths if path in latest.removed)
        return Commit(what="sweep", deleted=deleted) if deleted else None

    archive.commit(made, workspace.folder)
    return len(paths)
