"""One large file that several workers add is, in the archive, what one process makes of it."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import archives
import numbered
import polars as pl
import pytest
from test_archive_workers import Elsewhere, content

from logstats import api
from logstats.api.adding import _ingest, add_some
from logstats.archive.add import add_apart
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.ingest import ingest
from logstats.archive.ingest.progress import Added
from logstats.archive.log import tables
from logstats.archive.stretches import Before
from logstats.inputs import Source, discover
from logstats.options import Options
from logstats.pipeline import Interrupt, Silence
from logstats.scale import shards
from logstats.scale.calls import Executor
from logstats.scale.processes import Processes

LINES = 1_500
OPTIONS = Options(now=archives.MOVED)
FOREIGN = b'{"level":"error","ts":1737108000.5,"logger":"http","msg":"it broke"}\n'


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are cut into stretches that are small enough for tests."""
    monkeypatch.setattr(shards, "HEAD", 4 << 10)
    monkeypatch.setattr(shards, "SMALLEST", 24 << 10)
    monkeypatch.setattr(ingest, "CHUNK", 8 << 10)


def log_of(first: int, end: int) -> bytes:
    """Lines of which some are blank and some cannot be read, also where stretches may begin; some have no time."""
    chance = random.Random(5)
    made = []
    for number in range(first, end):
        made.append(numbered.line(number))
        kind = chance.random()
        if kind < 0.1:
            made.append(b"\n")
        elif kind < 0.3:
            made.append(b"no request at all, %d\n" % number)
        elif kind < 0.32:
            made.append(b'1.2.3.4 - - [17/Jan/2025:05:00:00 +0000] "GET /half\n')
    return b"".join(made)


Work = Callable[..., tuple[Added, list[tuple[Any, ...]]]]


def work(archive: Any, files: list[Source], before: Before | None = None) -> Any:
    return add_some(OPTIONS, None, False, False, archive, files, before)


def add(archive: Archive, log: Path, by: Work = work, executor: Executor | None = None) -> Added:
    found, _ = discover([str(log)])
    return add_apart(archive, found, by, _ingest(OPTIONS, None), Silence(), Interrupt(), executor or Elsewhere())


def alone(folder: Path, log: Path) -> dict[str, Any]:
    archive = init(folder)
    api.add(log, archive.root, OPTIONS)
    return content(archive)


def commits(archive: Archive) -> int:
    return sum(commit.what == "add" for commit in archive.commits())


def test_a_large_file_is_split(tmp_path: Path) -> None:
    """Rows, rejected lines with their numbers and times, rollups; one source, one outcome. What is appended later goes
    on where the last stretch ended, and is split again."""
    log, whole = tmp_path / "access.log", log_of(0, LINES)
    log.write_bytes(whole + b"half a line")
    archive = init(tmp_path / "two")
    added = add(archive, log)
    assert len(added.commits) == commits(archive) >= 4
    (outcome,) = added.outcomes
    assert (outcome.known, outcome.counts.lines, outcome.left) == (0, whole.count(b"\n"), 11)
    made = content(archive)
    assert made == alone(tmp_path / "one", log)
    assert made["findings"] == [] and len(made[tables.LOGS]) == LINES and len(made[tables.REJECTS]) > LINES // 6
    assert numbered.left_over(archive.root) == []
    assert pl.read_parquet(
        [archive.root / one.path for one in archive.snapshot().select(tables.LOGS)], hive_partitioning=False
    )["line"].n_unique() == LINES  # fmt: skip

    again = add(Archive.open(archive.root), log)
    assert again.commits == [] and again.outcomes[0].known == whole.count(b"\n")

    grown = log_of(0, 2 * LINES)
    assert grown.startswith(whole)
    log.write_bytes(grown)
    more = add(Archive.open(archive.root), log)
    assert len(more.commits) >= 2
    assert more.outcomes[0].known == whole.count(b"\n")
    assert more.outcomes[0].counts.lines == grown.count(b"\n") - whole.count(b"\n")
    assert content(Archive.open(archive.root)) == alone(tmp_path / "grown", log)


