"""Requests as applications log them: none of them becomes an event, or another value, without a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import logstats

MESSAGE = '192.0.2.1:5000 - "GET /a HTTP/1.1" 200'
WANTED = {"kind": "request", "method": "GET", "path": "/a", "status": 200}


@pytest.mark.parametrize(
    ("line", "more"),
    [
        # Monolog's JsonFormatter: https://github.com/Seldaek/monolog/blob/main/doc/message-structure.md
        ({"message": "x", "context": {"method": "GET", "url": "/a", "status": 200, "ip": "192.0.2.1"},
          "level": 200, "level_name": "NOTICE", "datetime": "2025-01-17T10:30:00.5+00:00"},
         {"client_ip": "192.0.2.1", "level": "NOTICE"}),
        # logstash-logback-encoder's access events, whose message is the request once more, without its duration.
        ({"@timestamp": "2025-01-17T10:30:00.25Z", "method": "GET", "protocol": "HTTP/1.1", "status_code": 200,
          "message": '192.0.2.1 - - [17/Jan/2025:10:30:00 +0000] "GET /a?b=1 HTTP/1.1" 200 5', "requested_uri": "/a",
          "requested_url": "GET /a?b=1 HTTP/1.1", "remote_host": "192.0.2.1", "elapsed_time": 25},
         {"duration_ms": 25.0, "client_ip": "192.0.2.1", "query": "b=1"}),
        # Vercel's log drains: https://vercel.com/docs/drains/reference/logs
        ({"timestamp": 1737109800123, "proxy": {"method": "GET", "host": "h", "path": "/a", "userAgent": ["UA"],
          "clientIp": "192.0.2.1", "statusCode": 200}}, {"client_ip": "192.0.2.1", "host": "h", "user_agent": "UA"}),
        # ASP.NET Core's JsonConsole: https://learn.microsoft.com/dotnet/core/extensions/console-log-formatter
        ({"Timestamp": "2025-01-17T10:30:00Z", "LogLevel": "Information", "Category": "c",
          "State": {"ElapsedMilliseconds": 12.3, "StatusCode": 200, "Method": "GET", "Path": "/a", "Host": "h"}},
         {"duration_ms": 12.3, "host": "h"}),
        ({"asctime": "2025-01-17 10:30:00,123", "levelname": "INFO", "message": MESSAGE}, {"client_ip": "192.0.2.1"}),
        ('[2025-01-17 10:30:00 +0000] [12] [INFO] 192.0.2.1 - - [17/Jan/2025:10:30:00 +0000] "GET /a HTTP/1.1" 200 5',
         {"client_ip": "192.0.2.1", "bytes": 5}),
        # Events of `kv` beside which requests of Rust's loggers are requests.
        ("2025-01-17T10:30:00Z  INFO request{method=GET uri=/a version=HTTP/1.1}: tower_http::trace::on_response: "
         "finished processing request latency=12 ms status=200", {"duration_ms": 12.0, "protocol": "HTTP/1.1"}),
        ('[2025-01-17T10:30:00Z INFO  actix_web::middleware::logger] 192.0.2.1 "GET /a HTTP/1.1" 200 5 "-" "UA" 0.0125',
         {"duration_ms": 12.5, "client_ip": "192.0.2.1"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [0, 120])
def test_a_request_is_a_request(tmp_path: Path, line: dict[str, Any] | str, more: dict[str, Any], beside: int) -> None:
    path = tmp_path / "a.log"
    own = line if isinstance(line, str) else json.dumps(line)
    path.write_text("2025-01-17 10:30:00 INFO it runs ok=1\n" * beside + own)
    (row,) = [row for frame in logstats.read(path) for row in frame.to_dicts() if row["line"] > beside]
    assert {name: row[name] for name in WANTED | more} == WANTED | more
