"""Rows of an archive, of any range of time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final

from logstats import schema
from logstats.archive.archive import Archive
from logstats.archive.log import counted_users, paths, tables, totals
from logstats.archive.log.commit import ArchiveError, DataFile
from logstats.archive.log.integrity import DamagedFile
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.query.pruning import Wanted
from logstats.archive.query.ranges import check as check_ranges
from logstats.enrich.computed import Columns
from logstats.frames import pl

BATCH: Final = 262_144  # rows of a frame at most

Span = tuple[datetime | None, datetime | None]  # since ≤ t < until; None is no bound


class Gone(ArchiveError):
    """Rows, or columns of them, that the archive no longer holds."""


def rows(
    archive: Archive | str | Path,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] = schema.COLUMNS,
    *,
    snapshot: Snapshot | None = None,
    within: Span = (None, None),
    left_out: Callable[[int], None] = lambda _: None,
    computed: Columns | None = None,
) -> Iterator[pl.DataFrame]:
    """The rows of since ≤ timestamp < until, hour by hour (of the warm and cold tiers day by day, sorted as the policy
    says), as frames of at most `BATCH` rows with `columns`: those of the request schema, `source`, `line`, and what
    `computed` makes of them.

    A file whose rows all lie outside of the span `within` is not opened, and `left_out` gets the number of its rows.
    Raises Gone, before the first frame, if rows that are asked for were deleted or a column was not kept; ArchiveError
    for a file that cannot be read.
    """
    opened = archive if isinstance(archive, Archive) else Archive.open(archive)
    snapshot = snapshot or opened.snapshot()
    computed = computed or Columns()
    files = files_of(opened, snapshot, (since, until), columns, computed, within=within, left_out=left_out)
    return frames_of(opened, files, (since, until), columns, computed)


def files_of(
    archive: Archive,
    snapshot: Snapshot,
    span: Span,
    columns: Sequence[str],
    computed: Columns,
    *,
    within: Span = (None, None),
    left_out: Callable[[int], None] = lambda _: None,
) -> list[DataFile]:
    """The files that `rows` reads, in its order. Raises Gone."""
    since, until = span
    first = max((time for time in (since, within[0]) if time), default=None)
    end = min((time for time in (until, within[1]) if time), default=None)
    check(archive, snapshot, first, end, _stored(columns, computed))
    files = []
    for file in snapshot.select(tables.LOGS, since=since, until=until):
        outside = (first is not None and file.last < first) or (end is not None and file.first >= end)
        if outside and _inside(file, since, until):
            left_out(file.rows)
        else:
            files.append(file)
    return files


def frames_of(
    archive: Archive,
    files: Iterable[DataFile],
    span: Span,
    columns: Sequence[str],
    computed: Columns,
    *,
    together: bool = False,
) -> Iterator[pl.DataFrame]:
    """The rows of since ≤ timestamp < until in some files, as `rows` gives them; if `together`, those of small files in
    one frame, for whoever has most work for each frame. Raises ArchiveError."""
    stored = _stored(columns, computed)
    frames = (
        frame
        for some in (_few(files, span) if together else ([file] for file in files))
        for frame in _frames(archive, some, *span, stored)
    )
    return (computed.add(frame, columns).select(columns) for frame in frames)


def _stored(columns: Sequence[str], computed: Columns) -> list[str]:
    """The columns of files that are read for some columns."""
    kept = tables.columns(tables.LOGS)
    stored = sorted({n for n in columns if n in kept} | computed.reads(n for n in columns if n not in kept))
    return stored + (["line"] if schema.LINE in columns else [])


def _inside(file: DataFile, since: datetime | None, until: datetime | None) -> bool:
    """Whether all rows of a file have since ≤ timestamp < until."""
    return (since is None or file.first >= since) and (until is None or file.last < until)


def check(
    archive: Archive, snapshot: Snapshot, since: datetime | None, until: datetime | None, columns: Iterable[str]
) -> None:
    """Raise Gone if rows of the range, or one of the columns, were deleted.

    Whole days are deleted, so rows of a day were deleted if it has fewer than its rollups counted.
    """
    wanted = set(columns)
    for file in snapshot.select(tables.LOGS, since=since, until=until):
        if dropped := file.dropped(sorted(wanted)):
            lacking = ", ".join(dropped)
            raise Gone(
                f"{_day(file.partition)}: the {file.tier} tier does not keep {lacking}",
                "ask for later days, or for what needs no such column",
            )
    held: dict[paths.Partition, int] = {}
    for file in snapshot.select(tables.LOGS):
        held[file.partition[:3]] = held.get(file.partition[:3], 0) + file.rows
    for day, counted in _counted(archive, snapshot, since, until):
        if held.get(day, 0) < counted:
            raise Gone(
                f"{_day(day)}: {counted - held.get(day, 0):,} of {counted:,} rows were deleted, as the policy says",
                "rollups answer whole hours without filters: --since and --until on the hour, no --by, no --rows",
            )


def _counted(
    archive: Archive, snapshot: Snapshot, since: datetime | None, until: datetime | None
) -> Iterator[tuple[paths.Partition, int]]:
    """The number of rows that were added for each day of the range."""
    asked = {file.partition for file in snapshot.select(tables.TRAFFIC, since=since, until=until)}
    whole = [file for file in snapshot.select(tables.TRAFFIC) if file.partition in asked]
    archive.integrity.paths(whole)  # all at once: of a store, one after the other would take much longer
    for day, some in groupby(whole, key=lambda file: file.partition):
        table = read(archive, some, ["requests", "events"], tables.TRAFFIC)
        yield day, int(table["requests"].sum()) + int(table["events"].sum())


def read(archive: Archive, files: Iterable[DataFile], columns: Sequence[str], table: str) -> pl.DataFrame:
    """Read columns of whole files, such as the rollups of some days. Raises ArchiveError."""
    files = list(files)
    kinds = tables.columns(table)
    parts = [pl.DataFrame(schema={name: kinds[name] for name in columns})]
    placed = zip(files, archive.integrity.paths(files), strict=True)
    # Polars takes several files of the same columns in half the time that one after the other takes.
    for names, alike in groupby(placed, key=lambda one: one[0].held):
        held = [name for name in columns if name in names]
        some = list(alike)
        part = _read_together(some, held) if len(some) > 1 else None
        if part is None:
            part = pl.concat(_read_one(file, place, held) for file, place in some)
        parts.append(_with_later(part, columns, table))
    return pl.concat(parts)


def _read_together(files: Sequence[tuple[DataFile, str]], columns: Sequence[str]) -> pl.DataFrame | None:
    """The rows of files, which are at these places; None if it has to be seen which of them cannot be read."""
    try:
        places = [place for _, place in files]
        whole = pl.scan_parquet(places, hive_partitioning=False, glob=False).select(columns).collect()
    except (OSError, pl.exceptions.PolarsError):
        return None
    if whole.height != sum(file.rows for file, _ in files):
        return None
    start = 0
    for file, _ in files:
        check_ranges(whole.slice(start, file.rows), file)
        start += file.rows
    return whole


def _read_one(file: DataFile, place: str, columns: Sequence[str]) -> pl.DataFrame:
    try:
        part = pl.read_parquet(place, columns=list(columns), hive_partitioning=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(error, file.path) from None
    check_ranges(part, file)
    return part


def users_of(archive: Archive, file: DataFile) -> counted_users.Counted | None:
    """What a file of the rollup `users` says of its rows; None if it says nothing. Raises ArchiveError."""
    text = _said(archive, file, counted_users.KEY)
    if text is None:
        return None
    try:
        found = counted_users.unpacked(text)
    except ValueError as error:
        raise _damaged(file, error) from None
    minutes = found[0]["minute"]
    ends = pl.Series([file.first, file.last], dtype=minutes.dtype).to_physical()
    if not minutes[[0, -1]].to_physical().equals(ends):
        raise DamagedFile(file.path, "what it says of its users is not about the minutes of its rows")
    return found


def totals_of(archive: Archive, files: Sequence[DataFile]) -> tuple[pl.DataFrame | None, list[DataFile]]:
    """(what files of a rollup say that their rows come to, None if none says it; those that say nothing). Raises
    ArchiveError."""
    texts = {file: text for file in files if (text := _said(archive, file, totals.KEY)) is not None}
    silent = [file for file in files if file not in texts]
    if not texts:
        return None, silent
    try:
        return totals.unpacked(files[0].table, [*texts.values()]), silent
    except ValueError:
        for file, text in texts.items():  # whose is damaged?
            try:
                totals.unpacked(file.table, [text])
            except ValueError as error:
                raise _damaged(file, error) from None
        raise


def _said(archive: Archive, file: DataFile, key: str) -> str | None:
    (place,) = archive.integrity.paths([file])
    try:
        return pl.read_parquet_metadata(place).get(key)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(error, file.path) from None


def _damaged(file: DataFile, error: ValueError) -> DamagedFile:
    return DamagedFile(file.path, f"what it says of its {file.table} is damaged: {error}")


def added(archive: Archive, number: int, columns: Sequence[str], table: str = tables.LOGS) -> Iterator[pl.DataFrame]:
    """What a commit added to a table, file by file, in order of time, before the files are replaced by others. Raises
    ArchiveError."""
    commit = archive.read_commit(number)
    files = [file for file in commit.added if file.table == table] if commit is not None else []
    for file in sorted(files, key=lambda file: file.first):
        yield read(archive, [file], columns, table)


def _few(files: Iterable[DataFile], span: Span) -> Iterator[list[DataFile]]:
    """Neighbouring files with at most `BATCH` rows altogether; one that has rows outside of the span stays alone."""
    held: list[DataFile] = []
    for file in files:
        if held and not (
            _inside(file, *span) and _inside(held[-1], *span) and sum(one.rows for one in held) + file.rows <= BATCH
        ):
            yield held
            held = []
        held.append(file)
    if held:
        yield held


def _frames(
    archive: Archive, files: Sequence[DataFile], since: datetime | None, until: datetime | None, columns: list[str]
) -> Iterator[pl.DataFrame]:
    wanted = list(dict.fromkeys([*columns, "timestamp"]))
    time = pl.col("timestamp")
    if len(files) > 1:
        yield read(archive, files, wanted, tables.LOGS).select(columns).rechunk()
        return
    for file in files:
        inside = _inside(file, since, until)
        for frame in batches(archive, file, wanted, since, until):
            if not inside:
                kept = frame.filter(time.is_between(since or file.first, until or file.last, closed="left"))
                frame = kept if until else frame.filter(time >= since)
            if frame.height:
                yield frame.select(columns)


def batches(
    archive: Archive, file: DataFile, columns: list[str], since: datetime | None = None, until: datetime | None = None
) -> Iterator[pl.DataFrame]:
    """The row groups of a file that may hold rows of the range. Columns that the file lacks are null. Raises
    ArchiveError."""
    (place,) = archive.integrity.paths([file])
    small = file.rows <= BATCH and _inside(file, since, until)  # then all of it is one frame, whatever its groups are
    try:
        groups, sizes = ([0], [file.rows]) if small else _groups(archive, place, file, since, until)
        held = [name for name in columns if name in file.held]
        whole = pl.scan_parquet(place, hive_partitioning=False).select(held)
        for start, rows in _stretches(groups, sizes):
            frame = (whole if small else whole.slice(start, rows)).collect()
            check_ranges(frame, file)
            yield _with_later(frame, columns, file.table)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(error, file.path) from None


def _groups(
    archive: Archive, place: str, file: DataFile, since: datetime | None, until: datetime | None
) -> tuple[list[int], list[int]]:
    """(the row groups of a file that may hold rows of the range, the number of rows of each row group)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(place, filesystem=archive.storage.filesystem) as parquet:
            groups = [number for number, _ in Wanted(since, until).groups(parquet, place, file)]
            return groups, [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
    except pa.ArrowException as error:
        raise unreadable(error, file.path) from None


def _stretches(groups: Sequence[int], sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(the first row, the number of rows) of neighbouring row groups, at most `BATCH` rows at a time."""
    starts = [0, *accumulate(sizes)]
    first = end = 0
    for number in groups:
        if starts[number] > end or (end > first and starts[number + 1] - first > BATCH):
            if end > first:
                yield first, end - first
            first = starts[number]
        end = starts[number + 1]
        while end - first > BATCH:
            yield first, BATCH
            first += BATCH
    if end > first:
        yield first, end - first


def _with_later(rows: pl.DataFrame, columns: Sequence[str], table: str) -> pl.DataFrame:
    """Rows with all of these columns, null where the file was written before the schema had them."""
    if len(rows.columns) == len(columns):
        return rows.select(columns)
    kinds = tables.columns(table)
    nulls = [pl.lit(None, kinds[name]).alias(name) for name in columns if name not in rows.columns]
    return rows.with_columns(nulls).select(columns)


def unreadable(error: Exception, place: str = "") -> ArchiveError:
    """The error for people about a file that cannot be read."""
    what = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return ArchiveError(
        f"{place}: {what}" if place and place not in what else what,
        "logstats archive verify says what is damaged and what is not",
    )


def _day(partition: paths.Partition) -> str:
    return "{:04}-{:02}-{:02}".format(*partition[:3])
