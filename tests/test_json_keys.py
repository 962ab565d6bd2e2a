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
    "Docker's registry, as an object": (
        {"time": AT, "level": "info", "msg": "response completed", "http.request.method": "GET"}
        | {"http.request.uri": "/v2/?a=1", "http.request.remoteaddr": "192.0.2.7:4321", "http.response.status": 200}
        | {"http.response.duration": "1.234567ms", "http.response.written": 2, "http.request.host": "r.example"},
        {"method": "GET", "path": "/v2/", "query": "a=1", "client_ip": "192.0.2.7", "status": 200, "bytes": 2}
        | {"duration_ms": 1.234567, "host": "r.example"},
    ),
    "Ory": (
        {"http_request": {"host": "o.example", "method": "GET", "path": "/a", "query": "b=1", "remote": "192.0.2.7:1"}}
        | {"http_response": {"size": 12, "status": 200, "took": 1234567}, "level": "info", "time": AT},
        {"method": "GET", "path": "/a", "query": "b=1", "status": 200, "duration_ms": 1.234567, "bytes": 12}
        | {"client_ip": "192.0.2.7", "host": "o.example"},
    ),
    "hclog, whose durations are nanoseconds": (
        {"@level": "debug", "@message": "request complete", "@module": "http", "@timestamp": AT, "method": "GET"}
        | {"path": "/v1/agent/members", "duration": 234567},
        {"method": "GET", "path": "/v1/agent/members", "duration_ms": 0.234567, "level": "DEBUG"},
    ),
    "Datadog's attributes, whose duration is in nanoseconds": (
        {"timestamp": AT, "duration": 1234567, "network": {"client": {"ip": "192.0.2.7"}}}
        | {"http": {"method": "GET", "status_code": 200, "url": "http://a.example/a", "url_details": {"path": "/a"}}},
        {"method": "GET", "path": "/a", "host": "a.example", "status": 200, "duration_ms": 1.234567},
    ),
    "Kubernetes' API server, klog's JSON": (
        {"ts": 1737109800000, "msg": "HTTP", "v": 3, "verb": "GET", "URI": "/livez?a=1", "latency": "1.2ms"}
        | {"srcIP": "192.0.2.7:1", "userAgent": "kube-probe/1.28"},
        {"method": "GET", "path": "/livez", "query": "a=1", "duration_ms": 1.2, "client_ip": "192.0.2.7"},
    ),
    "Kibana 7": (
        {"type": "response", "@timestamp": AT, "method": "get", "statusCode": 200}
        | {"req": {"url": "/a?b=1", "method": "get", "remoteAddress": "192.0.2.7"}}
        | {"res": {"statusCode": 200, "responseTime": 12, "contentLength": 9}, "message": "GET /a 200 12ms - 9.0B"},
        {"path": "/a", "query": "b=1", "status": 200, "duration_ms": 12.0, "bytes": 9, "client_ip": "192.0.2.7"},
    ),
    "Hanami, microseconds": (
        {"app": "bookshelf", "severity": "INFO", "time": AT, "verb": "GET", "status": 200, "elapsed": 1234}
        | {"elapsed_unit": "µs", "ip": "192.0.2.7", "path": "/a", "length": "12"},
        {"method": "GET", "path": "/a", "status": 200, "duration_ms": 1.234, "bytes": 12},
    ),
    "RoadRunner": (
        {"level": "info", "ts": 1737109800000000000, "msg": "http log", "status": 200, "method": "GET", "URI": "/a?b=1"}
        | {"remote_address": "192.0.2.7:1", "read_bytes": 3, "write_bytes": 12, "elapsed": "1.5ms"},
        {"path": "/a", "query": "b=1", "bytes": 12, "request_bytes": 3, "client_ip": "192.0.2.7", "duration_ms": 1.5},
    ),
    "Rust's tracing, flat": (
        {"timestamp": AT, "level": "INFO", "message": "finished processing request", "latency": "3 ms", "status": 200}
        | {"span": {"method": "GET", "uri": "/a?b=1", "version": "HTTP/1.1", "name": "request"}},
        {"method": "GET", "path": "/a", "query": "b=1", "status": 200, "duration_ms": 3.0},
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
