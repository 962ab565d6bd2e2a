"""Whether lines are in the archive as rows: the last resort, where digests cannot tell."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from logstats.archive import layout
from logstats.archive.commits import Archive, Snapshot
from logstats.formats.engine import Reader
from logstats.formats.text import Text

# What a line says whatever the options are that it is read with.
_SAYS: Final = ("timestamp", "method", "path", "query", "status", "bytes", "duration_ms", "user_id", "referer",
                "user_agent", "message", "trace_id")  # fmt: skip


def are_stored(archive: Archive, snapshot: Snapshot, lines: bytes, first: int, reader: Reader) -> bool:
    """Whether the archive has all of some lines, the first of which is number `first` of its source.

    Lines whose rows were deleted when they were old count as stored, since there is nothing to compare them with.
    """
    text = Text.of(lines, start_of_source=first == 1)
    batch = reader(text)
    number = (pl.col("line").cast(pl.Int64) + first).alias("line")
    rows = batch.rows.select(number, *_SAYS)
    untimed = rows.filter(pl.col("timestamp").is_null())["line"]
    rejected = pl.concat([batch.rejected.select(number)["line"], untimed])
    return _rows_are(archive, snapshot, rows.drop_nulls("timestamp")) and _rejects_are(
        archive, snapshot, rejected.to_list(), lines.split(b"\n"), first
    )


def _rows_are(archive: Archive, snapshot: Snapshot, rows: pl.DataFrame) -> bool:
    since, last = rows["timestamp"].min(), rows["timestamp"].max()
    if since is None:
        return True
    files = snapshot.select(layout.LOGS, since=since, until=last + timedelta(microseconds=1))  # type: ignore[arg-type, operator]
    kinds: dict[tuple[str, ...], list[str]] = {}
    for file in files:
        kinds.setdefault(file.columns or tuple(layout.columns(layout.LOGS)), []).append(archive.files.at(file.path))
    missing = rows
    span = pl.col("timestamp").is_between(since, last)
    for columns, paths in kinds.items():
        same = [column for column in rows.columns if column in columns]
        stored = pl.scan_parquet(paths, hive_partitioning=False).filter(span).select(same).collect()
        missing = missing.join(stored.cast(rows.select(same).schema), on=same, how="anti", nulls_equal=True)
    if not missing.height:
        return True
    kept = {file.partition[:3] for file in snapshot.select(layout.LOGS)}
    gone = {file.partition[:3] for file in snapshot.select(layout.TRAFFIC)} - kept
    days = {(moment.year, moment.month, moment.day) for moment in missing["timestamp"].unique().to_list()}
    return days <= gone


def _rejects_are(archive: Archive, snapshot: Snapshot, numbers: list[int], lines: list[bytes], first: int) -> bool:
    if not numbers:
        return True
    paths = [archive.files.at(file.path) for file in snapshot.select(layout.REJECTS)]
    if not paths:
        return False
    stored = (
        pl.scan_parquet(paths, hive_partitioning=False)
        .filter(pl.col("line").is_in(numbers))
        .select("line", "raw")
        .collect()
    )
    held = set(stored.iter_rows())
    return all((number, lines[number - first].removesuffix(b"\r")) in held for number in numbers)
