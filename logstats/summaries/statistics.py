"""Everything that a report is made of: all summaries, filled chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from logstats.summaries import ranking, traffic, users


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which statistics are asked for; nothing else is computed."""

    by: tuple[str, ...] = ()
    user_key: str = "auto"
    exact_users: bool = False
    max_endpoints: int = 10_000

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that have to be read."""
        rankings = [ranking.ENDPOINT_KEYS, *((column,) for column in self.by)]
        columns = traffic.NEEDS | users.USER_KEYS[self.user_key] | {"level"}
        return columns.union(*(ranking.needs(keys) for keys in rankings))


@dataclass(frozen=True, slots=True)
class Summaries:
    """What a worker makes of one chunk."""

    traffic: pl.DataFrame
    endpoints: pl.DataFrame
    breakdowns: dict[str, pl.DataFrame]
    users: pl.DataFrame
    events: pl.DataFrame | None
    first: datetime | None
    last: datetime | None


def summarise(rows: pl.DataFrame, wanted: Wanted) -> Summaries:
    """Rows of one chunk (`line` and the columns of `wanted.needs`) to small tables."""
    first, last = rows["timestamp"].min(), rows["timestamp"].max()
    is_event = rows["kind"] == "event"
    events = rows.filter(is_event).select("level", "line") if is_event.any() else None
    if events is not None:
        rows = rows.filter(~is_event)
    return Summaries(
        traffic.summarise(rows),
        ranking.summarise(rows, ranking.ENDPOINT_KEYS),
        {column: ranking.summarise(rows, (column,)) for column in wanted.by},
        users.summarise(rows, wanted.user_key, exact=wanted.exact_users),
        events,
        first if isinstance(first, datetime) else None,
        last if isinstance(last, datetime) else None,
    )


class Statistics:
    """The merged summaries of everything read so far."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.traffic = traffic.Traffic()
        self.endpoints = ranking.Ranking(ranking.ENDPOINT_KEYS, wanted.max_endpoints)
        self.breakdowns = {column: ranking.Ranking((column,), wanted.max_endpoints) for column in wanted.by}
        self.users = users.ExactUsers() if wanted.exact_users else users.SketchedUsers()
        self.levels = traffic.Levels()
        self.first: datetime | None = None
        self.last: datetime | None = None

    def add(self, part: Summaries) -> None:
        """Merge the summaries of the next chunk, in the order of the lines."""
        self.traffic.add(part.traffic)
        self.endpoints.add(part.endpoints)
        for column, table in part.breakdowns.items():
            self.breakdowns[column].add(table)
        self.users.add(part.users)
        if part.events is not None:
            self.levels.add(part.events)
        if part.first is not None and part.last is not None:
            self.first = min(part.first, self.first or part.first)
            self.last = max(part.last, self.last or part.last)
