"""Delete the files of writers that died, and files that are no longer part of the archive.

Also finish moves that a writer began before it died: replaced files are moved aside, live ones back into their folders.
"""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from typing import Final

from logstats.archive.log import faults, paths, tables
from logstats.archive.log.commit import Commit
from logstats.archive.log.log import CommitLog
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.storage import cannot_write
from logstats.archive.log.writer import Workspace, abandoned, folders, journal, lock_of, writers
from logstats.dataclass import dataclass

GRACE: Final = timedelta(hours=24)  # the least time that a reader of an older snapshot has to finish


@dataclass(frozen=True, slots=True)
class Swept:
    """The numbers of deleted files: of writers that died, and of files that a commit had removed."""

    left_over: int
    removed: int


def sweep(archive: CommitLog, now: datetime, grace: timedelta = GRACE, *, left: timedelta | None = None) -> Swept:
    """Delete the files of dead writers, and files that were removed at least `grace` ago. Safe while others read and
    write.

    With `left`, an archive on a store is also searched for files that no commit names and that are as old, of writers
    that died on other machines. Raises LogstatsError if a file cannot be deleted.
    """
    left_over = _abandoned(archive)
    tidy(archive)
    with Workspace(archive) as workspace:
        if left is not None:
            left_over += _forgotten(archive, workspace, now - left)
        return Swept(left_over, _removed(archive, workspace, now - grace))


def _forgotten(archive: CommitLog, workspace: Workspace, before: datetime) -> int:
    """Delete files of a store that were written before a time and that no commit names; return how many."""
    data = (*tables.TIERS, "rollups", tables.REJECTS)
    lying = [path for folder in data for path in archive.storage.older(folder, before)]
    begun = {path for _, some in writers(archive) for path in some}
    probes = list(archive.storage.older(paths.WORK, before))  # of an `init` that was interrupted
    left = [path for path in lying if archive.places.is_data(path) and path not in begun]
    found = [*archive.forsake(left, workspace.folder), *probes]
    for path in found:
        archive.storage.delete(path)
    return len(found)


def _abandoned(archive: CommitLog) -> int:
    """Delete the files of writers that died, except those that a commit names; return how many."""
    deleted = 0
    for place in folders(archive):
        with abandoned(place) as dead:
            if not dead:
                continue
            # Read after the lock was taken: this writer commits no more, so a file that no commit names now never will
            # be. On a store, a request of it may still be on its way: then that is recorded.
            begun = journal(archive, place)
            if archive.storage.shared:
                left = archive.forsake(begun, paths.writer_id())
            else:
                snapshot = archive.snapshot()
                left = [path for path in begun if path not in snapshot.files and path not in snapshot.removed]
            try:
                for path in left:
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
    lying = list(archive.storage.listing(paths.REPLACED))
    snapshot = archive.snapshot()
    try:
        for path in map(paths.unreplaced, lying):
            if path in snapshot.files:
                archive.storage.bring_back(path)
        archive.storage.set_aside(snapshot.removed)
    except OSError as error:
        raise cannot_write(error, archive.name) from None


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
            raise cannot_write(error, archive.storage.uri(path)) from None
        faults.reach("sweep.file")
    faults.reach("sweep.deleted")

    def made(latest: Snapshot) -> Commit | None:
        deleted = tuple(path for path in paths if path in latest.removed)
        return Commit(what="sweep", deleted=deleted) if deleted else None

    archive.commit(made, workspace.folder)
    return len(paths)
