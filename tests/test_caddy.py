"""Caddy's logs: a request is counted once, whoever of Caddy's loggers writes of it, and what is none is an event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import logstats
from logstats.pipeline import Counts

REQUEST = {
    "remote_ip": "192.0.2.7",
    "remote_port": "51000",
    "proto": "HTTP/1.1",
    "method": "GET",
    "host": "a",
    "uri": "/",
}
ACCESS = {"request": REQUEST, "bytes_read": 0, "user_id": "", "duration": 0.002, "size": 0, "status": 502}
ERROR = {"request": REQUEST, "duration": 0.001, "status": 502, "err_id": "q", "err_trace": "reverseproxy.statusError"}
UPSTREAM = {"upstream": "127.0.0.1:8080", "duration": 0.001, "request": REQUEST, "headers": {}, "status": 200}
# (level, logger, message, what is in its object)
WRITTEN: list[tuple[str, str, str, dict[str, Any]]] = [
    ("INFO", "", "using config from file", {"file": "/etc/caddy/Caddyfile"}),
    ("WARN", "admin", "admin endpoint disabled", {}),
    ("DEBUG", "http.handlers.reverse_proxy", "upstream roundtrip", UPSTREAM),
    ("ERROR", "http.log.error.log0", "dial tcp 127.0.0.1:8080: connection refused", ERROR),
    ("ERROR", "http.log.access.log0", "handled request", ACCESS),
    ("INFO", "", "serving initial configuration", {}),
]


def as_json(level: str, logger: str, message: str, more: dict[str, Any]) -> str:
    named = {"logger": logger} if logger else {}
    return json.dumps({"level": level.lower(), "ts": 1737109800.25, **named, "msg": message, **more})


def as_console(level: str, logger: str, message: str, more: dict[str, Any]) -> str:
    parts = ["2025/01/17 10:30:00.250", level, logger, message, json.dumps(more) if more else ""]
    return "\t".join(filter(None, parts))


def as_coloured_console(level: str, logger: str, message: str, more: dict[str, Any]) -> str:
    return as_console(f"\x1b[34m{level}\x1b[0m", logger, message, more)


@pytest.mark.parametrize("spelled", [as_json, as_console, as_coloured_console])
@pytest.mark.parametrize("times", [1, 60])  # within the first lines, and beyond them
def test_what_is_counted(tmp_path: Path, spelled: Any, times: int) -> None:
    path = tmp_path / "caddy.log"
    lines = [spelled(*one) for one in WRITTEN[:-2] for _ in range(times)] + [spelled(*one) for one in WRITTEN[-2:]]
    path.write_text("".join(f"{line}\n" for line in lines))
    counts = Counts()
    rows = [row for frame in logstats.read(path, counts=counts) for row in frame.to_dicts()]
    assert (counts.requests, counts.rejected, counts.lines) == (1, 0, len(lines))
    (request,) = [row for row in rows if row["kind"] == "request"]
    assert (request["line"], request["status"], request["duration_ms"]) == (len(lines) - 1, 502, 2.0)
    events = [(row["level"], row["message"]) for row in rows if row["kind"] == "event"]
    said = [(level, message) for level, _, message, _ in WRITTEN if message != "handled request"]
    assert events == [*(one for one in said[:-1] for _ in range(times)), said[-1]]
