"""Iceberg tables over an archive, read by other programs: pyiceberg, Polars and, where it is installed, ClickHouse."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from archives import POLICY, logs_of_three_days, make, move
from program import invoke
from pyiceberg.table import StaticTable

from logstats.archive.archive import Archive
from logstats.archive.publish import iceberg
from logstats.archive.query import rows

PUBLISH = 'publish = ["iceberg"]\n'
DAY = timedelta(days=1)


def asked_for(folder: Path, policy: str = "") -> None:
    (folder / "lifecycle.toml").write_text(PUBLISH + policy, encoding="utf-8")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive of three days, of which tables are published (which is the same as while they were added: below)."""
    made = make(tmp_path / "archive", logs_of_three_days(tmp_path))
    asked_for(made.root)
    assert invoke("archive", "publish", "--archive", str(made.root)).returncode == 0
    return made


def metadata(archive: Archive, table: str = "logs") -> str:
    folder = archive.root / iceberg.metadata(table)
    return str(folder / f"v{(folder / iceberg.HINT).read_text()}.metadata.json")


def figures(frame: pl.DataFrame) -> tuple[Any, ...]:
    return frame.select(
        pl.len(), pl.col("bytes").sum(), pl.col("status").cast(pl.Int64).sum(), pl.col("timestamp").max(),
        pl.col("user_id").n_unique(), pl.col("duration_ms").max(),
    ).row(0)  # fmt: skip


def all_rows(archive: Archive) -> pl.DataFrame:
    columns = ["timestamp", "status", "bytes", "user_id", "duration_ms"]
    return pl.concat(list(rows.rows(archive, columns=columns)))


def test_readers_see_what_the_archive_holds(archive: Archive) -> None:
    for _ in range(2):  # as it arrived; then with the tiers, of which cold lacks columns
        wanted = figures(all_rows(archive))
        table = StaticTable.from_metadata(metadata(archive))
        assert figures(pl.DataFrame(pl.from_arrow(table.scan().to_arrow()))) == wanted
        assert figures(pl.scan_iceberg(metadata(archive)).collect()) == wanted
        asked_for(archive.root, POLICY)
        move(archive, policy=POLICY)
    tiers = {file.tier for file in archive.snapshot().files.values()}
    assert {"hot", "warm", "cold"} <= tiers
    rollup = StaticTable.from_metadata(metadata(archive, "traffic")).scan().to_arrow()
    assert sum(rollup["requests"].to_pylist()) + sum(rollup["events"].to_pylist()) == wanted[0]


def test_a_range_of_time_opens_the_files_of_its_day(archive: Archive) -> None:
    asked_for(archive.root, POLICY)
    move(archive, policy=POLICY)
    table = StaticTable.from_metadata(metadata(archive))
    begin = datetime(2025, 1, 18, tzinfo=UTC)
    inside = f"timestamp >= '{begin.isoformat()}' and timestamp < '{(begin + DAY).isoformat()}'"
    planned = [task.file.file_path for task in table.scan(row_filter=inside).plan_files()]
    wanted = archive.snapshot().select("logs", since=begin, until=begin + DAY)
    assert planned == [f"file://{archive.root}/{file.path}" for file in wanted]
    assert len(wanted) == 1 < len(archive.snapshot().select("logs"))


def test_every_snapshot_that_is_kept(archive: Archive) -> None:
    table = StaticTable.from_metadata(metadata(archive))
    last = 0
    for snapshot in table.snapshots():
        held = archive.snapshot(snapshot.snapshot_id)
        counted = sum(file.rows for file in held.select("logs"))
        assert table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows == counted
        assert last < snapshot.snapshot_id
        last = snapshot.snapshot_id
    current = table.current_snapshot()
    assert current is not None
    assert current.snapshot_id == last <= archive.snapshot().number


