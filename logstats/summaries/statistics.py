"""Everything that a report is made of: all summaries, filled chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from logstats import allocators
from logstats.summaries import latency, ranking, selections, traffic, users
from logstats.summaries.names import USER_KEYS

_AT_ONCE: Final = 16  # chunks
_ROWS_AT_ONCE: Final = 500_000


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """Which statistics are asked for; nothing else is computed. `over_time` is latency by minute."""

    by: tuple[str, ...] = ()
    user_key: str = "auto"
    exact_users: bool = False
    max_endpoints: int = 10_000
    over_time: bool = False
    selections: tuple[selections.Selection, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that have to be read."""
        rankings = [ranking.ENDPOINT_KEYS, *((column,) for column in self.by)]
        columns = traffic.NEEDS | USER_KEYS[self.user_key] | selections.needs(self.selections)
        if self.over_time:
            columns |= latency.NEEDS
        return columns.union(*(ranking.needs(keys) for keys in rankings))


@dataclass(frozen=True, slots=True)
class Summaries:
    """What a worker makes of one chunk."""

    traffic: pl.DataFrame
    endpoints: pl.DataFrame
    breakdowns: dict[str, pl.DataFrame]
    users: pl.DataFrame
    events: pl.DataFrame | None
    latency: pl.DataFrame | None
    first: datetime | None
    last: datetime | None
    selections: selections.Part | None = None


def summarise(rows: pl.DataFrame, wanted: ReportSpec) -> Summaries:
    """Rows of one chunk to small tables.

    They have `line`, the columns of `wanted.needs`, and `kind` and `level` where there may be events.
    """
    first, last = rows["timestamp"].min(), rows["timestamp"].max()
    events = None
    if {"kind", "level"} <= set(rows.columns):
        is_event = rows["kind"] == "event"
        events = rows.filter(is_event).select("level", "line")
        rows = rows.filter(~is_event)
    return Summaries(
        traffic.summarise(rows),
        ranking.summarise(rows, ranking.ENDPOINT_KEYS),
        {column: ranking.summarise(rows, (column,)) for column in wanted.by},
        users.summarise(rows, wanted.user_key, exact=wanted.exact_users),
        events,
        latency.summarise(rows) if wanted.over_time else None,
        first if isinstance(first, datetime) else None,
        last if isinstance(last, datetime) else None,
        selections.summarise(rows, wanted.selections, wanted.user_key, exact_users=wanted.exact_users)
        if wanted.selections
        else None,
    )


class Statistics:
    """The merged summaries of everything read so far.

    What comes is merged some chunks at a time: one merge of many small tables costs little more than one of two.
    """

    def __init__(self, wanted: ReportSpec) -> None:
        self.wanted = wanted
        self.traffic = traffic.Traffic()
        self.endpoints = ranking.Ranking(ranking.ENDPOINT_KEYS, wanted.max_endpoints)
        self.breakdowns = {column: ranking.Ranking((column,), wanted.max_endpoints) for column in wanted.by}
        self.users = users.ExactUsers() if wanted.exact_users else users.SketchedUsers()
        self.levels = traffic.Levels()
        self.latency = latency.LatencyOverTime() if wanted.over_time else None
        self.selections = selections.Selections(wanted.selections, exact_users=wanted.exact_users)
        self.first: datetime | None = None
        self.last: datetime | None = None
        self._waiting: list[Summaries] = []
        self._rows = 0

    def add(self, part: Summaries) -> None:
        """Add the summaries of the next chunk, in the order of the lines."""
        self._waiting.append(part)
        self._rows += part.traffic.height + part.endpoints.height + part.users.height
        if len(self._waiting) >= _AT_ONCE or self._rows > _ROWS_AT_ONCE:
            self.merge()

    def merge(self) -> None:
        """Merge what is waiting; to be called before anything is read out."""
        parts, self._waiting, self._rows = self._waiting, [], 0
        if not parts:
            return
        allocators.trim()  # what is kept comes to lie between what chunks took, and would hold it for ever
        self.traffic.add(_in_order([part.traffic for part in parts]))
        self.endpoints.add(_in_order([part.endpoints for part in parts]))
        for column, held in self.breakdowns.items():
            held.add(_in_order([part.breakdowns[column] for part in parts]))
        self.users.add(pl.concat([part.users for part in parts]))
        if self.latency is not None:
            self.latency.add(_in_order([part.latency for part in parts if part.latency is not None]))
        if selected := [part.selections for part in parts if part.selections is not None]:
            self.selections.add(selected)
        for part in parts:
            if part.events is not None:
                self.levels.add(part.events)
            if part.first is not None and part.last is not None:
                self.first = min(part.first, self.first or part.first)
                self.last = max(part.last, self.last or part.last)

    def fold(self, wanted: ReportSpec) -> None:
        """Bring rankings that held more than was asked for down to it: those with the most requests stay."""
        self.merge()
        self.wanted = wanted
        for held in (self.endpoints, *self.breakdowns.values()):
            held.fold(wanted.max_endpoints)


def _in_order(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """One table; `first`, a line within a chunk, becomes a number that grows from chunk to chunk."""
    return pl.concat(
        table.with_columns(first=pl.col("first").cast(pl.Int64) + (number << 32)) for number, table in enumerate(tables)
    )
