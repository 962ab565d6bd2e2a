"""Archives on object stores: real servers, and a network that fails, repeats, delays and loses."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import archives
import buckets
import numbered
import pytest
from buckets import BUCKET, Network, make_bucket, use
from program import invoke
from test_commit_log import reseal

from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.log import faults, object_storage, writer
from logstats.archive.log.commit import ArchiveError
from logstats.archive.log.orphans import sweep
from logstats.archive.log.writer import Workspace
from logstats.archive.verify import verify
from logstats.errors import LogstatsError, UsageError
from logstats.inputs import object_store
from logstats.sizes import size

ROUNDS = object_storage.ROUNDS
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its objects, as files."""
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with buckets.localbucket(folder) as address:
        make_bucket(address)
        yield address


@pytest.fixture(autouse=True)
def environment(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(address, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(object_store, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(object_storage, "ROUNDS", 1)


@pytest.fixture
def network(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """All requests go through it."""
    with closing(Network(address)) as network:
        use(network.address, monkeypatch)
        yield network


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an archive of this test's own."""
    return f"s3://{BUCKET}/of/{request.node.name[:40].replace('[', '-').rstrip(']')}"


@pytest.fixture
def root(url: str, folder: Path) -> Path:
    """The objects of that archive."""
    return folder / url.removeprefix("s3://")


def run(*arguments: str) -> str:
    ran = invoke(*arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.decode()


def content(archive: str) -> Any:
    """What is asked of an archive, and is the same of any that holds the same."""
    report = json.loads(run("report", "--archive", archive, "-o", "json"))
    rows = json.loads(run("report", "--archive", archive, "-o", "json", "--rows", "--by=status"))
    for one in (report, rows):
        del one["generated_at"]
    sql = "SELECT tier, day, count(*) AS n, sum(bytes) AS b FROM logs GROUP BY ALL ORDER BY ALL"
    status = json.loads(run("archive", "status", "--archive", archive, "-o", "json"))
    return [report, rows, run("query", sql, "--archive", archive, "-o", "csv"), status["sources"], status["due"]]


def test_an_archive_on_a_store_answers_as_one_in_a_folder(url: str, root: Path, tmp_path: Path) -> None:
    local = str(tmp_path / "local")
    logs = [archives.logs_of_three_days(tmp_path)[number] for number in (0, 1, 3)]
    for archive in (local, url):
        run("archive", "init", archive)
        for log in logs:
            api.add(log, archive)
    policy = tmp_path / "policy.toml"
    policy.write_text(archives.POLICY)
    for archive in (local, url):
        run("archive", "tier", "--archive", archive, "--policy", str(policy), "--now", archives.MOVED.isoformat(),
            "--grace", "0h")  # fmt: skip
    assert content(url) == content(local)
    for log in logs:
        run("archive", "add", str(log), "--archive", url)
    assert run("archive", "verify", "--deep", "--archive", url) == ""
    held = numbered.files(root)
    lying = {path.relative_to(root).as_posix() for path in root.rglob("*.parquet")}
    assert {Path(path).name for path in lying} >= {Path(path).name for path in held}
    assert not list((tmp_path / "cache").rglob("*.parquet*")), "temporary work is gone"


def test_a_query_reads_what_it_needs_and_says_how_much(url: str, tmp_path: Path) -> None:
    archives.build(url, archives.logs_of_three_days(tmp_path)[::3])
    files = Archive.open(url).snapshot().files.values()
    wanted = sum(file.bytes for file in files if file.table == "logs" and file.partition[2] == 19)
    opened = Archive.open(url)
    ran = invoke("query", "SELECT count(*) FROM logs WHERE year = 2025 AND month = 1 AND day = 19", "--archive", url)
    total = sum(file.bytes for file in files)
    assert f"{size(wanted)} of {size(total)} were fetched from the store".encode() in ran.stderr
    opened.integrity.paths(file for file in files if file.table == "logs" and file.partition[2] == 19)
    assert opened.storage.fetched == wanted


def test_tiers_on_a_store(url: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = archives.logs_of_three_days(tmp_path)[::3]
    for name, place in (("local", f'"{tmp_path}/tiers"'), ("routed", f'"{url}"')):
        archive = str(tmp_path / name)
        archives.build(archive, logs)
        (tmp_path / "tiers").mkdir(exist_ok=True)
        policy = archives.POLICY.replace("]\n", f"]\npath = {place}\n", 2)
        (tmp_path / name / "lifecycle.toml").write_text(policy)
        run("archive", "tier", "--archive", archive, "--now", archives.MOVED.isoformat(), "--grace", "0h")
    sql = "SELECT tier, day, method, count(*), sum(bytes) FROM logs GROUP BY ALL ORDER BY ALL"
    held = [run("query", sql, "--archive", str(tmp_path / name), "-o", "csv") for name in ("local", "routed")]
    assert held[0] == held[1] and len(held[0]) > 200
    (cold,) = root.rglob("*.parquet")
    assert cold.relative_to(root).as_posix().startswith("cold/year=2025/month=1/day=17/")
    assert f"{url}/{cold.relative_to(root).as_posix()}" in run("archive", "files", "--archive", archive).split()
    assert run("archive", "verify", "--archive", archive) == ""
    opened = Archive.open(archive)
    with pytest.raises(LogstatsError, match="names no such folder"):
        opened.places.checked(f"{url}-of-another/{cold.relative_to(root).as_posix()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody is there
    object_store.connect.cache_clear()
    run("report", "--archive", archive)
    run("query", "SELECT count(*) FROM logs WHERE year = 2025 AND month = 1 AND day = 19", "--archive", archive)
    ran = invoke("query", "SELECT count(*) FROM logs", "--archive", archive)
    assert ran.returncode == 1 and b"the store does not answer" in ran.stderr


def test_a_store_names_no_folder_of_this_machine(url: str, root: Path, tmp_path: Path) -> None:
    """Whoever may write its lifecycle.toml and its commits would have files deleted here."""
    archive = archives.build(url, archives.logs_of_three_days(tmp_path)[:1])
    mine = f"{tmp_path}/tier/warm/year=2025/month=1/day=17/{'0' * 19}-0.parquet"
    Path(mine).parent.mkdir(parents=True)
    Path(mine).touch()
    (root / "lifecycle.toml").write_text(f'[warm]\nafter = "1d"\nformer = ["{tmp_path}/tier"]\n')
    reseal(root, 2, lambda value: value["removed"].append(mine))
    for command in (["status"], ["tier", "--grace", "0h"], ["verify"]):
        ran = invoke("archive", *command, "--archive", url)
        assert ran.returncode == 1 and b"lies outside of the archive" in ran.stdout + ran.stderr, ran.stderr
    assert Path(mine).exists()
    reseal(root, 2, lambda value: value["removed"].clear())
    assert run("archive", "verify", "--archive", archive.name) == ""


def test_a_damaged_or_missing_object_is_said(url: str, root: Path, tmp_path: Path) -> None:
    archive = archives.build(url, archives.logs_of_three_days(tmp_path)[:1])
    (path,) = (file.path for file in archive.snapshot().files.values() if file.table == "logs")
    data = bytearray((root / path).read_bytes())
    data[100] ^= 1
    (root / path).write_bytes(data)
    for command in (["query", "SELECT sum(bytes) FROM logs"], ["report", "--rows"]):
        ran = invoke(*command, "--archive", url)
        assert ran.returncode == 1 and b"its content was changed" in ran.stderr, ran.stderr
    (root / path).unlink()
    ran = invoke("query", "SELECT count(*) AS n FROM logs", "--archive", url, "-o", "csv")
    assert ran.returncode == 1 and b"the file is missing" in ran.stderr and not ran.stdout
    assert invoke("archive", "verify", "--archive", url).stdout.count(b"the file is missing") == 1


def test_a_store_on_which_two_win_is_refused(network: Network, url: str, root: Path) -> None:
    """A server that does not know the condition lets everybody win."""
    network.fate = lambda method, path: "blind"
    ran = invoke("archive", "init", url)
    assert ran.returncode == 1 and b"were told that they had created the same object" in ran.stderr
    assert not list(root.rglob("*.json"))
    network.fate = lambda method, path: "pass"
    assert b"does not prove it fit" in invoke("archive", "init", url).stderr
    assert b"there is an archive already" in invoke("archive", "init", url).stderr


def test_swift_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_storage, "ROUNDS", ROUNDS)
    with buckets.swift() as address:
        make_bucket(address)
        use(address, monkeypatch)
        with pytest.raises(ArchiveError, match="writers at once were told"):
            init(f"s3://{BUCKET}/archive")


def test_what_no_archive_can_be_is_said(url: str) -> None:
    with pytest.raises(UsageError, match="cannot lie on a web server"):
        Archive.open("https://example.com/archive")
    with pytest.raises(UsageError, match="empty or dots"):
        Archive.open(f"s3://{BUCKET}/a/../b")
    with pytest.raises(ArchiveError, match="there is no archive"):
        Archive.open(url)
    ran = invoke("archive", "init", f"s3://{BUCKET}/a\nb")
    assert ran.returncode == 1 and b"no object can have this name" in ran.stderr
    with pytest.raises(LogstatsError, match="there is no such bucket"):
        init("s3://no-such-bucket-at-all/a")


def commits_of(path: str) -> bool:
    return "/commits/0" in path


def test_a_lost_reply_is_no_conflict(network: Network, url: str, root: Path, tmp_path: Path) -> None:
    """The store has the commit, its answer is lost, and asked again it says that there is one."""
    init(url)
    met: set[str] = set()

    def fate(method: str, path: str) -> str:
        if method == "PUT" and path not in met:
            met.add(path)
            return "lost"
        return "twice" if method == "PUT" and commits_of(path) else "pass"

    network.fate = fate
    (tmp_path / "a.log").write_bytes(numbered.log(0, 100))
    assert api.add(tmp_path / "a.log", url).counts.lines == 100
    assert len(numbered.commits(root)) == 2 and len(met) > 5
    assert set(numbered.numbers(root).values()) == {1} and len(numbered.numbers(root)) == 100


def test_a_commit_that_arrives_after_its_files_were_given_up(
    network: Network, url: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it will: the files stay until another commit has taken its number."""
    init(url)
    monkeypatch.setattr(object_store, "TRIES", 2)
    network.fate = lambda method, path: "late" if method == "PUT" and commits_of(path) else "pass"
    (tmp_path / "a.log").write_bytes(numbered.log(0, 100))
    with pytest.raises(LogstatsError, match="does not answer"):
        api.add(tmp_path / "a.log", url)
    assert len(list(root.rglob("*.parquet"))) == 5
    network.fate = lambda method, path: "pass"
    object_store.connect.cache_clear()  # a later process
    api.add(tmp_path / "a.log", url)
    assert set(network.deliver()) == {412}
    assert [commit["what"] for commit in numbered.commits(root)] == ["init", "sweep", "add"]
    assert list(numbered.numbers(root).values()) == [1] * 100
    assert not list(verify(Archive.open(url)))


def test_files_that_were_swept_while_their_writer_lived_are_made_again(
    url: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that was asleep for days wakes up after another machine has swept its files."""
    init(url)
    (tmp_path / "a.log").write_bytes(numbered.log(0, 100))
    swept: list[int] = []

    def hook(step: str) -> None:
        if step == "commit.ready" and not swept:
            swept.append(0)
            with monkeypatch.context() as other:
                other.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
                thread = threading.Thread(target=lambda: swept.append(forget(url)))
                thread.start()
                thread.join()

    with faults.injected(hook):
        assert api.add(tmp_path / "a.log", url).counts.lines == 100
    assert swept[1] == 5
    assert [commit["what"] for commit in numbered.commits(root)] == ["init", "sweep", "add"]
    assert list(numbered.numbers(root).values()) == [1] * 100
    assert forget(url) == 0


def forget(url: str) -> int:
    """What `archive tier` deletes in the end."""
    swept = sweep(Archive.open(url), FUTURE, timedelta(0), left=timedelta(0))
    return swept.left_over


class Killed(BaseException):
    """As SIGKILL: nothing is cleaned up but what the kernel does."""


@pytest.fixture
def killable(monkeypatch: pytest.MonkeyPatch) -> None:
    exit = Workspace.__exit__

    def left(self: Workspace, kind: object = None, *rest: object) -> None:
        if kind is not Killed:
            exit(self, kind, *rest)
            return
        assert self._lock is not None and self._journal is not None
        self._journal.close()
        self._lock.close()

    monkeypatch.setattr(writer.Workspace, "__exit__", left)
    monkeypatch.setattr(writer.Workspace, "discard", lambda self: None)


@pytest.mark.usefixtures("killable")
def test_kills_on_a_bad_network_lose_nothing(network: Network, url: str, root: Path, tmp_path: Path) -> None:
    chance = random.Random(1)
    init(url)
    kinds = ["pass", "fail", "slow down", "lost", "twice", "late"]
    log = tmp_path / "access.log"
    written = killed = failed = 0
    while killed < 5:
        more = chance.randint(1, 60)
        with log.open("ab") as file:
            file.write(numbered.log(written, written + more))
        written += more
        network.fate = lambda method, path: chance.choices(kinds, [12, 1, 1, 1, 1, 1])[0]
        left = chance.randint(1, 30)

        def hook(step: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        object_store.connect.cache_clear()
        try:
            with faults.injected(hook):
                api.add(log, url)
        except Killed:
            killed += 1
        except LogstatsError:
            failed += 1
        if chance.random() < 0.3:
            network.deliver()
    network.fate = lambda method, path: "pass"
    object_store.connect.cache_clear()
    api.add(log, url)
    network.deliver()
    held = numbered.numbers(root)
    assert sorted(held) == list(range(written)) and set(held.values()) == {1}
    forget(url)
    assert not list(verify(Archive.open(url)))
    assert {path.relative_to(root).as_posix() for path in root.rglob("*.parquet")} == set(numbered.files(root))
