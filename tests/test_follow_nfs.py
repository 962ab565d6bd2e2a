"""A followed log on NFS, as far as it can be tried without a server: what its client answers is given by the test.

A server that is away answers EIO (mount option `soft`); a handle is stale when the file was deleted on another machine,
or when the server was restarted; a file that is deleted here while it is open gets a name that begins with `.nfs`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from following import Log

from logstats.inputs import followed_file


class Client:
    """Reading fails for some descriptors, after so many bytes of a file."""

    def __init__(self) -> None:
        self.fails: Callable[[int, int], int] = lambda _descriptor, _offset: 0
        self.pread = os.pread

    def __call__(self, descriptor: int, size: int, offset: int) -> bytes:
        if number := self.fails(descriptor, offset):
            raise OSError(number, os.strerror(number))
        return self.pread(descriptor, size, offset)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    monkeypatch.setattr(followed_file.os, "pread", made)
    return made


def descriptor(log: Log) -> int:
    """The one by which the log is read."""
    (one,) = log.follower._open.values()
    return one.file.descriptor


def test_a_server_that_is_away_for_a_while(tmp_path: Path, client: Client) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    with log.path.open("ab") as file:
        file.write(b"3 xx")  # half a line, whose other half comes later
    seen = log.look()
    client.fails = lambda _descriptor, _offset: errno.EIO
    with log.path.open("ab") as file:
        file.write(b"xx\n")
    log.written = 4
    log.write(2)
    for _ in range(3):
        assert not log.look()
    assert log.follower.stuck == 1
    client.fails = lambda _descriptor, _offset: 0
    assert seen + log.look() == log.all()
    assert log.follower.stuck == 0
    assert log.said == [f"{log.path}: cannot be read: Input/output error; it is tried again"]


def test_a_stale_handle_of_a_file_that_is_there(tmp_path: Path, client: Client) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    seen = log.look()
    old = descriptor(log)
    client.fails = lambda number, _offset: errno.ESTALE if number == old else 0
    log.write(2)
    seen += log.look()
    assert descriptor(log) != old
    assert seen + log.look() == log.all()


def test_a_file_that_was_replaced_on_another_machine(tmp_path: Path, client: Client) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    seen = log.look()
    old = os.fstat(descriptor(log)).st_ino
    client.fails = lambda number, _offset: errno.ESTALE if os.fstat(number).st_ino == old else 0
    new = tmp_path / "new"
    log.write(4, new)
    new.replace(log.path)
    assert seen + log.look() == log.all()
    assert log.said == [
        f"{log.path}: cannot be read any more: Stale file handle; lines that were written to it last may be lost"
    ]


def test_what_was_read_before_it_failed_is_not_lost(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_file, "PIECE", 500)
    log = Log(tmp_path / "access.log")
    log.write(50)
    client.fails = lambda _descriptor, offset: errno.EIO if offset >= 1500 else 0
    seen = log.look()
    assert 5 < len(seen) < 50
    seen += log.look()
    client.fails = lambda _descriptor, _offset: 0
    assert seen + log.look() == log.all()


def test_the_name_that_a_deleted_file_gets(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "access.log", [str(tmp_path / "logs")])
    log.path.parent.mkdir()
    log.write(3)
    seen = log.look()
    log.write(2)
    log.path.rename(log.path.with_name(".nfs00000000001c0d3e00000001"))
    log.write(4)
    seen += log.look()
    (tmp_path / "logs" / ".nfs00000000001c0d3e00000001").unlink()
    log.write(1)
    assert sorted(seen + log.look()) == log.all()
