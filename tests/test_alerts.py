"""Alerts: which rules fire over which minutes, by the clock of the log."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats import api
from logstats.errors import ExpressionError, ObjectiveError
from logstats.live.alerts.alerts import _Watched
from logstats.live.alerts.rule import Rule, Verdict
from logstats.live.session import Session
from logstats.live.watching import Watching
from logstats.objectives.policy import parse as parse_policy

NOON = datetime(2025, 1, 17, 12, tzinfo=UTC)


class Log:
    """A log, and a session that watches it with alerts; all clocks are one, which goes on when it is told to."""

    def __init__(self, path: Path, alerts: Sequence[str] = (), **options: Any) -> None:
        self.path, self.now = path, 0.0
        path.touch()
        self.session: Session = api.watch(
            [path],
            None,
            Watching(from_start=True),
            alerts=alerts,
            clock=lambda: self.now,
            wall=lambda: NOON.timestamp() + self.now,
            **options,
        )

    def write(self, second: float, count: int = 1, *, failed: int = 0, path: str = "/a", ms: float = 5) -> None:
        """So many requests of a second after noon, of which some failed."""
        at = NOON + timedelta(seconds=second)
        with self.path.open("a") as file:
            for number in range(count):
                status = 500 if number < failed else 200
                file.write(
                    f"10.0.0.{number % 250} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "
                    f'"GET {path} HTTP/1.1" {status} 10 "-" "curl" {ms / 1000:.9f}\n'
                )

    def step(self, at: float) -> list[tuple[str, int]]:
        """Look, so many seconds after noon: the changes, and the minutes after noon that they are of."""
        self.now = at
        while self.session.step():
            pass
        return [(change.state, (change.time - NOON) // timedelta(minutes=1)) for change in self.session.changes()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Callable[..., Log]]:
    made: list[Log] = []

    def make(*alerts: str, **options: Any) -> Log:
        made.append(Log(tmp_path / f"{len(made)}.log", alerts, **options))
        return made[-1]

    yield make
    for one in made:
        one.session.close()


def minutes(watched: Log, failed: Sequence[int | None], of: int = 100) -> list[tuple[str, int]]:
    """Minutes of requests, of which so many failed (None: a minute without requests), looked at as they come."""
    found = []
    for minute, number in enumerate(failed):
        if number is not None:
            watched.write(60 * minute + 5, of, failed=number)
        found += watched.step(60 * minute + 59)
    return found + watched.step(60 * len(failed) + 40)


def test_it_fires_after_so_many_minutes_and_is_resolved_after_as_many(log: Callable[..., Log]) -> None:
    watched = log("error_rate > 1% for 3m")
    assert minutes(watched, [0, 2, 2, 1, 2, 2, 2, 9, 0, 0, 2, 0, 0, 0, 0]) == [("firing", 7), ("resolved", 14)]
    (state,) = watched.session.alerts.states()
    assert (state.state, state.fired, state.value) == ("ok", 1, 0.0)
    assert state.resolved == NOON + timedelta(minutes=14)


def test_one_per_cent_is_not_more_than_one_per_cent(log: Callable[..., Log]) -> None:
    assert minutes(log("error_rate > 1%"), [1, 1, 1]) == []
    assert minutes(log("error_rate >= 1%"), [1, 1, 1]) == [("firing", 1)]


def test_a_figure_that_goes_to_and_fro_fires_once(log: Callable[..., Log]) -> None:
    assert minutes(log("error_rate > 1% for 1m"), [0, *[2, 0] * 15, 0, 0]) == [("firing", 2), ("resolved", 32)]


def test_minutes_without_requests_say_nothing(log: Callable[..., Log]) -> None:
    watched = log("error_rate > 1% for 2m")
    assert minutes(watched, [0, 2, None, 2, None, None, None, None, 0]) == [("firing", 4)]
    assert watched.session.alerts.states()[0].state == "firing"
    assert minutes(log("error_rate > 1% for 2m"), [0, 2, None, None, None, 2, 0]) == []


def test_nothing_fires_when_nothing_comes(log: Callable[..., Log]) -> None:
    """A source that falls silent, and one that never said anything: the clock goes on with this machine's."""
    silent, empty = log("requests == 0 for 1m"), log("requests == 0 for 1m")
    silent.write(10)
    for second in (10, 61, 149):
        assert silent.step(second) == empty.step(second) == []
    assert empty.step(150) == [("firing", 2)]
    assert silent.step(150) == [("firing", 2)]
    silent.write(151)
    assert silent.step(151) == []
    for second in (200, 250):
        silent.write(second)
    assert silent.step(250) == []
    assert silent.step(270) == [("resolved", 4)]


