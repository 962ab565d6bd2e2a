"""Lines that are almost of a known format: something stands in front, in between or behind.

They are read as what they are, whether all lines of a source are such or one after many plain ones; or they are
rejected. No part of them ever becomes the value of another column.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from program import invoke

import logstats
from logstats.pipeline import Counts

COMBINED = '192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "UA"'
ROW: dict[str, Any] = {
    "method": "GET",
    "path": "/a",
    "status": 200,
    "bytes": 5,
    "client_ip": "192.0.2.7",
    "user_id": None,
    "user_agent": "UA",
    "host": None,
    "app_name": None,
    "duration_ms": None,
}


def read(path: Path, lines: list[str], **options: Any) -> tuple[dict[int, dict[str, Any]], Counts]:
    path.write_text("".join(f"{line}\n" for line in lines))
    counts = Counts()
    frames = list(logstats.read(path, columns=tuple(ROW), counts=counts, **options))
    return {row.pop("line"): row for frame in frames for row in frame.drop("source").to_dicts()}, counts


def with_host(host: str) -> str:
    return COMBINED.replace('] "', f'] {host} "')


IN_FRONT = {  # what is taken off → the program in it
    "<190>": None,
    "<13>Jan 17 10:30:00 nginx: ": "nginx",
    "<13>Jan 17 10:30:00 nginx[12]: ": "nginx",
    "<190>nginx: ": None,
    "nginx[12]: ": "nginx",
    "stdout: ": None,
    "INFO: ": None,
    "[httpd] ": None,
    "[info] ": None,
    "10.0.0.5 nginx: ": "nginx",
    "access.log:": None,
    "/var/log/nginx/access.log:12:": None,
    "1737109800 ": None,
    "1737109800.123 ": None,
    "2025-01-17T10:30:00 ": None,
    "2025-01-17 10:30:00,123 INFO ": None,
    "2025-01-17 10:30:00,123 [INFO] [access] ": None,
    "[pod/web-6d4-abc/nginx] ": "nginx",
    "web-1  | ": "web-1",
    "shop_web.2.q1w2e3r4t5y6u7i8o9p0a1s2d@worker-1    | ": "shop_web",
    "10:30:00 web.1  | ": "web.1",
    "0|web  | 2025-01-17T10:30:00: ": "web",
    "[web-5d4f8b7c9d-abcde nginx] ": "nginx",
    "shop/web-5d4f8b7c9d-abcde[nginx]: ": "nginx",
    "   2025-01-17T10:30:00.12+0000 [APP/PROC/WEB/0] OUT ": None,
    "Jan 17 10:30:00 relay1 Jan 17 10:29:59 web1 nginx[12]: ": "nginx",
    "Jan 17 10:30:00 10.0.0.5 Jan 17 10:29:59 web1 nginx[12]: ": "nginx",
    "<190>Jan 17 2025 10:30:00 web1 nginx: ": "nginx",
    "Fri Jan 17 10:30:00 2025 local7.info nginx: ": "nginx",
    "Jan 17 10:30:00 web1 local7.info nginx: ": "nginx",
    "Jan 17 10:30:00 web1 nginx:": "nginx",
    "<30>Jan 17 10:30:00 3f4e5a6b7c8d[911]: ": "3f4e5a6b7c8d",
    "Jan 17 10:30:00 web1 nginx: #033[32m": "nginx",
    "\x1b]0;title\x07\x1b[38;2;1;2;3m": None,
    "\x1b(B\x1b[m": None,
}
UNKNOWN = [  # nobody says what it is
    "Jan 17 ",
    "12345 67890 ",
    "> ",
    "(1) ",
    "INFO ",
    "     1\t",
    "12:",
    "6f3a2c1ed4b811ef80010242ac110002 ",
    "[6f3a2c1ed4b811ef80010242ac110002] ",
    "6f3a2c1e-d4b8-11ef-8001-0242ac110002 ",
    "@40000000678a310a1dcd6500 ",
    "2025-01-17_10:30:00.12345 ",
    "[2025-01-17 10:30:00] ",
    "[ 1234.567890] web1 nginx[123]: ",
    "/ecs/web web/0123456789abcdef 2025-01-17T10:30:00.123Z ",
    '"a.example" ',
    "00:00:01 ",
    "web1: 0.012 app/1.2.3 [a/b] x=y ",
]


@pytest.mark.parametrize("plain", [0, 300])
@pytest.mark.parametrize("prefix", IN_FRONT)
def test_what_stands_in_front_is_taken_off(tmp_path: Path, prefix: str, plain: int) -> None:
    rows, counts = read(tmp_path / "a.log", [*[COMBINED] * plain, prefix + COMBINED])
    assert counts.rejected == 0
    row = rows[plain + 1]
    assert row == {**ROW, "app_name": IN_FRONT[prefix]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- - [", "a.example - - ["),  # a host behind the client, which was the client
        (" 200 5 ", " 200 200 5 "),  # the status twice, which was the size
        ('"UA"', '"203.0.113.9" "UA"'),  # X-Forwarded-For in front of the browser, which was the browser
        ('"UA"', '"UA" 4711 443'),  # process and port, which were the bytes of a request
        ("192.0.2.7", "6f3a2c1ed4b811ef80010242ac110002 192.0.2.7"),  # an id, which was the host
    ],
)
def test_columns_in_between_are_not_those_of_the_format(tmp_path: Path, old: str, new: str) -> None:
    lines = [COMBINED.replace(old, new).replace(" 5 ", f" {900 + n} ").replace("/a", f"/a/{n}") for n in range(20)]
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    for line in invoke("parse", "-o", "jsonl", str(path)).stdout.splitlines():
        row = json.loads(line)
        assert row["client_ip"] == "192.0.2.7"
        assert row.get("user_agent") in (None, "UA")
        assert row["host"] is None and row["request_bytes"] is None and row["bytes"] != 200


@pytest.mark.parametrize("plain", [0, 300])
@pytest.mark.parametrize("prefix", UNKNOWN)
def test_what_stands_in_front_and_has_no_name_is_kept_out(tmp_path: Path, prefix: str, plain: int) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in [*[COMBINED] * plain, *[prefix + COMBINED] * 4]))
    ran = invoke("parse", "-o", "jsonl", str(path))
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [{name: row.get(name) for name in ROW} for row in rows] == [ROW] * (plain + 4)
    assert b"what stands around combined has no name: it is kept out" in ran.stderr


EXPORTS = [  # of log stores: what a line becomes there
    lambda line: json.dumps({"time": 1737109800.1, "host": "web1", "sourcetype": "nginx", "event": line}),
    lambda line: json.dumps({"preview": False, "result": {"_raw": line, "_time": "2025-01-17T10:30:00.000+0000"}}),
    lambda line: json.dumps({"@timestamp": "2025-01-17T10:30:00.1Z", "event": {"original": line}}),
    lambda line: json.dumps({"id": "A", "content": {"host": "web1", "message": line}}),
    lambda line: json.dumps({"TimeGenerated": "2025-01-17T10:30:00.1Z", "LogMessage": line}),
    lambda line: "\x1e" + json.dumps({"__REALTIME_TIMESTAMP": "1737109800123456", "MESSAGE": line}),
    lambda line: "  " + json.dumps({"time": "2025-01-17T10:30:00.1Z", "log": line}) + ",",
    lambda line: "12:" + json.dumps({"time": "2025-01-17T10:30:00.1Z", "log": line}),
    lambda line: "2025-01-17 10:30:00.123," + '"' + line.replace('"', '""') + '"',
    lambda line: '"' + line.replace('"', '""') + '","web1, the first",,x',
]


@pytest.mark.parametrize("plain", [0, 300])
@pytest.mark.parametrize("export", range(len(EXPORTS)))
def test_lines_are_read_as_log_stores_export_them(tmp_path: Path, export: int, plain: int) -> None:
    rows, counts = read(tmp_path / "a.log", [*[COMBINED] * plain, *[EXPORTS[export](COMBINED)] * 4])
    assert counts.rejected == 0
    assert [*rows.values()] == [ROW] * (plain + 4)


@pytest.mark.parametrize("plain", [0, 300])
@pytest.mark.parametrize(
    ("line", "differs"),
    [
        (COMBINED.replace("- - [", "- - - ["), {}),
        (COMBINED.replace("- - [", "- ada - [") + " 0.030", {"user_id": "ada", "duration_ms": 30.0}),
        (COMBINED.replace("7 - -", "7 (203.0.113.9) - -"), {}),
        (COMBINED.replace("7 - -", "7 (203.0.113.9, 198.51.100.2) - -"), {}),
        (COMBINED.replace("7 - -", "7 (-) - -"), {}),
        ('"203.0.113.9, 198.51.100.2" ' + COMBINED, {}),
        (with_host('"a.example"'), {"host": "a.example"}),
        (with_host("a.example:8080"), {"host": "a.example:8080"}),
        (with_host('"a.example"') + " 0.038", {"host": "a.example", "duration_ms": 38.0}),
        (with_host("a.example") + ' "203.0.113.9"', {"host": "a.example"}),
        (with_host('"a.example"') + ' "203.0.113.9, 198.51.100.2"', {"host": "a.example"}),
        (COMBINED + " 6f3a2c1e-d4b8-11ef-8001-0242ac110002 1520", {"duration_ms": 1.52}),
        ("[httpd] " + COMBINED + " 6f3a2c1e-d4b8-11ef-8001-0242ac110002 1520", {"duration_ms": 1.52}),
        (COMBINED + ' "DE" "Berlin"', {}),
        (COMBINED + ' TLSv1.3 "h2"', {}),
        (COMBINED + " - 12.345 ms", {"duration_ms": 12.345}),  # morgan's `:response-time ms`
        (COMBINED.replace("7 - -", "7:51234 - -"), {}),
        ("- " + COMBINED, {}),
        ("203.0.113.9, 198.51.100.2 " + COMBINED, {}),
        (f'"{COMBINED}"'.replace('"', '""')[1:-1], {}),  # CSV
        (json.dumps(COMBINED), {}),
        (json.dumps(COMBINED)[1:-1], {}),
        ("\ufeff" + COMBINED, {}),
        (COMBINED + "\r\r", {}),
        (COMBINED.replace("- - [", '- "" ['), {}),  # Apache's %u, of a user without a name
        (COMBINED + " 0 12345", {}),  # %T and %D, not the bytes of a request and of its response
    ],
)
def test_what_stands_in_between_or_behind(tmp_path: Path, line: str, differs: dict[str, Any], plain: int) -> None:
    rows, counts = read(tmp_path / "a.log", [*[COMBINED] * plain, line])
    assert counts.rejected == 0
    want = {**ROW, **differs}
    assert rows[plain + 1] == {**want, "app_name": want["host"]}


@pytest.mark.parametrize(
    "line",
    [
        COMBINED.replace("7 - -", "7 (203.0.113.9, 198.51.100.2) - -"),
        '"203.0.113.9" ' + COMBINED,
        "203.0.113.9, 198.51.100.2 " + COMBINED,
        COMBINED + ' "203.0.113.9, 198.51.100.2"',
        COMBINED + ' "DE" "203.0.113.9, 198.51.100.2"',
        COMBINED + ' 0.1 "DE" "203.0.113.9"',
        "a.example:443 " + COMBINED + ' "DE" "203.0.113.9,198.51.100.2:80"',
    ],
)
def test_addresses_are_the_forwarded_chain_if_they_are_trusted(tmp_path: Path, line: str) -> None:
    for trusted, client in ((True, "203.0.113.9"), (False, "192.0.2.7")):
        rows, _ = read(tmp_path / "a.log", [line], trust_forwarded=trusted)
        assert [row["client_ip"] for row in rows.values()] == [client]


def test_a_last_column_that_is_no_address_is_no_client(tmp_path: Path) -> None:
    for tail in ('"DE" "Berlin"', '"a:b"', '"1, 2"'):
        rows, _ = read(tmp_path / "a.log", [f"{COMBINED} {tail}"], trust_forwarded=True)
        assert [row["client_ip"] for row in rows.values()] == ["192.0.2.7"], tail


@pytest.mark.parametrize(
    "line",
    [
        "203.0.113.9, 198.51.100.2 - " + COMBINED,
        "203.0.113.9 " * 2 + COMBINED,
        COMBINED.replace("7 - -", "7 DE - ada"),
        "10.0.0.5/" + COMBINED,
        COMBINED.replace("192.0.2.7", "192.0\0\0\0.2.7"),
        COMBINED.replace("/a", "/\0\0\0"),
        COMBINED.replace("- - [", " - ada ["),
        COMBINED[:30] + " " + COMBINED,
        COMBINED[:-4] + " " + COMBINED,
    ],
)
def test_what_nobody_knows_is_rejected(tmp_path: Path, line: str) -> None:
    rows, counts = read(tmp_path / "a.log", [*[COMBINED] * 300, line])
    assert (len(rows), counts.rejected) == (300, 1)


NGINX = (
    '2025/01/17 10:30:00 [error] 29#29: *1 open() "/x" failed (2: No such file or directory), client: 192.0.2.1, '
    'server: a.example, request: "GET /a HTTP/1.1", host: "a.example"'
)
ERRORS = [
    NGINX,
    '2025/01/17 10:30:00 [warn] 29#29: conflicting server name "x" on 0.0.0.0:80, ignored',
    "[Fri Jan 17 10:30:00.123456 2025] [core:error] [pid 12] [client 192.0.2.1:5000] AH00128: File does not exist",
    "[Fri Jan 17 10:30:00 2025] [notice] caught SIGTERM, shutting down",
]


@pytest.mark.parametrize("plain", [3, 300])
@pytest.mark.parametrize("line", ERRORS)
def test_lines_of_an_error_log_between_requests_are_events(tmp_path: Path, line: str, plain: int) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{one}\n" for one in [*[COMBINED] * plain, line, COMBINED]))
    report = logstats.report(path)
    assert (report.requests, report.events, report.rejected) == (plain + 1, 1, 0)
    rows = [row for rows in logstats.read(path) for row in rows.to_dicts()]
    event = rows[plain]
    assert (event["kind"], event["status"], event["level"]) == ("event", None, event["level"])
    assert event["level"] in ("ERROR", "WARN", "NOTICE")


S3 = (
    "79a5 logs [10/Sep/2019:15:11:07 +0000] 192.0.2.1 arn:aws:iam::1:user/t 8CD7 REST.GET.OBJECT a.war "
    '"GET /logs/a.war HTTP/1.1" 200 - 12 12 41 40 "-" "UA" - IeDW= SigV4 ECDHE AuthHeader logs.example TLSv1.2 - -'
)
S3_BARE = (
    "79a5 logs [10/Sep/2019:15:11:08 +0000] 192.0.2.1 arn:aws:iam::1:user/t 8CD8 BATCH.DELETE.OBJECT a.war - 204 - - "
    "344017 - - - - - IeDW= SigV4 ECDHE AuthHeader logs.example TLSv1.2"
)
S3_EXPIRED = (
    "79a5 logs [10/Sep/2019:15:11:09 +0000] - AmazonS3 8CD9 S3.EXPIRE.OBJECT a.war - - - - 9 - - - - - IeDW= - - - - -"
)


@pytest.mark.parametrize("format", [None, "aws_s3"])
@pytest.mark.parametrize(
    "lines",
    [[S3, S3_BARE, S3], [S3_BARE, S3_EXPIRED, S3_BARE], [*[S3] * 200, S3_BARE, S3_EXPIRED], [S3_BARE, S3, S3_EXPIRED]],
)
def test_operations_of_s3_without_a_request(tmp_path: Path, lines: list[str], format: str | None) -> None:
    """Any absent value is a bare `-` (AWS: S3 server access log format)."""
    rows, counts = read(tmp_path / "a.log", lines, format=format)
    assert counts.rejected == 0
    statuses = {S3: 200, S3_BARE: 204, S3_EXPIRED: None}
    assert [row["status"] for row in rows.values()] == [statuses[line] for line in lines]


def journal(message: object) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": "1737109800123456", "MESSAGE": message, "SYSLOG_IDENTIFIER": "nginx"})


@pytest.mark.parametrize("first", [1, 300])
def test_a_journal_entry_whose_text_is_left_out_is_an_empty_line(tmp_path: Path, first: int) -> None:
    """Journalctl says null of a text longer than 4 KiB; an entry need not have one at all."""
    bare = '{"__REALTIME_TIMESTAMP":"1737109800123456","_COMM":"nginx"}'
    lines = [journal(None), *[journal(COMBINED)] * first, journal(None), bare, journal(""), journal(COMBINED)]
    rows, counts = read(tmp_path / "a.log", lines)
    assert (len(rows), counts.rejected, counts.ignored) == (first + 1, 0, 4)
    assert {row["app_name"] for row in rows.values()} == {"nginx"}


def test_runs_of_carriage_returns_and_nuls_take_linear_time(tmp_path: Path) -> None:
    """Two megabytes of each take a second; taken one at a time, hours."""
    path = tmp_path / "a.log"
    path.write_bytes(COMBINED.encode() + b"\n" + b"\r" * 2_000_000 + b"\n" + b"a\0\0" * 700_000 + b"\n")
    began = time.perf_counter()
    report = logstats.report(path)
    assert (report.requests, report.lines) == (1, 3)
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize(
    ("front", "said"),
    [("https", True), ("192.0.2.9", True), ("example.com", False), ("web:8080", False), ("localhost", False)],
)
def test_what_only_its_place_makes_a_virtual_host_is_said(tmp_path: Path, front: str, said: bool) -> None:
    """A scheme, or a client before its proxy's address, stands where Apache's %v does."""
    path = tmp_path / "a.log"
    path.write_text(f"{front} {COMBINED}\n" * 3)
    report = logstats.report(path)
    assert report.requests == 3
    assert [note for note in report.notes if "virtual host" in note] == (
        [f"{path}: nothing but its place shows that {front!r} is a virtual host; it is read as one"] if said else []
    )
