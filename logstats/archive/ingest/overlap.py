"""Whether lines are in the archive, compared row by row, where digests cannot decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import polars as pl

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.snapshot import Snapshot

# The columns whose values do not depend on the options that a line is read with.
_SAYS: Final = ("timestamp", "method", "path", "query", "status", "bytes", "duration_ms", "user_id", "referer",
                "user_agent", "message", "trace_id")  # fmt: skip


def are_stored(
    archive: Archive, snapshot: Snapshot, rows: Sequence[pl.DataFrame], rejected: Sequence[tuple[int, bytes]]
) -> bool:
    """Whether the archive has all of these lines: `rows` of the request schema with their `line` (from 1), and rejected
    lines with theirs.

    Rows that the policy has deleted count as stored, since there is nothing to compare them with.
    """
    return all(_rows_are(archive, snapshot, part.select("line", *_SAYS)) for part in rows) and _rejects_are(
        archive, snapshot, rejected
    )


def _rows_are(archive: Archive, snapshot: Snapshot, rows: pl.DataFrame) -> bool:
    since, last = rows["timestamp"].min(), rows["timestamp"].max()
    if since is None:
        return True
    files = snapshot.select(tables.LOGS, since=since, until=last + timedelta(microseconds=1))  # type: ignore[arg-type, operator]
    kinds: dict[tuple[str, ...], list[str]] = {}
    for file, place in zip(files, archive.integrity.paths(files), strict=True):
        kinds.setdefault(file.columns or tuple(tables.columns(tables.LOGS)), []).append(place)
    missing = rows
    span = pl.col("timestamp").is_between(since, last)
    for columns, paths in kinds.items():
        same = [column for column in rows.columns if column in columns]
        stored = pl.scan_parquet(paths, hive_partitioning=False).filter(span).select(same).collect()
        missing = missing.join(stored.cast(rows.select(same).schema), on=same, how="anti", nulls_equal=True)
    if not missing.height:
        return True
    kept = {file.partition[:3] for file in snapshot.select(tables.LOGS)}
    gone = {file.partition[:3] for file in snapshot.select(tables.TRAFFIC)} - kept
    days = {(moment.year, moment.month, moment.day) for moment in missing["timestamp"].unique().to_list()}
    return days <= gone


def _rejects_are(archive: Archive, snapshot: Snapshot, rejected: Sequence[tuple[int, bytes]]) -> bool:
    if not rejected:
        return True
    paths = archive.integrity.paths(snapshot.select(tables.REJECTS))
    if not paths:
        return False
    numbered = pl.col("line").is_in([line for line, _ in rejected])
    stored = pl.scan_parquet(paths, hive_partitioning=False).filter(numbered).select("line", "raw").collect()
    held = set(stored.iter_rows())
    return all((line, raw.removesuffix(b"\r")) in held for line, raw in rejected)
