"""Reports on generated logs against the truth that the generator kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import logstats

SAMPLES = sorted((Path(__file__).parent.parent / "sample_logs").glob("*.log"))


def check(report: Any, truth: dict[str, Any]) -> None:
    """Every figure of the truth."""
    found = report.to_dict()
    for key in ("lines", "requests", "events", "rejected", "bytes", "time", "status", "status_classes"):
        assert found[key] == truth[key], key
    check_latency(found["latency_ms"], truth["latency_ms"])
    assert report.unique_users.total == truth["unique_users"]["total"]
    per_minute = {row["minute"]: row["users"] for row in found["unique_users"]["per_minute"]}
    assert per_minute == truth["unique_users"]["per_minute"]
    endpoints = {row.name: row for row in report.endpoints}
    assert set(endpoints) == set(truth["endpoints"])
    for name, expected in truth["endpoints"].items():
        row = endpoints[name]
        assert (row.requests, row.errors, row.bytes) == (
            expected["requests"],
            expected["errors"],
            expected["bytes"],
        )
        check_latency(row.latency and row.latency.to_dict(overall=False), expected["latency_ms"])


def check_latency(found: dict[str, Any] | None, expected: dict[str, Any] | None) -> None:
    """Exact but for the percentiles, which are within 1 %."""
    if expected is None or found is None:
        assert found == expected
        return
    assert (found["count"], found["min"], found["max"]) == (
        expected["count"],
        expected["min"],
        expected["max"],
    )
    assert found["avg"] == pytest.approx(expected["avg"], rel=1e-12)
    for percentile, value in expected["percentiles"].items():
        assert found["percentiles"][percentile] == pytest.approx(value, rel=0.0100001), percentile


def test_there_are_samples() -> None:
    assert len(SAMPLES) == 10


@pytest.mark.parametrize("log", SAMPLES, ids=lambda path: path.stem)
def test_report_is_the_truth(log: Path) -> None:
    truth = json.loads(log.with_name(f"{log.name}.expected.json").read_text())
    report = logstats.report([log], exact_users=True)
    assert [s.format for s in report.sources] == [log.stem if log.stem != "json_nested" else "json"]
    check(report, truth)
    assert truth["rejected"] > 0, "a sample without a bad line proves less"


@pytest.mark.parametrize("log", SAMPLES, ids=lambda path: path.stem)
def test_sketched_users_are_near_the_truth(log: Path) -> None:
    truth = json.loads(log.with_name(f"{log.name}.expected.json").read_text())["unique_users"]["total"]
    report = logstats.report([log])
    assert report.unique_users.total == pytest.approx(truth, rel=4 * 0.0081)
