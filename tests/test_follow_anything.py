"""Whatever is done to a followed log, and whenever it is looked at: every line once, in the order of its file."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
from following import Log, copy_and_truncate
from hypothesis import given, settings
from hypothesis import strategies as st

DOINGS = ("write", "write more", "look", "rename", "copytruncate", "compress", "delete", "rewrite")


@pytest.mark.parametrize("named", ["access.log", "access*"])
@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(DOINGS), max_size=25))
def test_every_line_once(named: str, doings: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder) / "access.log", [str(Path(folder) / named)])
        log.path.touch()
        seen = log.look()
        old: list[Path] = []
        for number, doing in enumerate(doings):
            other = log.path.with_name(f"access.log.{number}")
            match doing:
                case "write" | "write more":
                    log.write(1 if doing == "write" else 9)
                case "look":
                    seen += log.look()
                case "rename":
                    seen += log.look()  # an old file that nobody has opened is out of sight
                    log.rotate(other)
                    old.append(other)
                case "copytruncate":
                    log.write(1)
                    seen += log.look()  # what was never seen leaves no trace …
                    log.write(2)
                    copy_and_truncate(log.path, other)
                    seen += log.look()  # … and of two truncations between two looks, the first one
                    old.append(other)
                case "compress" if old:
                    plain = old.pop(0)
                    other.with_suffix(".gz").write_bytes(gzip.compress(plain.read_bytes()))
                    plain.unlink()
                case "delete":
                    seen += log.look()
                    log.path.unlink()
                    log.path.touch()
                case "rewrite":
                    seen += log.look()
                    new = log.path.with_name("new")
                    new.write_bytes(log.path.read_bytes())
                    new.replace(log.path)
        for _ in range(3):
            seen += log.look()
        assert sorted(seen) == log.all()
        log.follower.close()
