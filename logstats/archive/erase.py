"""`archive erase`: what an archive holds of a person is taken out of it.

Every request of the person is still counted, but nothing says any more whose it was: the columns of `person.PERSONAL`
become null. So figures of the past stay what they were, in all tiers and where only rollups are left. In texts of other
rows, in endpoints and in rejected lines, what names the person is masked. Sketches of users are made again from the
rows of their day, if all of these are there.

A day is one commit. Its new files are read back before the old ones are let go, and these are deleted by a sweep, after
the grace. An interrupted run has changed some days and not the others; running it again does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from typing import Final, Protocol

from logstats.archive.archive import Archive
from logstats.archive.ingest import rollups
from logstats.archive.ingest.partition_writer import Partitions, to_arrow
from logstats.archive.log import faults, paths, tables
from logstats.archive.log.commit import ArchiveError, Commit, Conflict, DataFile
from logstats.archive.log.parquet_writer import LEVEL, Writer
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.archive.person import ERASED, TEXTS, Persons
from logstats.archive.query import rows
from logstats.archive.tiers import policy
from logstats.archive.tiers.move import ROW_GROUP
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError
from logstats.frames import pl

_TRIES: Final = 3
_LEVEL: Final = 9  # of zstd, of a tier that the policy does not name any more
_BUDGET: Final = 2 << 20  # bytes of a rollup that are held in memory
_SEEN: Final = ("kind", "timestamp", "user_id", "client_ip")  # what sketches of users are made of
_AS_IT_WAS: Final = "the day is as it was: check the disk and run it again"


@dataclass(frozen=True, slots=True)
class Erased:
    """What of a person was found, and taken out, on one day.

    `rows` are theirs, `mentions` other rows that name them, `rejects` rejected lines that do, `endpoints` those of
    rollups. `files` are rewritten. `users` says what became of sketches of users: `made again`, `kept`, or nothing if
    none was concerned; `left` is what could not be looked at, or taken out, and why.
    """

    day: paths.Partition
    tiers: tuple[str, ...] = ()
    rows: int = 0
    mentions: int = 0
    rejects: int = 0
    endpoints: int = 0
    users: str = ""
    files: int = 0
    left: tuple[str, ...] = ()

    @property
    def date(self) -> str:
        """2025-01-17."""
        return name_of(self.day)

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "day": self.date,
            "tiers": list(self.tiers),
            "rows": self.rows,
            "mentions": self.mentions,
            "rejects": self.rejects,
            "endpoints": self.endpoints,
            "users": self.users or None,
            "files": self.files,
            "left": list(self.left),
        }


def name_of(day: paths.Partition) -> str:
    """2025-01-17."""
    return "{:04}-{:02}-{:02}".format(*day)


class Listener(Protocol):
    """Receives progress events."""

    def finished(self, day: Erased) -> None: ...
    def failed(self, day: paths.Partition, error: LogstatsError) -> None: ...


@dataclass(slots=True)
class _Day:
    """The files of one day that hold something of the persons, and how much."""

    day: paths.Partition
    files: list[DataFile] = field(default_factory=list)  # all of them that are about rows, rejects, endpoints, users
    held: list[DataFile] = field(default_factory=list)  # those that are to be rewritten
    rows: int = 0
    mentions: int = 0
    rejects: int = 0
    endpoints: int = 0
    left: list[str] = field(default_factory=list)
    users: list[DataFile] = field(default_factory=list)  # sketches that are to be made again

    def of(self, table: str) -> list[DataFile]:
        return [file for file in self.files if file.table == table]

    def summary(self) -> Erased:
        """What is found."""
        tiers = tuple(tier for tier in tables.TIERS if any(file.tier == tier for file in self.held))
        users = "made again" if self.users else "kept" if self.rows else ""
        return Erased(
            self.day,
            tiers,
            self.rows,
            self.mentions,
            self.rejects,
            self.endpoints,
            users,
            len(self.held) + len(self.users),
            tuple(self.left),
        )


def days(snapshot: Snapshot) -> list[paths.Partition]:
    """The days of which an archive holds something."""
    return sorted({file.partition[:3] for file in snapshot.files.values()})


def look(archive: Archive, persons: Persons, *, mentions: bool = True) -> Iterator[Erased]:
    """What would be erased, day by day; nothing is changed. Raises ArchiveError for a file that cannot be read."""
    snapshot = archive.snapshot()
    for day in days(snapshot):
        found = _search(archive, snapshot, day, persons, mentions=mentions).summary()
        if found.files or found.left or found.mentions or found.rejects:
            yield found


def erase(archive: Archive, persons: Persons, listener: Listener, *, mentions: bool = True) -> None:
    """Erase, day by day. A day that cannot be rewritten is reported to the listener; the others still are."""
    for day in days(archive.snapshot()):
        for last in (*[False] * (_TRIES - 1), True):
            try:
                done = _erase(archive, day, persons, mentions=mentions)
            except Conflict:
                if last:
                    listener.failed(day, ArchiveError("other runs change this day", "run it again"))
                continue
            except LogstatsError as error:
                listener.failed(day, error)
            else:
                if done is not None:
                    listener.finished(done)
            break


def _erase(archive: Archive, day: paths.Partition, persons: Persons, *, mentions: bool) -> Erased | None:
    """One day, as one commit; None if there is nothing to say. Raises Conflict if its files changed meanwhile."""
    snapshot = archive.snapshot()
    found = _search(archive, snapshot, day, persons, mentions=mentions)
    erased = found.summary()
    if not erased.files:
        return erased if erased.left or erased.mentions or erased.rejects else None
    with Workspace(archive) as workspace:
        made = tuple(_rewritten(archive, workspace, found, persons, mentions=mentions))

        def verify(written: Sequence[DataFile]) -> None:
            for file in written:
                if archive.storage.digest(file.path) != (file.bytes, file.sha256):
                    raise ArchiveError(f"{file.path}: the disk gives back other bytes than were written", _AS_IT_WAS)
            faults.reach("erase.verified")

        workspace.keep(made, verify)
        removed = tuple(file.path for file in (*found.held, *found.users))

        def commit(latest: Snapshot) -> Commit:
            if any(file.path not in latest.files for file in (*found.held, *found.users, *found.of(tables.LOGS))):
                raise Conflict
            counted = {"rows": erased.rows, "mentions": erased.mentions, "rejects": erased.rejects}
            return Commit(what="erase", added=made, removed=removed, note={"day": erased.date, **counted})

        archive.commit(commit, workspace.folder)
        workspace.committed()
    return erased


def _search(archive: Archive, snapshot: Snapshot, day: paths.Partition, persons: Persons, *, mentions: bool) -> _Day:
    files = [file for file in snapshot.files.values() if file.partition[:3] == day]
    found = _Day(day, sorted(files, key=lambda file: (file.partition, paths.age(file.path))))
    for file in found.of(tables.LOGS):
        theirs = naming = 0
        for frame in rows.batches(archive, file, _kept(file, ("user_id", "client_ip", *TEXTS))):
            own = persons.theirs(frame)
            theirs += int(own.sum())
            naming += int((persons.naming(frame) & ~own).sum())
        found.rows += theirs
        found.mentions += naming
        if theirs or (mentions and naming):
            found.held.append(file)
        if lacking := [name for name in persons.told_by if name not in _kept(file, persons.told_by)]:
            found.left.append(f"the {file.tier} tier does not keep {', '.join(lacking)}: rows cannot be told by that")
    for file in found.of(tables.REJECTS):
        named = sum(
            sum(map(persons.in_bytes, frame["raw"])) for frame in rows.batches(archive, file, ["timestamp", "raw"])
        )
        found.rejects += named
        if named and mentions:
            found.held.append(file)
    ranked = found.of(tables.ENDPOINTS)
    if ranked and mentions:
        keys = rows.read(archive, ranked, ["endpoint"], tables.ENDPOINTS)["endpoint"].unique()
        found.endpoints = int(persons.in_texts(keys).sum())
        found.held += ranked if found.endpoints else []
    if found.rows and (why := _cannot_count_users(archive, found)):
        found.left.append(f"sketches of users stay as they are: {why}")
    elif found.rows:
        found.users = found.of(tables.USERS)
    elif found.of(tables.USERS) and (deleted := _deleted(archive, found)):
        found.left.append(f"sketches of users stay as they are, and cannot be searched: {deleted}")
    found.left = list(dict.fromkeys(found.left))
    return found


def _kept(file: DataFile, columns: Sequence[str]) -> list[str]:
    """Those of the columns that a file has, and its time."""
    held = file.held
    return list(dict.fromkeys(["timestamp", *(name for name in columns if name in held)]))


def _cannot_count_users(archive: Archive, found: _Day) -> str:
    """Why the sketches of a day cannot be made again, "" if they can."""
    logs = found.of(tables.LOGS)
    for file in logs:
        if lacking := set(_SEEN) - set(_kept(file, _SEEN)):
            return f"the {file.tier} tier does not keep {', '.join(sorted(lacking))}"
    return _deleted(archive, found)


def _deleted(archive: Archive, found: _Day) -> str:
    """How many rows of a day were deleted, "" if none. Lines that came later may be there."""
    counted = rows.read(archive, found.of(tables.TRAFFIC), ["requests", "events"], tables.TRAFFIC)
    lacking = int(counted["requests"].sum()) + int(counted["events"].sum())
    lacking -= sum(file.rows for file in found.of(tables.LOGS))
    return f"{lacking:,} row{'s of the day were' if lacking > 1 else ' of the day was'} deleted" if lacking > 0 else ""


def _rewritten(
    archive: Archive, workspace: Workspace, found: _Day, persons: Persons, *, mentions: bool
) -> Iterator[DataFile]:
    tiers = {tier.name: tier for tier in (policy.of(archive) or policy.Policy()).tiers}
    for file in found.held:
        if file.table == tables.LOGS:
            tier = tiers.get(file.tier) if file.tier != tables.HOT else None
            yield _each(
                archive,
                workspace,
                file,
                lambda frame: persons.without(frame, mentions=mentions),
                compression=tier.compression if tier else "zstd",
                level=tier.level if tier else LEVEL if file.tier == tables.HOT else _LEVEL,
                row_group=tables.ROW_GROUP if file.tier == tables.HOT else ROW_GROUP,
            )
        elif file.table == tables.REJECTS:
            yield _each(archive, workspace, file, lambda frame: _without_lines(frame, persons))
    if found.endpoints:
        yield from _rollup(
            workspace,
            tables.ENDPOINTS,
            (
                frame.with_columns(persons.masked(frame["endpoint"]))
                for file in found.of(tables.ENDPOINTS)
                for frame in rows.batches(archive, file, list(tables.columns(tables.ENDPOINTS)))
            ),
        )
    if found.users:
        yield from _rollup(
            workspace,
            tables.USERS,
            (
                rollups.users_of(persons.without(frame, mentions=False).filter(pl.col("kind") == "request"))
                for file in found.of(tables.LOGS)
                for frame in rows.batches(archive, file, list(_SEEN))
            ),
        )


def _without_lines(rejects: pl.DataFrame, persons: Persons) -> pl.DataFrame:
    """Rejected lines; of one that names them, nothing is left but that it was there."""
    lines = [ERASED.encode() if persons.in_bytes(raw) else raw for raw in rejects["raw"]]
    return rejects.with_columns(pl.Series("raw", lines, pl.Binary))


def _each(
    archive: Archive,
    workspace: Workspace,
    file: DataFile,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    *,
    compression: str = "zstd",
    level: int | None = LEVEL,
    row_group: int = tables.ROW_GROUP,
) -> DataFile:
    """A file with the same rows, changed, in the same order and place."""
    import pyarrow as pa

    every = list(file.held)
    full = tables.arrow_schema(file.table)
    writer = Writer(
        workspace,
        file.table,
        file.partition,
        pa.schema([full.field(name) for name in every]),
        tier=file.tier,
        base=paths.split(file.path)[0],
        compression=compression,
        level=level,
        row_group=row_group,
    )
    try:
        for frame in rows.batches(archive, file, every):
            writer.write(change(frame))
    except BaseException:
        writer.abandon()
        raise
    made = replace(writer.close(), columns=file.columns, schema=file.schema)
    if (made.rows, made.first, made.last) != (file.rows, file.first, file.last):
        raise ArchiveError(f"{file.path}: not as many rows were read as its commit says", _AS_IT_WAS)
    return made


def _rollup(workspace: Workspace, table: str, parts: Iterator[pl.DataFrame]) -> list[DataFile]:
    """The files of a rollup that is merged of parts."""
    made = Partitions(workspace, table, _BUDGET)
    try:
        for part in parts:
            made.add(to_arrow(part, table))
        return made.finish()
    except BaseException:
        made.abandon()
        raise
