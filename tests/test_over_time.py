"""Traffic by minute and class of status, latency by minute and bucket: laws of merging, caps, a slow reference."""

from __future__ import annotations

import math
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import percentile

import logstats
from logstats import schema
from logstats.reports.over_time import step_for, step_of
from logstats.summaries import latency, statuses, traffic

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.one_of(
    st.none(),
    st.integers(-200, 200).map(lambda seconds: EPOCH + timedelta(seconds=seconds)),  # minutes before 1970 too
    st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]),
)
REQUEST = st.fixed_dictionaries(
    {
        "timestamp": MOMENTS,
        "status": st.sampled_from([None, 100, 200, 204, 304, 404, 499, 500, 599, 999]),
        "bytes": st.one_of(st.none(), st.integers(0, 2**62)),
        "duration_ms": st.sampled_from([None, 0.0, 0.001, 0.5, 1.0, 1.02, 12.5, 12.6, 1e9]),
        "host": st.sampled_from([None, "a", "b"]),
    }
)


def frame(requests: list[dict[str, Any]]) -> pl.DataFrame:
    types = {name: kind for name, kind in schema.dtypes().items() if name in REQUEST_COLUMNS}
    return pl.DataFrame(requests, schema=types).with_row_index("line")


REQUEST_COLUMNS = ("timestamp", "status", "bytes", "duration_ms", "host")


def minute_of(request: dict[str, Any]) -> int | None:
    return None if request["timestamp"] is None else (request["timestamp"] - EPOCH) // timedelta(minutes=1)


def bucket_of(duration: float) -> int | None:
    """The bucket by its definition: the least i with duration ≤ γ^i."""
    if duration == 0:
        return None
    gamma = 1.01 / 0.99
    i = math.floor(math.log(duration) / math.log(gamma)) - 2
    while gamma**i < duration * (1 - 1e-12):
        i += 1
    return i


