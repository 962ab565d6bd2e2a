"""Check an archive against its commits: every file, every digest, every count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from logstats import durations, schema
from logstats.archive.apart import each, together
from logstats.archive.archive import Archive
from logstats.archive.ingest import rollups
from logstats.archive.log import counted_users, paths, tables, totals, writer
from logstats.archive.log.commit import Commit, Damaged, DataFile
from logstats.archive.log.integrity import DamagedFile
from logstats.archive.log.paths import ForeignPath
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.publish import catalog, iceberg
from logstats.archive.query import rows
from logstats.archive.tiers import policy
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError
from logstats.frames import pl
from logstats.scale.calls import Executor
from logstats.sketches import hll

_OURS: Final = (paths.COMMITS, *tables.TIERS, "rollups", tables.REJECTS)  # folders of an archive
_ANEW: Final = "nothing is lost: the next commit writes it anew"
_RESTORE: Final = "bring it back from a backup; queries of other files still work"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found at a path. A `note` is information only; any other finding is damage."""

    path: str
    what: str
    hint: str = ""
    note: bool = False


def verify(
    archive: Archive,
    *,
    deep: bool = False,
    progress: Callable[[float], None] | None = None,
    executor: Executor | None = None,
) -> Iterator[Finding]:
    """Check the commits, then every file against them, then the rollups against the rows, then look for files that no
    commit names.

    With `deep`, rollups are computed again from the rows and compared. Damage does not stop the check of the rest.
    Workers of an `executor` check some files each, then a day each; the findings are the same, in the same order.
    """
    torn: list[Damaged] = []
    commits = list(archive.commits(torn))
    snapshot = Snapshot().after(commits, torn)
    torn += archive.snapshot(lenient=True).torn
    for (path, wrong), hint in {(one.path, one.wrong): one.hint for one in torn}.items():
        yield Finding(path, wrong, hint)
    yield from _derived(archive, snapshot, commits, whole=not torn)
    whole: dict[str, DataFile] = {}
    total = sum(file.bytes for file in snapshot.files.values())
    done = 0
    pieces = [(some[0].path, (some,)) for some in _together(snapshot.files.values(), total, executor)]
    for (_, (files,)), problems in zip(pieces, each(archive, _damages, pieces, executor), strict=True):
        for file, problem in zip(files, problems, strict=True):
            if problem is None:
                whole[file.path] = file
            else:
                yield Finding(file.path, problem, _RESTORE)
            done += file.bytes
        if progress is not None:
            progress(100 * done / max(total, 1))
    yield from _rollups(archive, snapshot, whole, commits, executor, deep=deep)
    yield from _others(archive, whole_log=not torn)


def _derived(archive: Archive, snapshot: Snapshot, commits: list[Commit], *, whole: bool) -> Iterator[Finding]:
    """Check the files that are derived from the commits: the checkpoint, `catalog.sql`, Iceberg tables."""
    try:
        checkpoint = archive.checkpoint()
    except Damaged:
        checkpoint = None  # that was said
    if checkpoint is not None and whole:
        folded = Snapshot().after(commit for commit in commits if commit.number <= checkpoint.number)
        if not checkpoint.digest:  # of a version that wrote none
            folded = replace(folded, digest="")
        if folded.to_json() != checkpoint.to_json():
            yield Finding(paths.CHECKPOINT, "it is not what the commits say", f"delete it: {_ANEW}")
    try:
        written = archive.storage.read(paths.CATALOG)
    except LogstatsError:
        written = None  # that was said
    expected = catalog.script(snapshot).encode()
    if written is not None and written != expected and whole:
        same = written.split(b"\n", 1)[0] == expected.split(b"\n", 1)[0]
        what = "it was changed" if same else "it is of another commit than the last, or of another version"
        yield Finding(paths.CATALOG, what, _ANEW, note=not same)
    for table in iceberg.PUBLISHED if archive.publishes_iceberg() and whole else ():
        of, hint = iceberg.published(archive, table), "logstats archive publish makes it again"
        if of != snapshot.number:
            what = "there is none" if of is None else f"it is of commit {of}, and the last is {snapshot.number}"
            yield Finding(f"{iceberg.metadata(table)}/{iceberg.HINT}", what, hint, note=True)
    try:
        policy.of(archive)
    except LogstatsError as error:
        yield Finding(paths.LIFECYCLE, error.what.removeprefix(f"{archive.name}/{paths.LIFECYCLE}: "), error.hint)


