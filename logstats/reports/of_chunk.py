"""The figures of a single chunk, straight from the tables that its lines were counted in.

Most logs that people look at have some thousand lines. What merges tables, and ranks keys in columns, takes longer to
load than to do that, so nothing here makes a frame. What `merged` makes of the same tables is equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from logstats.summaries.statistics import Statistics
from logstats.summaries.traffic import EPOCH, moment

FEW: Final = 500  # endpoints that take less time one by one than in columns,
FEW_MINUTES: Final = 3_000  # and minutes
_NUMBERS: Final = ("times", "traffic", "statuses", "users")  # tables of numbers; the other one is that of endpoints
_CELL: Final = ("minute", "status_class", "requests", "bytes")


def measured(
    statistics: Statistics, percentiles: Sequence[str], sort: str, top: int | None, invalid: int
) -> Measured | None:
    """The figures; None if there is more than one chunk, or more in it than these tables, or much of anything.
    `invalid` durations were left out."""
    tables = statistics.alone
    if tables is None or tables.keys() != {*_NUMBERS, "endpoints"}:
        return None
    ranking, (times, traffic, statuses, users) = tables["endpoints"], (tables[n] for n in _NUMBERS)
    if not isinstance(ranking, Numbered) or ranking.others is not None:
        return None
    if not (isinstance(times, Arrays) and isinstance(traffic, Arrays)):
        return None
    if not (isinstance(statuses, Arrays) and isinstance(users, Arrays)):
        return None
    if len(ranking.names) > min(FEW, statistics.spec.max_endpoints) or traffic.height > FEW_MINUTES:
        return None
    keys = _keys(ranking)
    if any(key.endpoint == schema.OTHER for key in keys):
        return None
    minutes = _minutes(traffic)
    first, last = (EPOCH + timedelta(microseconds=int(time[0])) for time in times.columns.values())
    total = sum(key.ns for key in keys)
    ordered = sorted(keys, key=lambda key: key.order(sort))
    return Measured(
        minutes=minutes,
        untimed=0,
        bytes=sum(minute.bytes for minute in minutes),
        first=first,
        last=last,
        statuses={status: count for status, count in _numbers(statuses, "status", "requests") if status},
        levels={},
        latency=_overall(keys, ranking, percentiles, invalid),
        endpoints=[key.row(percentiles, total) for key in ordered[:top]],
        endpoints_total=len(keys),
        endpoints_folded=0,
        breakdowns={},
        breakdowns_total={},
        unique_users=_users(users),
        over_time=None,
        tables={},
        notes=[],
    )


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
    by_class: dict[str, int] = field(default_factory=dict)
    buckets: list[tuple[int | None, int]] = field(default_factory=list)

    def add(self, status_class: int, requests: int, size: int, timed: int, ns: int, least: int, most: int) -> None:
        """Add a cell, of which there is one for each class of status."""
        self.requests += requests
        self.bytes += size
        self.timed += timed
        self.ns += ns
        if status_class == 5:
            self.errors += requests
        if status_class:
            self.by_class[f"{status_class}xx"] = requests
        if timed:
            self.ends = min(self.ends[0], least), max(self.ends[1], most)

    def latency(self, percentiles: Sequence[str]) -> Latency | None:
        """The latency, if any duration was logged."""
        return latency_of(self.timed, self.ns, self.ends, self.buckets, percentiles) if self.timed else None

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


def _numbers(table: Arrays, *names: str) -> Iterator[tuple[int, ...]]:
    """The rows of some columns."""
    return zip(*(table.columns[name].tolist() for name in names), strict=True)


def _keys(ranking: Numbered) -> list[_Key]:
    keys = []
    for name in ranking.names.strings():
        method, _, endpoint = name.partition(" ")
        keys.append(_Key(method or None, endpoint))
    for number, *figures in ranking.counts.tolist():
        keys[number].add(*figures)
    buckets = [None if bucket == ZERO else bucket for bucket in ranking.buckets.tolist()]
    for number, bucket, count in zip(ranking.keys.tolist(), buckets, ranking.durations.tolist(), strict=True):
        keys[number].buckets.append((bucket, count))
    return keys


def _overall(keys: Sequence[_Key], ranking: Numbered, percentiles: Sequence[str], invalid: int) -> Latency | None:
    timed = [key for key in keys if key.timed]
    if not timed:
        return None
    ends = min(key.ends[0] for key in timed), max(key.ends[1] for key in timed)
    order = np.argsort(ranking.buckets, kind="stable")
    counted = zip(ranking.buckets[order].tolist(), ranking.durations[order].tolist(), strict=True)
    buckets = [
        (None if bucket == ZERO else bucket, sum(count for _, count in of_bucket))
        for bucket, of_bucket in groupby(counted, itemgetter(0))
    ]
    count, total = sum(key.timed for key in timed), sum(key.ns for key in timed)
    return latency_of(count, total, ends, buckets, percentiles, invalid)


def _minutes(traffic: Arrays) -> list[Minute]:
    cells = sorted(_numbers(traffic, *_CELL))
    found = []
    for minute, of_minute in groupby(cells, itemgetter(0)):
        each = list(of_minute)
        classes = by_class((digit, requests) for _, digit, requests, _ in each)
        counted = sum(cell[2] for cell in each), classes.get("5xx", 0), sum(cell[3] for cell in each)
        found.append(Minute(moment(minute), *counted, classes))
    return found


def _users(users: Arrays) -> UniqueUsers:
    order = np.argsort(users.columns["minute"], kind="stable")
    minutes, register, rank = (users.columns[name][order] for name in ("minute", "register", "rank"))
    found = hll.counted(minutes, register, rank)
    assert found is not None
    ends, counts, registers = found
    by_minute = zip(minutes[ends - 1].tolist(), counts.tolist(), strict=True)
    each = [(moment(minute), users) for minute, users in by_minute]
    return UniqueUsers(hll.estimate(registers), hll.STANDARD_ERROR, exact=False, per_minute=each)
