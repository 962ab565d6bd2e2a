"""Keys of applications: in all spellings, with all units, in objects of their own; and which lines are requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import logstats
from logstats.formats.registry import builtin
from logstats.pipeline import Counts

AT = "2025-01-17T10:30:00Z"
LINE = {"time": AT, "level": "info", "msg": "done", "method": "GET", "path": "/a", "status": 200}


def rows(folder: Path, *given: dict[str, Any] | str, invalid: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """The rows of lines, by `parse`; a report counts the same requests."""
    path = folder / "a.log"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in given))
    counts = Counts()
    found = [row for frame in logstats.read(path, counts=counts) for row in frame.to_dicts()]
    report = logstats.report(path)
    assert report.requests == sum(row["kind"] == "request" for row in found)
    assert dict(counts.invalid) == (invalid or {})
    return found


@pytest.mark.parametrize(
    ("key", "value", "milliseconds"),
    [
        ("durationMs", 12, 12.0),
        ("DurationMs", 12, 12.0),
        ("elapsed_micros", 1500, 1.5),
        ("elapsedNs", 1500000, 1.5),
        ("latency_nanos", 1500000, 1.5),
        ("latencyMicroseconds", 1500, 1.5),
        ("requestDurationMs", 12, 12.0),
        ("request_duration_us", 1500, 1.5),
        ("latency_in_ms", 12, 12.0),
        ("responseTimeMillis", 12, 12.0),
        ("process-time-ms", 12, 12.0),
        ("requestTimeSeconds", 0.0125, 12.5),
        ("took_sec", 0.0125, 12.5),
        ("Latency", "12.5ms", 12.5),
        ("process_time", "12.5ms", 12.5),
    ],
)
@pytest.mark.parametrize("pairs", [False, True])
def test_durations_whose_key_names_the_unit(
    tmp_path: Path, key: str, value: float | str, milliseconds: float, pairs: bool
) -> None:
    line = {**LINE, key: value}
    given = " ".join(f"{name}={text}" for name, text in line.items()) if pairs else line
    (row,) = rows(tmp_path, given)
    assert row["duration_ms"] == milliseconds


def test_spellings_of_other_keys(tmp_path: Path) -> None:
    (row,) = rows(
        tmp_path,
        {"Timestamp": "2025-01-17T11:30:00+01:00", "Level": "Warning", "RequestMethod": "GET", "requestURI": "/a?b=1"}
        | {"response-status": 404, "contentLength": 12, "remoteHost": "192.0.2.7", "hostName": "x", "userAgent": "UA"},
    )
    assert row["timestamp"] == datetime(2025, 1, 17, 10, 30, tzinfo=UTC)
    assert (row["method"], row["path"], row["query"], row["status"]) == ("GET", "/a", "b=1", 404)
    assert (row["bytes"], row["client_ip"], row["user_agent"], row["level"]) == (12, "192.0.2.7", "UA", "WARN")
    assert row["host"] is None  # of what machine that is the name, nobody knows


def test_a_spelling_means_one_field() -> None:
    """`requestTime` is a time, `request_time` a duration, and `RequestTime` may be either."""
    fields = builtin()["json"].fields
    told = {key for field in fields.values() for key in field.keys}
    spelled = [key for field in fields.values() for key in field.spellings]
    assert len(spelled) == len(set(spelled))
    assert not told.intersection(spelled)
    assert "requestTime" in fields["timestamp"].keys
    assert "RequestTime" not in told.union(spelled)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("HTTP/1.1 200 OK", 200),
        ("404 NOT_FOUND", 404),
        ("200 - OK", 200),
        ("started", None),
        ("2xx", None),
        (-1, None),
        (99999, None),
        (True, None),
    ],
)
def test_an_odd_status_does_not_cost_a_request(tmp_path: Path, status: object, expected: int | None) -> None:
    (row,) = rows(tmp_path, {**LINE, "status": status}, invalid={} if expected else {"status": 1})
    assert (row["kind"], row["method"], row["path"], row["status"]) == ("request", "GET", "/a", expected)


@pytest.mark.parametrize(
    "message",
    [
        "request_started",
        "Request starting HTTP/1.1 GET /a",
        "started handling request",
        "[HTTP REQUEST - START]",
        "incoming request",
        "--> request received",
        "[HTTP REQUEST - EVENT] saving",
    ],
)
def test_a_request_that_begins_is_not_counted_twice(tmp_path: Path, message: str) -> None:
    begins = {"time": AT, "level": "info", "msg": message, "method": "GET", "path": "/a"}
    ends = {**begins, "msg": "request finished", "status": 200, "duration_ms": 1.5}
    found = rows(tmp_path, *[begins, ends] * 3)
    assert [row["kind"] for row in found] == ["event", "request"] * 3


def test_a_message_decides_nothing_where_a_request_has_an_answer(tmp_path: Path) -> None:
    (one, two, three) = rows(
        tmp_path,
        {**LINE, "msg": "incoming request"},
        {"time": AT, "level": "info", "msg": "incoming request", "method": "GET", "path": "/a", "duration_ms": 1.5},
        {"time": AT, "level": "info", "msg": "request", "method": "GET", "path": "/a"},
    )
    assert [one["kind"], two["kind"], three["kind"]] == ["request"] * 3


def test_a_file_that_took_long_is_no_request(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, {"time": AT, "level": "info", "msg": "loaded", "path": "/etc/a.toml", "duration": "12ms"})
    assert (row["kind"], row["message"]) == ("event", "loaded")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"date": "2025-01-17", "time": "10:30:00"}, "2025-01-17T10:30:00Z"),
        ({"date": "2025-01-17", "time": "10:30:00.250"}, "2025-01-17T10:30:00.250Z"),
        ({"date": "2025-01-17", "time": "11:30:00", "tz": "+0100"}, "2025-01-17T10:30:00Z"),
        ({"date": "2025-01-17T10:30:00Z", "timezone": "Europe/Berlin"}, "2025-01-17T10:30:00Z"),
        ({"date": "2025-01-17T10:30:00Z", "tz": "+0100"}, "2025-01-17T10:30:00Z"),
        ({"date": 1737109800.25}, "2025-01-17T10:30:00.250Z"),
        ({"time": "10:30:00"}, None),
        ({"time": "20250117103000250"}, "2025-01-17T10:30:00.250Z"),
        ({"time": "2025-01-17 10:30:00:250"}, "2025-01-17T10:30:00.250Z"),
        ({"time": "2025-01-17t10:30:00.250z"}, "2025-01-17T10:30:00.250Z"),
        ({"time": "/Date(1737109800250)/"}, "2025-01-17T10:30:00.250Z"),
        ({"time": "/Date(1737109800250+0100)/"}, "2025-01-17T10:30:00.250Z"),
    ],
)
def test_times_in_parts_and_their_spellings(tmp_path: Path, parts: dict[str, Any], expected: str | None) -> None:
    (row,) = rows(tmp_path, {**{key: value for key, value in LINE.items() if key != "time"}, **parts})
    assert row["timestamp"] == (expected and datetime.fromisoformat(expected))


@pytest.mark.parametrize(
    ("logged", "level"),
    [("INFO+2", "INFO"), ("ERROR+4", "ERROR"), ("DEBUG-4", "DEBUG"), ("\x1b[32minfo\x1b[39m", "INFO")],
)
def test_levels_of_slog_and_of_terminals(tmp_path: Path, logged: str, level: str) -> None:
    (row,) = rows(tmp_path, {**LINE, "level": logged})
    assert row["level"] == level


@pytest.mark.parametrize("name", ["fields", "properties", "extra", "data", "attributes"])
def test_a_request_in_an_object_of_its_own(tmp_path: Path, name: str) -> None:
    request = {"method": "GET", "path": "/a", "status": 503, "duration_ms": 1.5}
    found = rows(
        tmp_path,
        {"time": AT, "level": "info", "msg": "http", name: request},
        {"time": AT, "level": "warn", "msg": "order", name: {"status": "open"}},
    )
    assert [row["kind"] for row in found] == ["request", "event"]
    assert (found[0]["path"], found[0]["status"], found[0]["duration_ms"]) == ("/a", 503, 1.5)
    assert (found[0]["level"], found[1]["level"], found[1]["message"]) == ("INFO", "WARN", "order")
    assert [row["timestamp"] for row in found] == [datetime(2025, 1, 17, 10, 30, tzinfo=UTC)] * 2


ACCESS = '192.0.2.7 - bob [17/Jan/2025:10:30:00 +0000] "GET /a?b=1 HTTP/1.1" 200 12 "-" "UA"'


@pytest.mark.parametrize("line", [ACCESS, json.dumps({**LINE, "path": "/a?b=1"})])
@pytest.mark.parametrize(
    "around",
    [
        {"time": 1737109805.1, "sourcetype": "access_combined", "event": None},
        {"preview": False, "result": {"_raw": None, "_time": "2025-01-17 10:30:05.000 UTC"}},
        {"@timestamp": "2025-01-17 10:30:05.123", "@message": None},
        {"timeUnixNano": "1737109805123000000", "body": {"stringValue": None}},
        {"Timestamp": "2025-01-17T10:30:05.1Z", "SeverityText": "", "Body": None},
        {"PROGRAM": "nginx", "PRIORITY": "info", "MESSAGE": None, "HOST": "h"},
        {"id": "AQ", "attributes": {"timestamp": "2025-01-17T10:30:05.1Z", "message": None}},
        {"TimeGenerated": "2025-01-17T10:30:05.1Z", "LogMessage": None},
    ],
)
def test_what_forwards_lines(tmp_path: Path, line: str, around: dict[str, Any]) -> None:
    given = json.dumps(around).replace("null", json.dumps(line))
    for row in rows(tmp_path, *[given] * 3):
        assert (row["method"], row["path"], row["query"], row["status"]) == ("GET", "/a", "b=1", 200)
        assert row["timestamp"] == datetime(2025, 1, 17, 10, 30, tzinfo=UTC)


def test_pairs_with_tabs_in_between(tmp_path: Path) -> None:
    given = 'time=2025-01-17T10:30:00Z\tmethod=GET\tpath=/a\tstatus=200\tmsg="a\tb"\tduration=1.5ms'
    (row,) = rows(tmp_path, given)
    assert (row["path"], row["status"], row["message"], row["duration_ms"]) == ("/a", 200, "a\tb", 1.5)
