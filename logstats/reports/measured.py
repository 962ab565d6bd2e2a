"""What a report says of the requests and events that were counted; the rest of it is about the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from logstats.dataclass import dataclass
from logstats.durations import MS, average
from logstats.reports.buckets import Bucket
from logstats.reports.by_minute import Minute
from logstats.reports.model import BreakdownRow, EndpointRow, Latency, OverTime, Table, UniqueUsers
from logstats.sketches import loghist


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of requests and events, as `model.Report` has them; `statuses` are requests by status."""

    minutes: Sequence[Minute]
    untimed: int
    bytes: int
    first: datetime | None
    last: datetime | None
    statuses: Mapping[int, int]
    levels: dict[str, int]
    latency: Latency | None
    endpoints: Sequence[EndpointRow]
    endpoints_total: int
    endpoints_folded: int
    breakdowns: dict[str, Sequence[BreakdownRow]]
    breakdowns_total: dict[str, int]
    unique_users: UniqueUsers
    over_time: OverTime | None
    tables: dict[str, Table]
    notes: list[str]


def latency_of(
    timed: int,
    ns: int,
    ends: tuple[int, int],
    buckets: Sequence[Bucket],
    percentiles: Sequence[str],
    invalid: int = 0,
) -> Latency:
    """The latency of so many durations: their sum, least and greatest one in nanoseconds, and their histogram."""
    least, most = (end / MS for end in ends)
    exact = {p: loghist.parse_percentile(p) for p in percentiles}
    return Latency(
        count=timed,
        avg=average(ns, timed),
        min=least,
        max=most,
        percentiles={p: loghist.within(buckets, wanted, least, most)[0] for p, wanted in exact.items()},
        relative_error=loghist.ALPHA,
        invalid=invalid,
        buckets=buckets,
        sum_ns=ns,
    )


def classes(by_status: Mapping[int, int]) -> dict[str, int]:
    """Requests by class of status (`2xx`), of requests by status."""
    return by_class((status // 100, number) for status, number in by_status.items())


def by_class(pairs: Iterable[tuple[int, int]]) -> dict[str, int]:
    """The same, of (class, requests); class 0 is none."""
    found: dict[str, int] = {}
    for digit, count in pairs:
        if digit:
            found[f"{digit}xx"] = found.get(f"{digit}xx", 0) + count
    return dict(sorted(found.items()))
