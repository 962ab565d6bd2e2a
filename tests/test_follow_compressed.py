"""Followed globs in which old logs are compressed: what was read is known, what was not is read."""

from __future__ import annotations

import gzip
from pathlib import Path

from following import Log


def test_an_old_log_that_is_compressed_is_not_read_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log", [str(tmp_path / "access*")])
    log.write(20)
    seen = log.look()
    log.write(2)
    old = tmp_path / "access.log.1"
    log.rotate(old)
    log.write(1)
    whole = gzip.compress(old.read_bytes())
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(whole[: len(whole) // 2])
    seen += log.look()
    seen += log.look()
    seen += log.look()
    packed.write_bytes(whole)
    old.unlink()
    for _ in range(3):
        seen += log.look()
    assert seen == log.all()


def test_a_compressed_log_that_nobody_has_read_is_read_once_it_is_whole(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log", [str(tmp_path / "access*")])
    log.write(2)
    seen = log.look()
    other = tmp_path / "other"
    log.write(30, path=other)
    whole = gzip.compress(other.read_bytes())
    packed = tmp_path / "access.log.7.gz"
    packed.write_bytes(whole[:40])
    assert not log.look() + log.look() + log.look()
    packed.write_bytes(whole)
    seen += [number for _ in range(3) for number in log.look()]
    assert seen == log.all()


def test_compressed_logs_are_for_reading_from_the_start(tmp_path: Path) -> None:
    lines = Log(tmp_path / "plain")
    lines.write(3)
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    assert Log(packed).look() == [0, 1, 2]
    tail = Log(packed, options={"begin": lambda _name, _file, size: size})
    assert not tail.look() + tail.look()
    assert "--from-start reads all" in tail.said[0]
