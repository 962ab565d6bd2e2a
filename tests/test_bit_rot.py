"""Flipped bits in the files of an archive: the right answer or an error that names the file, never another figure."""

from __future__ import annotations

import contextvars
import json
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import archives
import pyarrow.parquet as pq
import pytest
from program import invoke
from rounds import examples

from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.log import faults, tables
from logstats.archive.log.commit import ArchiveError, DataFile
from logstats.archive.query import rows, sql
from logstats.archive.query.ranges import check
from logstats.archive.repair import repair
from logstats.archive.verify import verify
from logstats.objectives.policy import parse

FLIPS = examples(16)
NOW = datetime(2025, 1, 20, tzinfo=UTC)
SLO = '[[objective]]\nname = "a"\ngood = "duration < 100ms"\ntarget = 50\n'


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("rot")
    return archives.make(folder / "archive", archives.logs_of_three_days(folder)[:2])


def answers(archive: Archive) -> dict[str, object]:
    """What report, query and objectives say, or the error that one of them ends in."""

    def report() -> object:
        found = api.report([], archive=archive.root).to_dict()
        return {name: value for name, value in found.items() if name != "generated_at"}

    def query() -> object:
        with sql.session(archive.storage, archive.snapshot()) as asked:
            text = "SELECT status, count(*), sum(bytes), min(timestamp) FROM logs GROUP BY ALL ORDER BY ALL"
            users = "SELECT minute, unique_users(list(registers)) AS users FROM users GROUP BY minute ORDER BY ALL"
            return [json.dumps(frame.rows(), default=str) for one in (text, users) for frame in asked.run(one)]

    def slo() -> object:
        return str(api.slo([], parse(SLO, "slo.toml"), archive=archive.root, now=NOW))

    found: dict[str, object] = {}
    for name, ask in (("report", report), ("query", query), ("slo", slo)):
        try:
            found[name] = ask()
        except ArchiveError as error:
            found[name] = error
    return found


def test_a_flipped_bit_is_never_a_figure(archive: Archive) -> None:
    right = answers(archive)
    assert not any(isinstance(answer, Exception) for answer in right.values())
    chance = random.Random(20250117)
    files = [file for file in archive.snapshot().files.values() if file.table != tables.REJECTS]
    refused = 0
    for _ in range(FLIPS):
        file = chance.choice(files)
        place = archive.root / file.path
        whole = place.read_bytes()
        rotten = bytearray(whole)
        rotten[chance.randrange(len(rotten))] ^= 1 << chance.randrange(8)
        place.write_bytes(rotten)
        try:
            for name, answer in answers(Archive.open(archive.root)).items():
                if isinstance(answer, ArchiveError):
                    assert file.path in answer.what
                    refused += 1
                else:
                    assert answer == right[name]
            assert any(file.path == found.path for found in verify(archive) if not found.note)
        finally:
            place.write_bytes(whole)
    assert refused > FLIPS // 2  # each is met by who reads the file: a query rows, a report rollups


