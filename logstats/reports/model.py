"""The report: plain values, in the shape of its JSON (`report.schema.json` describes every key)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field, replace
from datetime import datetime
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.reports.buckets import Bucket
from logstats.reports.by_minute import Minute
from logstats.reports.clock import Clock
from logstats.reports.json_text import encode, whole
from logstats.reports.lazy_rows import LazyRows

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """One source: what it was read as (`format` as `--format` takes it, `formats` one by one), how much of it, and what
    was wrong with it."""

    name: str
    format: str | None
    lines: int
    bytes: int
    problem: str | None = None
    formats: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations in milliseconds. `avg`, `min`, `max` are exact; percentiles are within `relative_error` of the
    nearest rank, and keyed as they were asked for. `buckets` is the histogram they come from: (bucket, count), bucket
    None for exactly 0. `invalid` counts durations that were negative or no number."""

    count: int
    avg: float
    min: float
    max: float
    percentiles: dict[str, float]
    relative_error: float
    invalid: int
    buckets: Sequence[Bucket]
    sum_ns: int

    def figures(self) -> dict[str, Any]:
        """The JSON form, but for what the overall latency alone says, and the buckets."""
        return {
            "count": self.count,
            "avg": self.avg,
            "min": self.min,
            "max": self.max,
            "percentiles": self.percentiles,
        }

    def to_dict(self, *, overall: bool) -> dict[str, Any]:
        """The JSON form; the error bound and the invalid ones are said once, with the overall latency."""
        said = {"relative_error": self.relative_error, "invalid": self.invalid} if overall else {}
        return {**self.figures(), **said, "buckets": [list(pair) for pair in self.buckets]}


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One endpoint. `method` is None for malformed requests and for what was folded into `(other)`; `share_of_time`
    is its part of the total of all durations."""

    method: str | None
    endpoint: str
    requests: int
    errors: int
    bytes: int
    status_classes: dict[str, int]
    latency: Latency | None
    share_of_time: float | None

    @property
    def name(self) -> str:
        """Method and endpoint."""
        return f"{self.method} {self.endpoint}" if self.method else self.endpoint

    def figures(self) -> dict[str, Any]:
        """The JSON form, but for the latency."""
        return {
            "method": self.method,
            "endpoint": self.endpoint,
            "requests": self.requests,
            "errors": self.errors,
            "bytes": self.bytes,
            "status_classes": self.status_classes,
            "share_of_time": self.share_of_time,
        }


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """One value of a column. Of several columns, `values` are theirs, by name; None for what was folded."""

    value: str
    requests: int
    errors: int
    bytes: int
    latency: Latency | None
    values: Mapping[str, str | None] | None = None

    def figures(self) -> dict[str, Any]:
        """The JSON form, but for the latency."""
        figures = {"requests": self.requests, "errors": self.errors, "bytes": self.bytes}
        return {"value": self.value, **({"values": self.values} if self.values is not None else {}), **figures}

    def texts(self, columns: Sequence[str]) -> list[str | None]:
        """The value of each column; of what was folded, all is in the first."""
        if self.values is None:
            return [self.value, *(None for _ in columns[1:])]
        return [self.values.get(column) for column in columns]


@dataclass(frozen=True, slots=True)
class UniqueUsers:
    """Distinct users: of the whole range (a union) and per minute."""

    total: int
    standard_error: float | None
    exact: bool
    per_minute: Sequence[tuple[datetime, int]]


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened within `OverTime.step_minutes` from `start`. `timed` requests had a duration; without any there
    are no percentiles. `users` is a union. Percentiles are within 1 % of the nearest rank, `buckets` as in Latency."""

    start: datetime
    requests: int
    errors: int
    bytes: int
    status_classes: dict[str, int]
    users: int
    timed: int
    percentiles: dict[str, float]
    buckets: Sequence[Bucket]