def test_lines_that_cannot_be_read_are_seen_though_they_have_no_time(log: Callable[..., Log]) -> None:
    """From the start on, and when a server's format has changed."""
    for before in (False, True):
        watched = log("rejected > 50% for 1m", "requests == 0 for 2m")
        if before:
            watched.write(1, 20)
            watched.step(1)
        for second in range(10, 200, 30):
            with watched.path.open("a") as file:
                file.write("what is this\n")
            watched.step(second)
        assert [state.state for state in watched.session.alerts.states()] == ["firing", "pending"]
        assert watched.step(215) == [("firing", 3)]


def test_the_first_minute_is_known_in_part(log: Callable[..., Log]) -> None:
    watched = log("requests < 50", "requests > 5", "users < 9", "rps > 0.1")
    watched.write(55, 10)
    watched.write(65, 60)
    assert watched.step(65) == []
    assert watched.step(155) == [("firing", 1), ("firing", 1)]
    assert [state.state for state in watched.session.alerts.states()] == ["ok", "firing", "ok", "firing"]


@given(st.lists(st.sampled_from([True, True, False, False, None]), max_size=60), st.integers(1, 4))
def test_what_fires_follows_from_the_last_minutes(verdicts: list[bool | None], hold: int) -> None:
    """Against the rule as the manual says it, over a list of what the minutes said."""
    watched = _Watched(Rule("x", hold, 0.0, ""))
    firing, said, silent = False, list[bool | None](), 0
    for minute, holds in enumerate(verdicts):
        change = watched.take(minute, Verdict(holds, None, ""))
        if holds is None:
            silent += 1
            if silent > hold and not firing:
                said.append(None)
            assert change is None
            continue
        silent = 0
        said.append(holds)
        most = max(2, hold) if firing else hold
        turned = said[-most:] == [not firing] * most
        assert (change is not None) is turned
        if turned:
            firing, said = not firing, []
        assert watched.firing is firing


FIRES = {
    "p99 > 500ms": True,
    "p99 > 700ms": False,
    "p90 > 500ms": False,
    "avg > 64.50029ms": True,
    "avg > 64.5002907ms": False,
    "max >= 600ms": True,
    "GET /b*: availability < 99.9%": True,
    "GET /a*: availability < 99.9%": False,
    "POST *: requests == 0": True,
    "users > 245": True,
    "users > 255": False,
    "status >= 500 and duration < 500ms: requests > 0": False,
    "duration > 500ms: users >= 59": True,
    "rps > 10": False,
    "rps >= 10": True,
    "rejected > 0": True,
    "rejected > 1%": False,
    "rejected > 0.1%": True,
}


def test_every_figure_of_a_minute(log: Callable[..., Log]) -> None:
    """540 requests took 5.000323 ms and 60 took 600 ms, of which one failed; one line is none."""
    watched = log(*FIRES)
    watched.write(1)
    watched.write(62, 540, ms=5.000323)
    watched.write(63, 60, failed=1, ms=600, path="/b")
    with watched.path.open("a") as file:
        file.write("what is this\n")
    watched.write(121)
    watched.step(121)
    watched.step(160)
    assert {state.rule.text: state.state == "firing" for state in watched.session.alerts.states()} == FIRES


def test_the_same_lines_give_the_same_alerts_whenever_they_are_read(log: Callable[..., Log]) -> None:
    """As they come, and all of them at once."""
    chance = random.Random(7)
    failed = [chance.choice([0, 0, 3, 5, None]) for _ in range(30)]
    rules = ("error_rate > 1% for 2m", "requests < 1 for 2m", "p95 > 1s", "requests > 99 for 3m")
    as_they_come, at_once = log(*rules), log(*rules)
    expected = minutes(as_they_come, failed)
    at_once.path.write_bytes(as_they_come.path.read_bytes())
    at_once.now = 30 * 60 - 1
    found = at_once.step(30 * 60 - 1) + at_once.step(30 * 60 + 40)
    assert found == expected
    assert len(found) > 3


def test_a_long_gap_takes_no_longer_than_a_short_one(log: Callable[..., Log]) -> None:
    watched = log("requests == 0 for 1h", "error_rate > 1% for 2m")
    watched.write(5, failed=1)
    watched.write(65, failed=1)
    years = 3 * 365 * 86_400
    watched.write(years)
    watched.now = years
    assert watched.step(years) == [("firing", 2), ("firing", 62)]


