"""`archive add --follow` from what arrives once: pipes of programs that go on, and syslog."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from following import Clock
from program import invoke
from test_archive_follow import numbers, until

from logstats import api
from logstats.archive import spool
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.follow import Daemon
from logstats.inputs import Source, Tracker, syslog
from logstats.inputs.standard_input import StandardInput


def line(number: int) -> str:
    return f'10.0.0.1 - - [17/Jan/2025:12:00:{number % 60:02} +0000] "GET /{number} HTTP/1.1" 200 5 "-" "curl"\n'


def in_journal(number: int) -> str:
    """An entry as `journalctl -o json` writes it (systemd.journal-fields(7))."""
    entry = {"__REALTIME_TIMESTAMP": f"{1737115200000000 + number}", "_COMM": "nginx", "PRIORITY": "6"}
    return json.dumps({**entry, "MESSAGE": line(number).rstrip()}) + "\n"


PIPES: dict[str, Callable[[int], str]] = {
    "docker logs -f": line,
    "docker logs -f --timestamps": lambda number: f"2025-01-17T12:00:00.123456789Z {line(number)}",
    "kubectl logs -f --prefix": lambda number: f"[pod/web-7d9f/nginx] {line(number)}",
    "journalctl -f -o json": in_journal,
}


class Arriving:
    """A daemon with one stream, which commits when it is told to."""

    def __init__(self, folder: Path, source: Any, **options: Any) -> None:
        self.archive, self.said = folder / "archive", list[str]()
        if not self.archive.exists():
            init(self.archive)
        self.clock, self.source = Clock(), source
        self.daemon: Daemon = api.add_following([str(folder / "none")], self.archive, say=self.said.append, **options)
        self.daemon.clock, self.daemon._next_tier = self.clock, float("inf")
        self.daemon.take_in([source])
        self.stream = self.daemon.streams[-1]
        self.tracker = Tracker([], clock=self.clock)

    def until_kept(self, lines: int) -> None:
        until(lambda: self.stream.spool.lines(0) >= lines)

    def commit(self) -> bool:
        return self.daemon.attempt(self.tracker)

    def close(self) -> None:
        self.stream.finish()
        assert self.daemon.attempt(self.tracker, last=True)
        assert not self.daemon.streams, "it is done with"


@contextmanager
def piped(folder: Path, **options: Any) -> Iterator[tuple[Arriving, int]]:
    """A daemon that reads from a pipe, and the end of it that is written to."""
    end, other = os.pipe()
    one = Arriving(folder, StandardInput(source=Source("-", Path(f"/dev/fd/{end}"))), **options)
    try:
        yield one, other
    finally:
        one.close()
        os.close(end)


@pytest.mark.parametrize("program", PIPES)
def test_pipes_of_programs_that_go_on(tmp_path: Path, program: str) -> None:
    with piped(tmp_path) as (one, end):
        os.write(end, "".join(map(PIPES[program], range(20))).encode())
        one.until_kept(20)
        os.write(end, PIPES[program](20).encode().rstrip())
        os.close(end)
        until(lambda: one.stream.over)
    assert numbers(one.archive) == list(range(21)), "the end of a pipe is that of its last line"
    assert not [*(one.archive / "work" / "streams").iterdir()]
    assert not one.said


def test_a_pipe_that_goes_on_and_one_that_begins_anew(tmp_path: Path) -> None:
    """`docker logs -f` begins with the first line each time."""
    written = [line(number).encode() for number in range(32)]
    with piped(tmp_path) as (one, end):
        os.write(end, b"".join(written[:10]) + written[10][:20])
        one.until_kept(10)
        assert one.commit()
        assert numbers(one.archive) == list(range(10)), "half a line waits"
        os.write(end, written[10][20:] + b"".join(written[11:30]))
        one.until_kept(30)
        os.close(end)
    assert len(Archive.open(one.archive).snapshot().sources) == 1
    with piped(tmp_path) as (again, end):
        os.write(end, b"".join(written[:20]))
        again.until_kept(20)
        assert again.commit()
        os.write(end, b"".join(written[20:]))
        again.until_kept(32)
        os.close(end)
    assert numbers(one.archive) == list(range(32))
    assert not again.said


def test_lines_that_are_the_same_all_come(tmp_path: Path) -> None:
    """What is sent to a port is new, also if it is what was sent before; and so are lines of one pipe."""
    for turn in (1, 2):
        one = Arriving(tmp_path, syslog.Syslog("syslog://:0"))
        with socket.create_connection(("127.0.0.1", one.source.port)) as sender:
            for sent in (5, 10):
                sender.sendall(f"<14>Jan 17 12:00:00 web nginx: {line(0)}".encode() * 5)
                one.until_kept(sent)
                assert one.commit()
        one.close()
        assert numbers(one.archive) == [0] * 10 * turn
        assert not one.said


def test_what_is_not_needed_any_more_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "KEPT", 256)
    with piped(tmp_path) as (one, end):
        for number in range(0, 60, 20):
            os.write(end, "".join(map(line, range(number, number + 20))).encode())
            one.until_kept(1)
            until(lambda number=number: one.stream.spool.size >= (number + 20) * len(line(0)))  # type: ignore[misc]
            assert one.commit()
            kept = [path for path in one.stream.spool.folder.iterdir() if path.name.isdigit()]
            assert len(kept) == 1
        assert one.stream.spool.base >= 4096
        os.close(end)
    assert numbers(one.archive) == list(range(60))


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more is taken in, so a pipe stands still; and nothing is lost."""
    monkeypatch.setattr(spool, "_AGAIN", 0.01)
    written = "".join(map(line, range(5))).encode()
    with piped(tmp_path) as (one, end):
        real, full = os.pwrite, [True]

        def write(*arguments: Any) -> int:
            if full[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments)

        monkeypatch.setattr(os, "pwrite", write)
        os.write(end, written)
        until(lambda: one.said)
        assert "cannot be kept: No space left on device; nothing is taken in" in one.said[0]
        os.write(end, line(5).encode())
        full[0] = False
        one.until_kept(6)
        assert "nothing that was taken in was lost" in one.said[1]
        os.close(end)
    assert numbers(one.archive) == list(range(6))


