"""Reports equal the slow and obvious reference, on real logs and on generated ones, however they are cut."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from reference import percentile, reference

import logstats

COMBINED = [
    "apache_combined/elastic_examples__apache_logs.log",
    "apache_combined/tstack_lnav__logfile_shop_access_log.0",
    "apache_combined/tstack_lnav__playground_access_log.gz",
    "apache_combined_attacks/nielsbasjes_logparser__hackers-access.log",
    "apache_combined/crowdsecurity_hub__apache2-malformed.log",
    "apache_combined/fcambus_logswan__logswan.log",
    "nginx_combined/crowdsecurity_hub__nginx-http-malformed.log",
    "nginx_combined/crowdsecurity_hub__http-dos-bypass-cache.log",
]


def lines_of(path: Path) -> list[str]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = data.decode(errors="backslashreplace").replace("\r\n", "\n")
    return [line for line in text.removesuffix("\n").split("\n") if line.strip()]


def compare(report: Any, expected: dict[str, Any]) -> None:
    assert report.lines - report.ignored == expected["lines"]
    assert (report.requests, report.rejected, report.bytes) == (
        expected["requests"], expected["rejected"], expected["bytes"],
    )  # fmt: skip
    assert report.status == dict(sorted(expected["status"].items()))
    assert (report.first, report.last) == (expected["first"], expected["last"])
    assert {m.minute: m.requests for m in report.minutes} == expected["minutes"]
    assert dict(report.unique_users.per_minute) == expected["users"]
    assert report.unique_users.total == expected["unique"]
    assert {(row.method, row.endpoint): row.requests for row in report.endpoints} == expected["endpoints"]
    check_latency(report.latency, expected["durations"])
    assert report.invalid.get("duration", 0) == expected["invalid"]
    for row in report.endpoints:
        check_latency(row.latency, expected["endpoint_durations"][row.method, row.endpoint])


def check_latency(latency: Any, durations: list[int]) -> None:
    if not durations:
        assert latency is None
        return
    assert latency.count == len(durations)
    assert latency.sum_ns == sum(durations)
    assert (latency.min, latency.max) == (durations[0] / 1e6, durations[-1] / 1e6)
    assert latency.avg == float(Fraction(sum(durations), 10**6 * len(durations)))
    for text, value in latency.percentiles.items():
        exact = percentile(durations, text) / 1e6
        assert value == pytest.approx(exact, rel=0.010001), text


@pytest.mark.parametrize("name", COMBINED)
def test_real_log(real_logs: Path, name: str) -> None:
    path = real_logs / name
    # One has a column behind the agent's, which is no part of `combined`: those lines are not read as if they were.
    form = "combined+" if name.endswith("shop_access_log.0") else "combined"
    report = logstats.report([path], format=form, templates=False, exact_users=True)
    compare(report, reference(lines_of(path)))


@pytest.fixture(scope="module")
def generated() -> list[str]:
    """Lines with everything that hurts: ties, zeros, a heavy tail, one path of its own for many, bad lines."""
    draw = random.Random(7)
    lines = []
    for i in range(6000):
        path = draw.choice(["/", "/a", "/b c", f"/x{draw.randrange(40)}", "/q?a=1", "/q?b=2"])
        request = draw.choice(
            [f"GET {path} HTTP/1.1"] * 30 + [f"POST {path} HTTP/1.0", f"GET {path}", "-", "", "\\x16\\x03"]
        )
        digits = draw.choice([3, 9, 12])
        took = draw.choice(["0.000", "0.001", "0.001", f"{draw.paretovariate(0.7) / 1000:.{digits}f}", "-"])
        clock = f"{i // 250 % 24:02d}:{draw.randrange(60):02d}:{draw.randrange(60):02d}"
        when = f"{17 + i // 4000}/Jan/2025:{clock} +0{draw.randrange(3)}00"
        status = draw.choice(["200", "200", "304", "404", "500", "499", "-"])
        user = draw.choice(["-", "-", "bob", "john smith"])
        ip, size = f"10.0.{draw.randrange(4)}.{draw.randrange(200)}", draw.choice(["-", "0", "512"])
        line = f'{ip} - {user} [{when}] "{request}" {status} {size} "-" "a \\"b\\" c" {took}'
        if draw.random() < 0.02:
            line = draw.choice(
                [line.replace('"', "", 1), line[:40], "garbage", line + " extra", line.replace(status, "abc", 1)]
            )
        lines.append(line)
    return lines


@pytest.mark.parametrize("chunk", [1 << 23, 50_000, 3_001])
def test_generated_log(tmp_path: Path, generated: list[str], chunk: int, chunks_of: Callable[[int], None]) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join(generated))
    chunks_of(chunk)
    report = logstats.report([path], format="combined_time", templates=False, exact_users=True)
    compare(report, reference(generated, 10**9))


def test_sharded_equals_whole(tmp_path: Path, generated: list[str], chunks_of: Callable[[int], None]) -> None:
    """Any cut into files and chunks gives the same report, byte for byte; sketches included."""
    whole = tmp_path / "whole.log"
    whole.write_text("\n".join(generated) + "\n")
    expected = _body(logstats.report([whole], format="combined_time", by=["client_ip"]))
    cuts = [0, 1, 700, 701, 3500, len(generated)]
    parts = []
    for number, (start, end) in enumerate(pairwise(cuts)):
        part = tmp_path / f"part{number}.log"
        part.write_text("\n".join(generated[start:end]) + "\n")
        parts.append(part)
    chunks_of(7_777)
    assert _body(logstats.report(parts, format="combined_time", by=["client_ip"])) == expected
    assert _body(logstats.report(parts[::-1], format="combined_time", by=["client_ip"])) == expected


def _body(report: Any) -> dict[str, Any]:
    """All of a report but where and when it was made."""
    found: dict[str, Any] = report.to_dict()
    del found["sources"], found["generated_at"], found["rejects"]["samples"]
    return found
