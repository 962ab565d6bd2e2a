"""`archive add --follow`: a daemon that adds each line once, over rotation, failures, SIGTERM and kill -9."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gzip
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from following import Clock, copy_and_truncate
from program import invoke

from logstats import api
from logstats.archive import follow
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.follow import Daemon, Notify
from logstats.archive.log import faults, tables
from logstats.inputs import Tracker, follower
from logstats.pipeline import Silence, Stop


def numbers(archive: Path) -> list[int]:
    """The numbers of the lines in the archive, in order."""
    ran = invoke("query", "SELECT path FROM logs ORDER BY length(path), path", "--archive", str(archive), "-o", "csv")
    assert ran.returncode == 0, ran.stderr
    return [int(line.rsplit(b"/", 1)[1]) for line in ran.stdout.split()[1:]]


class Log:
    """A log whose lines are numbered."""

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, 0

    def write(self, count: int) -> None:
        with self.path.open("a") as file:
            for number in range(self.written, self.written + count):
                file.write(
                    f"10.0.0.1 - - [17/Jan/2025:12:{number // 60 % 60:02}:{number % 60:02} +0000] "
                    f'"GET /{number} HTTP/1.1" 200 5 "-" "curl"\n'
                )
        self.written += count


class Following:
    """A daemon that commits when it is told to."""

    def __init__(self, folder: Path, *names: str, **options: Any) -> None:
        self.archive, self.log = folder / "archive", Log(folder / "access.log")
        init(self.archive)
        self.said: list[str] = []
        self.clock = Clock()
        named = [str(folder / name) for name in names or ("access.log",)]
        self.daemon: Daemon = api.add_following(named, self.archive, say=self.said.append, **options)
        self.daemon.clock = self.clock
        self.daemon._next_tier = float("inf")
        self.tracker = Tracker(named, say=self.said.append, clock=self.clock)

    def look(self, seconds: float = 1.0) -> None:
        self.clock.now += seconds
        self.tracker.look()

    def commit(self, seconds: float = 1.0) -> bool:
        self.look(seconds)
        return self.daemon.attempt(self.tracker)

    @property
    def is_whole(self) -> bool:
        return numbers(self.archive) == list(range(self.log.written))


@pytest.mark.parametrize("name", ["access.log", "access.log*"])
def test_each_line_once_over_rotations(tmp_path: Path, name: str) -> None:
    one = Following(tmp_path, name)
    assert one.commit(), "it is not there yet"
    for number in range(3):
        one.log.write(5)
        assert one.commit()
        one.log.write(3)
        one.look()
        old = tmp_path / f"access.log.{number}"
        one.log.path.rename(old)
        one.log.write(2)
        one.look()
        old.with_suffix(".gz").write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
    assert one.commit()
    assert one.is_whole
    commits = Archive.open(one.archive).snapshot().number
    assert one.commit()
    assert Archive.open(one.archive).snapshot().number == commits, "nothing new, no commit"


def test_a_truncated_log_is_added_from_its_copy(tmp_path: Path) -> None:
    one = Following(tmp_path)
    one.log.write(5)
    assert one.commit()
    one.log.write(5)
    one.look()
    one.log.write(1)
    copy_and_truncate(one.log.path, tmp_path / "access.log.1")
    one.log.write(1)
    assert one.commit()
    assert one.is_whole
    assert "what was not added yet is read from the copy" in one.said[0]
    os.truncate(one.log.path, 0)
    one.log.write(1)
    assert one.commit()
    assert "may be lost" in one.said[1]
    assert one.tracker.truncated == 2


def test_a_file_that_is_over_is_let_go_with_its_last_line(tmp_path: Path) -> None:
    one = Following(tmp_path)
    one.log.write(2)
    with one.log.path.open("rb+") as file:
        file.truncate(one.log.path.stat().st_size - 1)  # the newline of the last line
    assert one.commit()
    assert numbers(one.archive) == [0]
    one.log.path.rename(tmp_path / "old")
    assert one.commit()
    assert numbers(one.archive) == [0]
    assert one.commit(follower.QUIET)
    assert one.is_whole
    assert not one.tracker._files


def test_an_archive_that_is_gone_for_a_while(tmp_path: Path) -> None:
    health = tmp_path / "health.json"
    one = Following(tmp_path, health=health)
    one.log.write(2)
    assert one.commit()
    assert json.loads(health.read_bytes())["state"] == "ok"
    one.archive.rename(tmp_path / "away")
    waits = []
    for number in range(9):
        one.log.write(1)
        if number == 4:
            one.log.path.rename(tmp_path / "access.log.1")
            one.log.path.touch()
        assert not one.commit()
        waits.append(one.daemon._pause())
    assert len(one.said) == 1, "said once"
    assert waits[0] <= 2
    assert 30 <= waits[-1] <= 60
    failing = json.loads(health.read_bytes())
    assert (failing["state"], failing["failures"]) == ("failing", 9)
    assert failing["problem"]
    (tmp_path / "away").rename(one.archive)
    assert one.commit()
    assert "written again, after 9 attempts" in one.said[1]
    assert one.is_whole
    assert json.loads(health.read_bytes())["state"] == "ok"


def test_an_archive_that_goes_during_a_commit_is_not_made_anew(tmp_path: Path) -> None:
    """Else it would come back beside what was made in its place."""
    one = Following(tmp_path)
    one.log.write(2)
    assert one.commit()
    one.log.write(2)

    def leave(step: str) -> None:
        if step == "write.begin" and one.archive.exists():
            one.archive.rename(tmp_path / "away")

    with faults.injected(leave):
        assert not one.commit()
    assert not one.archive.exists()
    (tmp_path / "away").rename(one.archive)
    assert one.commit()
    assert one.is_whole


def test_nothing_is_left_of_attempts_while_a_disk_was_full(tmp_path: Path) -> None:
    """Folders can be made, and nothing can be written: as with a limit of the size of files."""
    one = Following(tmp_path)
    one.log.write(2)
    assert one.commit()
    before = [*(one.archive / "work").iterdir()]
    one.log.write(2)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most[1]))
    try:
        assert not any([one.commit(), one.commit(), one.commit()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert len(one.said) == 1, "said once"
    assert one.said[0].startswith(f"{one.archive}{os.sep}"), "where"
    assert [*(one.archive / "work").iterdir()] == before
    assert one.commit()
    assert one.is_whole


def test_what_was_committed_counts_though_tidying_up_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full after the commit; systemd is told when it is not any more."""
    one, told = Following(tmp_path), list[dict[str, object]]()
    monkeypatch.setattr(Notify, "__call__", lambda _, **words: told.append(words))

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.parquet")

    one.log.write(5)
    with monkeypatch.context() as patched:
        patched.setattr(follow, "compact", fails)
        assert not one.commit()
    assert (one.daemon.lines, one.is_whole) == (5, True)
    one.log.write(2)
    assert one.commit()
    assert (one.daemon.lines, one.is_whole) == (7, True)
    assert [words["status"] for words in told] == ["failing: x.parquet: No space left on device", "following"]