def _together(files: Iterable[DataFile], total: int, executor: Executor | None) -> Iterable[list[DataFile]]:
    """Some files at a time; one by one in this process, which shows progress."""
    return (
        ([file] for file in files)
        if executor is None
        else together(files, lambda file: file.bytes, total, executor.workers)
    )


def _damages(archive: Archive, files: Iterable[DataFile]) -> list[str | None]:
    return [_damage(archive, file) for file in files]


def _damage(archive: Archive, file: DataFile) -> str | None:
    """Describe what is wrong with a data file; None if nothing is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if problem := archive.integrity.damage(file):
            return problem
        with pq.ParquetFile(archive.storage.at(file.path), filesystem=archive.storage.filesystem) as parquet:
            metadata, names = parquet.metadata, tuple(parquet.schema_arrow.names)
            if metadata.num_rows != file.rows:
                return f"it has {metadata.num_rows:,} rows, and the commit says {file.rows:,}"
            if names != file.held:
                return "it has other columns than the commit says"
            first, last = _range(metadata, names.index(tables.time_column(file.table)))
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except ForeignPath as error:
        return error.what
    except pa.ArrowException as error:
        return f"it is no Parquet file: {error}"
    if (first, last) != (file.first, file.last):
        return f"it holds {first} to {last}, and the commit says {file.first} to {file.last}"
    begin, end = _span(file.partition)
    if not begin <= first <= last < end:
        return f"it holds {first} to {last}, which is not all of its partition"
    return None


def _range(metadata: Any, column: int) -> tuple[datetime, datetime]:
    """The first and last time in a file, from the statistics of its row groups."""
    found = [metadata.row_group(number).column(column).statistics for number in range(metadata.num_row_groups)]
    return min(one.min for one in found), max(one.max for one in found)


def _span(partition: paths.Partition) -> tuple[datetime, datetime]:
    year, month, day = partition[:3]
    begin = datetime(year, month, day, tzinfo=UTC) + timedelta(hours=sum(partition[3:]))
    try:
        return begin, begin + (timedelta(hours=1) if partition[3:] else timedelta(days=1))
    except OverflowError:
        return begin, datetime.max.replace(tzinfo=UTC)


def _rollups(
    archive: Archive,
    snapshot: Snapshot,
    whole: dict[str, DataFile],
    commits: list[Commit],
    executor: Executor | None,
    *,
    deep: bool,
) -> Iterator[Finding]:
    """Compare, day by day, the rollups with one another and with the rows, except for days whose rows are gone."""
    gone, rounded = deleted_days(commits), _rounded_days(commits)
    files = sorted(
        (file for file in snapshot.files.values() if file.table != tables.REJECTS), key=lambda file: file.partition[:3]
    )
    days: list[tuple[str, tuple[Any, ...]]] = []
    for day, some in groupby(files, key=lambda file: file.partition[:3]):
        held = list(some)
        path = paths.folder(tables.TRAFFIC, "rollups", day).replace(f"/{tables.TRAFFIC}", "")
        damaged = any(file.path not in whole for file in held)
        days.append((path, (path, None if damaged else held, day in gone, day in rounded, deep)))
    for found in each(archive, _day, days, executor):
        yield from found


def _day(
    archive: Archive, path: str, files: list[DataFile] | None, gone: bool, rounded: bool, deep: bool
) -> list[Finding]:
    """What is found about a day, with the `path` of its rollups; `files` is None if some are damaged."""
    return list(_compared(archive, path, files, gone=gone, rounded=rounded, deep=deep))


def _compared(
    archive: Archive, path: str, files: list[DataFile] | None, *, gone: bool, rounded: bool, deep: bool
) -> Iterator[Finding]:
    if files is None:
        yield Finding(path, "this day's rollups cannot be compared with its rows, as files are damaged", note=True)
        return
    by_table: dict[str, list[DataFile]] = {table: [] for table in tables.TABLES}
    for file in files:
        by_table[file.table].append(file)
    stored = {table: _stored(archive, by_table[table], table) for table in tables.ROLLUPS}
    requests = int(stored[tables.TRAFFIC]["requests"].sum())
    counted = requests + int(stored[tables.TRAFFIC]["events"].sum())
    rows = sum(file.rows for file in by_table[tables.LOGS])
    if rows > counted or (rows < counted and not gone):
        yield Finding(path, f"the rollups count {counted:,} rows, and there are {rows:,}")
    for file in (file for table in _SAID for file in by_table[table]):
        if wrong := _wrong_of_itself(archive, file):
            yield Finding(file.path, wrong)
    ranked = stored[tables.ENDPOINTS]
    if int(ranked["requests"].sum()) != requests:
        yield Finding(path, f"traffic counts {requests:,} requests, endpoints {int(ranked['requests'].sum()):,}")
    timed, measured = int(ranked["timed"].sum()), int(stored[tables.LATENCY]["count"].sum())
    if timed != measured:
        yield Finding(path, f"endpoints count {timed:,} durations, latency {measured:,}")
    if deep:
        if rows < counted:
            yield Finding(path, f"{counted - rows:,} rows were deleted, so nothing shows their rollups", note=True)
        else:
            yield from _recomputed(archive, by_table[tables.LOGS], stored, path, rounded=rounded)


def _wrong_of_itself(archive: Archive, file: DataFile) -> str:
    """What is wrong with what a file of a rollup says of its rows; empty if it is true, or says nothing."""
    asked, is_true = _SAID[file.table]
    try:
        said = asked(archive, file)
    except DamagedFile as error:
        return error.damage
    if said is None or is_true(said, rows.read(archive, [file], list(tables.columns(file.table)), file.table)):
        return ""
    return f"what it says of its {file.table} is not what its rows give"


def _are_users(said: counted_users.Counted, given: pl.DataFrame) -> bool:
    counted, registers = hll.users_by_minute(given)
    return counted.equals(said[0]) and bool((registers == said[1]).all())


def _totals_of(archive: Archive, file: DataFile) -> tuple[str, pl.DataFrame] | None:
    said, _ = rows.totals_of(archive, [file])
    return None if said is None else (file.table, said)


def _are_totals(said: tuple[str, pl.DataFrame], given: pl.DataFrame) -> bool:
    table, found = said
    keys = [*totals.SHAPES[table].keys]
    return totals.of(table, given).sort(keys).equals(found.sort(keys))


# Of rollups whose files say something of their rows: what asks for it, and what judges it.
_SAID: Final[dict[str, tuple[Callable[[Archive, DataFile], Any], Callable[[Any, pl.DataFrame], bool]]]] = {
    tables.USERS: (rows.users_of, _are_users),
    **dict.fromkeys(totals.SHAPES, (_totals_of, _are_totals)),
}


def _stored(archive: Archive, files: Iterable[DataFile], table: str) -> pl.DataFrame:
    parts = [rows.read(archive, [file], list(tables.columns(table)), table) for file in files]
    return rollups.merged([*parts, pl.DataFrame(schema=tables.columns(table))], table)


def _recomputed(
    archive: Archive, files: list[DataFile], stored: dict[str, pl.DataFrame], path: str, *, rounded: bool
) -> Iterator[Finding]:
    """Compare the stored rollups of a day with rollups computed again from its rows. `rounded` says that an earlier
    version wrote some of them, which rounded each duration to a microsecond."""
    lacking = {column for file in files if file.columns is not None for column in NEEDED - set(file.columns)}
    if lacking:
        columns = ", ".join(sorted(lacking))
        yield Finding(path, f"its rollups cannot be computed again without {columns}", note=True)
        return
    parts: dict[str, list[pl.DataFrame]] = {table: [] for table in tables.ROLLUPS if table != tables.LINES}
    for file in files:
        for frame in rows.batches(archive, file, sorted(NEEDED)):
            for table, part in rollups.summarise(frame.with_row_index("line")).items():
                parts[table].append(part)
        if max(map(len, parts.values())) > _PARTS:
            parts = {table: [rollups.merged(some, table)] for table, some in parts.items()}
    for table, some in parts.items():
        if _folded(stored[table]):
            continue
        made = rollups.merged(some, table)
        alike = _nearly if rounded and table == tables.ENDPOINTS else pl.DataFrame.equals
        if not all(map(alike, _told(made), _told(stored[table]))):
            yield Finding(path.replace("rollups/", f"rollups/{table}/"), "it is not what the rows of this day give")


def _told(rollup: pl.DataFrame) -> list[pl.DataFrame]:
    """A rollup in a form that does not depend on how many commits wrote it. (Each commit stores the first and last time
    of its own rows in a minute, so these are merged by minute.)"""
    if "first" not in rollup.columns:
        return [rollup]
    times = rollup.group_by("minute").agg(pl.col("first").min(), pl.col("last").max()).sort("minute")
    return [rollup.drop("first", "last"), times]


def _nearly(made: pl.DataFrame, stored: pl.DataFrame) -> bool:
    """Whether two rollups are the same but for figures of durations, half a microsecond for each duration."""
    figures = durations.from_stored(durations.MICROS)
    rest = pl.exclude(*durations.MICROS.values(), *durations.RESTS.values())
    if not made.select(rest).equals(stored.select(rest)):
        return False
    one, other = (table.select(pl.col("timed"), **figures) for table in (made, stored))
    most = {name: durations.HALF_US * (one["timed"] if name == "ns" else 1) for name in figures}
    return all(((one[name] - other[name]).abs() <= most[name]).all() for name in figures) and all(
        one[name].is_null().equals(other[name].is_null()) for name in figures
    )


def _folded(table: pl.DataFrame) -> bool:
    """Whether keys were folded into `(other)` because of a cap. The rows alone do not tell which ones were."""
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    return bool(texts) and bool(table.select((pl.col(texts) == schema.OTHER).any()).row(0).count(True))


def _rounded_days(commits: Iterable[Commit]) -> set[paths.Partition]:
    """The days of which an earlier version added durations, rounded to microseconds. (What is made of these files
    afterwards, together with exact ones, does not show it.)"""
    files = (file for commit in commits for file in commit.added if file.table == tables.ENDPOINTS)
    return {file.partition for file in files if file.schema is not None}


NEEDED: Final = frozenset(
    {"kind", "timestamp", "method", "endpoint", "status", "duration_ms", "bytes", "user_id", "client_ip", "host"}
    | {"level", "app_name"}
)
_PARTS: Final = 64  # rollups of chunks, before they are merged


def deleted_days(commits: Iterable[Commit]) -> set[paths.Partition]:
    """The days whose rows were deleted by the policy."""
    days: set[paths.Partition] = set()
    for commit in commits:
        if commit.what == "tier" and commit.note.get("to") == "deleted":
            year, month, day = map(int, str(commit.note["day"]).split("-"))
            days.add((year, month, day))
    return days


def _others(archive: Archive, *, whole_log: bool) -> Iterator[Finding]:
    """Report files that no commit names: those of a running writer, those left by one that died, and foreign ones."""
    lying = list(_lying(archive))
    # The order matters: a writer that is running now may commit before the snapshot is read, and its journal names the
    # files that it has not committed.
    begun: dict[str, bool] = {}
    try:
        for alive, some in writer.writers(archive):
            begun.update(dict.fromkeys(some, alive))
    except LogstatsError as error:
        place, _, what = error.what.partition(": ")
        yield Finding(place.removeprefix(f"{archive.root}/"), what, error.hint)
    snapshot = Snapshot().after(archive.commits([]), [])
    for path in lying:
        if path in snapshot.files:
            continue  # it was looked at
        plain = paths.unreplaced(path).removesuffix(paths.TEMPORARY)
        known = plain in snapshot.removed or (plain in snapshot.files and path in (plain, paths.replaced(plain)))
        try:
            if begun.get(plain) or archive.storage.size(path) is None:
                continue
        except ForeignPath as error:
            if plain not in snapshot.files:  # else it was said
                yield Finding(path, error.what.partition(": ")[2], error.hint)
            continue
        if known:
            if path != plain and plain in snapshot.files:
                yield Finding(path, "it lies among the replaced files; `logstats archive tier` puts it back", note=True)
        elif plain in begun:
            yield Finding(path, "left by a run that died; `logstats archive tier` deletes it", note=True)
        elif path.startswith(f"{paths.COMMITS}/") and paths.commit_number(path) is not None:
            continue  # it was looked at
        elif archive.places.is_data(plain) and whole_log:
            yield Finding(path, "no commit names this file: left by a run that did not end", _UNNAMED, note=True)
        elif archive.places.is_data(plain):
            yield Finding(path, "no commit that is here names this file", "keep it until the log is whole", note=True)
        else:
            yield Finding(path, "no commit names this file", "if it is not yours, delete it: nothing reads it")


_UNNAMED: Final = "it may be deleted; adding the logs again adds what it held"


def _lying(archive: Archive) -> Iterator[str]:
    """Every file in the archive's folders and in tier folders outside it, except the few that are always there."""
    tiers = [
        f"{base}/{tier}" for base in sorted(archive.places.elsewhere()) for tier in (*tables.TIERS, paths.REPLACED)
    ]
    for folder in (*_OURS, paths.REPLACED, *tiers):
        yield from (path for path in archive.storage.listing(folder) if path != paths.CHECKPOINT)
    known = (*_OURS, paths.WORK, paths.LIFECYCLE, paths.CATALOG, iceberg.ROOT)
    yield from (name for name in archive.storage.names("") or () if name not in known)
