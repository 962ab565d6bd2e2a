"""An archive in other hands: copies, moves and backups of it, and other programs that read its folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import archives
import duckdb
import numbered
import polars as pl
import pytest
from program import invoke

from logstats import api
from logstats.archive import files
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.log import faults, paths, tables
from logstats.archive.log.orphans import sweep, tidy
from logstats.archive.query.sql import session
from logstats.archive.verify import verify

POLICY = '[warm]\nafter = "1d"\n[cold]\nafter = "2d"\n'
LATER = datetime(2025, 2, 1, tzinfo=UTC)


def grow(folder: Path, root: Path) -> None:
    """A log that grows, hours that are put together, days that move to warm and to cold, late lines, a sweep."""
    log = folder / "access.log"
    for end in (100, 200, 3_700):
        log.write_bytes(numbered.log(0, end))
        api.add([log], root)
    archives.move(Archive.open(root), datetime(2025, 1, 19, 1, tzinfo=UTC), POLICY)
    log.write_bytes(numbered.log(0, 3_750))
    api.add([log], root)
    archives.move(Archive.open(root), LATER, POLICY)
    sweep(Archive.open(root), datetime.now(UTC) + timedelta(hours=1), timedelta(0))


def damage(root: Path) -> list[str]:
    return [f"{finding.path}: {finding.what}" for finding in verify(Archive.open(root)) if not finding.note]


def seen_by_patterns(root: Path) -> int:
    """Rows of the tiers, as somebody counts them who knows nothing but the folders."""
    with duckdb.connect() as connection:
        pattern = str(root / "*" / "year=*" / "**" / "*.parquet")
        columns = "SELECT path FROM read_parquet(?, union_by_name = true) WHERE path IS NOT NULL"
        return len(connection.execute(columns, [pattern]).fetchall())


def test_patterns_see_no_row_twice_while_files_are_replaced(tmp_path: Path) -> None:
    """After every commit, and after every step of a sweep, whatever was just replaced."""
    root = init(tmp_path / "archive").root
    looked: list[str] = []

    def look(step: str) -> None:
        if step in ("commit.done", "sweep.file", "sweep.deleted") and list(root.glob("*/year=*")):
            looked.append(step)
            held = sum(numbered.numbers(root).values())
            assert seen_by_patterns(root) == held, step
            for tier in tables.TIERS:
                for end in ("*.parquet", "**/*.parquet"):
                    found = sorted((root / tier).glob(f"**/{end}"))
                    assert {path.relative_to(root).as_posix() for path in found} <= set(numbered.files(root))

    with faults.injected(look):
        grow(tmp_path, root)
    assert looked.count("commit.done") > 6 and "sweep.file" in looked
    assert seen_by_patterns(root) == 3_750
    assert pl.scan_parquet(root / "cold" / "**" / "*.parquet").select(pl.len()).collect().item() == 3_750


def test_patterns_read_days_whose_hours_share_a_file(tmp_path: Path) -> None:
    """Beside days with a file an hour: where DuckDB takes the partition from the folder, an hour of many is null."""
    root = init(tmp_path / "archive").root
    (tmp_path / "dense.log").write_bytes(numbered.log(0, 8_000))
    api.add([tmp_path / "dense.log"], root)
    days = 40
    sparse = (line for n in range(days * 12) for line in [numbered.line(100_000 + n, second=86_400 + n * 7_200)])
    (tmp_path / "sparse.log").write_bytes(b"".join(sparse))
    api.add([tmp_path / "sparse.log"], root)
    assert any(paths.SHARED in path for path in numbered.files(root))
    assert any("hour=11" in path for path in numbered.files(root))
    assert seen_by_patterns(root) == 8_000 + days * 12
    pattern = str(root / "*" / "year=*" / "**" / "*.parquet")
    with duckdb.connect() as connection:
        query = "SELECT count(*), count(*) FILTER (hour IS NULL) FROM read_parquet(?, hive_partitioning = true) {}"
        assert connection.execute(query.format(""), [pattern]).fetchone() == (8_000 + days * 12, days * 12)
        one_day = "WHERE year = 2025 AND month = 1 AND day = 20"
        assert connection.execute(query.format(one_day), [pattern]).fetchone() == (12, 12)


def test_replaced_files_are_out_of_the_way_of_any_pattern(tmp_path: Path) -> None:
    root = init(tmp_path / "archive").root
    for end in (100, 200):
        (tmp_path / "a.log").write_bytes(numbered.log(0, end))
        api.add([tmp_path / "a.log"], root)
    archives.move(Archive.open(root), LATER, POLICY)
    removed = Archive.open(root).snapshot().removed
    assert removed
    lying = {path.relative_to(root).as_posix() for path in root.rglob("*.parquet")}
    assert lying == set(numbered.files(root))
    assert all((root / paths.replaced(path)).is_file() for path in removed)


def test_readers_of_older_snapshots_find_what_was_replaced(tmp_path: Path) -> None:
    """SQL and rows of a snapshot, before, while and after all of its files are moved away."""
    root = init(tmp_path / "archive").root
    (tmp_path / "a.log").write_bytes(numbered.log(0, 200))
    api.add([tmp_path / "a.log"], root)
    archive = Archive.open(root)
    before = archive.snapshot()
    sql = "SELECT count(*), count(DISTINCT path), min(hour) FROM logs"
    with session(archive.storage, before) as asked:
        assert [row for frame in asked.run(sql) for row in frame.rows()] == [(200, 200, 10)]
        archives.move(archive, LATER, POLICY)
        assert not any((root / path).exists() for path in before.files if path.startswith("hot/"))
        assert [row for frame in asked.run(sql) for row in frame.rows()] == [(200, 200, 10)]  # it opens them anew
    with session(archive.storage, before) as asked:
        assert [row for frame in asked.run(sql) for row in frame.rows()] == [(200, 200, 10)]
    assert api.report(archive=root).requests == 200


@pytest.mark.parametrize("step", ["replaced.moved", "commit.appeared", "commit.done"])
def test_a_crash_while_files_are_moved(tmp_path: Path, step: str) -> None:
    """What was not moved is moved by the next run; nothing is lost, and nothing is there twice from then on."""

    class Cut(Exception):
        pass

    def cut(name: str) -> None:
        if name == step:
            raise Cut

    root = init(tmp_path / "archive").root
    (tmp_path / "a.log").write_bytes(numbered.log(0, 7_300))  # three hours
    api.add([tmp_path / "a.log"], root)
    with faults.injected(cut), pytest.raises(Cut):
        archives.move(Archive.open(root), LATER, POLICY)
    assert numbered.numbers(root) == numbered.once((0, 7_300))
    assert damage(root) == []
    assert api.report(archive=root).requests == 7_300
    api.add([tmp_path / "a.log"], root)
    assert seen_by_patterns(root) == 7_300
    assert damage(root) == []
    sweep(Archive.open(root), datetime.now(UTC) + timedelta(hours=1), timedelta(0))
    assert numbered.left_over(root) == []
    assert not list((root / paths.WORK).iterdir())


# -- copies


def test_a_copy_at_any_step_is_whole(tmp_path: Path) -> None:
    """Taken while the original is at work, with the folders of its writers: it verifies, answers and goes on."""
    (tmp_path / "work").mkdir()
    root = init(tmp_path / "work" / "archive").root
    seen: dict[str, int] = {}
    copies: list[tuple[str, Path, int]] = []

    def copy(step: str) -> None:
        seen[step] = seen.get(step, 0) + 1
        if seen[step] == 1:
            folder = tmp_path / f"copy-{len(copies)}"
            shutil.copytree(root, folder)
            copies.append((step, folder, sum(numbered.numbers(root).values())))

    with faults.injected(copy):
        grow(tmp_path / "work", root)
    assert len(copies) > 12
    shutil.rmtree(root)  # nothing of it is needed
    for step, folder, held in copies:
        assert damage(folder) == [], step
        if held:
            assert api.report(archive=folder).requests == held, step
        api.add([tmp_path / "work" / "access.log"], folder)
        sweep(Archive.open(folder), datetime.now(UTC) + timedelta(hours=1), timedelta(0))
        assert numbered.numbers(folder) == numbered.once((0, 3_750)), step
        assert numbered.left_over(folder) == [], step
        assert seen_by_patterns(folder) == 3_750, step
        assert damage(folder) == [], step


def test_a_copy_that_took_its_time(tmp_path: Path) -> None:
    """Commits first, the rest an `add`, a compaction and a move later; then the same copy once more."""
    root = init(tmp_path / "archive").root
    log = tmp_path / "a.log"
    for end in (100, 200):
        log.write_bytes(numbered.log(0, end))
        api.add([log], root)
    backup = tmp_path / "backup"
    shutil.copytree(root / "commits", backup / "commits")
    log.write_bytes(numbered.log(0, 300))
    api.add([log], root)
    archives.move(Archive.open(root), LATER, POLICY)
    shutil.copytree(root, backup, dirs_exist_ok=True, ignore=shutil.ignore_patterns("commits", "catalog.sql"))
    assert damage(backup) == []  # its files lie among the replaced ones, and others have no commit here
    notes = {finding.what for finding in verify(Archive.open(backup))}
    assert any("among the replaced files" in note for note in notes)
    assert any("no commit names this file" in note for note in notes)
    assert api.report(archive=backup).requests == 200
    tidy(Archive.open(backup))
    assert not any("among the replaced files" in finding.what for finding in verify(Archive.open(backup)))
    shutil.copytree(root, backup, dirs_exist_ok=True)
    assert api.report(archive=backup).requests == 300
    tidy(Archive.open(backup))
    assert seen_by_patterns(backup) == 300


@pytest.mark.parametrize("program", ["cp -r", "rsync -a"])
def test_the_backup_of_the_manual(tmp_path: Path, program: str) -> None:
    """Again and again while logs are added and put together: `verify` is content, or the same once more makes it so."""
    command = program.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    root, backup = init(tmp_path / "archive").root, tmp_path / "backup"

    def grow() -> None:
        for end in range(100, 600, 100):
            (tmp_path / "a.log").write_bytes(numbered.log(0, end))
            api.add([tmp_path / "a.log"], root)

    adding = threading.Thread(target=grow)
    adding.start()
    backup.mkdir()
    while adding.is_alive():
        # Files may go while it looks; and a copy over a copy keeps what the original has no more.
        subprocess.run([*command, f"{root}/.", backup], capture_output=True, check=False)
        if not (backup / paths.COMMITS).is_dir() or damage(backup):
            continue
        assert api.report(archive=backup).requests % 100 == 0
    adding.join()
    subprocess.run([*command, f"{root}/.", backup], check=True)
    assert damage(backup) == []
    assert api.report(archive=backup).requests == 500


def test_a_copy_that_is_ahead_of_its_commits_says_so(tmp_path: Path) -> None:
    root = init(tmp_path / "archive").root
    (tmp_path / "a.log").write_bytes(numbered.log(0, 100))
    shutil.copytree(root, tmp_path / "backup")
    api.add([tmp_path / "a.log"], root)
    shutil.copy(root / "catalog.sql", tmp_path / "backup" / "catalog.sql")
    done = invoke("report", "--archive", str(tmp_path / "backup"))
    assert done.returncode == 1
    assert b"copy it once more, or delete catalog.sql" in done.stderr
    (tmp_path / "backup" / "catalog.sql").unlink()
    api.add([tmp_path / "a.log"], tmp_path / "backup")
    assert numbered.numbers(tmp_path / "backup") == numbered.once((0, 100))


def test_no_file_names_the_place(tmp_path: Path) -> None:
    root = init(tmp_path / "archive").root
    grow(tmp_path, root)
    assert not [path for path in root.rglob("*") if path.is_file() and str(root).encode() in path.read_bytes()]
    moved = root.rename(tmp_path / "elsewhere")
    assert damage(moved) == []
    with duckdb.connect() as connection:
        connection.execute(f"SET file_search_path = '{moved}'")
        connection.execute((moved / "catalog.sql").read_text())
        assert connection.execute("SELECT count(*) FROM logs").fetchone() == (3_750,)


# -- what is live


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An archive of three tiers, which nobody changes."""
    folder = tmp_path_factory.mktemp("three_days")
    archive = archives.make(folder / "archive", archives.logs_of_three_days(folder))
    archives.move(archive)
    return archive


