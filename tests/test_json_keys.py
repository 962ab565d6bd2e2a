"""Objects as products write them: what each key means, worked out by hand from what the product documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import logstats

AT = "2025-01-17T10:30:00Z"

PRODUCTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Logstash's COMBINEDAPACHELOG": (
        {"@timestamp": AT, "clientip": "192.0.2.7", "verb": "GET", "request": "/a?b=1", "httpversion": "1.1"}
        | {"response": "404", "bytes": "512", "agent": "curl/8.5.0"},
        {"client_ip": "192.0.2.7", "method": "GET", "path": "/a", "query": "b=1", "protocol": "1.1", "status": 404}
        | {"bytes": 512, "user_agent": "curl/8.5.0"},
    ),
    "Apache, %U as the request": (
        {"time": AT, "remoteIP": "192.0.2.7", "request": "/a", "query": "?b=1", "method": "GET", "status": "200"},
        {"client_ip": "192.0.2.7", "method": "GET", "path": "/a", "query": "b=1", "status": 200},
    ),
    "Datadog, whose status is a level": (
        {"timestamp": AT, "status": "info", "http": {"method": "GET", "url": "/a", "status_code": 200}},
        {"method": "GET", "path": "/a", "status": 200},
    ),
    "express-bunyan-logger": (
        {"name": "a", "hostname": "h", "pid": 1, "level": 40, "method": "GET", "url": "/a", "status-code": 404}
        | {"response-time": 0.75, "remote-address": "192.0.2.7", "http-version": "1.1", "time": AT, "v": 0},
        {"method": "GET", "path": "/a", "status": 404, "duration_ms": 0.75, "client_ip": "192.0.2.7", "level": "WARN"},
    ),
    "slog-gin": (
        {"time": AT, "level": "INFO", "msg": "200: OK", "request": {"method": "GET", "path": "/a", "ip": "192.0.2.7"}}
        | {"response": {"latency": 1234567, "status": 200, "length": 12}},
        {"method": "GET", "path": "/a", "status": 200, "duration_ms": 1.234567, "bytes": 12},
    ),
    "Vercel": (
        {"timestamp": 1737109800000, "path": "/[id]", "host": "x.vercel.app", "level": "info", "message": "END"}
        | {"proxy": {"method": "GET", "host": "a.example", "path": "/7?b=1", "statusCode": 200, "userAgent": ["UA"]}},
        {"method": "GET", "path": "/7", "query": "b=1", "host": "a.example", "status": 200, "user_agent": "UA"},
    ),
    "chi's httplog before v2": (
        {"level": "info", "timestamp": AT, "httpRequest": {"requestMethod": "GET", "requestURL": "http://a.example/a"}}
        | {"httpResponse": {"status": 200, "bytes": 12, "elapsed": 1.5}},
        {"method": "GET", "path": "/a", "host": "a.example", "status": 200, "bytes": 12, "duration_ms": 1.5},
    ),
    "VPC Lattice": (
        {"startTime": AT, "requestMethod": "GET", "requestPath": "/a", "responseCode": 200, "duration": 5}
        | {"sourceIpPort": "192.0.2.7:5555", "requestToTargetDuration": 1, "hostHeader": "a.example"},
        {
            "method": "GET",
            "path": "/a",
            "status": 200,
            "duration_ms": 5.0,
            "client_ip": "192.0.2.7",
            "host": "a.example",
        },
    ),
    "Cloud Logging, an application's object": (
        {"timestamp": AT, "jsonPayload": {"method": "GET", "path": "/a", "status": 200}, "severity": "WARNING"},
        {"method": "GET", "path": "/a", "status": 200, "level": "WARN"},
    ),
}


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("product", PRODUCTS)
def test_a_products_keys(tmp_path: Path, product: str, spaced: bool) -> None:
    given, expected = PRODUCTS[product]
    path = tmp_path / "a.log"
    line = json.dumps(given, separators=(", ", ": ") if spaced else (",", ":"))
    path.write_text(f"{line}\n" * 3)
    (frame,) = logstats.read(path)
    for row in frame.to_dicts():
        assert row["kind"] == "request"
        assert {name: row[name] for name in expected} == expected
        assert row["timestamp"].isoformat() == "2025-01-17T10:30:00+00:00"
    assert frame.height == 3


@pytest.mark.parametrize("status", [0, "0", "started"])
def test_an_application_that_says_how_it_went_asks_for_nothing(tmp_path: Path, status: object) -> None:
    path = tmp_path / "a.log"
    path.write_text(json.dumps({"time": AT, "level": "info", "msg": "job done", "job": "x", "status": status}) + "\n")
    (frame,) = logstats.read(path)
    assert frame["kind"].to_list() == ["event"]


@pytest.mark.parametrize("line", ['{"colour": "red"}', '{"colour": "red", "status": 0}'])
def test_an_object_that_says_nothing_known_is_rejected(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.log"
    known = json.dumps({"time": AT, "level": "info", "msg": "job done"})
    path.write_text(f"{known}\n{line}\n")
    assert logstats.report(path).rejected == 1
