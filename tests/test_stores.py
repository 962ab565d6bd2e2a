"""Objects are read as files are, from real servers: LocalBucket, and OpenStack Swift where it is installed."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import buckets
import pytest
from buckets import BUCKET, KEYS, make_bucket, store, use
from program import invoke
from test_inputs import zstd

import logstats
from logstats.errors import SourceError
from logstats.formats.detection.detect import Detector
from logstats.inputs import discover, object_store, opened, stores

obstore = pytest.importorskip("obstore")

ROOT = Path(__file__).parent.parent
SAMPLE = (ROOT / "sample_logs" / "combined_time.log").read_bytes()


def fill(address: str) -> None:
    made = make_bucket(address)
    obstore.put(made, "web/a.log", SAMPLE)
    obstore.put(made, "web/2025/b.log.gz", gzip.compress(SAMPLE))
    obstore.put(made, "web/2025/c.log", SAMPLE)
    obstore.put(made, "packed/a.log.zst", zstd(SAMPLE))
    obstore.put(made, "large.log", SAMPLE * 40)


@pytest.fixture(scope="module")
def localbucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with buckets.localbucket(tmp_path_factory.mktemp("buckets")) as address:
        fill(address)
        yield address


@pytest.fixture(scope="module")
def swift() -> Iterator[str]:
    with buckets.swift() as address:
        fill(address)
        yield address


@pytest.fixture(params=["localbucket", "swift"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store; the environment says how to reach it."""
    address = str(request.getfixturevalue(request.param))
    use(address, monkeypatch)
    return address


def report(*arguments: str) -> Any:
    ran = invoke(
        "report", "-q", *(f"s3://{BUCKET}/{one}" if "--" not in one else one for one in arguments), "-o", "json"
    )
    found = json.loads(ran.stdout)
    return [source["name"].removeprefix(f"s3://{BUCKET}/") for source in found["sources"]], found


def test_keys_prefixes_and_globs(server: str) -> None:
    whole = logstats.report(ROOT / "sample_logs" / "combined_time.log")
    names, found = report("web/a.log")
    assert names == ["web/a.log"] and found["requests"] == whole.requests and found["bytes"] == whole.bytes
    for arguments, expected in [
        (["web/"], {"web/a.log", "web/2025/b.log.gz", "web/2025/c.log"}),
        (["web"], {"web/a.log", "web/2025/b.log.gz", "web/2025/c.log"}),
        (["web/*.log"], {"web/a.log"}),
        (["packed/"], {"packed/a.log.zst"}),
        (["web/**/*.log"], {"web/a.log", "web/2025/c.log"}),
        (["*/2025/?.log*"], {"web/2025/b.log.gz", "web/2025/c.log"}),
        (["web/2025/[!b].log"], {"web/2025/c.log"}),
    ]:
        names, found = report(*arguments)
        assert set(names) == expected and found["requests"] == whole.requests * len(expected), arguments
        assert all(source["problem"] is None for source in found["sources"])


def test_a_large_object_is_the_file_in_one_process_and_in_two(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks_of: Callable[[int], None]
) -> None:
    (tmp_path / "large.log").write_bytes(SAMPLE * 40)
    monkeypatch.setattr("logstats.scale.shards.SMALLEST", 1 << 20)
    chunks_of(1 << 18)
    _, whole = report("--by=status", "large.log")
    _, shards = report("--by=status", "large.log", "--workers=2")
    local = json.loads(invoke("report", str(tmp_path / "large.log"), "-o", "json", "--by=status").stdout)
    for found in (whole, shards):
        for key in set(local) - {"generated_at", "sources", "rejects"}:
            assert found[key] == local[key], key
        assert [sample["line"] for sample in found["rejects"]["samples"]] == [
            sample["line"] for sample in local["rejects"]["samples"]
        ]


