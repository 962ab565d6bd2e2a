"""A followed log that is renamed and made anew, as logrotate does it by default."""

from __future__ import annotations

import os
from pathlib import Path

from following import Log

from logstats.inputs import follower


def test_lines_before_and_after_come_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    seen = log.look()
    log.write(2)  # after the last look, in the file that is renamed then
    log.rotate(tmp_path / "access.log.1")
    log.write(4)
    seen += log.look()
    assert seen == log.all()
    assert not log.look()
    assert log.follower.truncated == 0


def test_who_goes_on_writing_to_the_old_file_is_read(tmp_path: Path) -> None:
    """Until a server is told to open its log again, it writes to the renamed one; it may even be deleted."""
    log = Log(tmp_path / "access.log")
    log.write()
    seen = log.look()
    old = tmp_path / "access.log.1"
    with log.path.open("ab") as writer:
        log.rotate(old)
        seen += log.look()
        log.write(2, path=old)
        seen += log.look()
        old.unlink()
        writer.write(b"%d xx\n" % log.written)
        writer.flush()
        log.written += 1
        log.write(2)
        seen += log.look()
    assert seen == log.all()


def test_several_rotations_between_two_looks(tmp_path: Path) -> None:
    """What never lay under the name when it was looked at is found by what rotation adds to it."""
    log = Log(tmp_path / "access.log")
    log.write(2, tmp_path / "access.log.1")  # of long ago
    os.utime(tmp_path / "access.log.1", (1, 1))
    log.written, old = 0, log.path.with_name("access.log-old")
    log.write(3)
    seen = log.look()
    old.write_bytes(log.path.read_bytes())  # a copy that somebody made, in a name that no rotation gives, …
    (tmp_path / "access.log.0").write_bytes(log.path.read_bytes())  # … and in one that it could give
    (tmp_path / "access.log.json").write_text("another log\n")
    for name in ("2", "3", "4"):
        log.write(2)
        log.rotate(tmp_path / f"access.log.{name}")
    log.write(1)
    seen += log.look()
    assert seen == log.all()
    assert not log.look() + log.look()
    log.write(1, tmp_path / "access.log.4")  # a server that was not told yet
    assert seen + log.look() == log.all()


def test_many_rotations_between_looks_keep_a_bounded_number_open(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    seen: list[int] = []
    for number in range(3 * follower.ROTATED):
        log.write(2)
        seen += log.look()
        log.rotate(tmp_path / f"access.log.{number}")
    seen += log.look()
    assert seen == log.all()
    assert len(log.follower._open) == follower.ROTATED + 1
    log.look(follower.QUIET + 1)
    assert len(log.follower._open) == 1


def test_line_numbers_begin_anew_with_the_file(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    first = [arrived.chunk for arrived in log.follower.look()]
    log.write(1)
    log.rotate(tmp_path / "access.log.1")
    log.write(1)
    then = list(log.follower.look())
    places = [(chunk.first_line, chunk.offset) for chunk in first if chunk]
    assert places == [(1, 0)]
    numbers = [(arrived.file, arrived.chunk.first_line) for arrived in then if arrived.chunk]
    assert [line for _, line in numbers] == [4, 1]
    assert len({file for file, _ in numbers}) == 2
