"""Compares two reports: what became slower, fails more often, is new or gone.

Each difference is tested (`significance`), and all tests of a comparison together keep the probability of any false
alarm at `ALPHA`, as far as requests are independent of each other. They are not quite: a slow minute is many slow
requests. So `ALPHA` is a tenth of the 1 % that is promised for two halves of the same traffic. A test
of two nights cannot tell whether the next night would have such a minute as well.

Significant changes must also be large enough: a change of less than `LEAST` is not shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from logstats import schema
from logstats.dataclass import dataclass
from logstats.objectives import significance
from logstats.objectives.significance import Pair
from logstats.reports.model import EndpointRow, Latency, Report, iso
from logstats.sketches import loghist

SCHEMA_VERSION: Final = 1
ALPHA: Final = 0.001
LEAST: Final = 0.05
FEWEST: Final = 5  # counts on both sides together from which on a share is tested
METHOD: Final = (
    "latency: Mann-Whitney U with tie correction, or Mood's median test for few or much the same values, and Fisher's "
    "exact test of the share above the 95th percentile; shares: Fisher's exact test; all together: Holm's correction"
)
# In the order in which they are shown. Each kind is about latency, errors, traffic or statuses.
KINDS: Final = {
    "slower": "latency",
    "faster": "latency",
    "more_errors": "errors",
    "fewer_errors": "errors",
    "more_client_errors": "errors",
    "fewer_client_errors": "errors",
    "new_endpoint": "traffic",
    "vanished_endpoint": "traffic",
    "more_traffic": "traffic",
    "less_traffic": "traffic",
    "new_status": "status",
    "vanished_status": "status",
    "more_of_status": "status",
    "less_of_status": "status",
}
_ZERO: Final = math.floor(math.log(5e-7) / math.log(loghist.GAMMA))  # stands for 0 ms: half a nanosecond
_WORDS: Final = {  # of what was not there before, is not there after, is more, is less
    "traffic": ("new_endpoint", "vanished_endpoint", "more_traffic", "less_traffic"),
    "status": ("new_status", "vanished_status", "more_of_status", "less_of_status"),
    "errors": ("more_errors", "fewer_errors", "more_errors", "fewer_errors"),
    "client_errors": ("more_client_errors", "fewer_client_errors", "more_client_errors", "fewer_client_errors"),
}
Buckets = Sequence[tuple[int | None, int]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests of one side, in all or of one endpoint. Durations in milliseconds, None without any."""

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    avg_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """The compared figures of a report. `complete`: an endpoint that is missing had no requests."""

    name: str
    first: datetime | None
    last: datetime | None
    lines: int
    rejected: int
    total: EndpointRow
    endpoints: dict[str, EndpointRow]
    statuses: dict[str, int]
    complete: bool
    nothing_parsed: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A difference that is more than chance. `name` is an endpoint or a status, None for all requests together.

    `before` and `after` are milliseconds (of `measure`: p50 or p95) for latencies and shares from 0 to 1 otherwise.
    `change` is relative to before: 0.2 is 20 % more; None if there was nothing before. For latencies as wholes it is
    the typical one (Hodges and Lehmann's), not that of the two medians. `impact` is what ranks: milliseconds of waiting
    for latencies, else requests, of the side after. `p_value` is corrected for the number of tests.
    """

    kind: str
    name: str | None
    measure: str
    before: float
    after: float
    change: float | None
    impact: float
    p_value: float
    figures_before: Figures
    figures_after: Figures


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, and what is different. `untested` endpoints had too few requests to tell anything."""

    before: Side
    after: Side
    changes: list[Change]
    tests: int
    untested: int
    notes: list[str]

    def changes_of(self, kind: str) -> list[Change]:
        """The changes of one kind, by impact."""
        return [change for change in self.changes if change.kind == kind]

    def slower_than(self, limit: float) -> list[Change]:
        """The changes to slower by more than `limit` (0.2 is 20 %)."""
        return [change for change in self.changes_of("slower") if change.change is not None and change.change > limit]

    @property
    def measurable(self) -> bool:
        """Whether both sides have durations."""
        return bool(self.before.total.latency and self.after.total.latency)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema_version": SCHEMA_VERSION,
            "before": _side(self.before),
            "after": _side(self.after),
            "changes": [asdict(change) for change in self.changes],
            "tests": self.tests,
            "untested_endpoints": self.untested,
            "alpha": ALPHA,
            "least_change": LEAST,
            "method": METHOD,
            "notes": self.notes,
        }