def test_a_web_server_is_a_store_that_does_not_list(localbucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    object_store.connect.cache_clear()
    obstore.put(store(localbucket), "page/with a space.log", SAMPLE)
    for name in ("web/2025/b.log.gz", "page/with%20a%20space.log"):
        assert logstats.report(f"{localbucket}/{BUCKET}/{name}").requests == 897
    for name, words in [
        ("web/gone.log", "there is no such object"),
        ("web/", "does not list its files"),
        ("web/*.log", "does not list its files"),
        ("web/a.log?X-Amz-Signature=1", "cannot be read in parts"),
    ]:
        (problem,) = discover([f"{localbucket}/{BUCKET}/{name}"])[1]
        assert words in str(problem)
    (problem,) = discover(["https://me:secret@example.com/a.log"])[1]
    assert "secret" not in str(problem) and "secret" not in problem.hint


def test_an_archive_takes_objects_once(server: str, tmp_path: Path) -> None:
    archive = str(tmp_path / "archive")
    invoke("archive", "init", archive)
    for _ in range(2):
        ran = invoke("archive", "add", "-q", f"s3://{BUCKET}/web/a.log", "--archive", archive)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(invoke("report", "--archive", archive, "-o", "json").stdout)["requests"] == 897


def test_what_is_not_there_is_one_sentence(server: str) -> None:
    names = ["nothing.log", "none/*.log"]
    _, found = report(*names, "web/a.log")
    problems = [source["problem"] for source in found["sources"] if source["problem"]]
    assert [problem.split(": ", 1)[1] for problem in problems] == ["there is no such object", "no object matches"]
    assert found["requests"] == 897
    (problem,) = discover(["s3://no-such-bucket/a.log"])[1]
    assert "there is no such bucket" in str(problem) or "no such object" in str(problem)


def test_an_object_that_changes_meanwhile_is_an_error(swift: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(swift, monkeypatch)
    obstore.put(store(swift), "changing.log", SAMPLE * 20)
    ((source,), _) = discover([f"s3://{BUCKET}/changing.log"])
    with closing(opened(source)) as file:
        file.read(1000)
        obstore.put(store(swift), "changing.log", SAMPLE * 21)
        assert isinstance(file, stores.OpenObject)
        file._stream = None  # as if it broke off
        with pytest.raises(SourceError, match="written anew while it was read"):
            file.read(3 << 20)


def test_a_wrong_key_is_said(swift: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(swift, monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    (problem,) = discover([f"s3://{BUCKET}/web/a.log"])[1]
    assert str(problem).endswith("the store refuses access")


def test_a_profile_has_the_keys(swift: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(swift, monkeypatch)
    for name in KEYS:
        monkeypatch.delenv(name)
    (tmp_path / "keys").write_text("[logs]\naws_access_key_id = test:tester\naws_secret_access_key = testing\n")
    (tmp_path / "config").write_text("[profile logs]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "logs")
    assert len(discover([f"s3://{BUCKET}/web/a.log"])[0]) == 1


class Flaky:
    """A proxy before a server, which cuts connections off: the first of them after so many bytes of the answer."""

    def __init__(self, address: str, cuts: list[int]) -> None:
        self._to = int(address.rpartition(":")[2])
        self.cuts = cuts
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self.connections += 1
                cut = self.cuts.pop(0) if self.cuts else sys.maxsize
                threading.Thread(target=self._carry, args=(client, cut), daemon=True).start()

    def _carry(self, client: socket.socket, cut: int) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as server:
            threading.Thread(target=self._copy, args=(client, server, sys.maxsize), daemon=True).start()
            self._copy(server, client, cut)
            client.shutdown(socket.SHUT_RDWR)

    def _copy(self, source: socket.socket, target: socket.socket, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (data := source.recv(min(left, 65_536))):
                target.sendall(data)
                left -= len(data)

    def close(self) -> None:
        self._socket.close()


def test_a_stream_that_breaks_off_goes_on_where_it_stopped(localbucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "FIRST_WAIT", 0.001)
    with closing(Flaky(localbucket, [200_000, 0, 1_000_000])) as proxy:
        use(proxy.address, monkeypatch)
        ((source,), _) = discover([f"s3://{BUCKET}/large.log"])
        with closing(opened(source)) as file:
            data = b"".join(iter(lambda: file.read(100_000), b""))
            assert data == SAMPLE * 40
            assert isinstance(file, stores.OpenObject) and file.notes and proxy.connections >= 3
    monkeypatch.setattr(stores, "SMALL", 0)
    with closing(Flaky(localbucket, [200_000])) as proxy:
        use(proxy.address, monkeypatch)
        ran = invoke("report", f"s3://{BUCKET}/large.log", "-o", "json")
        assert json.loads(ran.stdout)["requests"] == 897 * 40
        assert ran.stderr.count(b"the store was asked again") == 1, ran.stderr


def test_a_store_that_is_down_fails_once_not_for_each_object(localbucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "FIRST_WAIT", 0.001)
    use(localbucket, monkeypatch)
    sources, _ = discover([f"s3://{BUCKET}/web/"])
    with closing(Flaky(localbucket, [0] * 1000)) as proxy:
        use(proxy.address, monkeypatch)
        found, problems = discover([f"s3://{BUCKET}/{name}" for name in ("a", "b", "c", "d")])
        assert not found and proxy.connections <= object_store.TRIES + 1
        assert "the store does not answer, asked 6 times" in str(problems[0])
        assert all("not asked for: s3://logs-bucket does not answer" in str(problem) for problem in problems[1:])
    assert len(sources) == 3


def test_many_small_objects_are_fetched_at_once(localbucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the sources, whatever arrives first."""
    use(localbucket, monkeypatch)
    made = store(localbucket)
    lines = SAMPLE.splitlines(keepends=True)
    for number in range(70):
        obstore.put(made, f"small/{number:03}.log", b"".join(lines[number : number + 5]))
    sources, _ = discover([f"s3://{BUCKET}/small/"])
    read = []
    for source in stores.ahead(sources):
        assert source.start is not None and source.start.opened is not None
        read.append(source.start.opened.read(1 << 20))
    expected = {f"{number:03}": b"".join(lines[number : number + 5]) for number in range(70)}
    assert read == [expected[source.name[-7:-4]] for source in sources]
    assert logstats.report(f"s3://{BUCKET}/small/").lines == 350


def test_a_hundred_small_objects_are_on_their_way_at_once(
    localbucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server answers none of them before all have asked, or never."""
    made = store(localbucket)
    for number in range(stores.AT_ONCE):
        obstore.put(made, f"at-once/{number:03}.log", SAMPLE[:1000])
    gate = threading.Barrier(stores.AT_ONCE)

    def fate(method: str, path: str) -> str:
        if method == "GET" and path.endswith(".log"):
            gate.wait(60)
        return "pass"

    with closing(buckets.Network(localbucket, fate)) as network:
        use(network.address, monkeypatch)
        assert len({source.name for source in stores.ahead(discover([f"s3://{BUCKET}/at-once/"])[0])}) == stores.AT_ONCE
    assert not gate.broken


def test_little_waits_in_memory_for_its_turn(localbucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(localbucket, monkeypatch)
    sources, _ = discover([f"s3://{BUCKET}/web/"])
    begun: list[str] = []
    whole = stores._whole
    monkeypatch.setattr(stores, "_whole", lambda source: (begun.append(source.name), whole(source))[1])
    monkeypatch.setattr(stores, "AHEAD", len(SAMPLE))
    ahead = stores.ahead(sources)
    first = next(ahead)
    assert first.name == sources[0].name and len(begun) <= 2
    assert [source.name for source in ahead] == [source.name for source in sources[1:]]


def test_a_folder_is_detected_as_each_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less often than each alone, and every file has the format that it has alone: what looks different is detected
    anew, and so is what only its numbers tell the unit of."""
    folder = ROOT / "sample_logs"
    lines = {name: (folder / f"{name}.log").read_bytes().splitlines(keepends=True) for name in
             ("combined", "combined_time", "combined_us", "json", "kv")}  # fmt: skip
    names = ["combined"] * 6 + ["combined_time", "combined_us", "combined_us", "json", "combined", "kv"]
    for number, name in enumerate(names):
        (tmp_path / f"{number:02}.log").write_bytes(b"".join(lines[name][number * 20 : number * 20 + 20]))
    alone = [logstats.report(path) for path in sorted(tmp_path.iterdir())]
    asked: list[int] = []
    detect = Detector.detect
    monkeypatch.setattr(Detector, "detect", lambda *given, **more: (asked.append(0), detect(*given, **more))[1])
    together = logstats.report(tmp_path)
    assert [s.format for s in together.sources] == [one.sources[0].format for one in alone] == names
    assert together.requests == sum(one.requests for one in alone)
    assert together.bytes == sum(one.bytes for one in alone)
    assert len(asked) < len(names)


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    object_store.connect.cache_clear()
    monkeypatch.setitem(sys.modules, "obstore", None)
    ran = invoke("report", "s3://bucket/a.log")
    assert ran.returncode == 2 and b"pip install 'logstats[cloud]'" in ran.stderr


def test_another_store_is_named_on_the_command_line(localbucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    names, found = report("web/a.log", f"--endpoint-url={localbucket}")
    assert names == ["web/a.log"] and found["requests"] > 0


def test_an_address_of_what_nothing_asks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local log, and an archive in a folder, unless a tier of it lies there."""
    monkeypatch.delenv("LOGSTATS_ARCHIVE", raising=False)
    log, address = tmp_path / "a.log", "--endpoint-url=http://127.0.0.1:9"
    log.write_bytes(b"")
    archive = tmp_path / "archive"
    for asked in (("report", str(log)), ("parse", str(log)), ("archive", "add", str(log), "--archive", str(archive))):
        ran = invoke(*asked, address)
        assert ran.returncode == 2 and b"--endpoint-url says where s3:// is, and nothing here is there" in ran.stderr
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    assert invoke("archive", "init", str(archive)).returncode == 0
    (archive / "lifecycle.toml").write_text('[warm]\nafter = "1d"\npath = "s3://bucket/warm"\n')
    assert invoke("report", "--archive", str(archive), address).returncode == 0
