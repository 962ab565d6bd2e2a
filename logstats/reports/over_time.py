"""Minutes, combined into intervals, so that any range of time fits a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, takewhile
from typing import Any, Final

from logstats.frames import pl
from logstats.reports.buckets import Histograms
from logstats.reports.model import Interval, OverTime
from logstats.summaries import latency
from logstats.summaries.latency import LatencyOverTime
from logstats.summaries.statistics import Statistics
from logstats.summaries.traffic import Traffic, moment
from logstats.summaries.users import Users

INTERVALS: Final = 1_500  # at most: a day by the minute
_FILLED: Final = 100  # requests that an interval should have on average, so that percentiles differ,
_FEWEST: Final = 48  # but at least so many intervals
_DAY: Final = 1440


def steps() -> Iterator[int]:
    """Round lengths of intervals, in minutes; from a day on, powers of two of it."""
    yield from (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720)
    yield from (_DAY << power for power in count())


def step_for(minutes: int, most: int) -> int:
    """The shortest step that takes at most so many intervals to cover so many minutes."""
    return next(step for step in steps() if -(-minutes // step) <= most)


def step_of(minutes: int, requests: int) -> int:
    """The step, in minutes, for so many minutes with so many requests in all.

    It takes at most `INTERVALS` intervals. Where they would hold few requests it is longer, as long as enough remain:
    of two requests a minute all percentiles are the same two figures.
    """
    shortest = step_for(minutes, INTERVALS - 1)  # one more, because intervals begin at multiples of the step
    filled = step_for(minutes, max(requests // _FILLED, 1))
    longest = max((step for step in takewhile(lambda step: minutes // step >= _FEWEST, steps())), default=1)
    return max(shortest, min(filled, longest))


def gather(
    statistics: Statistics, percentiles: Sequence[str], classes: Callable[[Any], dict[str, int]]
) -> OverTime | None:
    """The report over time; None unless it was asked for. `classes` names classes of status."""
    if not statistics.spec.over_time:
        return None
    timed, users_held = statistics.get("latency", LatencyOverTime), statistics.get("users", Users)
    traffic = statistics.get("traffic", Traffic).by_class().drop_nulls("minute")
    minutes = traffic["minute"]
    first, last = minutes.min(), minutes.max()
    if not isinstance(first, int) or not isinstance(last, int):
        return OverTime(1, [], [])
    step = step_of(last - first + 1, int(traffic["requests"].sum()))
    start = pl.col("minute") // step * step
    by_class = traffic.group_by(start, "status_class").agg(pl.col("requests", "bytes").sum()).sort("status_class")
    table = by_class.group_by("minute").agg(
        pl.col("bytes").sum(), pl.struct("status_class", "requests").alias("classes"), pl.col("requests").sum()
    )
    buckets = timed.table().drop_nulls("minute").group_by(start, "bucket").agg(pl.col("count").sum())
    histograms = Histograms(buckets.sort("minute", "bucket", nulls_last=False).rename({"minute": "key"}))
    measured = latency.percentiles(buckets, ["minute"], percentiles)
    rows = (
        table.join(users_held.per_step(step), on="minute", how="left")
        .join(measured, on="minute", how="left")
        .sort("minute")
    )
    intervals = []
    for row in rows.iter_rows(named=True):
        by = classes((c["status_class"], c["requests"]) for c in row["classes"])
        intervals.append(
            Interval(
                start=moment(row["minute"]),
                requests=row["requests"],
                errors=by.get("5xx", 0),
                bytes=int(row["bytes"]),
                status_classes=by,
                users=row["users"] or 0,
                timed=row["count"] or 0,
                percentiles={p: row[p] for p in percentiles} if row["count"] else {},
                buckets=histograms.of(row["minute"]),
            )
        )
    hours = users_held.per_step(60)
    return OverTime(step, intervals, [(moment(minute), users) for minute, users in hours.iter_rows()])
