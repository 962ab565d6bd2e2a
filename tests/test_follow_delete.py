"""A followed log that is deleted and made anew; the new file may get the inode of the old one."""

from __future__ import annotations

from pathlib import Path

from following import Log

from logstats.inputs import follower


def test_deleted_and_made_anew(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    seen: list[int] = []
    for _ in range(5):
        log.write(2)
        seen += log.look()
        log.path.unlink()
        log.write(3)
        seen += log.look()
    assert seen == log.all()
    assert log.follower.truncated == 0


def test_away_for_a_while(tmp_path: Path) -> None:
    log = Log(tmp_path / "access.log")
    log.write(2)
    seen = log.look()
    log.path.unlink()
    for _ in range(3):
        assert not log.look(follower.QUIET)
    log.write(2)
    assert seen + log.look() == log.all()


def test_written_anew_with_what_it_had(tmp_path: Path) -> None:
    """`sed -i` and editors replace the file by a copy: what was read is not read again."""
    log = Log(tmp_path / "access.log")
    log.write(30)
    seen = log.look()
    copy = tmp_path / "new"
    copy.write_bytes(log.path.read_bytes())
    copy.replace(log.path)
    log.write(2)
    assert seen + log.look() == log.all()


def test_a_folder_that_goes_and_comes(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = Log(folder / "access.log")
    log.write()
    seen = log.look()
    folder.rename(tmp_path / "old")
    seen += log.look()
    folder.mkdir()
    log.write()
    assert seen + log.look() == log.all()
