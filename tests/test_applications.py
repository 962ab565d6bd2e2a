"""Requests as applications log them: none of them becomes an event, or another value, without a word."""

from __future__ import annotations

import json
from datetime import UTC, datetime
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


def test_colours_inside_the_quotes_are_no_part_of_a_request(tmp_path: Path) -> None:
    """Werkzeug, of Flask's development server, colours whatever was not answered with 200."""
    plain = '127.0.0.1 - - [17/Jan/2025 10:30:00] "GET /a HTTP/1.1" 200 -\n'
    log = tmp_path / "a.log"
    log.write_text(
        plain * 5
        + '127.0.0.1 - - [17/Jan/2025 10:30:01] "\x1b[33mGET /x?b=1 HTTP/1.1\x1b[0m" 404 -\n'
        + '127.0.0.1 - - [17/Jan/2025 10:30:02] "\x1b[35m\x1b[1mPOST /y HTTP/1.1\x1b[0m" 500 -\n'
    )
    rows = [row for frame in logstats.read(log) for row in frame.to_dicts()]
    assert [(row["method"], row["path"], row["query"], row["status"]) for row in rows[-2:]] == [
        ("GET", "/x", "b=1", 404),
        ("POST", "/y", None, 500),
    ]


def test_a_request_of_rails_began_when_its_first_line_says(tmp_path: Path) -> None:
    """Its lines have no time of their own where the logger puts none in front."""
    one, two = "0af76519-16cd-43dd-8448-eb211c80319c", "0af76519-16cd-43dd-8448-eb211c803190"
    log = tmp_path / "a.log"
    log.write_text(
        f'[{one}] Started GET "/a?b=1" for 192.0.2.7 at 2025-01-17 11:30:00 +0100\n'
        f'[{two}] Started POST "/b" for 192.0.2.8 at 2025-01-17 11:30:01 +0100\n'
        f"[{two}] Completed 404 Not Found in 2ms\n[{one}] Completed 200 OK in 100ms (Views: 10.0ms)\n"
    )
    rows = [
        (row["timestamp"], row["path"], row["client_ip"], row["status"])
        for frame in logstats.read(log)
        for row in frame.to_dicts()
    ]
    assert rows == [
        (datetime(2025, 1, 17, 10, 30, 1, tzinfo=UTC), "/b", "192.0.2.8", 404),
        (datetime(2025, 1, 17, 10, 30, tzinfo=UTC), "/a", "192.0.2.7", 200),
    ]