@dataclass(frozen=True, slots=True)
class OverTime:
    """Intervals with requests in them, in order, each so long that there are at most 1,500; users by hour."""

    step_minutes: int
    intervals: list[Interval]
    users_per_hour: list[tuple[datetime, int]]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "step_minutes": self.step_minutes,
            "intervals": [
                {
                    "start": iso(i.start),
                    "requests": i.requests,
                    "errors": i.errors,
                    "bytes": i.bytes,
                    "status_classes": i.status_classes,
                    "users": i.users,
                    "timed": i.timed,
                    "percentiles": i.percentiles,
                    "buckets": [list(pair) for pair in i.buckets],
                }
                for i in self.intervals
            ],
            "users_per_hour": [{"hour": iso(hour), "users": users} for hour, users in self.users_per_hour],
        }


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, each with the type of its values (str, int, float or datetime), and rows; None is no value."""

    columns: dict[str, type]
    rows: list[tuple[Any, ...]]
    title: str = ""

    def to_list(self) -> list[dict[str, Any]]:
        """The JSON form: an object for each row."""
        plain = ([iso(value) if isinstance(value, datetime) else value for value in row] for row in self.rows)
        return [dict(zip(self.columns, row, strict=True)) for row in plain]


@dataclass(frozen=True, slots=True)
class RejectSample:
    """A line that could not be read."""

    source: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Rejects:
    """Lines that could not be read: how many for which reason, and the first few of each."""

    by_reason: dict[str, int]
    samples: list[RejectSample]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A condition of `--fail-if` and what became of it. `failed` is None if there was nothing to measure.

    `value` and `limit` are in `unit`: `ms`, `ratio` (a part of 1), or nothing for plain numbers. `low` and `high` are
    what the exact value lies between, where the value is an estimate with a bound; if the limit lies there as well, the
    verdict is not `certain`.
    """

    condition: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    unit: str
    failed: bool | None
    certain: bool
    words: str

    @property
    def verdict(self) -> str:
        """One or two words."""
        return "no data" if self.failed is None else "failed" if self.failed else "passed"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was counted. lines = requests + events + rejected + filtered + ignored.

    `invalid` says by field (`duration`, `bytes`) how many requests have a value without meaning, which was left out.
    """

    generated_at: datetime
    sources: list[SourceInfo]
    lines: int
    requests: int
    events: int
    rejected: int
    filtered: int
    ignored: int
    untimed: int
    bytes: int
    first: datetime | None
    last: datetime | None
    status: dict[str, int]
    status_classes: dict[str, int]
    levels: dict[str, int]
    latency: Latency | None
    endpoints: Sequence[EndpointRow]
    endpoints_total: int
    endpoints_folded: int
    breakdowns: Mapping[str, Sequence[BreakdownRow]]
    unique_users: UniqueUsers
    minutes: Sequence[Minute]
    rejects: Rejects
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    filters: dict[str, str] = field(default_factory=dict)
    over_time: OverTime | None = None
    thresholds: list[Threshold] = field(default_factory=list)
    invalid: dict[str, int] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    """The aggregates that are shown as tables of their own (`summaries.names.AGGREGATES`), by name."""
    zone: str = "UTC"
    """In which people read its times; those of `to_dict` are UTC."""
    title: str = ""
    """What it is about (`--title`): a host, a service."""
    breakdowns_total: dict[str, int] = field(default_factory=dict)
    """How many values a breakdown has, where only the first of them are in `breakdowns`."""

    @property
    def clock(self) -> Clock:
        """The clock that formats times for people."""
        return Clock(self.zone)

    @property
    def heading(self) -> str:
        """The title: `Access log report`, and of what."""
        return f"Access log report: {self.title}" if self.title else "Access log report"

    @property
    def day(self) -> str:
        """`2025-01-17`, the day on the clock that it begins at: that of `--since`, else of the first request; or ""."""
        since = self.filters.get("since")
        begin = datetime.fromisoformat(since) if since else self.first
        return self.clock.moment(begin)[:10] if begin else ""

    @property
    def errors(self) -> int:
        """Requests answered with 5xx."""
        return self.status_classes.get("5xx", 0)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report, in the order of its keys."""
        users = self.unique_users
        return {
            "schema_version": SCHEMA_VERSION,
            "generated_at": iso(self.generated_at),
            "sources": [
                {
                    "name": s.name,
                    "format": s.format,
                    "formats": s.formats,
                    "lines": s.lines,
                    "bytes": s.bytes,
                    "problem": s.problem,
                }
                for s in self.sources
            ],
            "lines": self.lines,
            "requests": self.requests,
            "events": self.events,
            "rejected": self.rejected,
            "filtered": self.filtered,
            "ignored": self.ignored,
            "untimed": self.untimed,
            "invalid": self.invalid,
            "bytes": self.bytes,
            "time": {"first": self.first and iso(self.first), "last": self.last and iso(self.last)},
            "status": self.status,
            "status_classes": self.status_classes,
            "levels": self.levels,
            "latency_ms": self.latency and self.latency.to_dict(overall=True),
            "endpoints": [_row(row) for row in self.endpoints],
            "endpoints_total": self.endpoints_total,
            "endpoints_folded": self.endpoints_folded,
            "breakdowns": {column: [_row(row) for row in rows] for column, rows in self.breakdowns.items()},
            "unique_users": {
                "total": users.total,
                "standard_error": users.standard_error or 0.0,
                "exact": users.exact,
                "per_minute": [*map(_users_of, users.per_minute)],
            },
            "minutes": [*map(_minute, self.minutes)],
            "rejects": {
                "by_reason": self.rejects.by_reason,
                "samples": [
                    {"source": s.source, "line": s.line, "reason": s.reason, "text": s.text}
                    for s in self.rejects.samples
                ],
            },
            "notes": self.notes,
            "interrupted": self.interrupted,
            "filters": self.filters,
            "over_time": self.over_time and self.over_time.to_dict(),
            "thresholds": [threshold.to_dict() for threshold in self.thresholds],
            **{name: table.to_list() for name, table in self.tables.items()},
        }

    def to_json(self) -> str:
        """The JSON report as text, ASCII only, so that nothing in a log can address a terminal.

        It is what `json.dumps` makes of `to_dict`. Rankings and minutes, nearly all of it, are written from columns.
        """
        listed = {
            "endpoints": _listed(self.endpoints, _row),
            "breakdowns": whole((column, _listed(rows, _row)) for column, rows in self.breakdowns.items()),
            "minutes": _listed(self.minutes, _minute),
        }
        of_users = {"per_minute": _listed(self.unique_users.per_minute, _users_of)}
        counted = replace(self.unique_users, per_minute=[])
        rest = replace(self, endpoints=[], breakdowns={}, minutes=[], unique_users=counted).to_dict()
        listed["unique_users"] = whole((key, of_users.get(key) or encode(v)) for key, v in rest["unique_users"].items())
        return whole((key, listed.get(key) or encode(value)) for key, value in rest.items())


def _users_of(counted: tuple[datetime, int]) -> dict[str, Any]:
    minute, users = counted
    return {"minute": iso(minute), "users": users}


def _minute(row: Minute) -> dict[str, Any]:
    return {
        "minute": iso(row.minute),
        "requests": row.requests,
        "errors": row.errors,
        "bytes": row.bytes,
        "status_classes": row.status_classes,
    }


def _row(row: EndpointRow | BreakdownRow) -> dict[str, Any]:
    return {**row.figures(), "latency_ms": row.latency and row.latency.to_dict(overall=False)}


def _listed(rows: LazyRows[Any] | Sequence[Any], made: Callable[[Any], Any]) -> str:
    """Rows as a JSON array. What is `made` of each is its form, also where rows are written from columns."""
    return rows.json if isinstance(rows, LazyRows) else encode([*map(made, rows)])


def iso(time: datetime) -> str:
    """ISO 8601 in UTC with a Z, microseconds where there are any."""
    return time.replace(tzinfo=None).isoformat() + "Z"
