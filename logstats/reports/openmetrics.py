"""The report as OpenMetrics text 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/).

Counts are counters, so that a log that grows, or an archive, can be read again and again. The `le` of the
latency histograms are edges of the sketch's own buckets, the first at or above (by less than 2.1 %) 1, 2.5, 5 …
60,000 ms: the count at each is exact, so no quantile taken from them is any worse for having come through the sketch.
The busiest endpoints have series of their own; the rest is summed up as `(other)`: sums over endpoints are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from logstats import schema
from logstats.reports.model import EndpointRow, Latency, Report
from logstats.reports.printable import printable, shortened
from logstats.sketches import loghist

ENDPOINTS: Final = 100  # with series of their own, unless --top says how many
LABEL: Final = 256  # characters of a label
_NEAR_MS: Final = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)

Labels = dict[str, str]
Sample = tuple[str, Labels, int | float]  # suffix of the name, labels, value


def edges() -> list[tuple[int, str]]:
    """The buckets whose upper edges bound the histograms, and those edges as `le`, in seconds to the nanosecond."""
    buckets = [loghist.bucket_of(near) for near in _NEAR_MS]
    return [(bucket, repr(round(loghist.upper_ms(bucket) / 1000, 9))) for bucket in buckets]


@dataclass(slots=True)
class _Sums:
    """The figures of one endpoint, or of several under one label."""

    classes: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    timed: int = 0
    ns: int = 0
    buckets: Counter[int | None] = field(default_factory=Counter)

    def add(self, row: EndpointRow) -> None:
        self.classes.update(row.status_classes)
        unlogged = row.requests - sum(row.status_classes.values())
        if unlogged:
            self.classes["-"] += unlogged
        self.bytes += row.bytes
        if row.latency:
            self.timed += row.latency.count
            self.ns += row.latency.sum_ns
            self.buckets.update(dict(row.latency.buckets))


@dataclass(slots=True)
class Apart:
    """Which endpoints have series of their own, from one scrape to the next: the first `most` ones, the busiest of new
    ones first. None leaves, and none comes that was in `(other)` before, so no counter ever falls."""

    most: int = ENDPOINTS
    names: set[tuple[str, str]] = field(default_factory=set)
    _full: bool = False

    def choose(self, busiest: Sequence[EndpointRow]) -> set[tuple[str, str]]:
        """Those of a report: method and endpoint as labels."""
        for row in busiest:
            if self._full:
                break
            if row.endpoint != schema.OTHER and (name := _name(row)) not in self.names:
                self._full = len(self.names) >= self.most
                if not self._full:
                    self.names.add(name)
        return self.names


def to_openmetrics(
    report: Report, top: int | None = None, *, apart: Apart | None = None, more: Iterable[Iterator[str]] = ()
) -> str:
    """The report as text, the busiest `top` endpoints apart, or those that `apart` chooses; with `more` families."""
    apart = apart or Apart(top or ENDPOINTS)
    lines = [line for families in (_families(report, apart), more) for family in families for line in family]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _families(report: Report, apart: Apart) -> Iterator[Iterator[str]]:
    became = ("requests", "events", "rejected", "filtered", "ignored")
    yield family(
        "lines", "counter", "Lines read, by what became of them",
        [("_total", {"result": name}, getattr(report, name)) for name in became],
    )  # fmt: skip
    yield family(
        "rejected_lines", "counter", "Lines that could not be read, by reason",
        [("_total", {"reason": name}, n) for name, n in report.rejects.by_reason.items()],
    )  # fmt: skip
    yield family(
        "failed_sources", "gauge", "Sources that could not be read, or not to their end",
        [("", {}, sum(source.problem is not None for source in report.sources))],
    )  # fmt: skip
    unlogged = report.requests - sum(report.status.values())
    statuses = {**report.status, **({"-": unlogged} if unlogged else {})}
    yield family(
        "requests", "counter", "Requests by status, - where none was logged",
        [("_total", {"status": status}, n) for status, n in statuses.items()],
    )  # fmt: skip
    yield family(
        "untimed_requests", "counter", "Requests without a usable time",
        [("_total", {}, report.untimed)],
    )  # fmt: skip
    yield family(
        "invalid_values", "counter", "Values without meaning that were left out, by field",
        [("_total", {"field": name}, n) for name, n in report.invalid.items()],
    )  # fmt: skip
    yield family(
        "events", "counter", "Application lines that are not requests, by level",
        [("_total", {"level": level}, n) for level, n in _merged(report.levels).items()],
    )  # fmt: skip
    yield family(
        "response_bytes", "counter", "Sum of the response sizes",
        [("_total", {}, report.bytes)], "bytes",
    )  # fmt: skip
    if "agents" in report.tables:
        rows = report.tables["agents"].to_list()
        yield family(
            "agent_requests", "counter", "Requests by who made them, as the user agent says",
            [("_total", {"agents": row["agents"]}, row["requests"]) for row in rows],
        )  # fmt: skip
        yield family(
            "agent_response_bytes", "counter", "Sum of the response sizes, by who asked",
            [("_total", {"agents": row["agents"]}, row["bytes"]) for row in rows], "bytes",
        )  # fmt: skip
    users = report.unique_users
    said = "counted one by one" if users.exact else f"with a standard error of {users.standard_error:.2%}"
    yield family("unique_users", "gauge", f"Distinct users, {said}", [("", {}, users.total)])
    if report.latency:
        yield family(
            "request_duration_seconds", "histogram", "Durations of requests; counts and sum are exact",
            _histogram({}, _whole(report.latency)), "seconds",
        )  # fmt: skip
        yield family(
            "invalid_durations", "counter", "Durations that were negative, not a number, or over 285 years",
            [("_total", {}, report.latency.invalid)],
        )  # fmt: skip
    met: dict[str, int] = {}
    for threshold in report.thresholds:
        condition = _label(threshold.condition)
        met[condition] = min(met.get(condition, 1), threshold.failed is False)
    yield family(
        "threshold_met", "gauge", "1 if the condition of --fail-if did not hold, 0 if it did or there was no data",
        [("", {"condition": condition}, int(good)) for condition, good in met.items()],
    )  # fmt: skip
    yield from _endpoints(report, apart)
    for name, time in (("first", report.first), ("last", report.last), ("generated", report.generated_at)):
        if time:
            words = "When this was written" if name == "generated" else f"The {name} time logged"
            yield family(f"{name}_timestamp_seconds", "gauge", words, [("", {}, time.timestamp())], "seconds")


def _endpoints(report: Report, apart: Apart) -> Iterator[Iterator[str]]:
    busiest = sorted(report.endpoints, key=lambda row: (row.endpoint == schema.OTHER, -row.requests, row.name))
    chosen = apart.choose(busiest)
    held: dict[tuple[str, str], _Sums] = {}
    for row in busiest:
        own = row.endpoint != schema.OTHER and _name(row) in chosen
        held.setdefault(_name(row) if own else ("", schema.OTHER), _Sums()).add(row)
    labelled = [({"method": method, "endpoint": endpoint}, sums) for (method, endpoint), sums in held.items()]
    about = f"the busiest {apart.most:,} endpoints apart"
    yield family(
        "endpoint_requests", "counter", f"Requests by class of status, {about}",
        [
            ("_total", {**labels, "status_class": name}, n)
            for labels, sums in labelled for name, n in sorted(sums.classes.items())
        ],
    )  # fmt: skip
    yield family(
        "endpoint_response_bytes", "counter", f"Sum of the response sizes, {about}",
        [("_total", labels, sums.bytes) for labels, sums in labelled], "bytes",
    )  # fmt: skip
    yield family(
        "endpoint_request_duration_seconds", "histogram", f"Durations of requests, {about}",
        [sample for labels, sums in labelled if sums.timed for sample in _histogram(labels, sums)], "seconds",
    )  # fmt: skip


def _whole(latency: Latency) -> _Sums:
    return _Sums(timed=latency.count, ns=latency.sum_ns, buckets=Counter(dict(latency.buckets)))


def _histogram(labels: Labels, sums: _Sums) -> list[Sample]:
    bounds = edges()
    counts: list[Sample] = [
        ("_bucket", {**labels, "le": le}, sum(n for b, n in sums.buckets.items() if b is None or b <= edge))
        for edge, le in bounds
    ]
    return [
        *counts,
        ("_bucket", {**labels, "le": "+Inf"}, sums.timed),
        ("_count", labels, sums.timed),
        ("_sum", labels, sums.ns / 1_000_000_000),
    ]


def _merged(levels: dict[str, int]) -> dict[str, int]:
    """Levels that read the same as a label, as one."""
    counts: Counter[str] = Counter()
    for level, n in levels.items():
        counts[_label(level)] += n
    return dict(counts)


def _name(row: EndpointRow) -> tuple[str, str]:
    return _label(row.method or ""), _label(row.endpoint)


def _label(text: str) -> str:
    return shortened(printable(text), LABEL)


def family(name: str, kind: str, words: str, samples: Iterable[Sample], unit: str = "") -> Iterator[str]:
    """The lines of one metric family; none without samples. A label's text is escaped."""
    samples = list(samples)
    if not samples:
        return
    yield f"# TYPE logstats_{name} {kind}"
    if unit:
        yield f"# UNIT logstats_{name} {unit}"
    yield f"# HELP logstats_{name} {words}."
    for suffix, labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"logstats_{name}{suffix}{{{shown}}} {value}" if shown else f"logstats_{name}{suffix} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
