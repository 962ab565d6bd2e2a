"""What was counted → the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from logstats.pipeline import Counts
from logstats.reports import small
from logstats.reports.measured import classes
from logstats.reports.model import Rejects, RejectSample, Report, SourceInfo
from logstats.summaries.statistics import Statistics


def build(
    statistics: Statistics,
    counts: Counts,
    *,
    percentiles: Sequence[str] = ("50", "90", "95", "99", "99.9"),
    sort: str = "avg",
    top: int | None = None,
    filters: dict[str, str] | None = None,
    generated_at: datetime | None = None,
    over_time: bool = True,
) -> Report:
    """The report of summaries. `top` limits every ranking; None keeps all keys. Without `over_time`, it has no figures
    of intervals, which take a third of the time."""
    invalid = counts.invalid.get("duration", 0)
    found = small.measured(statistics, percentiles, sort, top, invalid)
    if found is None:
        from logstats.reports import merged

        found = merged.measured(statistics, percentiles, sort, top, invalid, over_time=over_time)
    return Report(
        generated_at=(generated_at or datetime.now(UTC)).replace(microsecond=0),
        sources=[
            SourceInfo(s.name, s.format, s.lines, s.bytes, str(s.problem) if s.problem else None, s.formats)
            for s in counts.sources
        ],
        lines=counts.lines,
        requests=counts.requests,
        events=counts.events,
        rejected=counts.rejected,
        filtered=counts.filtered,
        ignored=counts.ignored,
        untimed=found.untimed,
        invalid=dict(sorted(counts.invalid.items())),
        bytes=found.bytes,
        first=found.first,
        last=found.last,
        status={str(status): number for status, number in found.statuses.items()},
        status_classes=classes(found.statuses),
        levels=found.levels,
        latency=found.latency,
        endpoints=found.endpoints,
        endpoints_total=found.endpoints_total,
        endpoints_folded=found.endpoints_folded,
        breakdowns=found.breakdowns,
        breakdowns_total=found.breakdowns_total,
        unique_users=found.unique_users,
        minutes=found.minutes,
        rejects=Rejects(dict(sorted(counts.reasons.items())), [RejectSample(*sample) for sample in counts.samples]),
        notes=found.notes,
        interrupted=counts.interrupted,
        filters=filters or {},
        over_time=found.over_time,
        tables=found.tables,
    )