def test_files_for_any_program(three_days: Archive) -> None:
    archive = three_days
    root = str(archive.root)
    told = invoke("archive", "files", "--archive", root).stdout.decode().splitlines()
    assert sorted(told) == sorted(str(archive.root / path) for path in numbered.files(archive.root))
    logs = invoke("archive", "files", "--archive", root, "--table", "logs").stdout.decode().splitlines()
    assert (
        pl.scan_parquet(logs, hive_partitioning=False, missing_columns="insert", extra_columns="ignore")
        .select(pl.len())
        .collect()
        .item()
        == 3_588
    )
    document = json.loads(invoke("archive", "files", "--archive", root, "-o", "json", "--tier", "warm").stdout)
    assert document["commit"] == archive.snapshot().number
    assert [(file["tier"], file["rows"]) for file in document["files"]] == [("warm", 1794)]
    some = invoke(
        "archive", "files", "--archive", root, "--since", "2025-01-18", "--until", "2025-01-19", "--table", "logs"
    )
    assert {path.split("/day=")[1].split("/")[0] for path in some.stdout.decode().splitlines()} == {"18"}


@pytest.mark.parametrize("table", [None, *tables.TABLES])
def test_files_as_sql(three_days: Archive, table: str | None) -> None:
    archive = three_days
    given = ["--table", table] if table else []
    script = invoke("archive", "files", "--archive", str(archive.root), "-o", "sql", *given).stdout.decode()
    with duckdb.connect() as connection:
        connection.execute(script)
        for view in [table] if table else tables.TABLES:
            if view != tables.USERS:
                (rows,) = connection.execute(f"SELECT count(*) FROM {view}").fetchone() or (None,)
                assert rows == sum(file.rows for file in archive.snapshot().select(view)) > 0, view
        if table is None:
            assert connection.execute("SELECT unique_users(list(registers)) > 0 FROM users").fetchone() == (True,)


