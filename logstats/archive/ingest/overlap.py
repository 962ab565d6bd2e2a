"""Which lines are in the archive, compared row by row, where digests cannot decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.snapshot import Snapshot
from logstats.frames import pl

# The columns whose values do not depend on the options that a line is read with.
_SAYS: Final = ("timestamp", "method", "path", "query", "status", "bytes", "duration_ms", "user_id", "referer",
                "user_agent", "message", "trace_id")  # fmt: skip


def first_missing(
    archive: Archive, snapshot: Snapshot, rows: Sequence[pl.DataFrame], rejected: Sequence[tuple[int, bytes]]
) -> int | None:
    """The number of the first of these lines that the archive does not have; None if it has them all. `rows` are of
    the request schema, with their `line` (from 1); rejected lines come with theirs.

    Rows that the policy has deleted count as stored, since there is nothing to compare them with.
    """
    missing = [_missing_rows(archive, snapshot, part.select("line", *_SAYS)) for part in rows]
    missing.append(_missing_rejects(archive, snapshot, rejected))
    return min((line for line in missing if line is not None), default=None)


def _missing_rows(archive: Archive, snapshot: Snapshot, rows: pl.DataFrame) -> int | None:
    since, last = rows["timestamp"].min(), rows["timestamp"].max()
    if since is None:
        return None
    files = snapshot.select(tables.LOGS, since=since, until=last + timedelta(microseconds=1))  # type: ignore[arg-type, operator]
    kinds: dict[tuple[str, ...], list[str]] = {}
    for file, place in zip(files, archive.integrity.paths(files), strict=True):
        kinds.setdefault(file.held, []).append(place)
    missing = rows
    span = pl.col("timestamp").is_between(since, last)
    for columns, paths in kinds.items():
        same = [column for column in rows.columns if column in columns]
        stored = pl.scan_parquet(paths, hive_partitioning=False).filter(span).select(same).collect()
        missing = missing.join(stored.cast(rows.select(same).schema), on=same, how="anti", nulls_equal=True)
    if missing.height:
        kept = {file.partition[:3] for file in snapshot.select(tables.LOGS)}
        gone = {file.partition[:3] for file in snapshot.select(tables.TRAFFIC)} - kept
        days = [moment.timetuple()[:3] for moment in missing["timestamp"].to_list()]
        missing = missing.filter(pl.Series([day not in gone for day in days], dtype=pl.Boolean))
    first = missing["line"].min()
    return first if isinstance(first, int) else None


def _missing_rejects(archive: Archive, snapshot: Snapshot, rejected: Sequence[tuple[int, bytes]]) -> int | None:
    if not rejected:
        return None
    paths = archive.integrity.paths(snapshot.select(tables.REJECTS))
    held: set[tuple[int, bytes]] = set()
    if paths:
        numbered = pl.col("line").is_in([line for line, _ in rejected])
        stored = pl.scan_parquet(paths, hive_partitioning=False).filter(numbered).select("line", "raw").collect()
        held.update(stored.iter_rows())
    return min((line for line, raw in rejected if (line, raw.removesuffix(b"\r")) not in held), default=None)
