"""`logstats limits`: each algorithm against twenty plain lines, and what is made of a log."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke

from logstats import api, ordered
from logstats.errors import UsageError
from logstats.kernels import library
from logstats.rate_limits import replay
from logstats.rate_limits.algorithms import Limiter
from logstats.rate_limits.limit import ALGORITHMS, Limit
from logstats.rate_limits.text import sections, to_dict
from logstats.reports.clock import Clock

REFERENCES = {
    "token-bucket": reference.allowed_by_token_bucket,
    "sliding-window": reference.allowed_by_sliding_window,
    "sliding-log": reference.allowed_by_sliding_log,
    "fixed-window": reference.allowed_by_fixed_window,
}
TIMES = st.lists(st.integers(-40, 60), max_size=40).map(sorted)
MOST, PERIOD = st.integers(1, 6), st.integers(1, 12)


def waits(algorithm: str, limit: Limit, keys: list[list[int]], cut: int | None = None) -> list[int]:
    """The waits of some keys, one after the other, in one call or in two."""
    times = np.array([time for key in keys for time in key], np.int64)
    begins = np.array([not place for key in keys for place, _ in enumerate(key)], np.bool_)
    limiter = Limiter(algorithm, limit)
    parts = [slice(None)] if cut is None else [slice(0, cut), slice(cut, None)]
    return [wait for part in parts for wait in limiter.waits(times[part], begins[part]).tolist()]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(keys=st.lists(TIMES, max_size=3), most=MOST, period=PERIOD, burst=st.integers(1, 6), cut=st.integers(0, 40))
def test_the_same_requests_are_refused_as_by_hand(
    algorithm: str, keys: list[list[int]], most: int, period: int, burst: int, cut: int
) -> None:
    limit = Limit("", most, period, burst if algorithm == "token-bucket" else None)
    found = waits(algorithm, limit, keys, cut)
    expected = [yes for key in keys for yes in REFERENCES[algorithm](key, most, period, limit.room)]
    assert [not wait for wait in found] == expected
    with mock.patch.object(library, "AVAILABLE", False):
        assert waits(algorithm, limit, keys) == found
    assert Limiter(algorithm, limit).refused(*arrays(keys)) == expected.count(False)


def arrays(keys: list[list[int]]) -> tuple[Any, Any]:
    times = np.array([time for key in keys for time in key], np.int64)
    return times, np.array([not place for key in keys for place, _ in enumerate(key)], np.bool_)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=40)
@given(times=TIMES, most=MOST, period=PERIOD)
def test_a_wait_ends_just_when_the_request_would_be_allowed(
    algorithm: str, times: list[int], most: int, period: int
) -> None:
    found = waits(algorithm, Limit("", most, period), [times])
    for place, wait in enumerate(found):
        for later in range(1, wait + 1):
            again = [*times[: place + 1], times[place] + later]
            assert REFERENCES[algorithm](again, most, period, most)[-1] is (later == wait)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_largest_numbers_do_not_overflow(algorithm: str) -> None:
    limit = Limit("", 10_000_000, 2 * 10**11)
    ends = [-62_135_596_800_000_000, 0, 1, 253_402_300_799_999_999]
    assert waits(algorithm, limit, [ends]) == [0, 0, 0, 0]
    single = Limit("", 1, 2**60)
    for key in ([0, 1], ends):
        expected = REFERENCES[algorithm](key, 1, 2**60, 1)
        assert [not wait for wait in waits(algorithm, single, [key])] == expected


# ------------------------------------------------------------------ logs

BEGIN = datetime(2025, 1, 17, 10, tzinfo=UTC)


def line(second: float, ip: str, user: str = "-", path: str = "/a") -> str:
    return f'{ip} - {user} [{BEGIN + timedelta(seconds=second):%d/%b/%Y:%H:%M:%S +0000}] "GET {path} HTTP/1.1" 200 5\n'


def log(folder: Path, *lines: str) -> Path:
    path = folder / "a.log"
    path.write_text("".join(lines))
    return path


def outcome(path: Path | str, **options: Any) -> dict[str, Any]:
    return to_dict(api.limits(path, **options), BEGIN)


def test_who_is_refused_and_when(tmp_path: Path) -> None:
    lines = [line(s, "10.0.0.1") for s in range(90)] + [line(s * 10, "10.0.0.2") for s in range(9)]
    lines += [line(3, "-"), '10.0.0.3 - - [-] "GET /a HTTP/1.1" 200 5\n']
    made = outcome(log(tmp_path, *lines), limit="10/1m", algorithm="fixed-window")
    assert (made["requests"], made["refused"], made["share"]) == (99, 50 + 20, 70 / 99)
    assert (made["algorithm"], made["limit"], made["by"]) == ("fixed-window", "10/1m", ["client_ip"])
    assert (made["unkeyed"], made["untimed"], made["late"], made["keys"], made["keys_refused"]) == (1, 1, 0, 2, 1)
    waits_s = sorted([*range(1, 51), *range(31, 51)])  # until the next minute begins
    assert made["wait_s"]["max"] == 50
    for text, seconds in made["wait_s"]["percentiles"].items():
        exact = reference.percentile(waits_s, text)
        assert abs(seconds - exact) <= exact / 100
    first, second = made["per_key"]
    assert (first["key"], first["requests"], first["refused"]) == ("10.0.0.1", 90, 70)
    assert (first["first_refused"], first["wait_max_s"]) == ("2025-01-17T10:00:10Z", 50.0)
    assert (second["key"], second["refused"], second["first_refused"]) == ("10.0.0.2", 0, None)
    assert made["over_time"] == [
        {"time": "2025-01-17T10:00:00Z", "requests": 66, "refused": 50},
        {"time": "2025-01-17T10:01:00Z", "requests": 33, "refused": 20},
    ]


def test_a_single_wait_is_every_percentile(tmp_path: Path) -> None:
    made = outcome(log(tmp_path, line(0, "10.0.0.1"), line(1, "10.0.0.1")), limit="1/1m")
    assert made["wait_s"] == {"max": 59.0, "percentiles": {"50": 59.0, "95": 59.0, "99": 59.0}}


def test_tiers_and_several_columns(tmp_path: Path) -> None:
    lines = [line(0, "10.0.0.1", user, path) for user in ("gold", "tin") for path in ("/a", "/b") for _ in range(10)]
    made = outcome(
        log(tmp_path, *lines),
        limit="2/1s",
        by=("user_id", "endpoint"),
        tiers=["user_id = gold and path = /a: 5/1s"],
        algorithm="token-bucket",
        burst=3,
    )
    assert {(row["by"]["user_id"], row["by"]["endpoint"]): row["refused"] for row in made["per_key"]} == {
        ("gold", "/a"): 5,
        ("gold", "/b"): 7,
        ("tin", "/a"): 7,
        ("tin", "/b"): 7,
    }
    assert [row["tier"] for row in made["per_key"] if row["refused"] == 5] == ["user_id = gold and path = /a"]


def test_the_table_says_which_tier_a_key_is_of(tmp_path: Path) -> None:
    """A client that is refused in two tiers is two rows; one text is a list of one."""
    logged = log(tmp_path, *(line(0, "10.0.0.1", "-", path) for path in ("/a", "/b") for _ in range(3)))
    made = api.limits(logged, limit="1/1s", by="client_ip", tiers="path = /a: 2/1s")
    table = next(one for one in sections(made, Clock("UTC"), 10) if one.title == "Who is refused")
    assert table.heads[:4] == ["client_ip", "tier", "requests", "refused"]
    shown = [[cell.text for cell in row[:4]] for row in table.rows]
    assert shown == [["10.0.0.1", "", "3", "2"], ["10.0.0.1", "path = /a", "3", "1"]]


def test_lines_out_of_order_come_in_their_place_unless_they_are_late(tmp_path: Path) -> None:
    options: dict[str, Any] = {"limit": "1/50s", "by": ("client_ip",), "algorithm": "sliding-log"}
    plain = log(tmp_path, *(line(s, "10.0.0.1") for s in (0, 100, 40, 100)))
    made = outcome(plain, **options)  # 0, (40), 100, (100)
    assert (made["refused"], made["late"]) == (2, 0)
    made = outcome(plain, lateness=timedelta(seconds=10), **options)  # 0, 100, (90 for 40), (100): 90 comes before 100
    assert (made["refused"], made["late"]) == (2, 1)
    made = outcome(plain, lateness=timedelta(seconds=60), **options)
    assert (made["refused"], made["late"]) == (2, 0)


@settings(max_examples=30, deadline=None)
@given(
    times=st.lists(st.integers(0, 30), min_size=1, max_size=30),
    algorithm=st.sampled_from(ALGORITHMS),
    asked=st.integers(0, 100),
)
def test_the_fitted_limit_is_the_smallest(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], algorithm: str, asked: int
) -> None:
    path = log(tmp_path_factory.mktemp("fit"), *(line(s, "10.0.0.1") for s in times))
    made = outcome(path, limit="1/5s", algorithm=algorithm, fit=f"{asked}%")

    def refused(most: int) -> int:
        ordered = sorted(time * 10**6 for time in times)
        return REFERENCES[algorithm](ordered, most, 5 * 10**6, most).count(False)

    smallest = next(n for n in range(1, 40) if Fraction(refused(n), len(times)) <= Fraction(asked, 100))
    assert (made["fit"]["limit"], made["fit"]["refused"]) == (f"{smallest}/5s", refused(smallest))


def test_what_is_not_held_is_in_the_totals(tmp_path: Path) -> None:
    """Few keys and intervals are held, frames are small, and requests are put in order on the disk."""
    lines = [line(60 * (n % 50), f"10.0.0.{n % 20}") for n in range(2000)]
    path = log(tmp_path, *lines)
    whole = outcome(path, limit="2/1h", algorithm="fixed-window")
    with (
        mock.patch.object(replay, "KEYS", 3),
        mock.patch.object(replay, "MINUTES", 5),
        mock.patch.object(ordered, "LIMIT", 0),
        mock.patch.object(ordered, "BATCH", 7),
    ):
        made = outcome(path, limit="2/1h", algorithm="fixed-window", fit="50%")
    for name in ("requests", "refused", "keys", "keys_refused", "wait_s"):
        assert made[name] == whole[name], name
    assert len(made["per_key"]) <= 4 and made["per_key_others"]["keys"] == 20 - len(made["per_key"])
    others = made["per_key_others"]
    for name in ("requests", "refused"):
        assert others[name] + sum(row[name] for row in made["per_key"]) == whole[name]
        assert sum(row[name] for row in made["over_time"]) == whole[name]
    assert made["step_minutes"] == 60 and whole["step_minutes"] == 1


def test_a_fixed_burst_may_leave_no_limit(tmp_path: Path) -> None:
    path = log(tmp_path, *(line(0, "10.0.0.1") for _ in range(10)))
    made = outcome(path, limit="1/1s", burst=2, fit="0%")
    assert made["fit"] == {"share": 0.0, "limit": None, "requests": 10, "refused": None, "refused_share": None}


def test_every_output_is_about_the_same(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\\x1b[31m"
    path = log(tmp_path, *(line(s, "10.0.0.1", path=f"/{evil}") for s in range(30)), line(5, "10.0.0.2"))
    asked = ["limits", "-q", str(path), "--limit", "5/10s", "--by", "endpoint,client_ip", "--fit", "10%"]
    made = json.loads(invoke(*asked, "-o", "json").stdout)
    assert {"requests", "refused", "share", "algorithm", "limit", "per_key", "over_time"} <= set(made)
    rows = list(csv.DictReader(io.StringIO(invoke(*asked, "-o", "csv").stdout.decode())))
    assert [int(row["refused"]) for row in rows] == [row["refused"] for row in made["per_key"]]
    for columns in ("80", "200"):
        shown = invoke(*asked, env={"COLUMNS": columns}).stdout.decode()
        assert f"{made['refused']} of {made['requests']} requests" in shown
        assert all(len(row) <= int(columns) for row in shown.splitlines()) and "\x1b" not in shown
    page = invoke(*asked, "-o", "html").stdout.decode()
    assert "<svg" in page and "<script>alert" not in page and "10.0.0.1" in page
    assert "10.0.0.1" in invoke(*asked, "-o", "markdown").stdout.decode()


def test_an_archive_and_filters(tmp_path: Path) -> None:
    path, place = log(tmp_path, *(line(s, f"10.0.0.{s % 2}") for s in range(60))), tmp_path / "archive"
    assert invoke("archive", "init", "-q", str(place)).returncode == 0
    assert invoke("archive", "add", "-q", "--archive", str(place), str(path)).returncode == 0
    where = {"where": "client_ip = 10.0.0.1", "limit": "3/1m"}
    of_lines, of_archive = outcome(path, **where), to_dict(api.limits(archive=place, **where), BEGIN)
    assert of_lines == of_archive and of_lines["requests"] == 30
    with pytest.raises(UsageError):
        api.limits(archive=place, limit="3/1m", lateness=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limit": "100"}, "is no limit"),
        ({"limit": "0/1s"}, "is no limit"),
        ({"limit": "5/0s"}, "is no limit"),
        ({"limit": "5/1s", "by": ("nobody",)}, "no column is called so"),
        ({"limit": "5/1s", "algorithm": "leaky"}, "no algorithm is called"),
        ({"limit": "5/1s", "algorithm": "fixed-window", "burst": 3}, "--burst is about a token-bucket"),
        ({"limit": "5/1s", "tiers": ["user_id=gold"]}, "has no limit"),
        ({"limit": "5/1s", "tiers": ["usr_id=gold:5/1s"]}, "no column is called usr_id"),
        ({"limit": "5/1s", "fit": "0.1"}, "is no share"),
        ({"limit": "999999999/999999999d"}, "more than a token-bucket can count"),
    ],
)
def test_what_means_nothing_is_said(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        api.limits(log(tmp_path, line(0, "10.0.0.1")), **options)
    assert words in f"{caught.value.what} {caught.value.hint}"


def test_nothing_is_an_empty_result(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("")
    made = outcome(tmp_path / "empty.log", limit="5/1s", fit="1%")
    assert (made["requests"], made["refused"], made["share"], made["per_key"], made["over_time"]) == (
        0,
        0,
        None,
        [],
        [],
    )
