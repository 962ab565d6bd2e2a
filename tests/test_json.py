"""The JSON report: its keys are those of DESIGN.md, and its schema describes whatever comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hostile import hostile_log
from program import invoke

import logstats
from logstats.reports.schema import load_schema

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / "sample_logs").glob("*.log"))
SCHEMA = json.loads(load_schema())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())

LATENCY = {"count": int, "avg": float, "min": float, "max": float, "percentiles": {"50": float}, "buckets": [list]}

# DESIGN.md's example, key by key.
DESIGN: dict[str, Any] = {
    "schema_version": int,
    "generated_at": str,
    "sources": [{"name": str, "format": str, "lines": int, "bytes": int}],
    "lines": int, "requests": int, "events": int, "rejected": int, "filtered": int, "ignored": int, "untimed": int,
    "bytes": int,
    "time": {"first": str, "last": str},
    "status": {"200": int},
    "status_classes": {"2xx": int},
    "latency_ms": {**LATENCY, "relative_error": float, "invalid": int},
    "endpoints": [{
        "method": str, "endpoint": str, "requests": int, "errors": int, "bytes": int, "status_classes": {"2xx": int},
        "latency_ms": LATENCY,
    }],
    "endpoints_total": int, "endpoints_folded": int,
    "breakdowns": {"client_ip": [{"value": str, "requests": int, "errors": int, "bytes": int, "latency_ms": LATENCY}]},
    "unique_users": {
        "total": int, "standard_error": float, "exact": bool, "per_minute": [{"minute": str, "users": int}],
    },
    "minutes": [{"minute": str, "requests": int, "errors": int, "bytes": int}],
    "rejects": {
        "by_reason": {"unbalanced_quote": int}, "samples": [{"source": str, "line": int, "reason": str, "text": str}],
    },
}  # fmt: skip


def conforms(value: Any, shape: Any, where: str = "report") -> None:
    if isinstance(shape, dict):
        for key, inner in shape.items():
            assert key in value, f"{where}.{key}"
            conforms(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert value, where
        conforms(value[0], shape[0], f"{where}[0]")
    else:
        assert type(value) is shape, f"{where} is {value!r}"


def valid(report: Any) -> Any:
    VALIDATOR.validate(report)
    assert report["lines"] == sum(report[k] for k in ("requests", "events", "rejected", "filtered", "ignored"))
    return report


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert not VALIDATOR.is_valid({})


def test_keys_are_those_of_the_design() -> None:
    ran = invoke(
        "report", str(ROOT / "sample_logs/combined_time.log"), "-o", "json", "--by", "client_ip", "--sort", "requests"
    )
    report = valid(json.loads(ran.stdout))
    conforms(report, DESIGN)
    assert report["schema_version"] == 1
    assert report["generated_at"].endswith("Z") and report["minutes"][0]["minute"].endswith(":00Z")


@pytest.mark.parametrize("log", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_valid(log: Path) -> None:
    report = logstats.report(log, by=["client_ip", "user_agent", "status"], over_time=True)
    assert valid(json.loads(report.to_json()))["requests"] > 500


def test_a_hostile_log_is_valid_and_plain_ascii() -> None:
    ran = invoke("report", "-", "-o", "json", "--by", "host,user_id,app_name,referer", stdin=hostile_log())
    valid(json.loads(ran.stdout))
    assert ran.stdout.isascii()
    assert all(byte >= 0x20 or byte == 0x0A for byte in ran.stdout) and b"\x7f" not in ran.stdout


APP = "2025-01-17 10:30:00 GET /a 200 {} bytes={}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "nothing\n",
        "0001-01-01 00:00:00 GET /a 200 1ms\n9999-12-31 23:59:59.999999 GET /a 200 1ms\n",
        APP.format("-5ms", 1) + APP.format("1ms", 1),
        APP.format("0ms", 0),
        APP.format("99999999999999999999999999999999ms", 1),
        APP.format("0.0000001ms", 9223372036854775807) * 3,
        APP.format("1ms", 99999999999999999999999999),
        APP.format("1ms", -5),
        "2025-01-17 10:30:00 GET /a 000 1ms\n",
        "2025-01-17 10:30:00 GET /a 999 1ms\n",
        '{"level": "INFO", "message": "x"}\n',
        '{"time": "nonsense", "method": "GET", "path": "/", "status": 200}\n',
        '{"time": 1e300, "method": "GET", "path": "/", "status": 1e9, "duration_ms": 1e308, "bytes": 1e308}\n',
        '{"time": "2025-01-17T10:30:00Z", "method": "GET", "path": "/", "status": 200, "duration_ms": -1}\n',
    ],
)  # fmt: skip
def test_extremes_are_valid(text: str) -> None:
    ran = invoke("report", "-", "-o", "json", "--by", "status", stdin=text.encode())
    assert ran.returncode in (0, 5), ran.stderr
    valid(json.loads(ran.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")))


def test_sums_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(APP.format("1ms", 2**63 - 1) * 3)
    assert json.loads(logstats.report(log).to_json())["bytes"] == 3 * (2**63 - 1)
