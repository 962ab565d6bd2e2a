"""The figures of merged summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from logstats import schema
from logstats.frames import pl
from logstats.reports.by_minute import Minutes, UsersByMinute
from logstats.reports.measured import Measured, by_class, latency_of
from logstats.reports.model import BreakdownRow, EndpointRow, Latency, Table, UniqueUsers, iso
from logstats.reports.over_time import gather
from logstats.reports.ranked import Ranked, rank
from logstats.reports.row_forms import Endpoints, Values
from logstats.summaries.breakdowns import name as breakdowns_of
from logstats.summaries.latency import LatencyOverTime
from logstats.summaries.levels import Levels
from logstats.summaries.names import AGGREGATES, IF_LOGGED
from logstats.summaries.ranking import Ranking
from logstats.summaries.selections import NAME as SELECTIONS
from logstats.summaries.statistics import Statistics
from logstats.summaries.statuses import Statuses
from logstats.summaries.times import Times
from logstats.summaries.traffic import Traffic, moment
from logstats.summaries.users import Users


def measured(
    statistics: Statistics,
    percentiles: Sequence[str],
    sort: str,
    top: int | None,
    invalid: int,
    *,
    over_time: bool,
) -> Measured:
    """The figures; `invalid` durations were left out."""
    traffic, users = statistics.get("traffic", Traffic), statistics.get("users", Users)
    with ThreadPoolExecutor(1, "logstats-users") as aside:  # in C, while Polars ranks keys
        counting = aside.submit(users.per_minute)
        minutes = traffic.by_class()
        first, last = statistics.get("times", Times).span()
        held = ranked(statistics, percentiles, sort, top)
        breakdowns = {
            column: rank(statistics.get(breakdowns_of(column), Ranking), percentiles, sort, top, form=Values(column))
            for column in statistics.spec.by
        }
        latency = overall(statistics.get("endpoints", Ranking), percentiles, invalid)
        per_minute = UsersByMinute(counting.result())
    untimed = int(minutes.filter(pl.col("minute").is_null())["requests"].sum())
    return Measured(
        minutes=Minutes(minutes.drop_nulls("minute")),
        untimed=untimed,
        bytes=int(minutes["bytes"].sum()) + traffic.folded()[1],
        first=first,
        last=last,
        statuses=dict(statistics.get("statuses", Statuses).result().drop_nulls().iter_rows()),
        levels=statistics.get("levels", Levels).counts(),
        latency=latency,
        endpoints=held.rows,
        endpoints_total=held.total,
        endpoints_folded=held.folded,
        breakdowns={by: rows.rows for by, rows in breakdowns.items()},
        breakdowns_total={by: rows.total for by, rows in breakdowns.items()},
        unique_users=UniqueUsers(users.total(), users.standard_error, users.exact, per_minute),
        over_time=gather(statistics, percentiles, by_class) if over_time else None,
        tables={
            name: table
            for name, title in AGGREGATES.items()
            if name in statistics.states and title
            if (table := _table(title, statistics, name)).rows or name not in IF_LOGGED
        },
        notes=_folded(statistics, held, breakdowns),
    )


def ranked(statistics: Statistics, percentiles: Sequence[str], sort: str, top: int | None) -> Ranked[EndpointRow]:
    """The endpoints, the first `top` by `sort`."""
    endpoints = statistics.get("endpoints", Ranking)
    total = int(endpoints.counts_by_id()["ns"].sum())
    return rank(endpoints, percentiles, sort, top, form=Endpoints(total))


def by_selection(statistics: Statistics) -> dict[str, BreakdownRow]:
    """The figures of selections with requests, by name."""
    if not statistics.spec.selections:
        return {}
    selections = statistics.get(SELECTIONS, Ranking)
    return {row.value: row for row in rank(selections, ("50",), "requests", form=Values(SELECTIONS)).rows}


def _table(title: str, statistics: Statistics, name: str) -> Table:
    """The result of an aggregate that is shown as a table of its own."""
    found = statistics.states[name].result()
    columns = {column: kind.to_python() for column, kind in found.schema.items()}
    return Table(columns, list(found.iter_rows()), title)


def breakdown(
    statistics: Statistics, by: str, percentiles: Sequence[str], sort: str, top: int | None
) -> tuple[list[BreakdownRow], int, list[str]]:
    """The ranking by a column, the first `top` by `sort`; how many values there are; and what is to be said of it."""
    ranking = statistics.get(breakdowns_of(by), Ranking)
    held = rank(ranking, percentiles, sort, top, form=Values(by))
    note = _folded_note(by, held, statistics.spec.max_endpoints)
    return list(held.rows), held.total, note


def overall(ranking: Ranking, percentiles: Sequence[str], invalid: int) -> Latency | None:
    """The latency of everything in a ranking; `invalid` durations were left out. A format without durations has none,
    as one whose durations are all invalid."""
    counts = ranking.counts_by_id().select(pl.col("timed", "ns").sum(), pl.col("ns_min").min(), pl.col("ns_max").max())
    timed, ns, *ends = counts.row(0)
    return latency_of(timed, int(ns), tuple(ends), ranking.histogram(), percentiles, invalid) if timed else None


def _folded_note(column: str, held: Ranked[Any], cap: int) -> list[str]:
    """What is to be said of values of a column that were folded because of a cap."""
    words = f"requests of {column} values beyond the first {cap:,} are counted as {schema.OTHER}"
    return [f"{held.folded:,} {words}"] if held.folded else []


def _folded(statistics: Statistics, endpoints: Ranked[Any], breakdowns: Mapping[str, Ranked[Any]]) -> list[str]:
    """Notes about what was folded because of caps."""
    notes = []
    cap = statistics.spec.max_endpoints
    if endpoints.folded:
        words = f"requests to endpoints beyond the first {cap:,} are counted as {schema.OTHER}"
        notes.append(f"{endpoints.folded:,} {words}")
    for column, held in breakdowns.items():
        notes += _folded_note(column, held, cap)
    if statistics.kept_from is not None:
        since = iso(moment(statistics.kept_from))
        gone = statistics.get("traffic", Traffic).folded()[0]
        notes.append(f"{gone:,} requests before {since} are not held by minute (--keep)")
        return notes
    if beyond := statistics.get("traffic", Traffic).folded()[0]:
        notes.append(f"{beyond:,} requests are in minutes beyond the first million, not shown by minute")
    if statistics.spec.over_time and (beyond := statistics.get("latency", LatencyOverTime).folded()):
        notes.append(f"{beyond:,} durations are in minutes beyond the first million, not shown over time")
    return notes
