"""Thresholds, objectives and comparisons over an archive: the same as over the logs that were added to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from program import invoke

from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.tiers.move import apply
from logstats.archive.tiers.policy import Policy as Lifecycle
from logstats.errors import LogstatsError, UsageError
from logstats.expressions.times import parse_range
from logstats.objectives.policy import parse

END = datetime(2025, 1, 17, 12, 30, tzinfo=UTC)
POLICY = """
window = "1d"
[[objective]]
name = "availability"
good = "status < 500"
target = 99
[[objective]]
name = "posts are answered"
select = "POST *"
good = "status < 400"
target = 90
[[objective]]
name = "enough"
require = "requests > 10"
"""
FAST = '[[objective]]\nname = "fast"\ngood = "duration < 100ms"\ntarget = 60\n'
BUGS = '[[objective]]\nname = "bugs"\nselect = "/api/bugs*"\nrequire = "p90 < 200ms"\n'


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two days, a file each; the second is slower on one endpoint."""
    random = Random(8)
    files = []
    for day in (0, 1):
        lines = []
        for _ in range(6_000):
            time = END - timedelta(days=1 - day, seconds=random.randrange(86_400))
            path = random.choice(["/", "/api/bugs", "/api/bugs/17", "/login"])
            method = "POST" if path == "/login" else "GET"
            status = random.choices([200, 404, 500], [95, 4, 1])[0]
            took = random.lognormvariate(4.3, 0.6) * (1.5 if day and path == "/api/bugs" else 1)
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000")
            request = f'"{method} {path} HTTP/1.1" {status} 10 "-" "agent" {took / 1000:.3f}\n'
            lines.append((time, f"10.0.0.{random.randrange(99)} - - [{stamp}] {request}"))
        files.append(tmp_path_factory.mktemp("logs") / f"{day}.log")
        files[-1].write_text("".join(line for _, line in sorted(lines)))
    return files


def archive_of(logs: list[Path], root: Path) -> Path:
    init(root)
    api.add(logs, root, final=True)
    return root


