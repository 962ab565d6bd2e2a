"""Real nginx and Apache write logs by a list of definitions, and --log-format reads back what was asked of them.

Where a server is not installed its tests are skipped, and say so.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logstats.endpoints import Endpoints
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.log_format.compile import compile_log_format
from logstats.formats.reader import reader
from logstats.formats.text import Text

MODULES = Path("/usr/lib/apache2/modules")
READING = ReadOptions(Endpoints(templates=False))


@dataclass(frozen=True)
class Asked:
    """A request as it goes over the wire, and what a log should say of it; `decoded` is its path without escapes."""

    request: bytes
    method: str | None = None
    path: str | None = None
    query: str | None = None
    protocol: str | None = None
    user_agent: str | None = None
    decoded: str = ""


def _asked(line: str, *more: str) -> bytes:
    return "\r\n".join([line, "Host: h.example:8080", "Connection: close", *more, "", ""]).encode()


REQUESTS = [
    Asked(_asked("GET /a HTTP/1.1", "User-Agent: plain/1.0"), "GET", "/a", None, "HTTP/1.1", "plain/1.0"),
    Asked(
        _asked("GET /a?x=1&y=2 HTTP/1.1", "User-Agent: a b | c -- d"),
        "GET",
        "/a",
        "x=1&y=2",
        "HTTP/1.1",
        "a b | c -- d",
    ),
    Asked(_asked("HEAD /a%20b?q HTTP/1.1"), "HEAD", "/a%20b", "q", "HTTP/1.1", None, "/a b"),
    Asked(b"GET /a- HTTP/1.0\r\n\r\n", "GET", "/a-", None, "HTTP/1.0"),
    Asked(b"GET /a?x=- HTTP/1.0\r\n\r\n", "GET", "/a", "x=-", "HTTP/1.0"),
    Asked(b"\x16\x03\x01\x02 \x01 \xfc\r\n\r\n"),
]
RAW = ("method", "path", "query", "protocol", "user_agent", "client_ip", "timestamp", "status", "bytes", "duration_ms")
BASE = [name for name in RAW if name != "user_agent"]

# definition, columns that the log must give; `decoded` stands for a path without its escapes
NGINX = [
    (
        '\'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_user_agent" \'\n'
        "'$request_time'",
        RAW,
    ),
    ("'$remote_addr | $request | $status | $body_bytes_sent | $msec | $request_time'", BASE),
    ("'$time_iso8601 $remote_addr $request $status $body_bytes_sent $request_time'", BASE),
    ("'$remote_addr\\t$time_local\\t$http_user_agent\\t$request\\t$status\\t$bytes_sent\\t$request_time'", RAW),
    (
        "'$remote_addr:$remote_port [$time_local] \"$request_method $scheme://$http_host$request_uri '\n"
        "'$server_protocol\" $status'",
        ("client_ip", "timestamp", "status"),
    ),
    (
        "'\"$request_method $uri$is_args$args $server_protocol\" $status $remote_addr'",
        ("method", "decoded", "query", "protocol", "status", "client_ip"),
    ),
    ("'$status $uri?$args [$time_iso8601]'", ("decoded", "query", "status", "timestamp")),
    ("'$http_user_agent $status $remote_addr [$msec]'", ("user_agent", "status", "client_ip", "timestamp")),
    (
        'escape=json \'{"t":"$time_iso8601","c":{"ip":"$remote_addr"},"r":"$request","s":$status,"b":$body_bytes_sent,'
        '"d":$request_time,"u":$upstream_response_time,"ua":"$http_user_agent"}\'',
        RAW,
    ),
    (
        '\'{"t":$msec,"ip":"$remote_addr:$remote_port","r":"$request","s":$status,"b":$body_bytes_sent,"d":$request_time,'
        '"u":$upstream_response_time,"ua":"$http_user_agent"}\'',
        RAW,
    ),
    ('escape=none \'"$request" "$http_user_agent" $status $remote_addr [$time_local]\'', ("status", "client_ip")),
]
APACHE = [
    (r"%h %l %u %t \"%r\" %>s %B \"%{User-Agent}i\" %D", RAW),
    (r"%t %a %r %>s %B (%D microseconds)", BASE),
    (r"%a|%{%Y-%m-%d}tT%{%H:%M:%S}t.%{msec_frac}t|%r|%>s|%B|%T|%D", BASE),
    (r"%a [%{%d/%b/%Y:%H:%M:%S}t.%{usec_frac}t %{%z}t] \"%r\" %>s %B %{ms}T", BASE),
    (r"%a %{%Y%m%d%H%M%S}t \"%r\" %>s %b", ("client_ip", "timestamp", "method", "path", "query", "status")),
    (r"%a %{%I:%M:%S %p, %A %d %B %Y}t %r %>s", ("client_ip", "timestamp", "method", "path", "query", "status")),
    (r"%a\t%{%c}t\t%r\t%>s", ("client_ip", "timestamp", "method", "path", "query", "status")),
    (r"%{sec}t %a \"%r\" %s", ("client_ip", "timestamp", "method", "path", "query", "status")),
    (r"%{end:usec}t %a \"%r\" %s", ("client_ip", "timestamp", "method", "path", "query", "status")),
    (r"%v:%p %a \"%m %U%q %H\" %>s %I %O %X %k", ("client_ip", "method", "decoded", "query", "protocol", "status")),
    (r"%a %m %U%q %>s", ("client_ip", "method", "decoded", "query", "status")),
    (r"%a:%{remote}p %{User-Agent}i %>s %t", ("client_ip", "user_agent", "status", "timestamp")),
]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _ask(port: int, request: bytes) -> int | None:
    """The status of the answer, if it says one."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else None


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < until, f"{command[0]} does not start"
                time.sleep(0.02)
        yield
    finally:
        server.terminate()
        server.wait(20)