def test_requests_that_come_after_their_minute_was_judged_are_said(log: Callable[..., Log]) -> None:
    watched = log("requests == 0 for 1m")
    watched.write(5)
    watched.step(5)
    assert watched.step(400) == [("firing", 2)]
    watched.write(70, 3)  # a server that writes its log every ten minutes
    watched.step(400)
    made = watched.session.report(percentiles=("50",))
    assert made.notes == [
        "3 requests came after alerts had judged their minute: these saw less than there was",
        "alert requests == 0 for 1m: fired 1 time, and still does",
    ]


def test_a_clock_that_was_set_begins_anew(log: Callable[..., Log]) -> None:
    watched = log("requests == 0 for 1m")
    for second in range(0, 100, 20):
        watched.write(second)
        watched.step(second)
    for second in range(100, 300, 20):
        watched.write(second - 7200)  # the server's zone was set
        watched.step(second)
    assert watched.session.alerts.states()[0].fired == 0
    assert any("went back by" in note for note in watched.session.snapshot().notes)


POLICY = """
window = "30d"
[[objective]]
name = "answered"
good = "status < 500"
target = 99
[[objective]]
name = "many"
require = "requests > 5"
"""


def test_burn_rates_of_a_policy(log: Callable[..., Log]) -> None:
    """A page by the workbook: more than 14.4 times one per cent over an hour and over five minutes."""
    watched = log(policy=parse_policy(POLICY, "slo.toml"))
    texts = [state.rule.text for state in watched.session.alerts.states()]
    assert texts == [
        "answered: burn rate > 14.4 over 1h and 5m",
        "answered: burn rate > 6 over 6h and 30m",
        "answered: burn rate > 1 over 3d and 6h",
    ]
    failed = [0] * 60 + [60] * 30 + [0] * 60
    for minute, number in enumerate(failed):
        watched.write(60 * minute + 5, 100, failed=number)
    watched.now = 60 * 150
    watched.step(60 * 150)
    watched.step(60 * 151)
    states = watched.session.alerts.states()
    for state, long, short, limit in zip(states, (60, 360, 4320), (5, 30, 360), (14.4, 6, 1), strict=True):
        burns = [
            all(sum(failed[max(0, end - length) : end]) / min(end, length) > limit for length in (long, short))
            for end in range(1, 151)
        ]
        first, last = burns.index(True), 149 - burns[::-1].index(True)
        assert all(burns[first : last + 1])
        assert state.fired == 1
        if last < 147:
            assert state.resolved == NOON + timedelta(minutes=last + 1 + 2)
        else:
            assert state.since == NOON + timedelta(minutes=first)


def test_burn_rates_after_a_clock_was_set_back(log: Callable[..., Log]) -> None:
    """What was logged before is not in a window that begins after it."""
    watched = log(policy=parse_policy(POLICY, "slo.toml"))
    for minute in range(120, 130):
        watched.write(60 * minute + 5, 100, failed=60)
        watched.step(60 * minute + 59)
    assert watched.session.alerts.states()[0].state == "firing"
    for second in range(60 * 130, 60 * 145, 20):
        watched.write(second - 7200, 10)
        watched.step(second)
    assert [state.value for state in watched.session.alerts.states()] == [0, 0, 0]


def test_a_policy_without_a_budget_has_nothing_to_say(log: Callable[..., Log]) -> None:
    with pytest.raises(ObjectiveError, match="'many' has no burn rate: it has no error budget"):
        log(policy=parse_policy('[[objective]]\nname = "many"\nrequire = "requests > 5"', "slo.toml"))


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("p99 > 500ms for 90s", "alerts go by whole minutes\n  p99 > 500ms for 90s\n                  ^"),
        ("p99 > 500ms for 0m", "alerts go by whole minutes\n  p99 > 500ms for 0m\n                  ^"),
        ("p99 > 500ms for 60.5s", "no whole number of seconds\n  p99 > 500ms for 60.5s\n                      ^"),
        ("p99 > 500ms for 8d", "longer than 7d\n  p99 > 500ms for 8d\n                  ^"),
        ("p99 > 500", "expected a unit: 500ms or 500s\n  p99 > 500\n           ^"),
        ("latency > 5ms", "no figure is called so\n  latency > 5ms\n  ^"),
        ("GET /x: rejected > 5", "has no path, host or app\n  GET /x: rejected > 5\n         ^"),
    ],
)
def test_errors_point_at_the_place(log: Callable[..., Log], condition: str, message: str) -> None:
    with pytest.raises(ExpressionError) as error:
        log(condition)
    assert message in error.value.what
