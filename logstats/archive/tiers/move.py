"""Apply a plan: move days from tier to tier, or delete them.

A step is one commit. Its new files are sorted (on disk if the day does not fit into memory), made durable, and read
back: they must have as many rows as the files that they replace, with the same content. The replaced files are moved
aside and deleted by a sweep, at least a day later, so that readers can finish. An interrupted step has changed nothing,
and can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import duckdb

from logstats.archive.apart import Piece, each_committed
from logstats.archive.archive import Archive
from logstats.archive.log import faults, paths, tables
from logstats.archive.log.commit import ArchiveError, Commit, Conflict, DataFile
from logstats.archive.log.log import CommitLog
from logstats.archive.log.parquet_writer import Writer
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.archive.publish import catalog
from logstats.archive.tiers.policy import Policy, Step, Tier, plan
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError
from logstats.scale.calls import Executor

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY: Final = "512MB"  # bytes for sorting; a day that needs more is sorted in the writer's folder
ROW_GROUP: Final = 262_144  # rows: larger than in hot, since fewer and larger dictionaries take less
_BATCH: Final = 16_384  # rows
_BYTES: Final = 128 << 20  # bytes of a row group in memory, however long its texts
_TRIES: Final = 3


class Listener(Protocol):
    """Receives progress events."""

    def finished(self, step: Step, made: tuple[DataFile, ...]) -> None: ...
    def failed(self, step: Step, error: LogstatsError) -> None: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a day: the step, None if it was no longer due, and the files that it made, or its error."""

    step: Step | None = None
    made: tuple[DataFile, ...] = ()
    error: LogstatsError | None = None


def apply(
    archive: Archive, policy: Policy, now: datetime, listener: Listener, executor: Executor | None = None
) -> None:
    """Apply the steps that are due. A day that cannot be moved is reported to the listener; the others are still moved.

    A day to which lines are added meanwhile is planned again; lines that come too late are left for the next run.
    Workers of an `executor` write a day each, which this process commits; the listener is told in the order of the
    days.
    """
    days = [(step.describe(), (step.day, policy, now)) for step in plan(archive.snapshot(), policy, now)]
    done: Iterator[Moved] = (_move(archive, *arguments) for _, arguments in days)
    if executor is not None:
        pieces = [Piece(*day) for day in days]
        done = (made.result for made in each_committed(archive, _move, pieces, executor))
    for moved in done:
        if moved.step is None:
            continue
        if moved.error is not None:
            listener.failed(moved.step, moved.error)
        else:
            listener.finished(moved.step, moved.made)


def _move(archive: Archive, day: paths.Partition, policy: Policy, now: datetime) -> Moved:
    """Apply the step that is due for a day."""
    for _ in range(_TRIES):
        step = next((step for step in plan(archive.snapshot(), policy, now) if step.day == day), None)
        if step is None:
            break
        try:
            return Moved(step, _carry_out(archive, step))
        except Conflict:
            continue
        except LogstatsError as error:
            held = archive.snapshot().files
            if any(file.path not in held for file in step.files):
                continue  # another writer was faster, and moved the files while they were read
            return Moved(step, error=error)
    return Moved()


def _carry_out(archive: Archive, step: Step) -> tuple[DataFile, ...]:
    """One step, as one commit. Raises Conflict if its files are no longer those of the day."""
    with Workspace(archive) as workspace:
        made: tuple[DataFile, ...] = ()
        if step.tier is not None:
            made = tuple(_rewritten(workspace, step, step.tier))
            tier = step.tier
            workspace.keep(made, lambda written: _verify(workspace, step, tier, written))

        def commit(snapshot: Snapshot) -> Commit:
            if any(file.path not in snapshot.files for file in step.files):
                raise Conflict
            return Commit(
                what="tier",
                added=made,
                removed=tuple(file.path for file in step.files),
                note={"day": "-".join(map(str, step.day)), "to": step.tier.name if step.tier else "deleted"},
            )

        archive.commit(commit, workspace.folder)
        workspace.committed()
        return made