def _nginx(folder: Path, port: int, definitions: list[str]) -> list[str]:
    formats = "\n".join(f"log_format f{n} {text};" for n, text in enumerate(definitions))
    logs = "\n".join(f"access_log {folder}/{n}.log f{n};" for n in range(len(definitions)))
    paths = "\n".join(f"{name}_temp_path {folder}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ client_body_temp_path {folder}/body; {paths}\n{formats}\n"
        f'server {{ listen 127.0.0.1:{port}; {logs}\n location / {{ return 200 "hello"; }} }} }}\n'
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "conf"), "-e", str(folder / "error.log")]


def _apache(folder: Path, port: int, definitions: list[str]) -> list[str]:
    wanted = ("mpm_event", "mpm_prefork", "log_config", "logio", "authz_core", "unixd", "alias")
    there = [name for name in wanted if (MODULES / f"mod_{name}.so").exists()]
    if "mpm_event" in there:
        there.remove("mpm_prefork")
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in there)
    logs = "\n".join(f'LogFormat "{text}" f{n}\nCustomLog {folder}/{n}.log f{n}' for n, text in enumerate(definitions))
    root = folder / "root"
    root.mkdir()
    (root / "a").write_text("hello")
    (root / "a b").write_text("hello")
    (folder / "conf").write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nListen 127.0.0.1:{port}\nServerName h.example\n"
        f"ErrorLog {folder}/error.log\n{modules}\nUser www-data\nGroup www-data\nDocumentRoot {root}\n{logs}\n"
    )
    return ["apache2", "-X", "-f", str(folder / "conf")]


@pytest.mark.parametrize(("server", "configure", "cases"), [("nginx", _nginx, NGINX), ("apache2", _apache, APACHE)])
def test_server(server: str, configure: Any, cases: list[tuple[str, tuple[str, ...]]]) -> None:
    if shutil.which(server) is None:
        pytest.skip(f"{server} is not installed")
    with tempfile.TemporaryDirectory() as place:  # not below pytest's folders, which the server's user may not enter
        folder = Path(place)
        folder.chmod(0o755)
        port = _free_port()
        command = configure(folder, port, [definition for definition, _ in cases])
        before = datetime.now(UTC) - timedelta(seconds=1)
        with _running(command, port):
            statuses = [_ask(port, one.request) for one in REQUESTS]
            until = time.monotonic() + 20  # a server logs a request after it has answered it
            logs = [folder / f"{number}.log" for number in range(len(cases))]
            while min(log.read_bytes().count(b"\n") for log in logs) < len(REQUESTS) and time.monotonic() < until:
                time.sleep(0.02)
        after = datetime.now(UTC) + timedelta(seconds=1)
        for number, (definition, columns) in enumerate(cases):
            lines = (folder / f"{number}.log").read_bytes()
            pasted = f"log_format x {definition};" if server == "nginx" else f'LogFormat "{definition}" x'
            _check(pasted, lines, columns, statuses, before, after)


def _check(
    pasted: str, lines: bytes, columns: tuple[str, ...], statuses: list[int | None], before: datetime, after: datetime
) -> None:
    batch = reader(compile_log_format(pasted, allow_unknown=False), READING, named=True)(Text.from_bytes(lines))
    assert batch.rejected.is_empty(), (pasted, lines, batch.rejected)
    rows = batch.rows.to_dicts()
    rows = rows[-len(REQUESTS) :]  # the first may be of the look whether the server is there
    assert len(rows) == len(REQUESTS), (pasted, lines)
    for row, asked, status in zip(rows, REQUESTS, statuses, strict=True):
        where = (pasted, row, lines)
        for name in columns:
            if name == "timestamp":
                assert before <= row[name] <= after, where
            elif name == "client_ip":
                assert row[name] == "127.0.0.1", where
            elif name == "status":
                assert row[name] == status or status is None, where
            elif name in ("bytes", "duration_ms"):
                assert row[name] >= 0, where
            elif asked.method is None and (name != "method" or "%m" in pasted):
                continue  # what a server says of bytes that are no request differs
            elif name == "decoded":
                assert row["path"] == (asked.decoded or asked.path), where
            else:
                assert row[name] == getattr(asked, name), (name, *where)