@pytest.mark.parametrize(
    "options",
    [
        ["--table", "log"],
        ["--tier", "hott"],
        ["--tier", "hot", "--table", "users"],
        ["-o", "yaml"],
        ["--since", "soon"],
    ],
)
def test_wrong_files(tmp_path: Path, options: list[str]) -> None:
    root = init(tmp_path / "archive").root
    done = invoke("archive", "files", "--archive", str(root), *options)
    assert done.returncode == 2, done.stderr
    assert done.stdout == b""


def test_no_files(tmp_path: Path) -> None:
    archive = init(tmp_path / "archive")
    assert invoke("archive", "files", "--archive", str(archive.root)).stdout == b""
    with duckdb.connect() as connection:
        connection.execute("\n".join(files.RENDERERS["sql"](archive, archive.snapshot(), None)))
        assert connection.execute("SELECT count(*) FROM logs").fetchone() == (0,)


# -- durability


def test_each_file_and_folder_is_made_durable_and_errors_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: `sync` of the whole machine tells of no error."""
    import os

    monkeypatch.setattr("logstats.archive.ingest.partition_writer.SPARSE", 0)  # a file for each hour
    root = init(tmp_path / "archive").root
    (tmp_path / "a.log").write_bytes(b"".join(numbered.log(n, n + 1, second=n * 3_600) for n in range(80)))
    synced: list[str] = []
    right = os.fsync

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        right(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "sync", lambda: pytest.fail("it hides errors"))
    api.add([tmp_path / "a.log"], root)
    hot = [path for path in numbered.files(root) if path.startswith("hot/")]
    assert len(hot) > 64
    added = next(commit for commit in numbered.commits(root) if commit["what"] == "add")["added"]
    for file in added:
        assert str(root / file["path"]) + ".tmp" in synced
        assert str((root / file["path"]).parent) in synced
        assert str((root / file["path"]).parent.parent) in synced

    count = iter(range(1_000))

    def failing(handle: int) -> None:
        if next(count) == 70:
            raise OSError(5, "Input/output error")
        right(handle)

    monkeypatch.setattr(os, "fsync", failing)
    (tmp_path / "b.log").write_bytes(b"".join(numbered.log(n, n + 1, second=n * 3_600) for n in range(500, 580)))
    before = Archive.open(root).snapshot()
    done = invoke("archive", "add", str(tmp_path / "b.log"), "--archive", str(root))
    assert done.returncode == 1
    assert b"input/output error" in done.stderr
    assert Archive.open(root).snapshot().files == before.files
