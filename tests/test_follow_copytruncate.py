"""A followed log that is copied and truncated: what had not been read yet is in the copy, or is said to be lost."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from following import Log, copy_and_truncate


def test_what_had_not_been_read_is_read_from_the_copy(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    seen = log.look()
    log.write(2)
    copy_and_truncate(log.path, tmp_path / "access.log.1")
    log.write(1)
    seen += log.look()
    assert seen == log.all()
    assert log.follower.truncated == 1
    assert "2 lines that had not been read yet are read from the copy" in log.said[0]


@pytest.mark.parametrize("grown", [0, 1, 3, 40], ids=["empty", "shorter", "the same length", "longer"])
def test_whatever_its_size_by_then_it_is_noticed(tmp_path: Path, grown: int) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    log.look()
    size = log.path.stat().st_size
    os.truncate(log.path, 0)
    log.write(grown)
    if grown == 3:
        with log.path.open("r+b") as file:
            file.truncate(size - 1)
            file.seek(size - 1)
            file.write(b"\n")
    found = log.look()
    assert found == [number for number in log.all() if number >= 3][: len(found)]
    assert len(found) >= grown - 1 or grown == 3
    assert log.follower.truncated == 1
    assert "may be lost" in log.said[0]
    assert "access.log: was truncated" in log.said[0]


def test_the_copy_is_compressed_already(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    seen = log.look()
    log.write(5)
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress(log.path.read_bytes()))
    os.truncate(log.path, 0)
    log.write(2)
    assert seen + log.look() == log.all()


def test_a_copy_under_the_glob_is_not_read_twice(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log", [str(tmp_path / "access.log*")])
    log.write(3)
    seen = log.look()
    log.write(2)
    copy = tmp_path / "access.log.1"
    copy.write_bytes(log.path.read_bytes()[:100])  # it is under way …
    seen += log.look()
    copy.write_bytes(log.path.read_bytes())  # … and done, but the log is not truncated yet
    seen += log.look()
    log.write(2)
    copy.write_bytes(log.path.read_bytes())
    os.truncate(log.path, 0)
    log.write(1)
    seen += log.look()
    seen += log.look()
    assert seen == log.all()
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress(copy.read_bytes()))
    copy.unlink()
    assert not [number for _ in range(3) for number in log.look()]


def test_a_copy_that_turns_up_later_has_the_rest(tmp_path: Path) -> None:
    """It was made in another folder (olddir), which the glob reaches only when it is moved."""
    log = Log(tmp_path / "access.log", [str(tmp_path / "*.log*")])
    log.write(3)
    seen = log.look()
    log.write(2)
    elsewhere = tmp_path / "old"
    elsewhere.mkdir()
    copy_and_truncate(log.path, elsewhere / "access.log.1")
    seen += log.look()
    assert "may be lost" in log.said[0]
    (elsewhere / "access.log.1").rename(tmp_path / "access.log.1")
    log.write(1)
    seen += log.look()
    assert sorted(seen) == log.all()


def test_a_writer_that_goes_on_at_its_old_place_leaves_a_hole(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.write(3)
    seen = log.look()
    size = log.path.stat().st_size
    copy_and_truncate(log.path, tmp_path / "access.log.1")
    with log.path.open("r+b") as file:
        file.seek(size + (3 << 20))
        file.write(b"3 xxx\n")
    log.written = 4
    assert seen + log.look() == log.all()
    assert not log.look()
