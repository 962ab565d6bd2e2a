"""The tables of a report, one at a time, as CSV and as Parquet.

Durations are in milliseconds, sizes in bytes, rates and shares from 0 to 1, times UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from logstats.errors import UsageError
from logstats.frames import pl
from logstats.reports.model import BreakdownRow, EndpointRow, Latency, Report, Table, iso
from logstats.reports.printable import printable
from logstats.reports.view import TABLES
from logstats.sketches import loghist
from logstats.summaries.names import IF_LOGGED

CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def table(report: Report, name: str) -> Table:
    """One table of a report: one of `view.TABLES`, or a column of its breakdowns. Raises UsageError."""
    if name in _TABLES:
        return _TABLES[name](report)
    if name in report.tables:
        return report.tables[name]
    if name in report.breakdowns:
        return _breakdown(report, name)
    if name in IF_LOGGED:
        raise UsageError(
            f"the report has no table {name!r}: no line has such columns, or it is from rollups",
            "logstats help breakdowns says who logs them; of an archive, add --rows",
        )
    if name in TABLES:
        raise UsageError(f"the report has no table {name!r}: it was not asked for", f"add --{name} N")
    raise UsageError(f"the report has no table {name!r}", f"choose among {', '.join([*TABLES, *report.breakdowns])}")


def _latency_columns(report: Report) -> dict[str, type]:
    percentiles = report.latency.percentiles if report.latency else ()
    return {
        "timed": int,
        **dict.fromkeys(("avg_ms", "min_ms", "max_ms"), float),
        **{f"p{p}_ms": float for p in percentiles},
    }


def _latency(latency: Latency | None, report: Report) -> tuple[Any, ...]:
    percentiles = list(report.latency.percentiles) if report.latency else []
    if latency is None:
        return (0, None, None, None, *(None for _ in percentiles))
    return (latency.count, latency.avg, latency.min, latency.max, *(latency.percentiles[p] for p in percentiles))


def _classes(classes: dict[str, int]) -> tuple[int, ...]:
    return tuple(classes.get(name, 0) for name in CLASSES)


_COUNTS: Final[dict[str, type]] = {"requests": int, "errors": int, "error_rate": float, "bytes": int}


def _counts(row: EndpointRow | BreakdownRow) -> tuple[Any, ...]:
    return row.requests, row.errors, row.errors / row.requests, row.bytes


def _endpoints(report: Report) -> Table:
    columns = {
        "method": str,
        "endpoint": str,
        **_COUNTS,
        **dict.fromkeys(CLASSES, int),
        **_latency_columns(report),
        "share_of_time": float,
    }
    return Table(
        columns,
        [
            (
                *(row.method, row.endpoint, *_counts(row), *_classes(row.status_classes)),
                *(*_latency(row.latency, report), row.share_of_time),
            )
            for row in report.endpoints
        ],
    )


def _breakdown(report: Report, by: str) -> Table:
    figures = {**_COUNTS, **_latency_columns(report)}
    names = by.split(",")
    keys = {f"by_{name}" if name in figures else name: str for name in names}
    rows = report.breakdowns[by]
    return Table(
        {**keys, **figures}, [(*row.texts(names), *_counts(row), *_latency(row.latency, report)) for row in rows]
    )


_MINUTE: Final = {"requests": int, "errors": int, "bytes": int, **dict.fromkeys(CLASSES, int), "users": int}


def _minutes(report: Report) -> Table:
    users = dict(report.unique_users.per_minute)
    return Table(
        {"minute": datetime, **_MINUTE},
        [
            (m.minute, m.requests, m.errors, m.bytes, *_classes(m.status_classes), users.get(m.minute, 0))
            for m in report.minutes
        ],
    )


def _hours(report: Report) -> Table:
    held: dict[datetime, list[int]] = {}
    for m in report.minutes:
        sums = held.setdefault(m.minute.replace(minute=0), [0] * (3 + len(CLASSES)))
        for place, value in enumerate((m.requests, m.errors, m.bytes, *_classes(m.status_classes))):
            sums[place] += value
    users = dict(report.over_time.users_per_hour) if report.over_time else {}
    return Table({"hour": datetime, **_MINUTE}, [(hour, *sums, users.get(hour, 0)) for hour, sums in held.items()])


def _over_time(report: Report) -> Table:
    percentiles = list(report.latency.percentiles) if report.latency else []
    columns = {"start": datetime, "minutes": int, **_MINUTE, "timed": int, **{f"p{p}_ms": float for p in percentiles}}
    step, intervals = (report.over_time.step_minutes, report.over_time.intervals) if report.over_time else (1, [])
    return Table(
        columns,
        [
            (
                *(i.start, step, i.requests, i.errors, i.bytes, *_classes(i.status_classes), i.users, i.timed),
                *(i.percentiles.get(p) for p in percentiles),
            )
            for i in intervals
        ],
    )


def _buckets(report: Report) -> Table:
    buckets = report.latency.buckets if report.latency else []
    edges = [(None if b is None else b - 1, b, n) for b, n in buckets]
    return Table(
        {"bucket": int, "above_ms": float, "up_to_ms": float, "count": int},
        [(b, None if b is None else loghist.upper_ms(low), loghist.upper_ms(b), n) for low, b, n in edges],
    )


def _rejects(report: Report) -> Table:
    return Table({"reason": str, "lines": int}, list(report.rejects.by_reason.items()))


def _sources(report: Report) -> Table:
    columns = {"name": str, "format": str, "lines": int, "bytes": int, "problem": str}
    return Table(columns, [(s.name, s.format, s.lines, s.bytes, s.problem) for s in report.sources])


_TABLES: Final[dict[str, Callable[[Report], Table]]] = {
    "endpoints": _endpoints,
    "minutes": _minutes,
    "hours": _hours,
    "over_time": _over_time,
    "buckets": _buckets,
    "rejects": _rejects,
    "sources": _sources,
}
assert tuple(_TABLES) == TABLES[: len(_TABLES)]


def cell(text: str) -> str:
    """A text for CSV, with an apostrophe before what a spreadsheet would take for a formula."""
    text = printable(text)
    return f"'{text}" if text.startswith(FORMULA) else text


def to_csv(table: Table) -> str:
    """RFC 4180 with a header; times as ISO 8601 with a Z, no value as nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table.columns)
    writer.writerows(_cells(row) for row in table.rows)
    return out.getvalue()


def _cells(row: Sequence[Any]) -> Iterable[Any]:
    for value in row:
        yield cell(value) if isinstance(value, str) else iso(value) if isinstance(value, datetime) else value


def to_parquet(table: Table) -> bytes:
    """Parquet, zstd; text as it was logged, times with zone UTC, a sum beyond 64 bits as Decimal."""
    types = {str: pl.String(), int: pl.Int64(), float: pl.Float64(), datetime: pl.Datetime("us", "UTC")}
    schema = {name: types[kind] for name, kind in table.columns.items()}
    for place, (name, kind) in enumerate(table.columns.items()):
        if kind is int and any(abs(row[place] or 0) >= 1 << 63 for row in table.rows):
            schema[name] = pl.Decimal(38, 0)
    frame = pl.DataFrame(table.rows, schema=schema, orient="row")
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd")
    return out.getvalue()