def test_what_is_not_split(tmp_path: Path) -> None:
    """Lines that depend on those before, and a file that was there before in part, with another ending."""
    w3c = tmp_path / "w3c.log"
    rows = b"".join(b"2025-01-17 03:00:%02d GET /%d 200\n" % (number % 60, number) for number in range(2 * LINES))
    w3c.write_bytes(b"#Fields: date time cs-method cs-uri-stem sc-status\n" + rows)
    archive = init(tmp_path / "archive")
    assert len(add(archive, w3c).commits) == 1
    (tmp_path / "copy.log").write_bytes(numbered.log(0, LINES))
    assert len(add(archive, tmp_path / "copy.log").commits) > 1
    (tmp_path / "other.log").write_bytes(numbered.log(0, 1_000) + numbered.log(LINES, 2 * LINES))
    assert len(add(archive, tmp_path / "other.log").commits) == 1
    assert set(numbered.numbers(archive.root)) == set(range(2 * LINES))


def test_a_format_in_the_middle_ends_the_split(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(numbered.log(0, LINES) + FOREIGN * 400 + numbered.log(LINES, 2 * LINES) + FOREIGN * 5)
    archive = init(tmp_path / "two")
    added = add(archive, log)
    assert 1 < len(added.commits) < 8
    (outcome,) = added.outcomes
    assert outcome.counts.lines == 2 * LINES + 405 and outcome.known == 0
    made = content(archive)
    once = alone(tmp_path / "one", log)
    assert made[tables.LOGS] == once[tables.LOGS] and made["findings"] == []
    assert made[tables.ENDPOINTS] == once[tables.ENDPOINTS] and made["sources"] == once["sources"]


@pytest.mark.parametrize("change", ["another add", "a copy", "cut back", "refilled", "gone"])
def test_what_happens_meanwhile_ends_the_split(tmp_path: Path, change: str) -> None:
    """Nothing is lost and nothing is there twice, whatever is done to the file or the archive between two stretches."""
    log = tmp_path / "access.log"
    log.write_bytes(numbered.log(0, LINES))
    archive = init(tmp_path / "archive")
    calls = 0

    def meanwhile(archive: Any, files: list[Source], before: Before | None = None) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            if change == "another add":
                api.add(log, archive.root, OPTIONS)
            elif change == "a copy":
                (tmp_path / "copy.log").write_bytes(log.read_bytes())
                api.add(tmp_path / "copy.log", archive.root, OPTIONS)
            elif change == "cut back":
                os.truncate(log, 1_000)
            elif change == "refilled":
                log.write_bytes(numbered.log(LINES, 2 * LINES))
            else:
                log.unlink()
        return add_some(OPTIONS, None, False, False, archive, files, before)

    class Local(Elsewhere):
        def submit(self, call: Any) -> Any:
            return call

    add(archive, log, meanwhile, Local())
    held = numbered.numbers(archive.root)
    assert set(held.values()) == {1}
    assert numbered.left_over(archive.root) == []
    if change in ("another add", "a copy"):
        assert set(held) == set(range(LINES))
    else:
        assert 0 < len([number for number in held if number < LINES]) < LINES
    if change == "refilled":
        assert set(range(LINES, 2 * LINES)) <= set(held)
    api.add(tmp_path, archive.root, OPTIONS)
    assert set(numbered.numbers(archive.root).values()) == {1}


def dying(marker: str, archive: Any, files: list[Source], before: Before | None = None) -> Any:
    """The second stretch is written, and its process killed; the next one that does it goes on."""
    made = work(archive, files, before)
    if before is not None and before.end.bytes:
        with suppress(FileNotFoundError):
            Path(marker).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return made


def test_a_worker_that_is_killed_costs_its_stretch(tmp_path: Path) -> None:
    log, marker = tmp_path / "access.log", tmp_path / "marker"
    log.write_bytes(log_of(0, LINES))
    marker.touch()
    archive = init(tmp_path / "archive")
    with closing(Processes(2)) as executor:
        added = add(archive, log, partial(dying, str(marker)), executor)
    assert not marker.exists() and len(added.commits) >= 4
    assert content(archive) == alone(tmp_path / "one", log)
    assert numbered.left_over(archive.root) == [] and not list((archive.root / "work").glob("*.lock"))
