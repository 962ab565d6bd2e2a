"""Which lines count: times in zones whose clocks change, globs, statuses; every statistic respects them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from program import invoke
from reference import COMBINED, REQUEST, reference, time_of
from test_reference import compare

import logstats
from logstats.errors import UsageError
from logstats.expressions.times import parse_time
from logstats.filters import Filters

NOW = datetime(2025, 3, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "now", "expected"),
    [
        ("2025-01-17", "UTC", NOW, "2025-01-17T00:00Z"),
        ("2025-01-17", "Europe/Berlin", NOW, "2025-01-16T23:00Z"),
        ("2025-07-17", "Europe/Berlin", NOW, "2025-07-16T22:00Z"),
        ("2025-01-17T10:30", "Asia/Kolkata", NOW, "2025-01-17T05:00Z"),
        ("2025-01-17T10:30:15.5", "UTC", NOW, "2025-01-17T10:30:15.5Z"),
        ("2025-01-17T10:30Z", "Asia/Kolkata", NOW, "2025-01-17T10:30Z"),
        ("2025-01-17 10:30-05:00", "Asia/Kolkata", NOW, "2025-01-17T15:30Z"),
        # Clocks go forward on 2025-03-30 at 02:00 in Berlin: that day has 23 hours.
        ("2025-03-30T01:59", "Europe/Berlin", NOW, "2025-03-30T00:59Z"),
        ("2025-03-30T03:00", "Europe/Berlin", NOW, "2025-03-30T01:00Z"),
        ("today", "Europe/Berlin", NOW, "2025-03-29T23:00Z"),
        ("tomorrow", "Europe/Berlin", NOW, "2025-03-30T22:00Z"),
        ("yesterday", "Europe/Berlin", NOW, "2025-03-28T23:00Z"),
        ("yesterday", "Europe/Berlin", NOW + timedelta(days=1), "2025-03-29T23:00Z"),
        ("today", "Europe/Berlin", NOW + timedelta(days=1), "2025-03-30T22:00Z"),
        # And back on 2025-10-26 at 03:00: 25 hours, and the first 02:30 of two is meant.
        ("2025-10-26T02:30", "Europe/Berlin", NOW, "2025-10-26T00:30Z"),
        ("today", "Europe/Berlin", datetime(2025, 10, 26, 22, 59, tzinfo=UTC), "2025-10-25T22:00Z"),
        ("tomorrow", "Europe/Berlin", datetime(2025, 10, 26, 22, 59, tzinfo=UTC), "2025-10-26T23:00Z"),
        # It is tomorrow already in Tokyo, and still yesterday in New York.
        ("today", "Asia/Tokyo", datetime(2025, 1, 17, 15, 0, tzinfo=UTC), "2025-01-17T15:00Z"),
        ("today", "America/New_York", datetime(2025, 1, 17, 4, 59, tzinfo=UTC), "2025-01-16T05:00Z"),
        # Midnight itself is left out in Beirut: the day begins at 01:00.
        ("2025-03-30", "Asia/Beirut", NOW, "2025-03-29T22:00Z"),
        ("now", "Asia/Tokyo", NOW, "2025-03-30T12:00Z"),
        ("90s", "UTC", NOW, "2025-03-30T11:58:30Z"),
        ("15m", "UTC", NOW, "2025-03-30T11:45Z"),
        # A day ago is 24 hours, not a wall clock's day.
        ("1d", "Europe/Berlin", NOW, "2025-03-29T12:00Z"),
        ("2h", "Europe/Berlin", NOW, "2025-03-30T10:00Z"),
        ("1w", "UTC", NOW, "2025-03-23T12:00Z"),
        ("0001-01-01", "UTC", NOW, "0001-01-01T00:00Z"),
    ],
)
def test_times(text: str, zone: str, now: datetime, expected: str) -> None:
    assert parse_time(text, zone, now) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "10:30", "2025-13-01", "2025-02-29", "2025-01-17T25:00", "17/Jan/2025", "-5m", "5 m", "5M", "m",
     "1.5h", "9999999999d", "999999999w", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "1737109800", "2025-1-7"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        print(parse_time(text, "UTC", NOW))
    assert raised.value.exit_code == 2


def test_a_year_in_which_the_zone_leaves_the_calendar() -> None:
    with pytest.raises(UsageError):
        parse_time("0001-01-01", "Asia/Tokyo", NOW)


# ------------------------------------------------------------------ globs, statuses, methods


def keeps(filters: Filters, **columns: list[Any]) -> list[bool]:
    types = {"status": pl.UInt16(), "timestamp": pl.Datetime("us", "UTC")}
    frame = pl.DataFrame(columns, schema={name: types.get(name, pl.String()) for name in columns})
    keep = filters.expression()
    assert keep is not None
    found: list[bool] = frame.select(keep.alias("keep"))["keep"].to_list()
    return found


def glob_by_hand(glob: str, text: str) -> bool:
    """The textbook recursion: `*` takes nothing, or one more character."""
    rows = [[False] * (len(text) + 1) for _ in range(len(glob) + 1)]
    rows[0][0] = True
    for i, char in enumerate(glob, 1):
        for j in range(len(text) + 1):
            if char == "*":
                rows[i][j] = rows[i - 1][j] or (j > 0 and rows[i][j - 1])
            elif j:
                rows[i][j] = rows[i - 1][j - 1] and char in ("?", text[j - 1])
    return rows[-1][-1]


GLOB = st.text("ab*?[]().+^$|\\{}/&~#- \nß", max_size=8)


@given(st.lists(GLOB, min_size=1, max_size=3), st.lists(st.text("ab[]().+^$|\\{}/&~#- \nß", max_size=8), max_size=8))
def test_globs_match_as_by_hand(globs: list[str], paths: list[str]) -> None:
    expected = [any(glob_by_hand(glob, path) for glob in globs) for path in paths]
    assert keeps(Filters(path=tuple(globs)), path=paths) == expected
    assert keeps(Filters(exclude_path=tuple(globs)), path=paths) == [not match for match in expected]


def test_a_glob_is_the_whole_path_and_no_expression() -> None:
    paths = ["/api/bugs", "/api/bugs/1", "/apixbugs", "/api/[a]", None]
    assert keeps(Filters(path=("/api/bugs",)), path=paths) == [True, False, False, False, False]
    assert keeps(Filters(path=("/api/*",)), path=paths) == [True, True, False, True, False]
    assert keeps(Filters(path=("/api.bugs",)), path=paths) == [False] * 5
    assert keeps(Filters(path=("/api/[a]",)), path=paths) == [False, False, False, True, False]


def test_what_has_no_value_is_neither_wanted_nor_unwanted() -> None:
    assert keeps(Filters(host=("*",)), host=["a", None]) == [True, False]
    assert keeps(Filters(exclude_host=("*",)), host=["a", None]) == [False, True]
    assert keeps(Filters(status=("2xx",)), status=[200, None]) == [True, False]
    assert keeps(Filters(exclude_status=("2xx",)), status=[200, None]) == [False, True]


def test_statuses_and_their_classes() -> None:
    statuses = [100, 199, 200, 299, 300, 404, 499, 500, 599, 600, 999]
    assert keeps(Filters(status=("2xx", "404", "5XX")), status=statuses) == [
        s in (200, 299, 404, 500, 599) for s in statuses
    ]
    assert keeps(Filters(exclude_status=("5xx", "1xx")), status=statuses) == [s // 100 not in (1, 5) for s in statuses]


def test_methods_of_any_case() -> None:
    assert keeps(Filters(method=("get", "PURGE")), method=["GET", "get", "POST", "Purge"]) == [True, True, False, True]
    assert keeps(Filters(exclude_method=("get",)), method=["GET", "POST"]) == [False, True]


def test_since_is_in_until_is_not_and_no_time_is_outside() -> None:
    moment = datetime(2025, 1, 17, tzinfo=UTC)
    micro = timedelta(microseconds=1)
    times = [moment - micro, moment, moment + timedelta(hours=1) - micro, moment + timedelta(hours=1), None]
    both = Filters(since=moment, until=moment + timedelta(hours=1))
    assert keeps(both, timestamp=times) == [False, True, True, False, False]
    assert keeps(Filters(since=moment), timestamp=times) == [False, True, True, True, False]
    assert keeps(Filters(until=moment), timestamp=times) == [True, False, False, False, False]


# ------------------------------------------------------------------ every statistic


def lines() -> list[str]:
    """A day of lines in two offsets, some without a time, a status or a sound request, and some that are no lines."""
    made = []
    for i in range(600):
        clock = f"{i * 7 // 60 % 24:02d}:{i * 7 % 60:02d}:{i % 60:02d} {'+0000' if i % 3 else '+0100'}"
        when = f"17/Jan/2025:{clock}" if i % 41 else "-"
        request = f"{['GET', 'POST', 'get'][i % 3]} {['/a', '/api/x', '/api/y?q=/a', '/[z]'][i % 4]} HTTP/1.1"
        request = request if i % 37 else "\\x16\\x03"
        status = ["200", "404", "500", "503", "-"][i % 5]
        made.append(f'10.0.0.{i % 50} - - [{when}] "{request}" {status} {i} "-" "curl" {i % 100 / 1000:.3f}')
        if i % 50 == 0:
            made.append("what is this")
    return made


def of(line: str, what: str) -> Any:
    match = COMBINED.match(line)
    assert match
    if what == "time":
        return time_of(match[4])
    if what == "status":
        return None if match[6] == "-" else int(match[6])
    asked = REQUEST.match(match[5])
    return asked and (asked[1] if what == "method" else asked[2].split("?")[0])


TEN, NOON = datetime(2025, 1, 17, 10, tzinfo=UTC), datetime(2025, 1, 17, 12, 30, tzinfo=UTC)
FILTERS: list[tuple[dict[str, Any], Callable[[str], bool]]] = [
    ({"since": "2025-01-17T10:00"}, lambda x: (of(x, "time") or NOW.min.replace(tzinfo=UTC)) >= TEN),
    (
        {"since": "2025-01-17T11:00", "until": NOON, "tz": "Europe/Berlin"},
        lambda x: of(x, "time") is not None and TEN <= of(x, "time") < NOON,
    ),
    ({"status": ["5xx", "404"]}, lambda x: of(x, "status") in (404, 500, 503)),
    ({"exclude_status": ["5xx"]}, lambda x: of(x, "status") not in (500, 503)),
    ({"method": ["GET"]}, lambda x: str(of(x, "method")).upper() == "GET"),
    ({"path": ["/api/*"], "exclude_path": ["*y"]}, lambda x: of(x, "path") == "/api/x"),
    ({"path": ["/[z]"]}, lambda x: of(x, "path") == "/[z]"),
    ({"exclude_method": ["post"], "status": ["200"]}, lambda x: of(x, "method") != "POST" and of(x, "status") == 200),
    ({"status": ["418"]}, lambda _: False),
]


@pytest.mark.parametrize(
    ("filters", "kept"), FILTERS, ids=lambda value: "+".join(value) if isinstance(value, dict) else ""
)
def test_every_statistic_respects_filters(tmp_path: Path, filters: dict[str, Any], kept: Callable[[str], bool]) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines()))
    report = logstats.report(
        path, format="combined_time", templates=False, exact_users=True, by=["status"], over_time=True, **filters
    )
    sound = [line for line in lines() if COMBINED.match(line)]
    expected = [line for line in lines() if not COMBINED.match(line) or kept(line)]
    assert report.filtered == len(lines()) - len(expected)
    assert report.rejected == len(lines()) - len(sound) == 12
    assert report.lines == report.requests + report.rejected + report.filtered
    compare(replace(report, lines=report.lines - report.filtered), reference(expected, 10**9))
    assert {row.value: row.requests for row in report.breakdowns["status"]} == report.status
    assert report.untimed == sum(of(line, "time") is None for line in expected if COMBINED.match(line))
    assert report.over_time is not None
    assert sum(i.requests for i in report.over_time.intervals) == report.requests - report.untimed
    assert set(report.filters) == {re.sub("_", "-", name) for name in filters} - {"tz"}
    rows = sum(frame.height for frame in logstats.read(path, format="combined_time", **filters))
    assert rows == report.requests


def test_events_are_filtered_by_time_and_have_no_status(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(
        "".join(f'{{"time": "2025-01-17T1{h}:00:00Z", "level": "INFO", "message": "m{h}"}}\n' for h in range(10))
    )
    assert logstats.report(path, since="2025-01-17T15:00").events == 5
    assert logstats.report(path, status=["200"]).events == 0
    assert logstats.report(path, exclude_status=["200"]).events == 10


OUTSIDE = b"nothing is of the time asked for: there are lines of 2025-01-17 00:05:46 \xe2\x80\x93 23:59:33 UTC"


def test_a_range_outside_of_the_log_says_what_the_log_covers(tmp_path: Path) -> None:
    sample = str(ROOT / "sample_logs" / "combined.log")
    place = str(tmp_path / "archive")
    assert invoke("archive", "init", place).returncode == 0
    assert invoke("archive", "add", sample, "--archive", place).returncode == 0
    (tmp_path / "slo.toml").write_text('[[objective]]\nname = "ok"\ngood = "status < 500"\ntarget = 99\n')
    policy = ("--policy", str(tmp_path / "slo.toml"))
    for when in (("--since", "2025-01-18"), ("--until", "2025-01-17"), ("--where", "timestamp > 2025-02-01")):
        for arguments in (("report", sample), ("parse", sample), ("report", "--archive", place)):
            assert OUTSIDE in invoke(*arguments, *when).stderr, (arguments, when)
    for where in ((sample,), ("--archive", place)):
        assert OUTSIDE in invoke("slo", *policy, *where, "--since", "2025-01-18").stderr
    two = invoke("report", sample, "--since", "2025-01-18", "--workers", "2", "-o", "json")
    assert OUTSIDE.decode() in json.loads(two.stdout)["notes"]
    for when in (("--since", "2025-01-17T12:00"), ("--status", "999"), ("--until", "2025-01-17T00:06")):
        assert b"nothing is of" not in invoke("report", sample, *when).stderr
