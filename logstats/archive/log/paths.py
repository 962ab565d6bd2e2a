"""Where things lie in an archive: tables, tiers, partitions, columns.

    hot/year=2025/month=1/day=17/hour=10/NAME.parquet          logs, as they arrived
    warm/year=2025/month=1/day=17/NAME.parquet                 logs, sorted; cold/ likewise
    rollups/TABLE/year=2025/month=1/day=17/NAME.parquet        traffic, latency, endpoints, users
    rejects/year=2025/month=1/day=17/NAME.parquet              by the day of the `add`

All times are UTC. Numbers in paths have no leading zeros: DuckDB would read `01` as text. NAME begins with the
writer that made the file (see `workspace`). Rows of one partition may lie in several files, of rollups too: those
are merged by `concat` and `group_by`, like every summary.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from logstats.archive.log.tables import HOT, LOGS, REJECTS

if TYPE_CHECKING:
    pass

COMMITS: Final = "commits"
CHECKPOINT: Final = "commits/checkpoint.json"
LIFECYCLE: Final = "lifecycle.toml"
CATALOG: Final = "catalog.sql"
WORK: Final = "work"  # a folder for each writer at work: its lock, its journal, what it spills
TEMPORARY: Final = ".tmp"  # ending of a file that is not all there yet
Partition = tuple[int, ...]  # (year, month, day), or with the hour


def partition_of(moment: datetime, table: str, tier: str = HOT) -> Partition:
    """The partition of a row: its hour in the hot tier, else its day."""
    day = (moment.year, moment.month, moment.day)
    return (*day, moment.hour) if table == LOGS and tier == HOT else day


def folder(table: str, tier: str, partition: Partition) -> str:
    """The folder of a partition, within the archive or the folder of its tier."""
    names = ("year", "month", "day", "hour")
    place = tier if table in (LOGS, REJECTS) else f"{tier}/{table}"
    return "/".join([place, *(f"{name}={number}" for name, number in zip(names, partition, strict=False))])


def partition_in(path: str) -> Partition:
    """The partition that a data file's path names; empty if it names none."""
    found = [part.partition("=") for part in path.split("/")]
    return tuple(int(number) for name, sign, number in found if sign and name in ("year", "month", "day", "hour"))


def writer_id() -> str:
    """A new name for a writer: in the order of time, and never given twice."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"


def writer_of(path: str) -> str:
    """The writer that made a data file."""
    return path.rsplit("/", 1)[-1].partition("-")[0]


def age(path: str) -> tuple[str, int]:
    """A key that sorts data files in the order in which they were made."""
    writer, _, number = path.rsplit("/", 1)[-1].removesuffix(".parquet").partition("-")
    return writer, int(number) if number.isdigit() else 0


def commit_path(number: int) -> str:
    """`commits/00000042.json`."""
    return f"{COMMITS}/{number:08}.json"


def commit_number(path: str) -> int | None:
    """The number in the path of a commit; None if it is another file's."""
    name = path.removeprefix(f"{COMMITS}/").removesuffix(".json")
    return int(name) if name.isascii() and name.isdigit() and commit_path(int(name)) == path else None
