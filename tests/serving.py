"""A server of `logstats serve` within the test's process, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
pytest.importorskip("sse_starlette", reason="the extra `serve` is not installed")

from logstats import api
from logstats.live.serve import server as serving
from logstats.live.watching import Watching
from logstats.pipeline import Stop

DAY = 25 * 3600.0


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body, which is an object."""
        assert self.status == 200, self.body
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Client:
    """Asks a server on this machine."""

    port: int
    site: Any = None

    def get(self, path: str, **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def report(self, query: str = "") -> dict[str, Any]:
        """A JSON report."""
        return self.get(f"/api/report{query}").json()

    def events(self) -> Iterator[dict[str, Any]]:
        """The snapshots that come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/api/events")
            answer = connection.getresponse()
            assert answer.status == 200
            kind = b""
            while line := answer.readline():
                if line.startswith(b"event: "):
                    kind = line[7:].strip()
                if line.startswith(b"data: ") and kind == b"snapshot":
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def until(self, holds: Callable[[], Any]) -> Any:
        """Ask again until something holds."""
        end = time.monotonic() + 60
        while not (found := holds()):
            assert time.monotonic() < end, "it never did"
            time.sleep(0.01)
        return found

    def read(self, lines: int) -> None:
        """Wait until so many lines were read."""
        self.until(lambda: self.site.desk.shown_lines >= lines)
        self.until(lambda: self.get("/ready").status == 200 or b"source" in self.get("/ready").body)


@contextmanager
def served(
    sources: Any,
    *,
    token: str | None = None,
    names: tuple[str, ...] = (),
    port: int = 0,
    interval: float = 0.1,
    say: Any = print,
    **options: Any,
) -> Iterator[Client]:
    """A server of these sources, as long as the context lasts."""
    watching = Watching(history=DAY, keep=DAY, rows=100_000, top=10, interval=0.1, from_start=True)
    named = None if sources is None else [str(one) for one in ([sources] if isinstance(sources, Path) else sources)]
    site = api.site(named, None, options.pop("watching", watching), **options)
    listening = serving.bind(serving.Address("127.0.0.1", port))
    stop = Stop()
    failed: list[BaseException] = []
    with serving.Server(site, listening, token=token, names=names, say=say) as server:

        def run() -> None:
            try:
                serving.run(site, server, stop, interval)
            except BaseException as error:
                failed.append(error)

        thread = Thread(target=run)
        thread.start()
        try:
            yield Client(listening.getsockname()[1], site)
        finally:
            stop.ask()
            thread.join()
    if site.desk.session is not None:
        site.desk.session.close()
    assert not failed


class _Proxy(BaseHTTPRequestHandler):
    """Hands on what is asked below /deep/logs/, without that; 502 if nobody answers."""

    upstream = 0

    def log_message(self, *_: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        """Hand on a request."""
        if not self.path.startswith("/deep/logs/"):
            self.send_error(404)
            return
        headers = {name: self.headers[name] for name in ("Cookie", "If-None-Match") if name in self.headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            connection.request("GET", self.path.removeprefix("/deep/logs"), headers={"Host": "logs.example", **headers})
            answer = connection.getresponse()
        except OSError:
            self.send_error(502)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked is gone
            while data := answer.read1(65536):
                self.wfile.write(data)
        connection.close()


@contextmanager
def proxied(port: int) -> Iterator[str]:
    """The address of a proxy in front of a server."""
    handler = type("Proxy", (_Proxy,), {"upstream": port})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/deep/logs/"
        server.shutdown()
