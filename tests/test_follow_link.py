"""A followed symbolic link that is switched from one file to another, as cronolog and `current` links are."""

from __future__ import annotations

from pathlib import Path

from following import Log


def test_the_old_file_is_read_to_its_end_and_the_new_one_from_its_beginning(tmp_path: Path) -> None:
    link = tmp_path / "current"
    log = Log(tmp_path / "monday.log", [str(link)])
    log.write(2)
    link.symlink_to(log.path)
    seen = log.look()
    log.write(2)
    tuesday = tmp_path / "tuesday.log"
    log.write(1, path=tuesday)
    new = tmp_path / "new"
    new.symlink_to(tuesday)
    new.replace(link)
    seen += log.look()
    log.write(1)
    log.write(1, path=tuesday)
    seen += log.look()
    assert seen == log.all()


def test_a_link_that_leads_nowhere_is_waited_for(tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "later.log")
    log = Log(tmp_path / "later.log", [str(link)])
    assert not log.look()
    log.write(2)
    assert log.look() == log.all()
    link.unlink()
    link.symlink_to(tmp_path / "later.log")
    assert not log.look(), "the same file under the same name"