def _rewritten(workspace: Workspace, step: Step, tier: Tier) -> Iterator[DataFile]:
    """Write the rows of a step's files, sorted, to files of about the size that the policy asks for."""
    base = _base(workspace.archive, tier)
    kept = tier.columns or tuple(tables.columns(tables.LOGS))
    full = tables.arrow_schema(tables.LOGS)
    schema = _subset(full, kept)
    arrival = [column for column in ("timestamp", "source", "line") if column in kept]
    order = ", ".join(f"{catalog.name(column)} NULLS FIRST" for column in dict.fromkeys([*tier.sort, *arrival]))
    writer: Writer | None = None
    with _connection(workspace) as connection:
        sorted_rows = connection.sql(f"{_rows(workspace.archive, step.files, kept)} ORDER BY {order}")
        for group in _groups(sorted_rows.to_arrow_reader(_BATCH)):
            if writer is None:
                writer = Writer(
                    workspace,
                    tables.LOGS,
                    step.day,
                    schema,
                    tier=tier.name,
                    base=base,
                    compression=tier.compression,
                    level=tier.level,
                    row_group=ROW_GROUP,
                )
            try:
                writer.write(group)
                if writer.bytes >= tier.file_size:
                    yield _closed(writer, tier)
                    writer = None
            except BaseException:
                if writer is not None:
                    writer.abandon()
                raise
    if writer is not None:
        yield _closed(writer, tier)


def _closed(writer: Writer, tier: Tier) -> DataFile:
    return replace(writer.close(), columns=tier.columns)


def _base(archive: CommitLog, tier: Tier) -> str:
    """A tier's folder outside the archive, or "". Raises if it does not exist: its disk may not be mounted, so it is
    not created."""
    if tier.path is None:
        return ""
    if paths.is_url(tier.path):
        return tier.path
    if archive.storage.shared:
        raise ArchiveError(
            f"{tier.path}: a folder of this machine cannot hold a tier of {archive.name}",
            f"other machines would not find it: give [{tier.name}] the URL of a store, or no path",
        )
    if not Path(tier.path).is_dir():
        raise ArchiveError(f"{tier.path}: the folder of the {tier.name} tier is not there", "is its disk mounted?")
    return tier.path


def _subset(full: pa.Schema, kept: Iterable[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([full.field(column) for column in kept])


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches, concatenated to row groups."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= ROW_GROUP or size >= _BYTES:
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(held)


def _verify(workspace: Workspace, step: Step, tier: Tier, made: list[DataFile]) -> None:
    """Read the new files back. Raises ArchiveError if their rows are not those of the files that they replace."""
    archive = workspace.archive
    for file in made:
        if archive.storage.digest(file.path) != (file.bytes, file.sha256):
            raise ArchiveError(f"{file.path}: the disk gives back other bytes than were written", _NOTHING_LOST)
    kept = tier.columns or tuple(tables.columns(tables.LOGS))
    with _connection(workspace) as connection:
        before, after = (_digest(connection, archive, files, kept) for files in (step.files, made))
    if before != after:
        raise ArchiveError(
            f"{step.describe()}: {before[0]:,} rows were read, and {after[0]:,} rows came out"
            + ("" if before[0] != after[0] else ", with other content"),
            _NOTHING_LOST,
        )
    faults.reach("tier.verified")


_NOTHING_LOST: Final = "the archive is as it was: check the disk and run it again"


def _digest(
    connection: duckdb.DuckDBPyConnection, archive: CommitLog, files: Iterable[DataFile], kept: Iterable[str]
) -> tuple[int, int]:
    """(the number of rows, the sum of their hashes), which do not depend on the order of the rows."""
    columns = ", ".join(map(catalog.name, kept))
    found = connection.execute(
        f"SELECT count(*), coalesce(sum(hash({columns})), 0) FROM ({_rows(archive, files, kept)})"
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def _rows(archive: CommitLog, files: Iterable[DataFile], kept: Iterable[str]) -> str:
    """A SELECT of the columns to keep; a column that a file lacks is null."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    files = list(files)
    for file, place in zip(files, archive.integrity.paths(files), strict=True):
        kinds.setdefault(file.held, []).append(place)
    scans = []
    for held, places in kinds.items():
        columns = [catalog.name(c) if c in held else f"NULL AS {catalog.name(c)}" for c in kept]
        listed = ", ".join(map(catalog.quoted, places))
        scans.append(f"SELECT {', '.join(columns)} FROM read_parquet([{listed}], hive_partitioning = false)")
    return " UNION ALL ".join(scans)


@contextmanager
def _connection(workspace: Workspace) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection with little memory that spills into the writer's folder. Its errors become ArchiveErrors."""
    connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(workspace.path / "sort")})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    except duckdb.Error as error:
        raise ArchiveError(str(error).partition("\n\nLINE ")[0], _NOTHING_LOST) from None
    finally:
        connection.close()
