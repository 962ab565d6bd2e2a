"""`archive verify --repair`: what can be made again is made again, as a commit; what cannot is said.

Rollups come from the rows of their days, where all of these are still there with the columns that rollups need. The
checkpoint and catalog.sql come from the commits. Rows, rejected lines and commits have no other source than a backup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from logstats.archive.archive import Archive
from logstats.archive.ingest import rollups
from logstats.archive.ingest.partition_writer import Partitions, to_arrow
from logstats.archive.log import paths, tables
from logstats.archive.log.commit import Commit, Conflict, Damaged, DataFile
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.archive.query import rows
from logstats.archive.verify import NEEDED, Finding, deleted_days

_BUDGET = 2 << 20  # bytes of a rollup in memory
_RESTORE = "bring it back from a backup"


def repair(archive: Archive, *, progress: Callable[[float], None] | None = None) -> Iterator[Finding]:
    """Make anew what can be: what was done is a note, what could not be is damage. Raises Damaged if the commits
    themselves are not whole, since nothing else says what there was."""
    commits = list(archive.commits())
    snapshot = Snapshot().after(commits)
    readable = _has_readable_checkpoint(archive)
    for damage in archive.snapshot(lenient=True).torn:
        if readable or damage.path != paths.CHECKPOINT:
            raise damage
    damaged: dict[str, str] = {}
    total, done = sum(file.bytes for file in snapshot.files.values()), 0
    for file in snapshot.files.values():
        if problem := archive.integrity.damage(file):
            damaged[file.path] = problem
        done += file.bytes
        if progress is not None:
            progress(100 * done / max(total, 1))
    gone = deleted_days(commits)
    with Workspace(archive) as workspace:
        if not readable:
            archive.write_checkpoint(snapshot, workspace.folder)
            yield Finding(paths.CHECKPOINT, "it was damaged; made again from the commits", note=True)
        seen: set[str] = set()
        for path, problem in damaged.items():
            file = snapshot.files[path]
            if path in seen:
                continue
            if file.table not in tables.ROLLUPS:
                yield Finding(path, problem, _RESTORE)
                continue
            replaced, source = _related(snapshot, file)
            seen.update(one.path for one in replaced)
            if why := _cannot(source, damaged, file, gone):
                yield Finding(path, f"{problem}; it cannot be made again: {why}", _RESTORE)
                continue
            snapshot = _rebuilt(archive, workspace, file.table, replaced, source)
            yield Finding(path, f"{problem}; made again from {sum(one.rows for one in source):,} rows", note=True)
        if archive.storage.size(paths.CHECKPOINT) is not None:
            archive.write_checkpoint(snapshot, workspace.folder)
        archive.publish(snapshot, workspace.folder)


def _has_readable_checkpoint(archive: Archive) -> bool:
    """Whether there is one that can be read, or none at all."""
    try:
        archive.checkpoint()
    except Damaged:
        return False
    return True


def _related(snapshot: Snapshot, file: DataFile) -> tuple[list[DataFile], list[DataFile]]:
    """The files of the rollup that lie in the same days or month, and the files of the rows of these."""
    unit = min(
        (one.partition for one in snapshot.select(file.table) if _overlap(one.partition, file.partition)), key=len
    )
    together = [one for one in snapshot.select(file.table) if _overlap(one.partition, unit)]
    return together, [one for one in snapshot.select(tables.LOGS) if _overlap(one.partition, unit)]


def _overlap(one: paths.Partition, other: paths.Partition) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _cannot(
    source: list[DataFile], damaged: Mapping[str, str], file: DataFile, gone: set[paths.Partition]
) -> str | None:
    if file.table == tables.LINES:
        return "lines that are no rows are known nowhere else"
    if any(_overlap(day, file.partition) for day in gone) or not source:
        return "the rows were deleted"
    if lost := next((one.path for one in source if one.path in damaged), None):
        return f"the rows in {lost} are damaged, too"
    lacking = {column for one in source if one.columns is not None for column in NEEDED - set(one.columns)}
    return f"the rows were kept without {', '.join(sorted(lacking))}" if lacking else None


def _rebuilt(
    archive: Archive, workspace: Workspace, table: str, replaced: list[DataFile], source: list[DataFile]
) -> Snapshot:
    made = Partitions(workspace, table, _BUDGET)
    try:
        for file in source:
            for frame in rows.batches(archive, file, sorted(NEEDED)):
                made.add(to_arrow(_summary(frame, table), table))
        files = made.finish()
    except BaseException:
        made.abandon()
        raise
    workspace.keep(files)

    def commit(snapshot: Snapshot) -> Commit:
        if any(file.path not in snapshot.files for file in (*replaced, *source)):
            raise Conflict
        return Commit(what="repair", added=tuple(files), removed=tuple(file.path for file in replaced))

    snapshot = archive.commit(commit, workspace.folder)
    workspace.committed()
    return snapshot


def _summary(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    return rollups.summarise(frame.with_row_index("line"))[table]
