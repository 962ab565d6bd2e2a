"""Rollups: the summaries that are kept when the rows are deleted, computed from the rows by the functions that a report
uses.

The rollups of a chunk, of a commit's file and of a report's range all have the columns of `tables.columns`. They are
merged by `united`, or by `merged`, which caps the number of keys as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from logstats import durations, schema
from logstats.archive.ingest import keyed
from logstats.archive.log import tables
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.summaries import endpoints, latency, ranking, traffic, users
from logstats.summaries.groups import Groups
from logstats.summaries.tables import Shape

MAX_ENDPOINTS: Final = 10_000  # of a report; rollups keep ten times as many, and the report folds them at its end
HELD_VALUES: Final = 10_000  # distinct levels, methods, hosts and apps, each, that one commit keeps in an hour …
HELD_ENDPOINTS: Final = 10 * MAX_ENDPOINTS  # … and endpoints
USER_KEY: Final = "auto"

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    tables.TRAFFIC: ("minute", "kind", "status", "level", "method", "host", "app_name"),
    tables.LATENCY: ("minute", "bucket"),
    tables.ENDPOINTS: ("hour", "method", "endpoint", "status_class", "bucket"),
    tables.USERS: ("minute", "register"),
    tables.LINES: ("minute", "source", "format"),
}
_MINIMA: Final = ("ns_min", "first")
_MAXIMA: Final = ("ns_max", "last", "rank")
_HOUR_US: Final = 3_600_000_000
UTC: Final = pl.Datetime("us", "UTC")


@cache
def _shape(table: str) -> Shape:
    """The keys and figures that are merged of a rollup."""
    columns = durations.held(tables.columns(table))
    keys = {name: columns[name] for name in _KEYS[table] if name in columns}
    figures = {name: kind for name, kind in columns.items() if name not in keys}
    return Shape(
        keys,
        {name: kind for name, kind in figures.items() if name not in (*_MINIMA, *_MAXIMA)},
        {name: kind for name, kind in figures.items() if name in _MINIMA},
        {name: kind for name, kind in figures.items() if name in _MAXIMA},
    )


def summarise(rows: pl.DataFrame, *, borrowed: bool = False) -> dict[str, pl.DataFrame]:
    """Rows of one chunk → the rollups, by table. The rows have all columns, and all have a time. (The rollup `lines`
    needs more than rows: see `line_times`.)

    Keys may repeat in the result; `merged` merges them. If `borrowed`, the texts of keys stay where they are, so that
    the result keeps the chunk in memory.
    """
    is_request = rows["kind"] == "request"
    requests = rows if is_request.all() else rows.filter(is_request)
    return {
        tables.TRAFFIC: _traffic(rows, borrowed),
        tables.LATENCY: latency.summarise(requests).select(_moment("minute", traffic.MINUTE_US), "bucket", "count"),
        tables.ENDPOINTS: _endpoints(requests, borrowed),
        tables.USERS: users_of(requests),
    }


def _traffic(rows: pl.DataFrame, borrowed: bool) -> pl.DataFrame:
    minute, *columns = _KEYS[tables.TRAFFIC]
    groups = Groups(rows.select(traffic.minute().alias(minute), *columns).get_columns())
    times = rows["timestamp"].to_physical().to_numpy()
    number, is_event = pl.col("number"), pl.col("kind") == "event"
    counted = pl.DataFrame(
        [
            *(groups.borrowed if borrowed else groups.keys),
            as_numbers(groups.counts).alias("number"),
            groups.sums(rows["bytes"].fill_null(0).to_numpy()).alias("bytes"),
            as_numbers(groups.minima(times)).alias("first"),
            as_numbers(groups.maxima(times)).alias("last"),
        ]
    )
    return _as_stored(
        counted.with_columns(
            _moment("minute", traffic.MINUTE_US),
            pl.col("first").min().over("minute"),
            pl.col("last").max().over("minute"),
            pl.when(is_event).then(0).otherwise(number).alias("requests"),
            pl.when(is_event).then(number).otherwise(0).alias("events"),
        ).with_columns(pl.col("first", "last").cast(UTC)),
        tables.TRAFFIC,
    )


def _endpoints(requests: pl.DataFrame, borrowed: bool) -> pl.DataFrame:
    hours = requests.with_columns((pl.col("timestamp").to_physical() // _HOUR_US).alias("hour"))
    ranked = ranking.summarise(hours, ("hour", *endpoints.KEYS), borrowed=borrowed)
    bucket = pl.col("bucket")
    # In a chunk, a duration of 0 and no duration have different buckets; here both are null, and `timed` tells them
    # apart.
    known = pl.when(~bucket.is_in([ranking.ZERO, ranking.NO_DURATION])).then(bucket)
    table = ranked.with_columns(_moment(pl.col("hour").cast(pl.Int64), _HOUR_US).alias("hour"), known.alias("bucket"))
    return _as_stored(table, tables.ENDPOINTS)


def users_of(requests: pl.DataFrame) -> pl.DataFrame:
    """Requests → the rollup `users`."""
    seen = users.summarise(requests, USER_KEY, exact=False)
    groups = Groups([seen["minute"], seen["register"]])
    rank = as_numbers(groups.maxima(seen["rank"].to_numpy())).alias("rank")
    return pl.DataFrame([*groups.keys, rank]).with_columns(_moment("minute", traffic.MINUTE_US))


def _moment(number: str | pl.Expr, unit_us: int) -> pl.Expr:
    """Minutes or hours since 1970 → a time."""
    column = pl.col(number) if isinstance(number, str) else number
    return (column * unit_us).cast(UTC)


def _as_stored(table: pl.DataFrame, name: str) -> pl.DataFrame:
    figures = durations.to_stored(table.columns)
    kinds = tables.columns(name)
    return table.select(figures.get(column, pl.col(column)).cast(kind).alias(column) for column, kind in kinds.items())


def merged(frames: list[pl.DataFrame], table: str) -> pl.DataFrame:
    """Merge several tables into one, in the order of its keys, with the keys beyond the caps folded into `(other)`.

    The keys with the most requests are kept, since clients can invent methods, hosts and paths more easily than
    traffic.
    """
    whole = _united(frames, table)
    if table == tables.TRAFFIC:
        for column in ("level", "method", "host", "app_name"):
            whole = _capped(whole, table, [column], HELD_VALUES, pl.col("requests") + pl.col("events"))
    if table == tables.ENDPOINTS:
        whole = _capped(whole, table, ["method", "endpoint"], HELD_ENDPOINTS, pl.col("requests"))
    return _as_stored(whole, table)


def united(frames: list[pl.DataFrame], table: str) -> pl.DataFrame:
    """Merge several tables into one, in the order of its keys, with all of these."""
    return _as_stored(_united(frames, table), table)


def _united(frames: list[pl.DataFrame], table: str) -> pl.DataFrame:
    shape = _shape(table)
    figures = durations.from_stored(shape.schema)
    return keyed.united([frame.with_columns(**figures) for frame in frames], shape)


def _capped(whole: pl.DataFrame, table: str, columns: list[str], cap: int, weight: pl.Expr) -> pl.DataFrame:
    if whole.height <= cap:
        return whole
    values = whole.group_by(columns).agg(weight.sum().alias("_weight"))
    if values.height <= cap:
        return whole
    kept = values.sort("_weight", *columns, descending=[True, *[False] * len(columns)]).head(cap)
    held = whole.join(kept, on=columns, how="semi", nulls_equal=True)
    over = whole.join(kept, on=columns, how="anti", nulls_equal=True)
    *emptied, last = columns
    nothing = pl.lit(None, pl.String)
    over = over.with_columns(*(nothing.alias(name) for name in emptied), pl.lit(schema.OTHER).alias(last))
    return keyed.united([held, over], _shape(table))
