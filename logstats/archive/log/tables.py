"""The tables of an archive: their columns, tiers and Arrow schemas."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from logstats import durations, schema
from logstats.frames import pl

if TYPE_CHECKING:
    import pyarrow as pa

LOGS: Final = "logs"
TRAFFIC: Final = "traffic"
LATENCY: Final = "latency"
ENDPOINTS: Final = "endpoints"
USERS: Final = "users"
LINES: Final = "lines"
REJECTS: Final = "rejects"
ROLLUPS: Final = (TRAFFIC, LATENCY, ENDPOINTS, USERS, LINES)
TABLES: Final = (LOGS, *ROLLUPS, REJECTS)
HOT, WARM, COLD = "hot", "warm", "cold"
TIERS: Final = (HOT, WARM, COLD)  # of logs; rollups and rejects have no tiers
ROW_GROUP: Final = 122_880  # rows: DuckDB's own size; it reads each group in a thread


def columns(table: str) -> dict[str, pl.DataType]:
    """Column name to Polars type of a table, in order, without the partition's columns.

    - `logs`: the request schema, then `source` (its name when the line was added) and `line` (from 1), which say where
      a row came from, and compress to next to nothing.
    - `traffic`: (minute, kind, status, level, method, host, app_name) → requests, events, bytes, first, last (the first
      and last time in the minute, whatever the other keys).
    - `latency`: (minute, bucket) → count, of requests with a duration; bucket null is exactly 0.
    - `endpoints`: (hour, method, endpoint, status_class, bucket) → requests, timed, bytes, and of the durations us,
      us_min, us_max, rest_ns, rest_ns_min, rest_ns_max. Requests without a duration have timed 0, and bucket null as
      well; status_class 0 is no status. The sum is us * 1000 + rest_ns nanoseconds, minimum and maximum likewise: `us`
      is the nearest whole number of microseconds (see `logstats.durations`).
    - `users`: (minute, register) → rank: HyperLogLog registers of the users (user_id, else client_ip).
    - `lines`: (minute, source, format) → lines, bytes, rejected, ignored: all lines by the minute of their time, or of
      the lines around them (`ingest.line_times`).
    - `rejects`: added (when), source, line, reason, raw (the line's bytes, without its newline), timestamp (the time
      that the line shows, or that of the lines around it).

    Method, host, app_name and endpoint may be `(other)`: what lay beyond the caps of one commit.
    """
    return {name: schema.dtype(kind) for name, kind in kinds(table).items()}


@cache
def kinds(table: str) -> Mapping[str, str]:
    """Column name to the name of its Polars type, as in `columns`."""
    moment, text, whole, big = "Datetime", "String", "Int64", "Decimal"
    tables: dict[str, dict[str, str]] = {
        LOGS: {**schema.kinds(), "source": text, "line": whole},
        TRAFFIC: {
            "minute": moment,
            "kind": text,
            "status": "UInt16",
            **dict.fromkeys(("level", "method", "host", "app_name"), text),
            "requests": whole,
            "events": whole,
            "bytes": big,
            "first": moment,
            "last": moment,
        },
        LATENCY: {"minute": moment, "bucket": "Int32", "count": whole},
        ENDPOINTS: {
            "hour": moment,
            "method": text,
            "endpoint": text,
            "status_class": "UInt8",
            "bucket": "Int32",
            "requests": whole,
            "timed": whole,
            "bytes": big,
            "us": big,
            "us_min": whole,
            "us_max": whole,
            # Added later: files of earlier versions lack them.
            **dict.fromkeys(durations.RESTS.values(), whole),
        },
        USERS: {"minute": moment, "register": "UInt16", "rank": "UInt8"},
        LINES: {
            "minute": moment,
            "source": text,
            "format": text,
            **dict.fromkeys(("lines", "bytes", "rejected", "ignored"), whole),
        },
        REJECTS: {
            "added": moment,
            "source": text,
            "line": whole,
            "reason": text,
            "raw": "Binary",
            "timestamp": moment,
        },
    }
    return tables[table]


def began(table: str) -> int:
    """How many of `growing` there were in the first version."""
    return {LOGS: schema.FIRST, ENDPOINTS: len(growing(table)) - len(durations.RESTS)}.get(table, len(growing(table)))


@cache
def growing(table: str) -> tuple[str, ...]:
    """The columns of a table that new ones are appended to: of `logs`, those of the request schema."""
    return schema.COLUMNS if table == LOGS else tuple(kinds(table))


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of a table's Parquet files in the hot tier, of rollups and of rejects."""
    import pyarrow as pa

    plain = pl.DataFrame(schema=columns(table)).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    ids = [{"PARQUET:field_id": str(field_id(table, name))} for name in plain.names]
    return pa.schema([field.with_metadata(number) for field, number in zip(plain, ids, strict=True)])


def field_id(table: str, column: str) -> int:
    """The Parquet field id of a column. It is the same in every file and never changes.

    New columns are appended, those of the request schema at its end. The other columns of `logs` count from 1001.
    """
    if table != LOGS or column in schema.COLUMNS:
        return list(kinds(table)).index(column) + 1
    return 1001 + ("source", "line").index(column)


def time_column(table: str) -> str:
    """The column whose minimum and maximum a file's `first` and `last` are."""
    return {LOGS: "timestamp", ENDPOINTS: "hour", REJECTS: "timestamp"}.get(table, "minute")


def tier_of(table: str) -> str:
    """The tier that new files of a table go to: `hot`, `rollups` or `rejects`."""
    return HOT if table == LOGS else REJECTS if table == REJECTS else "rollups"
