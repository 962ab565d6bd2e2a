"""`archive verify --repair`: rebuild damaged files that can be derived from others, and report those that cannot.

Rollups are rebuilt from the rows of their days, if all of these are still stored with the columns that rollups need.
The checkpoint and catalog.sql are rebuilt from the commits. Rows, rejected lines and commits can only come from a
backup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from logstats.archive.archive import Archive
from logstats.archive.ingest import rollups
from logstats.archive.ingest.partition_writer import Partitions, to_arrow
from logstats.archive.log import paths, tables
from logstats.archive.log.commit import Commit, Conflict, Damaged, DataFile
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.archive.query import rows
from logstats.archive.verify import NEEDED, Finding, deleted_days
from logstats.frames import pl

_BUDGET = 2 << 20  # bytes of a rollup that are held in memory
_RESTORE = "bring it back from a backup"
_TRIES = 3


def repair(archive: Archive, *, progress: Callable[[float], None] | None = None) -> Iterator[Finding]:
    """Rebuild what can be rebuilt. A finding that is a note tells what was done; any other one tells what is still
    damaged. Raises Damaged if a commit is damaged, because nothing else records what the archive held."""
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
            for _ in range(_TRIES):
                latest = archive.snapshot()
                if path not in latest.files:
                    break  # another run has replaced it meanwhile
                replaced, source = _related(latest, file)
                seen.update(one.path for one in replaced)
                if why := _cannot(source, damaged, file, gone):
                    yield Finding(path, f"{problem}; it cannot be made again: {why}", _RESTORE)
                    break
                try:
                    _rebuild(archive, workspace, file.table, replaced, source)
                except Conflict:
                    workspace.discard()
                    continue
                made = f"made again from {sum(one.rows for one in source):,} rows"
                yield Finding(path, f"{problem}; {made}", note=True)
                break
            else:
                yield Finding(path, f"{problem}; it was not made again: other runs change its day", "run it again")
        latest = archive.snapshot()
        if archive.storage.size(paths.CHECKPOINT) is not None:
            archive.write_checkpoint(latest, workspace.folder)
        archive.publish(latest, workspace.folder)


def _has_readable_checkpoint(archive: Archive) -> bool:
    """Whether the checkpoint can be read, or does not exist."""
    try:
        archive.checkpoint()
    except Damaged:
        return False
    return True


def _related(snapshot: Snapshot, file: DataFile) -> tuple[list[DataFile], list[DataFile]]:
    """(the files of the same rollup in the same days or month, the files of the rows of these days)."""
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


def _rebuild(
    archive: Archive, workspace: Workspace, table: str, replaced: list[DataFile], source: list[DataFile]
) -> None:
    """Make a rollup of the rows in `source`, as one commit. Raises Conflict if these files changed meanwhile."""
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

    archive.commit(commit, workspace.folder)
    workspace.committed()


def _summary(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    return rollups.summarise(frame.with_row_index("line"))[table]