def side(report: Report, name: str) -> Side:
    """The figures of a report that are compared."""
    total = EndpointRow(
        None, "", report.requests, report.errors, report.bytes, report.status_classes, report.latency, None
    )
    rows = {row.name: row for row in report.endpoints if not (row.method is None and row.endpoint == schema.OTHER)}
    return Side(
        name=name,
        first=report.first,
        last=report.last,
        lines=report.lines,
        rejected=report.rejected,
        total=total,
        endpoints=rows,
        statuses=report.status,
        complete=not report.endpoints_folded and len(rows) >= report.endpoints_total,
        nothing_parsed=bool(report.rejected) and not report.requests + report.events + report.filtered,
    )


def compare(before: Side, after: Side) -> Comparison:
    """Compare two sides by every test that applies."""
    candidates: list[_Candidate] = [*_of_rows(None, before.total, after.total)]
    untested = 0
    for name in dict.fromkeys([*before.endpoints, *after.endpoints]):
        one, other = before.endpoints.get(name), after.endpoints.get(name)
        if (one is None and not before.complete) or (other is None and not after.complete):
            continue  # it may be missing only in the saved report
        found = list(_of_rows(name, one, other))
        totals = before.total.requests, after.total.requests
        found += _share("traffic", name, one, other, lambda row: row.requests, totals)
        untested += not found
        candidates += found
    candidates += _statuses(before, after)
    adjusted = significance.holm([candidate.p for candidate in candidates])
    changes = []
    for candidate, p in zip(candidates, adjusted, strict=True):
        if p <= ALPHA:
            changes += [replace(change, p_value=p) for change in candidate.changes()]
    order = list(KINDS)
    changes.sort(key=lambda c: (order.index(c.kind), c.name is not None, -abs(c.impact), c.name or ""))
    return Comparison(before, after, _once(changes), len(candidates), untested, _notes(before, after))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A test, and the change to report if it is significant."""

    p: float
    changes: Callable[[], list[Change]]


def _of_rows(name: str | None, one: EndpointRow | None, other: EndpointRow | None) -> Iterable[_Candidate]:
    """Latency and errors of an endpoint that both sides have."""
    if one is None or other is None:
        return
    if one.latency and other.latency:
        yield from _latency(name, one, other, one.latency, other.latency)
    totals = one.requests, other.requests
    yield from _share("errors", name, one, other, lambda row: row.errors, totals)
    yield from _share("client_errors", name, one, other, _client_errors, totals)


def _latency(
    name: str | None, one: EndpointRow, other: EndpointRow, before: Latency, after: Latency
) -> Iterable[_Candidate]:
    pair = paired(before.buckets, after.buckets)
    if len(pair.places) < 2 or sum(pair.sizes) < 2 * FEWEST:
        return

    def told(measure: str, change: float, times: float) -> list[Change]:
        if abs(change) < LEAST:
            return []
        figures = _figures(one), _figures(other)
        low, high = (getattr(figure, f"{measure}_ms") for figure in figures)
        # The typical change is not that of the medians: it is the additional time of every request, relative to a
        # typical time.
        more = low * change if measure == "p50" else high - low
        kind = "slower" if change > 0 else "faster"
        return [Change(kind, name, measure, low, high, change, times * other.requests * more, 1.0, *figures)]

    def typical() -> list[Change]:
        return told("p50", loghist.GAMMA ** significance.shift(pair) - 1, 1.0)

    def tail() -> list[Change]:
        place = significance.quantile_place(pair, 0.95)
        (n, m), (high_before, high_after) = pair.sizes, significance.above(pair, place)
        low, high = _figures(one).p95_ms, _figures(other).p95_ms
        if not low or high is None or (high > low) != (high_after * n > high_before * m):
            return []
        return told("p95", high / low - 1, 0.05)

    yield _Candidate(significance.latency(pair), typical)
    yield _Candidate(significance.shares_above(pair, 0.95), tail)


def _share(
    what: str,
    name: str | None,
    one: EndpointRow | None,
    other: EndpointRow | None,
    count: Callable[[EndpointRow], int],
    totals: tuple[int, int],
) -> list[_Candidate]:
    """Test the share of some requests in all requests of either side."""
    hits = tuple(count(row) if row else 0 for row in (one, other))
    if sum(hits) < FEWEST or not all(totals):
        return []
    before, after = hits[0] / totals[0], hits[1] / totals[1]

    def changes() -> list[Change]:
        change = after / before - 1 if before else None
        if change is not None and abs(change) < LEAST:
            return []
        new, gone, more, less = _WORDS[what]
        kind = new if not before else gone if not after else more if after > before else less
        impact = (after - before) * totals[1]
        return [Change(kind, name, "share", before, after, change, impact, 1.0, _figures(one), _figures(other))]

    return [_Candidate(significance.fisher(hits[0], totals[0], hits[1], totals[1]), changes)]


def _statuses(before: Side, after: Side) -> Iterable[_Candidate]:
    totals = before.total.requests, after.total.requests
    for status in sorted({*before.statuses, *after.statuses}):
        rows = [replace(side.total, requests=side.statuses.get(status, 0)) for side in (before, after)]
        yield from _share("status", status, rows[0], rows[1], lambda row: row.requests, totals)


def _once(changes: list[Change]) -> list[Change]:
    """Report an endpoint as slower or faster once: by the measure that changed more."""
    kept: dict[tuple[str, str | None], Change] = {}
    for change in changes:
        key = change.kind, change.name
        held = kept.get(key)
        if held is None or abs(change.change or 0) > abs(held.change or 0):
            kept[key] = change
    return [change for change in changes if kept[change.kind, change.name] is change]


def paired(before: Buckets, after: Buckets) -> Pair:
    """Two histograms on the same buckets; null (exactly 0 ms) is the first."""
    sides = [{_ZERO if bucket is None else bucket: count for bucket, count in side} for side in (before, after)]
    places = sorted({*sides[0], *sides[1]})
    counts = [np.array([side.get(place, 0) for place in places], dtype=np.int64) for side in sides]
    return Pair(np.array(places, dtype=np.int64), counts[0], counts[1])


def _figures(row: EndpointRow | None) -> Figures:
    if row is None:
        return Figures()
    found = Figures(row.requests, row.errors, _client_errors(row))
    if row.latency is None:
        return found
    held = row.latency
    p50, p95, p99 = (
        loghist.within(held.buckets, loghist.parse_percentile(p), held.min, held.max)[0] for p in (50, 95, 99)
    )
    return replace(found, avg_ms=held.avg, p50_ms=p50, p95_ms=p95, p99_ms=p99)


def _client_errors(row: EndpointRow) -> int:
    return row.status_classes.get("4xx", 0)


def _notes(before: Side, after: Side) -> list[str]:
    notes = []
    for one in (before, after):
        if not one.total.requests:
            notes.append(f"{one.name}: no requests")
        elif one.total.latency is None:
            notes.append(f"{one.name}: no durations, so latencies cannot be compared")
        if not one.complete:
            notes.append(f"{one.name}: not all endpoints are in it; those that are not cannot be compared")
        if one.rejected:
            notes.append(f"{one.name}: {one.rejected:,} of {one.lines:,} lines could not be read")
    return notes


def _side(one: Side) -> dict[str, Any]:
    return {
        "name": one.name,
        "first": one.first and iso(one.first),
        "last": one.last and iso(one.last),
        "endpoints": len(one.endpoints),
        **asdict(_figures(one.total)),
    }


def overall(comparison: Comparison) -> tuple[Figures, Figures]:
    """All requests of either side."""
    return _figures(comparison.before.total), _figures(comparison.after.total)
