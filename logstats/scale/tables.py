"""The tables of a summary: what a report is made of, by minute, as data.

A piece is one table, or a part of it: its keys may come again in another part. Its rows stand in the order in which
their keys first came among the lines, because caps keep what comes first; `first` numbers them.

| table | keys | figures |
| --- | --- | --- |
| `traffic` | minute, status, method, host, app_name | requests, bytes, earliest, latest |
| `levels` | minute, level | events, earliest, latest |
| `endpoints` | minute, method, endpoint, status_class, bucket | requests, bytes, timed, ns, ns_min, ns_max |
| `breakdown` of a column | minute, value, status_class, bucket | the same |
| `selections` | minute, selection, status_class, bucket | the same |
| `latency` | minute, bucket | count, of requests with a duration |
| `users`, of a selection or of all | minute, register | rank; if users are exact: minute, user |

`minute` counts from 1970 and is null without a time. Buckets are as `summaries.ranking` has them in a chunk. Any other
aggregate of the registry is a table of its name: what it makes of the rows of each minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.summaries import breakdowns, endpoints, latency, ranking, selections, statistics, traffic, users
from logstats.summaries.aggregate import Aggregate
from logstats.summaries.groups import Groups
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Summaries
from logstats.summaries.tables import Shape

TRAFFIC: Final = "traffic"
LEVELS: Final = "levels"
ENDPOINTS: Final = "endpoints"
BREAKDOWN: Final = "breakdown"
SELECTIONS: Final = "selections"
LATENCY: Final = "latency"
USERS: Final = "users"
TABLES: Final = (TRAFFIC, LEVELS, ENDPOINTS, BREAKDOWN, SELECTIONS, LATENCY, USERS)
RANKED: Final = (ENDPOINTS, BREAKDOWN, SELECTIONS)

TOLD_APART: Final = ("method", "host", "app_name")  # by `traffic`, so that objectives can ask for them
_MOMENT: Final = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Piece:
    """A table, or a part of one; `of` is the column of a breakdown, or the selection whose users they are."""

    table: str
    of: str | None
    frame: pl.DataFrame


def keys(table: str) -> tuple[str, ...]:
    """The columns that hold texts from the log, which together are one key."""
    return {
        LEVELS: ("level",),
        ENDPOINTS: endpoints.KEYS,
        BREAKDOWN: (breakdowns.KEY,),
        SELECTIONS: ("selection",),
    }.get(table, ())


def shape(table: str, *, exact_users: bool) -> Shape:
    """How pieces of a table merge. Users have no `first`, for their order is nothing."""
    minute: dict[str, pl.DataType] = {"minute": pl.Int64()}
    first: dict[str, pl.DataType] = {"first": pl.Int64()}
    text = pl.String()
    if table == TRAFFIC:
        return Shape(
            {**minute, "status": pl.UInt16(), **dict.fromkeys(TOLD_APART, text)},
            {"requests": pl.Int64(), "bytes": pl.Int128()},
            {"earliest": _MOMENT, **first},
            {"latest": _MOMENT},
        )
    if table == LEVELS:
        return Shape(
            {**minute, "level": text}, {"events": pl.Int64()}, {"earliest": _MOMENT, **first}, {"latest": _MOMENT}
        )
    if table == LATENCY:
        return Shape({**minute, "bucket": pl.Int32()}, {"count": pl.Int64()}, first, {})
    if table == USERS and exact_users:
        return Shape({**minute, "user": text}, {}, {}, {})
    if table == USERS:
        return Shape({**minute, "register": pl.UInt16()}, {}, {}, {"rank": pl.UInt8()})
    named = dict.fromkeys(keys(table), text)
    return Shape(
        {**minute, **named, "status_class": pl.UInt8(), "bucket": pl.Int32()},
        {"requests": pl.Int64(), "bytes": pl.Int128(), "timed": pl.Int64(), "ns": pl.Int128()},
        {"ns_min": pl.Int64(), **first},
        {"ns_max": pl.Int64()},
    )


def others(spec: ReportSpec) -> list[Aggregate]:
    """The aggregates that have no table above."""
    return [one for one in statistics.aggregates(spec) if one.name not in _built_in(spec)]


def _built_in(spec: ReportSpec) -> set[str]:
    names = {"times", "traffic", "statuses", "levels", "endpoints", "users", "latency", selections.NAME}
    names |= {breakdowns.name(column) for column in spec.by}
    return names | {selections.users_of(one.name) for one in spec.selections}


def needs(spec: ReportSpec) -> frozenset[str]:
    """The schema columns that `summarise` reads."""
    return statistics.needs(spec) | frozenset(TOLD_APART)


def summarise(rows: pl.DataFrame, spec: ReportSpec) -> list[Piece]:
    """Rows of one chunk, with `line` and the columns of `needs` → its pieces; `first` is a line of the chunk."""
    rows = rows.with_columns(traffic.minute())
    kinds = {"all": rows, "requests": rows}
    if {"kind", "level"} <= set(rows.columns):
        is_event = rows["kind"] == "event"
        kinds["events"], kinds["requests"] = rows.filter(is_event), rows.filter(~is_event)
    made = []
    if "events" in kinds:
        made.append(Piece(LEVELS, None, _levels(kinds["events"])))
    requests = kinds["requests"]
    made.append(Piece(TRAFFIC, None, _traffic(requests)))
    made.append(Piece(ENDPOINTS, None, _ranked(requests, endpoints.KEYS)))
    made += [Piece(BREAKDOWN, by, _by_minute(breakdowns.summarise(requests, by, ("minute",)))) for by in spec.by]
    if spec.over_time:
        made.append(Piece(LATENCY, None, latency.summarise(requests)))
    exact = spec.exact_users
    made.append(Piece(USERS, None, users.summarise(requests, spec.user_key, exact=exact)))
    if spec.selections:
        columns = ["minute", "line", "status", "bytes", "duration_ms"]
        selected = {one.name: requests.filter(one.matches) for one in spec.selections}
        named = [some.select(*columns, selection=pl.lit(name)) for name, some in selected.items()]
        made.append(Piece(SELECTIONS, None, _ranked(pl.concat(named), ("selection",))))
        made += [
            Piece(USERS, one.name, users.summarise(selected[one.name], spec.user_key, exact=exact))
            for one in spec.selections
            if one.users
        ]
    for one in others(spec):
        if one.rows in kinds and one.by_minute is not None:
            made.append(Piece(one.name, None, one.by_minute(kinds[one.rows])))
        elif one.rows in kinds:
            for part in kinds[one.rows].partition_by("minute", maintain_order=True):
                table = one.summarise(part).with_columns(minute=pl.lit(part["minute"][0], pl.Int64))
                made.append(Piece(one.name, None, table))
    return [piece for piece in made if piece.frame.height]


def _traffic(rows: pl.DataFrame) -> pl.DataFrame:
    groups = Groups([rows[name] for name in ("minute", "status", *TOLD_APART)])
    return pl.DataFrame(
        [
            *groups.keys,
            as_numbers(groups.counts).alias("requests"),
            groups.sums(rows["bytes"].fill_null(0).to_numpy()).alias("bytes"),
            *_times(groups, rows),
        ]
    )


def _levels(events: pl.DataFrame) -> pl.DataFrame:
    groups = Groups([events["minute"], events["level"]])
    return pl.DataFrame([*groups.keys, as_numbers(groups.counts).alias("events"), *_times(groups, events)])


def _times(groups: Groups, rows: pl.DataFrame) -> list[pl.Series]:
    """`earliest` and `latest` of each group, which has times (or none has one), and `first`."""
    stamps = rows["timestamp"].to_physical()
    present = stamps.fill_null(0).to_numpy()
    untimed = as_numbers(groups.minima(stamps.is_null().to_numpy().astype("int64"))) == 1
    first = as_numbers(groups.minima(rows["line"].to_numpy())).alias("first")
    return [
        as_numbers(groups.minima(present)).set(untimed, None).cast(_MOMENT).alias("earliest"),
        as_numbers(groups.maxima(present)).set(untimed, None).cast(_MOMENT).alias("latest"),
        first,
    ]


def _ranked(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return _by_minute(ranking.summarise(rows, ("minute", *names)))


def _by_minute(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("minute").cast(pl.Int64))


def within(piece: Piece, since: int | None, until: int | None) -> Piece:
    """What of a piece lies in since ≤ minute < until; what has no time lies in no range."""
    if since is None and until is None:
        return piece
    frame = piece.frame
    if since is not None:
        frame = frame.filter(pl.col("minute") >= since)
    if until is not None:
        frame = frame.filter(pl.col("minute") < until)
    return Piece(piece.table, piece.of, frame)


def summaries(piece: Piece, spec: ReportSpec) -> Summaries:
    """What `Statistics.add` takes of a piece; nothing of what was not asked for."""
    frame = piece.frame
    made: dict[str, pl.DataFrame] = {}
    if piece.table in (TRAFFIC, LEVELS):
        made["times"] = frame.select(pl.col("earliest").min(), pl.col("latest").max())
    if piece.table == TRAFFIC:
        by_class = frame.group_by("minute", traffic.status_class())
        made["traffic"] = by_class.agg(pl.col("requests", "bytes").sum(), pl.col("first").min())
        made["statuses"] = frame.select("status", "requests")
    elif piece.table == LEVELS:
        made["levels"] = frame.group_by("level").agg(pl.col("events").sum(), pl.col("first").min())
    elif piece.table == BREAKDOWN:
        made[breakdowns.name(str(piece.of))] = frame
    elif piece.table == SELECTIONS:
        made[selections.NAME] = frame.filter(pl.col("selection").is_in([one.name for one in spec.selections]))
    elif piece.table == USERS:
        made["users" if piece.of is None else selections.users_of(piece.of)] = frame
    else:
        made[piece.table] = frame
    return made
