"""A followed log that is not there yet, or may not be read yet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from following import Log


def test_it_is_waited_for_and_read_from_its_beginning(tmp_path: Path) -> None:
    log = Log(tmp_path / "later" / "access.log", options={"begin": lambda _name, _file, size: size})
    assert not log.look()
    assert not log.look()
    assert log.said == [f"{log.path}: is not there yet; it is waited for"]
    log.path.parent.mkdir()
    log.write(2)
    assert log.look() == log.all()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said_once_and_tried_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.write(2)
    log.path.chmod(0)
    assert not log.look() + log.look()
    assert log.said == [f"{log.path}: cannot be read: Permission denied; it is tried again"]
    log.path.chmod(0o600)
    assert log.look() == log.all()


def test_begin_is_where_a_file_begins_that_is_there_already(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log", options={"begin": lambda _name, _file, size: size})
    log.write(3)
    assert not log.look()
    log.write(1)
    (arrived,) = log.follower.look()
    assert arrived.chunk is not None
    assert (arrived.chunk.first_line, arrived.chunk.data[:2]) == (4, b"3 ")
