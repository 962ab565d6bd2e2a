"""`--fail-if`: verdicts against the generator's truth and a slow count, exit codes, and what is said."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from program import invoke

import logstats
from logstats.reports.schema import load_schema
from logstats.sketches import loghist

SAMPLES = Path(__file__).parent.parent / "sample_logs"
LOG = SAMPLES / "combined_time.log"
TRUTH = json.loads((SAMPLES / "combined_time.log.expected.json").read_text())


def line(second: int, path: str, status: int, seconds: str, ip: str = "10.0.0.1") -> str:
    stamp = f"17/Jan/2025:10:{second // 60:02d}:{second % 60:02d} +0000"
    return f'{ip} - - [{stamp}] "GET {path} HTTP/1.1" {status} 10 "-" "agent" {seconds}\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """100 requests, one of them a 500, a second apart; 1, 2, … 100 ms; three of them for /slow/{id}."""
    file = tmp_path / "access.log"
    lines = [
        line(i, f"/slow/{i}" if i in (7, 8, 9) else "/", 500 if i == 9 else 200, f"0.{i + 1:03d}", f"10.0.0.{i % 7}")
        for i in range(100)
    ]
    file.write_text("".join(lines))
    return file


def judge(log: Path, *conditions: str, **options: Any) -> list[Any]:
    return logstats.report([log], fail_if=conditions, **options).thresholds


@pytest.mark.parametrize(
    ("condition", "value", "failed"),
    [
        ("error_rate > 1%", 0.01, False),  # exactly 1 %: a binary fraction would be a little more or less
        ("error_rate >= 1%", 0.01, True),
        ("availability < 99%", 0.99, False),
        ("availability <= 99%", 0.99, True),
        ("avg > 50.5ms", 50.5, False),
        ("avg == 50500us", 50.5, True),
        ("max > 0.1s", 100, False),
        ("max >= 0.1s", 100, True),
        ("p100 >= 100ms", 100, True),
        ("requests < 100", 100, False),
        ("requests != 100", 100, False),
        ("users > 6", 7, True),
        ("rejected > 0", 0, False),
        ("rps >= 1.01", 100 / 99, True),
        ("/slow/*: requests == 3", 3, True),
        ("GET /slow/{id}: error_rate > 33%", 1 / 3, True),
        ("GET /slow/{id}: avg == 9ms", 9, True),
        ("/slow/8: max == 9ms", 9, True),
        ("/slow/*: users == 3", 3, True),
        ("/slow/*: rps < 0.04", 3 / 99, True),
        ("POST *: requests < 1", 0, True),
    ],
)
def test_exact_figures_are_compared_exactly(log: Path, condition: str, value: float, failed: bool) -> None:
    (found,) = judge(log, condition, exact_users=True)
    assert found.value == pytest.approx(value, rel=1e-15)
    assert (found.failed, found.certain, found.low, found.high) == (failed, True, found.value, found.value)


def test_percentiles_of_the_sample_are_near_its_truth() -> None:
    for name, expected in TRUTH["endpoints"].items():
        method, _, path = name.partition(" ")
        if not path.startswith("/"):
            continue
        for p, value in expected["latency_ms"]["percentiles"].items():
            (found,) = judge(LOG, f"{method} {path}: p{p} > 1us", templates=True)
            assert found.value == pytest.approx(value, rel=0.0100001)
            assert found.low * (1 - 1e-12) <= value <= found.high * (1 + 1e-12)
        break
    else:
        pytest.fail("no endpoint was looked at")


def test_a_limit_within_the_bound_of_the_sketch_is_not_certain(log: Path) -> None:
    near, far = judge(log, "p50 > 50.2ms", "p50 > 60ms")
    assert not near.certain and "between" in near.words
    assert far.certain and far.failed is False
    assert near.low < 50.2 < near.high


@pytest.mark.parametrize(
    "condition",
    ["POST *: p95 > 1s", "POST *: error_rate > 1%", "host=nobody: availability < 9%", "app=x: avg > 1ms"],
)
def test_nothing_to_measure_is_not_success(log: Path, condition: str) -> None:
    (found,) = judge(log, condition)
    assert (found.value, found.failed) == (None, None)
    assert "no request matches" in found.words


def test_an_empty_input_has_nothing_to_measure(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()
    found = judge(empty, "p95 > 1s", "error_rate > 1%", "rejected > 1%", "rps > 1", "requests < 1")
    assert [t.failed for t in found] == [None, None, None, None, True]


def test_a_format_without_durations_has_no_latency() -> None:
    (found,) = judge(SAMPLES / "combined.log", "p95 > 1s")
    assert found.failed is None and "has a duration" in found.words


def test_within_is_what_percentiles_says() -> None:
    report = logstats.report([LOG], percentiles=("1", "37.5", "50", "95", "99.9", "100"))
    assert report.latency
    for text, value in report.latency.percentiles.items():
        found, low, high = loghist.within(
            report.latency.buckets, Fraction(text), report.latency.min, report.latency.max
        )
        assert found == pytest.approx(value, rel=1e-12)
        assert low <= found <= high


def test_exit_code_and_words(log: Path) -> None:
    done = invoke("report", "-q", "-o", "json", str(log), "--fail-if", "p50 > 10ms", "--fail-if", "requests < 5")
    assert done.returncode == 3
    words = "p50 is 49.9ms, 39.9ms (399.0%) above 10.0ms (within 1%)"
    assert done.stderr.decode() == f"logstats: failed: p50 > 10ms: {words}\n"
    found = json.loads(done.stdout)
    jsonschema.validate(found, json.loads(load_schema()))
    assert [t["failed"] for t in found["thresholds"]] == [True, False]
    done = invoke("report", "-q", str(log), "--fail-if", "requests < 5")
    assert (done.returncode, done.stderr) == (0, b"")
    done = invoke("report", "-q", str(log), "--fail-if", "POST *: p5 > 1s", "-o", "markdown")
    assert done.returncode == 3 and b"no data: POST *" in done.stderr and b"**no data**" in done.stdout
    done = invoke("report", "-q", str(log), "--strict", "--fail-if", "p99 >> 5ms")
    assert done.returncode == 2 and b"\n  p99 >> 5ms\n      ^\n" in done.stderr
    done = invoke("report", "-q", "-", "--strict", "--fail-if", "rejected > 0", stdin=log.read_bytes() + b'"\n')
    assert done.returncode == 4, "--strict is graver"


def test_for_is_refused(log: Path) -> None:
    with pytest.raises(logstats.LogstatsError, match="alerts"):
        judge(log, "p95 > 1s for 5m")
