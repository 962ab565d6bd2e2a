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
from functools import cache
from typing import TYPE_CHECKING, Final

from logstats import schema

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

LOGS: Final = "logs"
TRAFFIC: Final = "traffic"
LATENCY: Final = "latency"
ENDPOINTS: Final = "endpoints"
USERS: Final = "users"
REJECTS: Final = "rejects"
ROLLUPS: Final = (TRAFFIC, LATENCY, ENDPOINTS, USERS)
TABLES: Final = (LOGS, *ROLLUPS, REJECTS)

HOT, WARM, COLD = "hot", "warm", "cold"
TIERS: Final = (HOT, WARM, COLD)  # of logs; rollups and rejects have one place each

COMMITS: Final = "commits"
CHECKPOINT: Final = "commits/checkpoint.json"
LIFECYCLE: Final = "lifecycle.toml"
CATALOG: Final = "catalog.sql"
WORK: Final = "work"  # a folder for each writer at work: its lock, its journal, what it spills
TEMPORARY: Final = ".tmp"  # ending of a file that is not all there yet

ROW_GROUP: Final = 122_880  # rows: as DuckDB reads them, a thread per group

Partition = tuple[int, ...]  # (year, month, day), or with the hour


def columns(table: str) -> dict[str, pl.DataType]:
    """Column name to Polars type of a table, in order, without the partition's columns.

    `logs`       the request schema, then `source` (its name when the line was added) and `line` (from 1): where a row
                 came from. Both are runs, and cost next to nothing.
    `traffic`    (minute, kind, status, level, method, host, app_name) → requests, events, bytes, first, last
                 (the first and last time in the minute, whatever the other keys)
    `latency`    (minute, bucket) → count, of requests with a duration; bucket null is exactly 0
    `endpoints`  (hour, method, endpoint, status_class, bucket) → requests, timed, bytes, us, us_min, us_max. Requests
                 without a duration have timed 0, and bucket null as well; status_class 0 is no status.
    `users`      (minute, register) → rank: HyperLogLog registers of the users (user_id, else client_ip)
    `rejects`    added (when), source, line, reason, raw (the line's bytes, without its newline)

    us, us_min, us_max are whole microseconds. Method, host, app_name and endpoint may be `(other)`: what lay beyond
    the caps of one commit.
    """
    import polars as pl

    moment, text, whole, big = pl.Datetime("us", "UTC"), pl.String(), pl.Int64(), pl.Decimal(38, 0)
    tables: dict[str, dict[str, pl.DataType]] = {
        LOGS: {**schema.dtypes(), "source": text, "line": whole},
        TRAFFIC: {
            "minute": moment,
            "kind": text,
            "status": pl.UInt16(),
            **dict.fromkeys(("level", "method", "host", "app_name"), text),
            "requests": whole,
            "events": whole,
            "bytes": big,
            "first": moment,
            "last": moment,
        },
        LATENCY: {"minute": moment, "bucket": pl.Int32(), "count": whole},
        ENDPOINTS: {
            "hour": moment,
            "method": text,
            "endpoint": text,
            "status_class": pl.UInt8(),
            "bucket": pl.Int32(),
            "requests": whole,
            "timed": whole,
            "bytes": big,
            "us": big,
            "us_min": whole,
            "us_max": whole,
        },
        USERS: {"minute": moment, "register": pl.UInt16(), "rank": pl.UInt8()},
        REJECTS: {"added": moment, "source": text, "line": whole, "reason": text, "raw": pl.Binary()},
    }
    return tables[table]


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The same, as a Parquet file of the hot tier, of rollups and of rejects has it."""
    import polars as pl
    import pyarrow as pa

    plain = pl.DataFrame(schema=columns(table)).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    ids = [{"PARQUET:field_id": str(field_id(table, name))} for name in plain.names]
    return pa.schema([field.with_metadata(number) for field, number in zip(plain, ids, strict=True)])


def field_id(table: str, column: str) -> int:
    """The number by which a column is known in every file, whatever other columns there are: it never changes.

    A column that comes to the request schema comes at its end. Others of `logs` count from 1001.
    """
    if table != LOGS or column in schema.COLUMNS:
        return list(columns(table)).index(column) + 1
    return 1001 + ("source", "line").index(column)


def time_column(table: str) -> str:
    """The column whose range a file's `first` and `last` are."""
    return {LOGS: "timestamp", ENDPOINTS: "hour", REJECTS: "added"}.get(table, "minute")


def tier_of(table: str) -> str:
    """The tier that new files of a table go to: `hot`, `rollups` or `rejects`."""
    return HOT if table == LOGS else REJECTS if table == REJECTS else "rollups"


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