@pytest.fixture(scope="module")
def archive(logs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive_of(logs, tmp_path_factory.mktemp("archive") / "a")


@pytest.fixture(scope="module")
def emptied(logs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same when its rows are gone, and only the rollups are left."""
    root = archive_of(logs, tmp_path_factory.mktemp("emptied") / "a")

    class Silent:
        def __getattr__(self, _name: str) -> Any:
            return lambda *_: None

    apply(Archive.open(root), Lifecycle(delete_after=timedelta(days=1)), END + timedelta(days=30), Silent())  # type: ignore[arg-type]
    with pytest.raises(LogstatsError, match="deleted"):
        api.report([], archive=root, rows=True)
    return root


def results(outcome: Any) -> list[dict[str, Any]]:
    found = []
    for result in outcome.to_dict()["objectives"]:
        del result["outside"]  # an archive is not read further back than the window
        found.append(result)
    return found


@pytest.mark.parametrize("until", [None, END - timedelta(hours=3), END - timedelta(hours=3, seconds=20)])
def test_objectives_over_an_archive_are_those_over_its_logs(
    logs: list[Path], archive: Path, until: datetime | None
) -> None:
    policy = parse(f"{POLICY}{FAST}{BUGS}", "slo.toml")
    of_logs, of_archive = api.slo(logs, policy, until=until), api.slo([], policy, archive=archive, until=until)
    assert results(of_archive) == results(of_logs)
    assert (of_archive.begin, of_archive.end) == (of_logs.begin, of_logs.end)
    assert of_archive.covered_minutes == of_logs.covered_minutes == 1440
    assert of_archive.results[0].requests > 5_000


def test_filters_and_a_longer_window(logs: list[Path], archive: Path) -> None:
    policy = parse(f"{POLICY}{FAST}{BUGS}".replace("1d", "30d"), "slo.toml")
    for options in ({}, {"path": ["/api/*"]}, {"since": END - timedelta(hours=30)}, {"method": ["GET"]}):
        of_logs, of_archive = api.slo(logs, policy, **options), api.slo([], policy, archive=archive, **options)
        assert results(of_archive) == results(of_logs)
        assert of_archive.covered_minutes == pytest.approx(of_logs.covered_minutes, abs=1)


def test_what_is_left_when_the_rows_are_gone(logs: list[Path], emptied: Path) -> None:
    """Statuses exactly, durations with a bound that holds, paths not at all."""
    exact = api.slo(logs, parse(f"{POLICY}{FAST}", "slo.toml"))
    found = api.slo([], parse(f"{POLICY}{FAST}", "slo.toml"), archive=emptied)
    assert results(found)[:3] == results(exact)[:3]
    fast, truth = found.results[3], exact.results[3]
    assert fast.requests == truth.requests and fast.low is not None and fast.high is not None
    assert truth.indicator is not None and fast.indicator is not None
    assert fast.low <= truth.indicator <= fast.high and fast.low < fast.high
    assert fast.high - fast.low < 0.05 and fast.low <= fast.indicator <= fast.high
    assert any("buckets" in note for note in found.notes)
    with pytest.raises(LogstatsError, match="deleted"):
        api.slo([], parse(BUGS, "slo.toml"), archive=emptied)


def test_a_target_within_the_bound_is_not_certain(emptied: Path) -> None:
    result = api.slo([], parse(FAST, "slo.toml"), archive=emptied).results[0]
    assert result.certain and result.low is not None and result.high is not None
    target = 50 * (result.low + result.high)
    near = api.slo([], parse(FAST.replace("60", f"{target:.6f}"), "slo.toml"), archive=emptied).results[0]
    assert not near.certain


def test_an_empty_archive_has_no_data(tmp_path: Path) -> None:
    init(tmp_path / "a")
    outcome = api.slo([], parse(POLICY, "slo.toml"), archive=tmp_path / "a")
    assert [result.met for result in outcome.results] == [None, None, False]


def test_thresholds_over_an_archive(logs: list[Path], archive: Path) -> None:
    conditions = ["p99 > 1s", "error_rate > 0.5%", "GET /api/bugs*: p90 > 200ms", "/login: users > 5", "requests < 9"]
    of_logs = api.report(logs, fail_if=conditions).thresholds
    assert api.report([], archive=archive, fail_if=conditions).thresholds == of_logs
    assert {threshold.failed for threshold in of_logs} == {True, False}


def test_two_times_of_an_archive(logs: list[Path], archive: Path) -> None:
    split = END - timedelta(days=1)
    of_logs = api.diff(*logs)
    ranges = [f"2025-01-15T12:30..{split.isoformat()[:16]}", f"{split.isoformat()[:16]}..2025-01-17T12:31"]
    found = api.diff(*ranges, archive=archive)
    assert {(c.kind, c.name) for c in found.changes} == {(c.kind, c.name) for c in of_logs.changes}
    assert ("slower", "GET /api/bugs") in {(c.kind, c.name) for c in found.changes}
    done = invoke("diff", "-q", "--archive", str(archive), "--before", ranges[0], "--after", ranges[1], "-o", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["changes"][0]["kind"] == "slower"
    for wrong in (
        ["diff", "--archive", str(archive), "--before", "yesterday"],
        ["diff", "--before", "yesterday", "--after", "today"],
        ["diff", str(logs[0])],
        ["diff", str(logs[0]), str(logs[1]), "--before", "today", "--after", "today"],
    ):
        assert invoke(*wrong).returncode == 2


def test_stretches_of_time() -> None:
    now = datetime(2025, 3, 31, 10, tzinfo=UTC)  # the day before, clocks went forward in Berlin

    def hours(text: str, zone: str = "UTC") -> tuple[str, float]:
        since, until = parse_range(text, zone, now)
        return since.isoformat()[:16], (until - since) / timedelta(hours=1)

    assert hours("yesterday") == ("2025-03-30T00:00", 24)
    assert hours("yesterday", "Europe/Berlin") == ("2025-03-29T23:00", 23)
    assert hours("today", "Europe/Berlin") == ("2025-03-30T22:00", 24)
    assert hours("2025-10-26", "Europe/Berlin") == ("2025-10-25T22:00", 25)
    assert hours("2h") == ("2025-03-31T08:00", 2)
    assert hours("7d..yesterday") == ("2025-03-24T10:00", 134)
    assert hours("2025-01-01T10:00..2025-01-01T11:30") == ("2025-01-01T10:00", 1.5)
    assert hours("1h..") == ("2025-03-31T09:00", 1)
    for wrong in ("", "x", "2025-01-01T10:00", "today..yesterday", "now", "..", "9999-12-31"):
        with pytest.raises(UsageError):
            parse_range(wrong, "UTC", now)
