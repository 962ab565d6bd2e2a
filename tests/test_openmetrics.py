"""OpenMetrics, as Prometheus's own parser reads it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hostile import hostile_log
from program import invoke

import logstats
from logstats.reports.openmetrics import to_openmetrics

parser = pytest.importorskip("prometheus_client.openmetrics.parser")

Series = dict[str, dict[tuple[tuple[str, str], ...], float]]


def parsed(text: str) -> Series:
    """Sample name → labels → value; the parser raises for what is not valid, we for a series that comes twice."""
    found: Series = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            key = tuple(sorted(sample.labels.items()))
            assert key not in series, (sample.name, key)
            series[key] = sample.value
    return found


def total(series: dict[Any, float], **labels: str) -> float:
    return sum(value for key, value in series.items() if set(labels.items()) <= set(key))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Many durations in microseconds, round ones and zeros among them."""
    draw = random.Random(3)
    durations = [
        draw.choice([0, 1_000, 2_500, 100_000, 30_000_000, int(draw.lognormvariate(10, 3))]) for _ in range(3_000)
    ]
    path = tmp_path_factory.mktemp("metrics") / "a.log"
    path.write_text(
        "".join(
            f'10.0.0.1 - - [17/Jan/2025:10:00:00 +0000] "GET /{n % 150} HTTP/1.1" {200 + n % 4 * 100} 7 "-" "-" {us}\n'
            for n, us in enumerate(durations)
        )
    )
    return path, durations


def test_every_count_of_the_histogram_is_exact(lines: tuple[Path, list[int]]) -> None:
    path, durations = lines
    found = parsed(to_openmetrics(logstats.report(path, format="combined_us", templates=False)))
    bounds = found["logstats_request_duration_seconds_bucket"]
    near = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000]
    edges = sorted(float(dict(key)["le"]) for key in bounds)
    assert len(edges) == len(near) + 1
    for edge, milliseconds in zip(edges, near, strict=False):
        assert 1 <= edge * 1000 / milliseconds < 1.021
    for key, count in bounds.items():
        assert count == sum(us <= float(dict(key)["le"]) * 1e6 for us in durations), key
    assert found["logstats_request_duration_seconds_sum"][()] == pytest.approx(sum(durations) / 1e6, abs=1e-9)
    assert found["logstats_request_duration_seconds_count"][()] == len(durations)


def test_endpoints_beyond_the_busiest_are_summed_up(lines: tuple[Path, list[int]]) -> None:
    path, durations = lines
    report = logstats.report(path, format="combined_us", templates=False, max_endpoints=120)
    for top, own in ((None, 100), (7, 7)):
        found = parsed(to_openmetrics(report, top))
        requests = found["logstats_endpoint_requests_total"]
        assert len({dict(key)["endpoint"] for key in requests}) == own + 1
        assert total(requests) == total(found["logstats_requests_total"]) == len(durations)
        assert total(requests, status_class="5xx") == sum(n % 4 == 3 for n in range(len(durations)))
        assert total(requests, endpoint="(other)") == len(durations) - 20 * own
        assert total(found["logstats_endpoint_response_bytes_total"]) == 7 * len(durations)
        histogram = found["logstats_endpoint_request_duration_seconds_bucket"]
        for key, count in found["logstats_request_duration_seconds_bucket"].items():
            assert total(histogram, **dict(key)) == count
        assert total(found["logstats_endpoint_request_duration_seconds_sum"]) == pytest.approx(sum(durations) / 1e6)


def test_hostile_labels(tmp_path: Path) -> None:
    path = tmp_path / "hostile.log"
    path.write_bytes(hostile_log())
    report = logstats.report(path, templates=False)
    text = to_openmetrics(report)
    found = parsed(text)
    assert text.isprintable() or all(line.isprintable() for line in text.split("\n"))
    endpoints = {dict(key)["endpoint"] for key in found["logstats_endpoint_requests_total"]}
    assert {"/<script>window.pwned=1</script>", '/\\x1b \\" \\n \\', "/\\u2028line\\u2029paragraph"} <= endpoints
    assert max(map(len, endpoints)) <= 256
    assert total(found["logstats_endpoint_requests_total"]) == report.requests
    assert total(found["logstats_events_total"]) == report.events
    assert total(found["logstats_lines_total"]) == report.lines


def test_thresholds_can_be_alerted_on(lines: tuple[Path, list[int]]) -> None:
    report = logstats.report(lines[0], format="combined_us", fail_if=["p99 > 1ms", "requests < 1", "GET /no: p9 > 1s"])
    assert parsed(to_openmetrics(report))["logstats_threshold_met"] == {
        (("condition", "p99 > 1ms"),): 0,
        (("condition", "requests < 1"),): 1,
        (("condition", "GET /no: p9 > 1s"),): 0,
    }


def test_texts_that_read_the_same_are_one_series(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    same = ["/\x1b", "/\\x1b"]
    path.write_text("".join(f'{{"method":"GET","path":{json.dumps(p)},"status":200}}\n' for p in same))
    found = parsed(to_openmetrics(logstats.report(path, format="json", templates=False)))
    assert list(found["logstats_endpoint_requests_total"].values()) == [2]


def test_no_lines_and_no_durations_are_valid_too(tmp_path: Path) -> None:
    assert total(parsed(to_openmetrics(logstats.report([])))["logstats_lines_total"]) == 0
    path = tmp_path / "a.log"
    path.write_text('10.0.0.1 - - [17/Jan/2025:10:00:00 +0000] "GET / HTTP/1.1" - 7\n')
    found = parsed(to_openmetrics(logstats.report(path)))
    assert found["logstats_requests_total"] == {(("status", "-"),): 1}
    assert found["logstats_endpoint_requests_total"][
        ("endpoint", "/"), ("method", "GET"), ("status_class", "-")
    ] == 1  # fmt: skip
    assert not any("duration" in name for name in found)


def test_statuses_are_those_of_the_sample() -> None:
    """The sample's truth comes from the script that wrote it."""
    samples = Path(__file__).parent.parent / "sample_logs"
    truth = json.loads((samples / "combined_time.log.expected.json").read_text())
    ran = invoke("report", "-q", str(samples / "combined_time.log"), "-o", "openmetrics")
    found = parsed(ran.stdout.decode())
    held = {dict(key)["status"]: value for key, value in found["logstats_requests_total"].items()}
    assert held == truth["status"]
    assert total(found["logstats_rejected_lines_total"]) == truth["rejected"]