def test_a_file_that_may_not_be_read_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Following(tmp_path)
    one.log.write(3)
    with monkeypatch.context() as patched:
        patched.setattr(
            os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "Permission denied"))
        )
        one.look()
        one.look()
    assert one.commit()
    assert one.is_whole
    assert [text.rsplit(": ", 1)[1] for text in one.said] == [
        "Permission denied; it is tried again",
        "can be read again",
    ]


def test_days_that_are_due_move(tmp_path: Path) -> None:
    one = Following(tmp_path)
    one.daemon._next_tier = 0.0
    (one.archive / "lifecycle.toml").write_text('[warm]\nafter = "1d"\n')
    one.log.write(5)
    assert one.commit()
    files = Archive.open(one.archive).snapshot().files.values()
    assert {file.tier for file in files if file.table == tables.LOGS} == {"warm"}
    assert any("warm" in text for text in one.said)


def test_stop_ends_the_wait() -> None:
    stop = Stop()
    stop.ask()
    stop.wait(1e6)
    assert stop.asked


def test_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        Notify({"NOTIFY_SOCKET": str(tmp_path / "notify")})(ready=1, status="following")
        assert listener.recv(1000) == b"READY=1\nSTATUS=following"
    Notify({})(ready=1)
    Notify({"NOTIFY_SOCKET": str(tmp_path / "nobody")})(ready=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--follow", "https://host/log"], "only files, standard input and syslog:// go on"),
        (["--follow", "--allow", "10.0.0.0/8", "x"], "--allow is about syslog://"),
        (["--allow", "10.0.0.0/8", "x"], "--allow is about syslog://"),
        (["--follow", "--final", "x"], "leave"),
        (["--every", "1s", "x"], "is about --follow"),
        (["--follow", "--every", "1", "x"], "no length of time"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    init(tmp_path / "archive")
    ran = invoke("archive", "add", *arguments, "--archive", str(tmp_path / "archive"))
    assert ran.returncode == 2
    assert words in ran.stderr.decode()


def until(holds: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_kill_and_sigterm(tmp_path: Path) -> None:
    """A process is killed in the middle, three times; the last one is asked to end."""
    archive, log = tmp_path / "archive", Log(tmp_path / "access.log")
    init(archive)
    health = tmp_path / "health.json"
    command = [
        *(sys.executable, "-m", "logstats", "archive", "add", "--follow", "--every", "100ms"),
        *("--health", str(health), str(tmp_path / "access.log*"), "--archive", str(archive)),
    ]

    def commits() -> int:
        return len([*(archive / "commits").glob("0*.json")])

    for turn in range(3):
        log.write(200)
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                before = commits()
                until(lambda before=before: commits() > before)  # type: ignore[misc]
                log.write(100)
                log.path.rename(tmp_path / f"access.log.{turn}")
                log.write(50)
            finally:
                process.kill()
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: numbers(archive) == list(range(log.written)))
            log.write(10)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()  # which ends nothing that has ended
    assert process.returncode == 0, said
    assert b"Traceback" not in said
    assert numbers(archive) == list(range(log.written)), "what came before SIGTERM is committed"
    assert json.loads(health.read_bytes())["state"] == "ok"


def restarted(one: Following, name: str = "access.log") -> Following:
    """The next daemon, which knows what the archive knows."""
    again = object.__new__(Following)
    again.archive, again.log, again.said, again.clock = one.archive, one.log, [], Clock()
    named = [str(one.log.path.with_name(name))]
    again.daemon = api.add_following(named, one.archive, say=again.said.append)
    again.daemon.clock, again.daemon._next_tier = again.clock, float("inf")
    again.tracker = Tracker(named, say=again.said.append, clock=again.clock)
    return again


@pytest.mark.parametrize("pattern", ["access.log", "*.log"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("access.log.1", "access.log.2"), ("access.log-20250118", "access.log-20250117.gz"), ("access-20250118.log", "x")],
)
def test_what_was_rotated_while_no_daemon_ran(tmp_path: Path, pattern: str, first: str, second: str) -> None:
    """The rest of the file that was followed, and one that came and went: under the names that rotation gave them."""
    other = tmp_path / "access.log.9"
    other.write_text('10.0.0.1 - - [17/Jan/2024:12:00:00 +0000] "GET /9 HTTP/1.1" 200 5 "-" "of long ago"\n')
    os.utime(other, (1, 1))
    one = Following(tmp_path, pattern)
    one.log.write(5)
    assert one.commit()
    one.log.write(3)  # which the daemon that was killed did not see any more
    if second.endswith(".gz"):
        (tmp_path / second).write_bytes(gzip.compress(one.log.path.read_bytes()))
        one.log.path.unlink()
    elif second != "x":  # else there is one rotation only
        one.log.path.rename(tmp_path / second)
    one.log.write(4)
    one.log.path.rename(tmp_path / first)
    again = restarted(one, pattern)
    assert again.commit(), "it is not there yet"
    assert again.is_whole
    under_the_glob = pattern == "*.log" and first.endswith(".log")
    assert ("was rotated while nothing followed it" in " ".join(again.said)) is not under_the_glob


def test_what_may_be_missing_is_said(tmp_path: Path) -> None:
    """Nothing is known here: what was added was deleted, or is another machine's. Nothing is added unasked."""
    one = Following(tmp_path)
    one.log.write(5)
    assert one.commit()
    one.log.path.unlink()
    one.log.write(2)
    later = one.log.path.rename(tmp_path / "access.log.1")
    one.log.write(2)
    again = restarted(one)
    assert again.commit()
    assert numbers(one.archive) == [0, 1, 2, 3, 4, 7, 8]
    assert "lines that came to it later may be missing, unless they are in" in again.said[0]
    assert str(later) in again.said[0]
    assert len(again.said) == 1
    last = restarted(one)
    assert last.commit()
    assert not last.said, "it is known by now"


@contextlib.contextmanager
def without_the_rights_of_root() -> Iterator[None]:
    """For this thread and those that it starts: permissions of files count (capabilities(7))."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root may read everything")
    library, overriding = ctypes.CDLL(None, use_errno=True), 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    head, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert library.capget(head, sets) == 0
    effective = sets[0]
    sets[0] &= ~overriding
    assert library.capset(head, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert library.capset(head, sets) == 0


@pytest.mark.parametrize("rotated", [False, True])
def test_a_log_that_may_not_be_read_for_a_while(tmp_path: Path, *, rotated: bool) -> None:
    """It is said once, and again when it ends; nothing of it is lost, even if it was rotated away and is long quiet."""
    one = Following(tmp_path, health=tmp_path / "health.json")

    def health() -> Any:
        return json.loads((tmp_path / "health.json").read_bytes())

    one.log.write(5)
    assert one.commit()
    one.log.write(5)
    one.log.path.chmod(0)
    with without_the_rights_of_root():
        assert one.commit()
        assert one.said == [f"{one.log.path}: permission denied; it is tried again"]
        if rotated:
            one.log.path.rename(tmp_path / "old")
            one.look()
        for _ in range(3):
            assert one.commit(2 * follower.QUIET)
        assert len(one.said) == 1 + rotated  # a name that leads to nothing
        assert (health()["state"], health()["failures"]) == ("failing", 0)
        assert "permission denied" in health()["problem"]
        (tmp_path / "old" if rotated else one.log.path).chmod(0o644)
        assert one.commit(2)
    assert one.said[-1] == f"{one.log.path}: can be read again"
    assert (health()["state"], health()["problem"], health()["failing_since"]) == ("ok", None, None)
    assert one.is_whole


def test_what_is_said_of_a_log_is_said_once(tmp_path: Path) -> None:
    heard = Heard()
    one = Following(tmp_path, listener=heard)
    for number in range(3):
        with one.log.path.open("a") as file:
            file.write(f"{number}: nobody knows what this is\n")
        assert one.commit()
    assert heard.said == [f"unknown {one.log.path}"]


class Heard(Silence):
    """Notes of which sources no format was found."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def format_unknown(self, source: str) -> None:
        self.said.append(f"unknown {source}")


def test_two_rotations_between_two_looks(tmp_path: Path) -> None:
    one = Following(tmp_path, "*.log")
    one.log.write(5)
    assert one.commit()
    for number in (2, 1):
        one.log.write(3)
        one.log.path.rename(tmp_path / f"access.log.{number}")
    one.log.write(1)
    assert one.commit()
    assert one.is_whole