def test_it_is_a_function_of_the_commits(tmp_path: Path) -> None:
    place = tmp_path / "archive"
    assert invoke("archive", "init", str(place)).returncode == 0
    asked_for(place)
    for source in logs_of_three_days(tmp_path):
        assert invoke("archive", "add", str(source), "--archive", str(place)).returncode == 0
    archive = Archive.open(place)
    before = json.loads(Path(metadata(archive)).read_text())
    shutil.rmtree(archive.root / "iceberg")
    notes = invoke("archive", "verify", "--archive", str(archive.root))
    assert (notes.returncode, b"there is none" in notes.stdout) == (0, True)
    ran = invoke("archive", "publish", "--archive", str(archive.root))
    assert ran.returncode == 0, ran.stderr
    assert metadata(archive).encode() in ran.stdout
    assert json.loads(Path(metadata(archive)).read_text()) == before
    clean = invoke("archive", "verify", "--archive", str(archive.root))
    assert (clean.returncode, clean.stdout) == (0, b"")


def test_a_moved_archive_is_published_again(archive: Archive, tmp_path: Path) -> None:
    shutil.move(archive.root, tmp_path / "moved")
    moved = Archive.open(tmp_path / "moved")
    assert invoke("archive", "publish", "--archive", str(moved.root)).returncode == 0
    assert StaticTable.from_metadata(metadata(moved)).scan().to_arrow().num_rows == all_rows(moved).height


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    archive = make(tmp_path / "archive", [])
    assert not (archive.root / "iceberg").exists()
    assert invoke("archive", "publish", "--archive", str(archive.root)).returncode == 2
    (archive.root / "lifecycle.toml").write_text('publish = ["delta"]\n', encoding="utf-8")
    assert b"publish" in invoke("archive", "tier", "--archive", str(archive.root)).stderr


def test_without_the_library_it_is_said_before_anything_is_added(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archive.snapshot().number
    monkeypatch.setitem(sys.modules, "pyiceberg.manifest", None)
    log = tmp_path / "new.log"
    log.write_bytes(logs_of_three_days(tmp_path)[0].read_bytes().replace(b"GET", b"PUT"))
    ran = invoke("archive", "add", str(log), "--archive", str(archive.root))
    assert (ran.returncode, b"pip install 'logstats[iceberg]'" in ran.stderr) == (1, True)
    assert archive.snapshot().number == before


def test_a_table_that_cannot_be_written_is_said(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is there whether or not; `verify` says the same later."""
    before = archive.snapshot()
    monkeypatch.setattr(iceberg, "_bound", lambda _: [].index("no such bound"))
    log = tmp_path / "new.log"
    log.write_bytes(logs_of_three_days(tmp_path)[0].read_bytes().replace(b"GET", b"PUT"))
    ran = invoke("archive", "add", str(log), "--archive", str(archive.root))
    assert (ran.returncode, b"logstats archive publish writes the tables again" in ran.stderr) == (0, True)
    assert archive.snapshot().number > before.number
    assert b"it is of commit" in invoke("archive", "verify", "--archive", str(archive.root)).stdout


def test_old_metadata_goes(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iceberg, "KEPT", 2)
    monkeypatch.setattr(iceberg, "BACK", 3)
    text = logs_of_three_days(tmp_path)[0].read_bytes()
    for number in range(5):
        log = tmp_path / f"{number}.log"
        log.write_bytes(text[: text.index(b"\n", 2000) + 1].replace(b"GET /", b"GET /%d/" % number))
        assert invoke("archive", "add", str(log), "--archive", str(archive.root)).returncode == 0
    names = [place.name for place in (archive.root / iceberg.metadata("logs")).iterdir()]
    assert len([name for name in names if name.endswith(".json")]) == 2
    assert len(names) < 20
    assert StaticTable.from_metadata(metadata(archive)).scan().to_arrow().num_rows == all_rows(archive).height


def test_clickhouse(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    chdb = pytest.importorskip("chdb", reason="ClickHouse (pip install chdb, 500 MB) is not installed")
    asked_for(archive.root, POLICY)
    move(archive, policy=POLICY)
    monkeypatch.chdir(archive.root)  # it reads below the current folder only
    place = "iceberg/logs"
    asked = f"SELECT count(), sum(bytes), sum(status), uniqExact(user_id) FROM icebergLocal('{place}')"
    found = json.loads(str(chdb.query(asked, "JSONCompact")))["data"][0]
    count, octets, status, _, users, _ = figures(all_rows(archive))
    nulls = all_rows(archive)["user_id"].null_count() > 0
    assert [int(value) for value in found] == [count, octets, status, users - nulls]