@settings(deadline=None, max_examples=50)
@given(st.lists(REQUEST, max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_any_cut_gives_what_counting_gives(requests: list[dict[str, Any]], cuts: list[int]) -> None:
    held, seen, counted = traffic.Traffic(), latency.LatencyOverTime(), statuses.Statuses()
    bounds = [0, *sorted(cuts), len(requests)]
    parts = [frame(requests[start:end]) for start, end in zip(bounds, bounds[1:], strict=False)]
    for part in parts[::-1]:
        before = part.clone()
        held.add(traffic.summarise(part))
        seen.add(latency.summarise(part))
        counted.add(statuses.summarise(part))
        assert part.equals(before)
    classes = Counter((minute_of(r), (r["status"] or 0) // 100) for r in requests)
    assert {(m, c): n for m, c, n, _ in held.by_class().iter_rows()} == classes
    minutes = Counter(minute_of(r) for r in requests)
    errors = Counter(minute_of(r) for r in requests if r["status"] in (500, 599))
    sizes: Counter[int | None] = Counter()
    for r in requests:
        sizes[minute_of(r)] += r["bytes"] or 0
    assert {m: (n, e, b) for m, n, e, b in held.minutes().iter_rows()} == {
        m: (n, errors[m], sizes[m]) for m, n in minutes.items()
    }
    assert dict(counted.result().iter_rows()) == Counter(r["status"] for r in requests)
    timed = [r for r in requests if r["duration_ms"] is not None]
    buckets = Counter((minute_of(r), bucket_of(r["duration_ms"])) for r in timed)
    assert {(m, b): n for m, b, n in seen.table().iter_rows()} == buckets


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_minutes_beyond_the_cap_are_folded_and_counted(chunk: int) -> None:
    minutes = [5, 3, None, 5, 9, 3, 1, 9, 5, None]
    requests = [
        {
            "timestamp": None if m is None else EPOCH + timedelta(minutes=m),
            "status": 200 if i % 2 else 503,
            "bytes": 10**i,
            "duration_ms": None if i == 7 else 1.0,
            "host": None,
        }
        for i, m in enumerate(minutes)
    ]
    held, seen = traffic.Traffic(2), latency.LatencyOverTime(2)
    rows = frame(requests)
    for start in range(0, len(requests), chunk):
        part = rows[start : start + chunk]
        held.add(traffic.summarise(part))
        seen.add(latency.summarise(part))
    # The first two minutes that come are 5 and 3; of 9, 1, 9 the last has no duration.
    assert held.minutes()["minute"].to_list() == [None, 3, 5]
    assert held.minutes()["requests"].to_list() == [2, 2, 3]
    assert held.folded() == (3, 10**4 + 10**6 + 10**7)
    assert dict(seen.table().select("minute", "count").iter_rows()) == {None: 2, 3: 2, 5: 3}
    assert seen.folded() == 2


LINES = st.lists(
    st.tuples(
        st.integers(0, 4000),  # seconds
        st.sampled_from(["200", "404", "500", "-"]),
        st.one_of(st.none(), st.integers(0, 20_000_000)),  # microseconds
        st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ),
    min_size=1,
    max_size=60,
)


@settings(deadline=None, max_examples=25)
@given(LINES, st.sampled_from([1, 60, 90_000]), st.booleans())
def test_intervals_hold_what_lines_hold(
    lines: list[tuple[int, str, int | None, str]], stretch: int, exact: bool
) -> None:
    """Each interval against its own lines: sums, the union of users, percentiles of the sorted durations."""
    seconds = [second * stretch for second, *_ in lines]
    text = "".join(
        f'{ip} - - [{EPOCH + timedelta(seconds=at):%d/%b/%Y:%H:%M:%S} +0000] "GET / HTTP/1.1" {status} 10 "-" "-" '
        f"{'-' if took is None else took}\n"
        for at, (_, status, took, ip) in zip(seconds, lines, strict=True)
    )
    with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
        file.write(text)
        file.flush()
        report = logstats.report(file.name, format="combined_us", over_time=True, exact_users=exact)
    assert report.over_time is not None
    step = timedelta(minutes=report.over_time.step_minutes)
    groups: dict[datetime, list[tuple[int, str, int | None, str]]] = defaultdict(list)
    for at, line in zip(seconds, lines, strict=True):
        groups[EPOCH + timedelta(seconds=at) // step * step].append(line)
    assert [i.start for i in report.over_time.intervals] == sorted(groups)
    assert len(groups) <= 1500
    for interval in report.over_time.intervals:
        held = groups[interval.start]
        assert (interval.requests, interval.bytes) == (len(held), 10 * len(held))
        assert interval.errors == sum(status == "500" for _, status, _, _ in held)
        assert interval.status_classes == Counter(f"{s[0]}xx" for _, s, _, _ in held if s != "-")
        assert interval.users == len({ip for *_, ip in held})
        durations = sorted(took for _, _, took, _ in held if took is not None)
        assert interval.timed == sum(count for _, count in interval.buckets) == len(durations)
        for p, value in interval.percentiles.items():
            assert value == pytest.approx(percentile(durations, p) / 1000, rel=0.010001), p
    hours: dict[datetime, set[str]] = defaultdict(set)
    for at, (*_, ip) in zip(seconds, lines, strict=True):
        hours[EPOCH + timedelta(hours=at // 3600)].add(ip)
    assert report.over_time.users_per_hour == [(hour, len(hours[hour])) for hour in sorted(hours)]


def test_a_day_is_shown_by_the_minute_and_any_span_fits() -> None:
    assert step_for(1440, 1499) == 1
    assert step_for(1500, 1499) == 2
    everything = 9999 * 366 * 1440
    assert -(-everything // step_for(everything, 1499)) <= 1499


@pytest.mark.parametrize(
    ("minutes", "requests", "step"),
    [
        (1440, 1_000_000, 1),  # a busy day: by the minute
        (1440, 14_400, 10),  # ten a minute: ten minutes hold a hundred
        (1440, 900, 30),  # a quiet day: 48 intervals remain
        (60, 100, 1),  # an hour is never coarser than the minute: 30 intervals would be too few
        (525_600, 10_000, 5_760),  # a quiet year: four days, which leaves 91
        (525_600, 10**9, 360),  # a busy one: at most 1,500 intervals
    ],
)
def test_intervals_are_as_long_as_it_takes_to_fill_them(minutes: int, requests: int, step: int) -> None:
    assert step_of(minutes, requests) == step
