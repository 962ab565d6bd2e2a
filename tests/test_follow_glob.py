"""A followed glob or folder that gains files, loses them, and has more than may be open."""

from __future__ import annotations

from pathlib import Path

import pytest
from following import Log

from logstats.inputs import follower


@pytest.mark.parametrize("named", ["*.log", ""], ids=["a glob", "a folder"])
def test_new_files_are_read_from_their_beginning(tmp_path: Path, named: str) -> None:
    log = Log(tmp_path / "a.log", [str(tmp_path / named)])
    log.write(2)
    seen = log.look()
    (tmp_path / ".b.log.swp").write_bytes(b"x\n")
    log.write(2, path=tmp_path / "b.log")
    log.write(1, path=tmp_path / "c.log")
    log.write(1)
    seen += log.look()
    assert sorted(seen) == log.all()
    assert not log.look()


def test_a_file_that_begins_as_another_does_is_not_a_copy_for_long(tmp_path: Path) -> None:
    log = Log(tmp_path / "a.log", [str(tmp_path / "*.log")])
    log.write(1)
    assert log.look() == [0]
    other = tmp_path / "b.log"
    other.write_bytes(log.path.read_bytes())
    assert not log.look(), "it may be a copy"
    log.write(1, path=other)
    assert [number for _ in range(3) for number in log.look()] == [0, 1], "the line of both files, and its own"


def test_a_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "a.log", [str(tmp_path / "*.log"), str(tmp_path / "a.log"), str(tmp_path)])
    log.write(3)
    (tmp_path / "b.log").symlink_to("a.log")
    (tmp_path / "c.log").hardlink_to(log.path)
    assert log.look() == log.all()


def test_more_files_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "OPEN", 3)
    log = Log(tmp_path / "a.log", [str(tmp_path / "*.log")])
    seen: list[int] = []
    for _ in range(3):
        for number in range(10):
            log.write(1, path=tmp_path / f"{number}.log")
        seen += log.look()
        assert len(log.follower._open) == 3
    assert sorted(seen) == log.all()
    assert not log.look()
