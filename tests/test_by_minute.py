"""What a report has of each minute: rows made on access, and their JSON, against a dict and `json.dumps`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from logstats.reports.by_minute import Minute, Minutes, UsersByMinute

EARLIEST, LATEST = -1_035_593_280, 4_223_371_679  # the first minute of the year 1, the last of 9999
minutes = st.one_of(st.integers(-3, 3), st.sampled_from([EARLIEST, LATEST, EARLIEST - 1, LATEST + 1, 2**42, -(2**42)]))
counts = st.dictionaries(
    st.tuples(minutes, st.sampled_from([0, 1, 2, 4, 5, 9])), st.tuples(st.integers(1, 2**40), st.integers(0, 2**100))
)


def time_of(minute: int) -> datetime:
    """The time of a minute; the first and the last that there are for those beyond."""
    held = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=max(EARLIEST, min(LATEST, minute)))
    return datetime.max.replace(tzinfo=UTC) if minute > LATEST else held


def text_of(minute: int) -> str:
    """That time in ISO 8601."""
    return time_of(minute).isoformat().replace("+00:00", "Z")


@settings(max_examples=60, deadline=None)
@given(counts)
def test_minutes(counted: dict[tuple[int, int], tuple[int, int]]) -> None:
    requests, sizes, classes = Counter[int](), Counter[int](), dict[int, dict[str, int]]()
    for (minute, digit), (number, size) in sorted(counted.items()):
        requests[minute] += number
        sizes[minute] += size
        classes.setdefault(minute, {}).update({f"{digit}xx": number} if digit else {})
    kinds = {"minute": pl.Int64, "status_class": pl.UInt8, "requests": pl.Int64, "bytes": pl.Int128}
    rows = [(*key, *value) for key, value in sorted(counted.items())]
    found = Minutes(pl.DataFrame(rows, schema=kinds, orient="row"))
    assert found == [
        Minute(time_of(minute), requests[minute], by.get("5xx", 0), sizes[minute], by) for minute, by in classes.items()
    ]
    assert len(found) == len(classes) and found[1:] == list(found)[1:]
    assert found.json == json.dumps(
        [
            {
                "minute": text_of(minute),
                "requests": requests[minute],
                "errors": by.get("5xx", 0),
                "bytes": sizes[minute],
                "status_classes": by,
            }
            for minute, by in classes.items()
        ]
    )


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(minutes, st.integers(0, 2**62)))
def test_users_by_minute(users: dict[int, int]) -> None:
    in_order = sorted(users.items())
    found = UsersByMinute(pl.DataFrame(in_order, schema={"minute": pl.Int64, "users": pl.Int64}, orient="row"))
    assert found == [(time_of(minute), number) for minute, number in in_order]
    assert found.json == json.dumps([{"minute": text_of(minute), "users": number} for minute, number in in_order])
