"""Compaction: the small files of one hour or day become one, once no more lines are expected for it.

Files of similar size are merged, so that a late line does not cause the whole hour to be rewritten: a large file is
merged only when the newer ones have reached a quarter of its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from logstats import allocators
from logstats.archive.archive import Archive
from logstats.archive.ingest.partition_writer import GROUP, Partitions
from logstats.archive.log import faults, paths, tables
from logstats.archive.log.commit import ArchiveError, Commit, Conflict, DataFile
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace

SETTLE: Final = timedelta(minutes=15)  # after an hour's end: its last lines are still being added
OPEN_FILES: Final = 8  # files of a partition from which on they are merged even before it has closed
AT_ONCE: Final = 64  # partitions in one commit
_RATIO: Final = 4
_BUDGET: Final = 12 << 20  # bytes of rows in memory; and of rollups, whose merging takes ten times as much
_BUDGET_OF_ROLLUPS: Final = 2 << 20
_BATCH: Final = 16_384  # rows

Group = tuple[DataFile, ...]


def due(snapshot: Snapshot, now: datetime) -> list[Group]:
    """Groups of files, each of which is to become one: hours of the hot tier, days of rollups and rejects."""
    partitions: dict[tuple[str, paths.Partition], list[DataFile]] = {}
    for file in snapshot.files.values():
        if file.tier == tables.tier_of(file.table):
            partitions.setdefault((file.table, file.partition), []).append(file)
    found = []
    for (_, partition), files in sorted(partitions.items()):
        least = 2 if _closed(partition, now) else OPEN_FILES
        group = _alike(files)
        if len(group) >= least:
            found.append(group)
    return found


def _closed(partition: paths.Partition, now: datetime) -> bool:
    length = timedelta(hours=1) if len(partition) > 3 else timedelta(days=1)
    try:
        year, month, day, *hour = partition
        return now >= datetime(year, month, day, hour[0] if hour else 0, tzinfo=UTC) + length + SETTLE
    except OverflowError:
        return False


def _alike(files: Sequence[DataFile]) -> Group:
    """The smaller files, up to the first that is much larger than all before it together, ordered by age."""
    chosen: list[DataFile] = []
    rows = 0
    for file in sorted(files, key=lambda file: file.rows):
        if chosen and file.rows > max(_RATIO * rows, GROUP):
            break
        chosen.append(file)
        rows += file.rows
    return tuple(sorted(chosen, key=lambda file: paths.age(file.path)))


def compact(archive: Archive, now: datetime) -> int:
    """Merge the files that are due. Returns by how many the number of files has decreased.

    Groups that another writer has changed meanwhile are left for the next run. Raises LogstatsError if a file cannot be
    written, or if its content, read back, is not that of the files it replaces.
    """
    groups = due(archive.snapshot(), now)
    fewer = 0
    allocators.trim()
    for start in range(0, len(groups), AT_ONCE):
        with Workspace(archive) as workspace:
            try:
                fewer += _together(archive, workspace, groups[start : start + AT_ONCE])
            except Conflict:
                continue
    return fewer


def _together(archive: Archive, workspace: Workspace, groups: Sequence[Group]) -> int:
    made = [_merged(archive, workspace, group) for group in groups]
    added = tuple(file for files in made for file in files)

    def verify(written: Sequence[DataFile]) -> None:
        for file in written:
            if archive.storage.digest(file.path) != (file.bytes, file.sha256):
                raise ArchiveError(f"{file.path}: the disk gives back other bytes than were written", _AS_IT_WAS)
        faults.reach("compact.verified")

    workspace.keep(added, verify)
    removed = tuple(file.path for group in groups for file in group)

    def commit(snapshot: Snapshot) -> Commit:
        if any(path not in snapshot.files for path in removed):
            raise Conflict
        return Commit(what="compact", added=added, removed=removed)

    archive.commit(commit, workspace.folder)
    workspace.committed()
    return len(removed) - len(added)


_AS_IT_WAS: Final = "the archive is as it was: check the disk and run it again"


def _with_later(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows in today's schema: null in columns that it did not have when their file was written."""
    for field in schema:
        if field.name not in rows.schema.names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)


def _merged(archive: Archive, workspace: Workspace, group: Group) -> list[DataFile]:
    table = group[0].table
    schema = tables.arrow_schema(table)
    rows = Partitions(workspace, table, _BUDGET_OF_ROLLUPS if table in tables.ROLLUPS else _BUDGET)
    try:
        for file in group:
            try:
                (place,) = archive.integrity.paths([file])
                with pq.ParquetFile(
                    place, filesystem=archive.storage.filesystem, page_checksum_verification=True
                ) as source:
                    for batch in source.iter_batches(_BATCH):
                        rows.add(_with_later(pa.Table.from_batches([batch]), schema))
            except (OSError, pa.ArrowException) as error:
                raise ArchiveError(f"{file.path}: {error}", "logstats archive verify says what else is wrong") from None
        made = rows.finish()
    except BaseException:
        rows.abandon()
        raise
    if table not in tables.ROLLUPS and sum(file.rows for file in made) != sum(file.rows for file in group):
        raise ArchiveError(f"{group[0].path}: not as many rows were read as its commit says", _AS_IT_WAS)
    return made