def test_more_than_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST", 1000)
    with piped(tmp_path) as (one, end):
        os.write(end, "".join(map(line, range(20))).encode())
        until(lambda: one.said)
        assert "nothing more is taken in" in one.said[0]
        assert one.stream.full
        os.write(end, line(20).encode())
        assert one.commit()
        one.until_kept(21)
        os.close(end)
    assert numbers(one.archive) == list(range(21))


def test_lines_that_nobody_reads_are_kept(tmp_path: Path) -> None:
    init(tmp_path / "archive")
    arguments = ("archive", "add", "--follow", "-", "--archive", str(tmp_path / "archive"))
    ran = invoke(*arguments, stdin=b"what is this\n" * 3)
    assert ran.returncode == 1
    assert b"no format reads these lines" in ran.stderr
    assert b"39 B wait in" in ran.stderr
    ran = invoke(*arguments, "--log-format", "%r", stdin=b"")
    assert ran.returncode == 0
    assert b"3 lines that it had taken in and not committed are added now" in ran.stderr
    assert b"nothing follows: every source has ended" in ran.stderr


def test_two_daemons_that_read_the_same(tmp_path: Path) -> None:
    """As of a file, each line is added once, whoever is ahead."""
    with piped(tmp_path) as (one, end), piped(tmp_path) as (other, second):
        for number, (ahead, lines) in enumerate([(end, 5), (second, 9), (end, 7), (second, 14), (end, 14)]):
            daemon, pipe = ((one, end), (other, second))[number % 2]
            assert ahead == pipe
            os.write(pipe, "".join(map(line, range(daemon.stream.spool.lines(0), lines))).encode())
            daemon.until_kept(lines)
            assert daemon.commit()
            assert numbers(one.archive) == list(range(max(lines, 9 if number else 5)))
        os.close(end)
        os.close(second)
    assert not one.said + other.said


def test_kill_and_sigterm(tmp_path: Path) -> None:
    """A daemon is killed before it commits; the next one adds what it had taken in, and ends when it is asked to."""
    archive = tmp_path / "archive"
    init(archive)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "logstats", "archive", "add", "--follow", f"syslog://:{port}", "-"),
        *("--archive", str(archive), "--every"),
    ]

    def kept(name: bytes) -> bytes:
        found = [about.parent for about in archive.glob("work/streams/*/about.json") if name in about.read_bytes()]
        return b"".join(path.read_bytes() for folder in found for path in folder.iterdir() if path.name.isdigit())

    health = archive / "health.json"
    with subprocess.Popen([*command, "1h", "--health", str(health)], stdin=subprocess.PIPE) as process:
        try:
            until(health.exists)  # after the first look; the next one never comes
            assert process.stdin is not None
            process.stdin.write("".join(map(line, range(5))).encode())
            process.stdin.flush()
            with socket.create_connection(("127.0.0.1", port)) as sender:
                sender.sendall("".join(f"<14>Jan 17 12:00:00 web nginx: {line(n)}" for n in range(5, 9)).encode())
                until(lambda: kept(b"syslog:").count(b"\n") == 4 and kept(b'"-"').count(b"\n") == 5)
        finally:
            process.kill()
    health.unlink()
    with subprocess.Popen(
        [*command, "100ms", "--health", str(health)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            until(health.exists)
            assert numbers(archive) == list(range(9))
            assert process.stdin is not None
            process.stdin.write("".join(map(line, (*range(5), *range(9, 12)))).encode())  # the same first lines again
            process.stdin.flush()
            until(lambda: kept(b'"-"').count(b"\n") == 8)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert numbers(archive) == list(range(12))
    assert b"-: the daemon before this one was killed. 5 lines that it had taken in" in said
    assert b"syslog://:%d: the daemon before this one was killed. 4 lines that it had taken in" % port in said
    assert not [*archive.glob("work/streams/*")]
