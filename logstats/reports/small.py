"""The figures of a few chunks, straight from the tables that their lines were counted in.

Most logs that people look at have some thousand lines. What merges tables, and ranks keys in columns, takes longer to
load than to do that, so nothing here makes a frame. What `merged` makes of the same tables is equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import numpy as np

from logstats import schema
from logstats.dataclass import dataclass
from logstats.reports.by_minute import Minute
from logstats.reports.measured import Measured, by_class, latency_of
from logstats.reports.model import EndpointRow, Latency, UniqueUsers
from logstats.sketches import hll
from logstats.summaries.arrays import Arrays
from logstats.summaries.numbered import Numbered
from logstats.summaries.ranking import ZERO
from logstats.summaries.statistics import Statistics, Summaries
from logstats.summaries.times import FIRST, LAST
from logstats.summaries.traffic import EPOCH, moment

FEW: Final = 500  # endpoints that take less time one by one than in columns,
FEW_MINUTES: Final = 3_000  # and minutes
_NUMBERS: Final = ("times", "traffic", "statuses", "users")  # tables of numbers; the other one is that of endpoints
_CELL: Final = ("minute", "status_class", "requests", "bytes")
_REGISTER: Final = ("minute", "register", "rank")


def measured(
    statistics: Statistics, percentiles: Sequence[str], sort: str, top: int | None, invalid: int
) -> Measured | None:
    """The figures; None if something was merged, if there is more than these tables, or much of anything. `invalid`
    durations were left out."""
    found = _tables(statistics.unmerged)
    if found is None:
        return None
    rankings, numbers = found
    if sum(len(one.names) for one in rankings) > FEW or sum(one.height for one in numbers["traffic"]) > FEW_MINUTES:
        return None
    keys = _keys(rankings)
    if len(keys) > statistics.spec.max_endpoints or any(key.endpoint == schema.OTHER for key in keys):
        return None
    minutes = _minutes(_cells(numbers["traffic"], *_CELL))
    earliest, latest = zip(*_cells(numbers["times"], *FIRST, *LAST), strict=True)
    total = sum(key.ns for key in keys)
    ordered = sorted(keys, key=lambda key: key.order(sort))
    statuses = Counter[int]()
    for status, requests in _cells(numbers["statuses"], "status", "requests"):
        statuses[status] += requests
    return Measured(
        minutes=minutes,
        untimed=0,
        bytes=sum(minute.bytes for minute in minutes),
        first=EPOCH + timedelta(microseconds=min(earliest)),
        last=EPOCH + timedelta(microseconds=max(latest)),
        statuses={status: statuses[status] for status in sorted(statuses) if status},
        levels={},
        latency=_overall(keys, percentiles, invalid),
        endpoints=[key.row(percentiles, total) for key in ordered[:top]],
        endpoints_total=len(keys),
        endpoints_folded=0,
        breakdowns={},
        breakdowns_total={},
        unique_users=_users(numbers["users"]),
        over_time=None,
        tables={},
        notes=[],
    )


def _tables(chunks: Sequence[Summaries]) -> tuple[list[Numbered], dict[str, list[Arrays]]] | None:
    """The tables of endpoints, and those of numbers by name; None if there are none, or others."""
    rankings: list[Numbered] = []
    numbers: dict[str, list[Arrays]] = {name: [] for name in _NUMBERS}
    for chunk in chunks:
        ranking = chunk.get("endpoints")
        if chunk.keys() != {"endpoints", *_NUMBERS} or not isinstance(ranking, Numbered) or ranking.others is not None:
            return None
        rankings.append(ranking)
        for name, held in numbers.items():
            table = chunk[name]
            if not isinstance(table, Arrays):
                return None
            held.append(table)
    return (rankings, numbers) if rankings else None


@dataclass(slots=True)
class _Key:
    """The figures of an endpoint; durations and their sum are in nanoseconds."""

    method: str | None
    endpoint: str
    requests: int = 0
    errors: int = 0
    bytes: int = 0
    timed: int = 0
    ns: int = 0
    ends: tuple[int, int] = (2**63, -(2**63))
    by_class: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, status_class: int, requests: int, size: int, timed: int, ns: int, least: int, most: int) -> None:
        """Add a cell, of which a chunk has one for each class of status."""
        self.requests += requests
        self.bytes += size
        self.timed += timed
        self.ns += ns
        if status_class == 5:
            self.errors += requests
        if status_class:
            self.by_class[f"{status_class}xx"] += requests
        if timed:
            self.ends = min(self.ends[0], least), max(self.ends[1], most)

    def latency(self, percentiles: Sequence[str]) -> Latency | None:
        """The latency, if any duration was logged."""
        return latency_of(self.timed, self.ns, self.ends, _ordered(self.buckets), percentiles) if self.timed else None

    def order(self, sort: str) -> tuple[Any, ...]:
        """Where it stands among others, as `ranked.rank` orders them."""
        return -self._measure(sort), -self.requests, self.method is not None, self.method or "", self.endpoint

    def _measure(self, sort: str) -> float:
        if sort in ("requests", "errors"):
            return float(getattr(self, sort))
        latency = self.latency([sort[1:]] if sort.startswith("p") else [])
        if latency is None:
            return -1.0
        if sort in ("avg", "max"):
            return float(getattr(latency, sort))
        return float(self.ns) if sort == "total" else latency.percentiles[sort[1:]]

    def row(self, percentiles: Sequence[str], total: int) -> EndpointRow:
        """A row, with its share of the total of all durations."""
        latency = self.latency(percentiles)
        share = self.ns / total if latency and total else None
        figures = self.requests, self.errors, self.bytes, dict(sorted(self.by_class.items()))
        return EndpointRow(self.method, self.endpoint, *figures, latency, share)


def _cells(tables: Sequence[Arrays], *names: str) -> Iterator[tuple[int, ...]]:
    """The rows of some columns of all tables."""
    for table in tables:
        yield from zip(*(table.columns[name].tolist() for name in names), strict=True)


def _keys(rankings: Sequence[Numbered]) -> list[_Key]:
    found: dict[str, _Key] = {}
    for ranking in rankings:
        keys = []
        for name in ranking.names.strings():
            method, _, endpoint = name.partition(" ")
            keys.append(found.setdefault(name, _Key(method or None, endpoint)))
        for number, *figures in ranking.counts.tolist():
            keys[number].add(*figures)
        counted = zip(ranking.keys.tolist(), ranking.buckets.tolist(), ranking.durations.tolist(), strict=True)
        for number, bucket, count in counted:
            keys[number].buckets[bucket] += count
    return [*found.values()]


def _overall(keys: Sequence[_Key], percentiles: Sequence[str], invalid: int) -> Latency | None:
    timed = [key for key in keys if key.timed]
    if not timed:
        return None
    ends = min(key.ends[0] for key in timed), max(key.ends[1] for key in timed)
    buckets = Counter[int]()
    for key in timed:
        buckets.update(key.buckets)
    count, total = sum(key.timed for key in timed), sum(key.ns for key in timed)
    return latency_of(count, total, ends, _ordered(buckets), percentiles, invalid)


def _ordered(buckets: Counter[int]) -> list[tuple[int | None, int]]:
    """A histogram in order."""
    return [(None if bucket == ZERO else bucket, buckets[bucket]) for bucket in sorted(buckets)]


def _minutes(cells: Iterable[tuple[int, ...]]) -> list[Minute]:
    found = []
    for minute, of_minute in groupby(sorted(cells), itemgetter(0)):
        each = list(of_minute)
        classes = by_class((digit, requests) for _, digit, requests, _ in each)
        counted = sum(cell[2] for cell in each), classes.get("5xx", 0), sum(cell[3] for cell in each)
        found.append(Minute(moment(minute), *counted, classes))
    return found


def _users(tables: Sequence[Arrays]) -> UniqueUsers:
    minutes, register, rank = (np.concatenate([table.columns[name] for table in tables]) for name in _REGISTER)
    order = np.argsort(minutes, kind="stable")
    found = hll.counted(minutes[order], register[order], rank[order])
    assert found is not None
    ends, counts, registers = found
    by_minute = zip(minutes[order][ends - 1].tolist(), counts.tolist(), strict=True)
    each = [(moment(minute), users) for minute, users in by_minute]
    return UniqueUsers(hll.estimate(registers), hll.STANDARD_ERROR, exact=False, per_minute=each)
