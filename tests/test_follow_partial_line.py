"""A last line without its newline: it waits, for so long as was asked, or until nothing can follow."""

from __future__ import annotations

from pathlib import Path

from following import Log

from logstats.inputs import follower


def test_it_waits_for_its_newline(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    with log.path.open("wb", buffering=0) as file:
        file.write(b"0 xx\n1 x")
        assert log.look() == [0]
        assert not log.look(10_000.0)
        assert log.follower.unfinished == 3
        file.write(b"x\n2 ")
        assert log.look() == [1]


def test_after_the_timeout_it_is_a_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log", options={"partial_timeout": 5.0})
    with log.path.open("wb", buffering=0) as file:
        file.write(b"0 xx\n1 x")
        assert log.look() == [0]
        assert not log.look(4.9)
        file.write(b"x")
        assert not log.look(4.9), "it has grown, so it waits anew"
        assert log.look(5.0) == [1]
        file.write(b"2 xx\n")
        assert log.look() == [2]
    (arrived,) = Log(log.path).follower.look()
    assert arrived.chunk is not None
    assert arrived.chunk.lines == 2, "whoever reads it later sees one line where there were two"


def test_of_a_file_that_is_over_it_is_a_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.path.write_bytes(b"0 xx\n1 x")
    assert log.look() == [0]
    log.rotate(tmp_path / "access.log.1")
    assert not log.look()
    assert log.look(follower.QUIET) == [1]


def test_half_a_line_and_its_other_half_in_the_copy(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.path.write_bytes(b"0 xx\n1 x")
    assert log.look() == [0]
    (tmp_path / "access.log.1").write_bytes(b"0 xx\n1 xxxx\n")
    log.path.write_bytes(b"2 x\n")
    assert log.look() == [1, 2]


def test_a_named_pipe_is_followed(tmp_path: Path) -> None:
    import os

    log = Log(tmp_path / "pipe")
    os.mkfifo(log.path)
    assert not log.look()
    for number in range(3):
        with log.path.open("wb", buffering=0) as file:
            file.write(b"%d x\n" % number)
            assert log.look() == [number]
    assert not log.look()