@pytest.mark.parametrize("command", [["report"], ["query", "SELECT sum(bytes) FROM logs"]])
def test_the_commands_name_the_file_and_exit_with_1(archive: Archive, command: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(archive.root, copy)
    table = tables.LOGS if command[0] == "query" else tables.TRAFFIC
    (file, *_) = archive.snapshot().select(table)
    data = bytearray((copy / file.path).read_bytes())
    data[len(data) // 2] ^= 16
    (copy / file.path).write_bytes(data)
    done = invoke(*command, "--archive", str(copy))
    assert done.returncode == 1
    assert file.path in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_pages_carry_checksums(archive: Archive) -> None:
    """Parquet's own, for readers that know no commits: pyarrow meets a flipped bit in the data by it."""
    (file, *_) = archive.snapshot().select(tables.LOGS)
    place = archive.root / file.path
    whole = place.read_bytes()
    column = pq.ParquetFile(place).metadata.row_group(0).column(0)
    rotten = bytearray(whole)
    begin = column.dictionary_page_offset or column.data_page_offset
    rotten[begin + column.total_compressed_size - 3] ^= 1
    place.write_bytes(rotten)
    try:
        with pytest.raises(OSError, match=r"CRC|checksum"):
            pq.ParquetFile(place, page_checksum_verification=True).read()
    finally:
        place.write_bytes(whole)


@pytest.mark.parametrize(
    ("table", "column", "wrong"),
    [("users", "register", 16_384), ("users", "rank", 52), ("latency", "bucket", 2**30), ("latency", "count", -1),
     ("traffic", "requests", -5), ("endpoints", "us", -1)],
)  # fmt: skip
def test_what_no_sketch_has_is_damage(archive: Archive, table: str, column: str, wrong: int) -> None:
    (file, *_) = archive.snapshot().select(table)
    held = rows.read(archive, [file], list(tables.columns(table)), table)
    with pytest.raises(ArchiveError, match=column):
        check(_with(held, column, wrong), file)


def test_times_outside_of_a_file_are_damage(archive: Archive) -> None:
    (file, *_) = archive.snapshot().select(tables.LOGS)
    (frame, *_) = rows.batches(archive, file, ["timestamp"])
    late = DataFile.from_json({**file.to_json(), "last": file.first.isoformat()}, archive.places)
    with pytest.raises(ArchiveError, match="timestamp"):
        check(frame, late)


def _with(held: object, column: str, wrong: int) -> object:
    import polars as pl

    assert isinstance(held, pl.DataFrame)
    return held.with_columns(pl.lit(wrong).cast(held.schema[column]).alias(column))


def test_repair_makes_rollups_anew_from_rows(archive: Archive, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(archive.root, copy)
    opened = Archive.open(copy)
    right = answers(opened)["report"]
    for table in tables.ROLLUPS:
        if table == tables.LINES:  # lines that are no rows are known nowhere else
            continue
        (file, *_) = opened.snapshot().select(table)
        (copy / file.path).write_bytes(b"PAR1")
    (copy / "catalog.sql").write_text("SELECT 1")
    assert isinstance(answers(Archive.open(copy))["report"], ArchiveError)
    said = list(repair(opened))
    assert not any(finding.hint for finding in said if not finding.note)
    assert [found for found in verify(Archive.open(copy), deep=True) if not found.note] == []
    assert answers(Archive.open(copy))["report"] == right


@pytest.mark.parametrize("tries", [1, 3])
def test_a_day_that_changes_while_it_is_repaired(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """Its rows move to another tier before the commit: its rollup is made again of those, or it is said."""
    copy = tmp_path / "copy"
    shutil.copytree(archive.root, copy)
    (file, *_) = Archive.open(copy).snapshot().select(tables.TRAFFIC)
    (copy / file.path).write_bytes(b"PAR1")
    reached: list[str] = []

    def meanwhile(step: str) -> None:
        reached.append(step)
        if step == "commit.ready" and reached.count(step) == 1:
            contextvars.Context().run(archives.move, Archive.open(copy))

    monkeypatch.setattr("logstats.archive.repair._TRIES", tries)
    with faults.injected(meanwhile):
        ran = invoke("archive", "verify", "--repair", "--archive", str(copy))
    assert b"Traceback" not in ran.stderr
    assert (b"made again from" in ran.stderr, b"other runs change its day" in ran.stderr) == (tries > 1, tries == 1)
    assert ran.returncode == (0 if tries > 1 else 1)
    assert invoke("archive", "verify", "--repair", "--archive", str(copy)).returncode == 0
    assert list(verify(Archive.open(copy), deep=True)) == []


def test_repair_says_what_it_cannot(archive: Archive, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(archive.root, copy)
    opened = Archive.open(copy)
    (lost, *_) = opened.snapshot().select(tables.LOGS)
    (copy / lost.path).write_bytes(b"")
    before = opened.snapshot().number
    (other, *_) = opened.snapshot().select(tables.TRAFFIC, since=lost.first, until=lost.last)
    (copy / other.path).write_bytes(b"")
    assert [found.path for found in repair(opened) if not found.note] == [lost.path, other.path]
    ran = invoke("archive", "verify", "--repair", "--archive", str(copy))
    assert ran.returncode == 1 and b"it cannot be made again: the rows in" in ran.stderr
    assert opened.snapshot().number == before
