"""What is wrong with an archive is found and named, and what can still be read still is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import archives
import polars as pl
import pytest
from program import invoke

from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.log import paths, tables
from logstats.archive.log.commit import Commit, Damaged
from logstats.archive.log.parquet_writer import Writer
from logstats.archive.log.writer import Workspace
from logstats.archive.verify import Finding, verify


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three days, a tier each."""
    folder = tmp_path_factory.mktemp("sound")
    archive = archives.make(folder / "archive", archives.logs_of_three_days(folder))
    archives.move(archive)
    return archive


@pytest.fixture
def archive(sound: Archive, tmp_path: Path) -> Archive:
    """A copy to be damaged."""
    shutil.copytree(sound.root, tmp_path / "copy")
    return Archive.open(tmp_path / "copy")


def found(archive: Archive, *, deep: bool = False) -> list[Finding]:
    return [finding for finding in verify(archive, deep=deep) if not finding.note]


def flip(path: Path, place: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0x10
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_is_wrong(sound: Archive, deep: bool) -> None:
    assert list(verify(sound)) == []
    assert found(sound, deep=deep) == []
    done = invoke("archive", "verify", "--archive", str(sound.root), *(["--deep"] if deep else []))
    assert done.returncode == 0
    assert b"all as it should be" in done.stderr


def test_deep_says_what_cannot_be_shown(sound: Archive) -> None:
    """What the cold tier has not kept is not computed again; here it has kept all that the rollups need."""
    assert [finding.what for finding in verify(sound, deep=True) if finding.note] == []


@pytest.mark.parametrize("table", tables.TABLES)
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_a_flipped_byte(archive: Archive, table: str, place: float) -> None:
    file = archive.snapshot().select(table)[-1]
    flip(archive.root / file.path, place)
    (finding,) = found(archive)
    assert finding.path == file.path
    assert "content was changed" in finding.what


def test_a_file_that_is_cut_off(archive: Archive) -> None:
    file = archive.snapshot().select(tables.LOGS)[0]
    path = archive.root / file.path
    path.write_bytes(path.read_bytes()[:-7])
    (finding,) = found(archive)
    assert finding.path == file.path
    assert f"it has {file.bytes - 7:,} bytes" in finding.what


def test_missing_files_are_named_and_the_rest_is_read(archive: Archive) -> None:
    """A whole day."""
    (file,) = archive.snapshot().select(tables.LOGS, tier="warm")
    (archive.root / file.path).unlink()
    done = invoke("archive", "verify", "--archive", str(archive.root))
    assert done.returncode == 1
    assert f"{file.path}: the file is missing" in done.stdout.decode()
    asked = invoke("query", "SELECT day, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1", "--archive", str(archive.root),
                "-o", "csv")  # fmt: skip
    assert asked.returncode == 1
    assert asked.stdout == b"day,n\r\n17,897\r\n19,897\r\n"
    assert f"{file.path}: the file is missing" in asked.stderr.decode()


def test_a_damaged_file_does_not_stop_queries_of_others(archive: Archive) -> None:
    (file,) = archive.snapshot().select(tables.LOGS, tier="warm")
    (archive.root / file.path).write_bytes(b"garbage")
    sql = "SELECT count(*), count(path) FROM logs WHERE day={}"
    good = invoke("query", sql.format(17), "--archive", str(archive.root), "-o", "csv")
    assert good.returncode == 0
    assert good.stdout.endswith(b"897,894\r\n")  # three have no path
    bad = invoke("query", sql.format(18), "--archive", str(archive.root), "-o", "csv")
    assert bad.returncode == 1
    assert bad.stdout == b""
    assert file.path in bad.stderr.decode()
    assert b"Traceback" not in bad.stderr
    assert api.report(archive=archive.root).requests > 0  # rollups are whole
    report = invoke("report", "--archive", str(archive.root), "--rows")
    assert report.returncode == 1
    assert file.path in report.stderr.decode()
    assert b"Traceback" not in report.stderr


@pytest.mark.parametrize(
    "path",
    ["hot/notes.txt", "warm/year=2025/month=1/day=18/copy.parquet", "rollups/users/x", "stranger", "commits/old.json"],
)
def test_a_foreign_file(archive: Archive, path: str) -> None:
    (archive.root / path).write_bytes(b"x")
    (finding,) = found(archive)
    assert (finding.path, finding.what) == (path, "no commit names this file")


@pytest.mark.parametrize("how", ["cut off", "flipped", "empty", "another's"])
def test_a_torn_commit(archive: Archive, how: str) -> None:
    last = archive.snapshot().number
    number = last if how == "cut off" else 3
    path = archive.root / paths.commit_path(number)
    if how == "cut off":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "flipped":
        flip(path)
    elif how == "empty":
        path.write_bytes(b"")
    else:
        shutil.copy(archive.root / paths.commit_path(2), path)
    assert paths.commit_path(number) in {finding.path for finding in found(archive)}
    if how != "cut off":
        return
    asked = invoke("query", "SELECT count(*) AS n FROM logs", "--archive", str(archive.root), "-o", "csv")
    assert asked.returncode == 1
    assert asked.stdout.startswith(b"n\r\n")
    assert int(asked.stdout.split()[1]) > 0
    assert paths.commit_path(number) in asked.stderr.decode()
    report = invoke("report", "--archive", str(archive.root))
    assert report.returncode == 1  # a report says so instead of answering in part
    assert report.stdout == b""
    assert paths.commit_path(number) in report.stderr.decode()


def test_a_missing_commit(archive: Archive) -> None:
    (archive.root / paths.commit_path(3)).unlink()
    assert any(finding.path == paths.commit_path(3) and "missing" in finding.what for finding in found(archive))


def test_a_damaged_checkpoint_is_named(archive: Archive) -> None:
    before = archive.snapshot()
    with Workspace(archive) as workspace:
        archive.write_checkpoint(before, workspace.folder)
    assert found(archive) == []
    checkpoint = archive.root / paths.CHECKPOINT
    whole = checkpoint.read_bytes()
    flip(checkpoint)
    assert [finding.path for finding in found(archive)] == [paths.CHECKPOINT]
    with pytest.raises(Damaged, match=paths.CHECKPOINT):
        archive.snapshot()
    checkpoint.unlink()  # as the error says
    assert archive.snapshot() == before
    # One that is whole, but of other commits.
    with Workspace(archive) as workspace:
        files = dict(list(before.files.items())[1:])
        archive.write_checkpoint(replace(before, files=files), workspace.folder)
    assert paths.CHECKPOINT in {finding.path for finding in found(archive)}
    checkpoint.write_bytes(whole)
    assert found(archive) == []


def test_what_is_derived_or_edited(archive: Archive, sound: Archive) -> None:
    (archive.root / "catalog.sql").write_text((sound.root / "catalog.sql").read_text() + "-- mine\n")
    (archive.root / "lifecycle.toml").write_text("[warm]\n")
    assert {finding.path for finding in found(archive)} == {"catalog.sql", "lifecycle.toml"}


def test_left_over_files_are_no_damage(archive: Archive) -> None:
    """A writer that died, and one that is at work."""
    place = archive.root / paths.WORK
    with Workspace(archive) as workspace:
        writer = Writer(workspace, tables.LOGS, (2025, 1, 21, 3))
        begun = archive.root / f"{writer.path}{paths.TEMPORARY}"
        assert begun.exists()
        assert list(verify(archive)) == []  # it is at work
        shutil.copytree(workspace.path, place / "dead")
        (place / "dead.lock").touch()
        writer.abandon()
    begun.parent.mkdir(parents=True, exist_ok=True)
    begun.write_bytes(b"half")
    (finding,) = verify(archive)
    assert finding.note
    assert "left by a run that died" in finding.what


def _forge(archive: Archive, table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Replace the rollups of a day by others, in an orderly commit."""
    day = [file for file in archive.snapshot().select(table) if file.partition[2] == 17]
    rows = pl.concat(pl.read_parquet(archive.root / file.path, hive_partitioning=False) for file in day)
    with Workspace(archive) as workspace:
        writer = Writer(workspace, table, (2025, 1, 17))
        writer.write(change(rows))
        made = writer.close()
        workspace.keep([made])
        removed = tuple(file.path for file in day)
        archive.commit(lambda _: Commit(what="compact", added=(made,), removed=removed), workspace.folder)
        workspace.committed()


FORGED: list[tuple[str, Callable[[pl.DataFrame], pl.DataFrame], bool, str]] = [
    (tables.TRAFFIC, lambda t: t.with_columns(pl.col("requests") + 1), False, "the rollups count"),
    (tables.TRAFFIC, lambda t: t.with_columns(pl.col("bytes") + 1), True, "not what the rows"),
    (tables.ENDPOINTS, lambda t: t.slice(1), False, "endpoints"),
    (tables.ENDPOINTS, lambda t: t.with_columns(pl.col("us") + 1), True, "not what the rows"),
    (tables.LATENCY, lambda t: t.slice(1), False, "latency"),
    (tables.LATENCY, lambda t: t.with_columns(pl.col("bucket") + 1), True, "not what the rows"),
    (tables.USERS, lambda t: t.slice(1), True, "not what the rows"),
]


@pytest.mark.parametrize(("table", "change", "deep", "said"), FORGED)
def test_rollups_that_are_not_of_the_rows(
    archive: Archive, table: str, change: Callable[[pl.DataFrame], pl.DataFrame], deep: bool, said: str
) -> None:
    _forge(archive, table, change)
    assert bool(found(archive)) is not deep
    assert any(said in finding.what and "day=17" in finding.path for finding in found(archive, deep=True))


def test_rollups_without_rows_are_said_to_be_so(sound: Archive, tmp_path: Path) -> None:
    shutil.copytree(sound.root, tmp_path / "copy")
    archive = Archive.open(tmp_path / "copy")
    archives.move(archive, datetime(2025, 3, 1, tzinfo=UTC), '[delete]\nafter = "42d"')
    assert found(archive, deep=True) == []
    (finding,) = verify(archive, deep=True)
    assert finding.path == "rollups/year=2025/month=1/day=17"
    assert "897 rows were deleted" in finding.what


def test_what_it_says_reaches_no_terminal_unescaped(archive: Archive) -> None:
    (archive.root / "hot" / "\x1b[31mred").write_bytes(b"")
    done = invoke("archive", "verify", "--archive", str(archive.root))
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout
    assert rb"\x1b[31mred" in done.stdout


def test_no_archive(tmp_path: Path) -> None:
    for command in ("verify", "status", "tier"):
        done = invoke("archive", command, "--archive", str(tmp_path))
        assert done.returncode == 1
        assert b"there is no archive" in done.stderr


def test_status_of_an_empty_archive(tmp_path: Path) -> None:
    archives.make(tmp_path / "archive", [])
    assert invoke("archive", "status", "--archive", str(tmp_path / "archive")).returncode == 0
    told: dict[str, Any] = json.loads(
        invoke("archive", "status", "-o", "json", "--archive", str(tmp_path / "archive")).stdout
    )
    assert told["lines"] == 0
    assert all(one["ratio"] is None for one in told["held"])
