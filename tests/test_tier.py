"""Days that move from tier to tier, and go: what is due, and that nothing is ever lost on the way."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import archives
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import invoke

from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.log import faults, paths, tables
from logstats.archive.log.commit import ArchiveError, DataFile
from logstats.archive.log.orphans import sweep
from logstats.archive.log.paths import ForeignPath
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.query import rows
from logstats.archive.tiers import move, policy
from logstats.archive.tiers.policy import Policy, Tier, parse, plan
from logstats.archive.verify import verify
from logstats.errors import PolicyError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


ROW = {"timestamp": pl.Datetime("us", "UTC"), "path": pl.String(), "status": pl.UInt16(), "client_ip": pl.String()}


def rows_of(archive: Archive, snapshot: Snapshot | None = None) -> pl.DataFrame:
    """Every row, with columns that all tiers keep, in an order of its own."""
    held = pl.concat([pl.DataFrame(schema=ROW), *rows.rows(archive, columns=list(ROW), snapshot=snapshot)])
    return held.sort(held.columns, nulls_last=True)


def tiers_of(archive: Archive) -> dict[int, set[str]]:
    """Day of January → the tiers that its rows are in."""
    found: dict[int, set[str]] = {}
    for file in archive.snapshot().select(tables.LOGS):
        found.setdefault(file.partition[2], set()).add(file.tier)
    return found


def damage(archive: Archive, *, deep: bool = True) -> list[str]:
    """What `verify` finds."""
    return [f"{finding.path}: {finding.what}" for finding in verify(archive, deep=deep) if not finding.note]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """All hot: 17, 18 and 19 January."""
    return archives.make(tmp_path / "archive", archives.logs_of_three_days(tmp_path))


# -- the policy


def test_the_template_is_the_documented_policy() -> None:
    """30 days, 90 days, never delete; and with its example in force, a year."""
    written = parse(policy.TEMPLATE)
    assert [(one.name, one.after) for one in written.tiers] == [("warm", 30 * DAY), ("cold", 90 * DAY)]
    assert written.delete_after is None
    assert written.tiers[0].columns is None
    assert 128e6 <= written.tiers[0].file_size <= 256e6
    assert parse(re.sub(r'# (after = "365d")', r"\1", policy.TEMPLATE)).delete_after == 365 * DAY
    assert set(tomllib.loads(policy.TEMPLATE)) == {"warm", "cold", "delete"}


def test_init_writes_it(tmp_path: Path) -> None:
    made = archives.make(tmp_path / "archive", [])
    assert policy.load(made.root / "lifecycle.toml") == parse(policy.TEMPLATE)
    assert policy.load(made.root / "nothing.toml") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[warm]", r"\[warm\] has no `after`"),
        ("[lukewarm]\nafter = '1d'", "'lukewarm' is not known"),
        ("[warm]\nafter = '1d'\nafer = '2d'", "'afer' is not known"),
        ("[warm]\nafter = 30", "not an age"),
        ("[warm]\nafter = '30 days'", "not an age"),
        ("[warm]\nafter = '9d'\n[cold]\nafter = '9d'", r"\[cold\] is not after \[warm\]"),
        ("[warm]\nafter = '9d'\n[delete]\nafter = '8d'", r"\[delete\] is not after \[warm\]"),
        ("[warm]\nafter = '9d'\ncompression = 'zip'", "'zip' is not known"),
        ("[warm]\nafter = '9d'\nlevel = 40", "zstd takes 1 to 22"),
        ("[warm]\nafter = '9d'\nlevel = true", "zstd takes 1 to 22"),
        ("[warm]\nafter = '9d'\ncompression = 'snappy'\nlevel = 1", "snappy has no levels"),
        ("[warm]\nafter = '9d'\nsort = ['time']", "no column is called 'time'"),
        ("[warm]\nafter = '9d'\ncolumns = ['path']", "`kind` and `timestamp`"),
        ("[warm]\nafter = '9d'\ncolumns = ['kind', 'timestamp']\nsort = ['path']", "not kept"),
        ("[warm]\nafter = '9d'\npath = 'here'", "no absolute path and no URL"),
        ("[warm]\nafter = '9d'\nfile_size = 1", "not a size"),
        ("[warm]\nafter = '9d'\nfile_size = '10kB'", "not a size"),
        ("warm = 1", "'warm' is not a table"),
        ("[warm]\nafter =\n", "line 2"),
    ],
)
def test_a_wrong_policy_is_named(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as failed:
        parse(text)
    assert re.search(said, f"{failed.value.what} {failed.value.hint}"), failed.value.what


# -- the plan


def _file(day: datetime, tier: str, number: int = 0) -> DataFile:
    partition = (day.year, day.month, day.day, *([number % 24] if tier == "hot" else []))
    path = f"{paths.folder(tables.LOGS, tier, partition)}/{number}.parquet"
    return DataFile(path, tables.LOGS, tier, 1, 1, "", day, day)


THREE = Policy((Tier("warm", 30 * DAY), Tier("cold", 90 * DAY)), 365 * DAY)
days = st.datetimes(datetime(2020, 1, 1), datetime(2025, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(hour=0, minute=0, second=0, microsecond=0)
)
held = st.lists(st.tuples(days, st.sampled_from(tables.TIERS), st.integers(0, 30)), max_size=12)
policies = st.sampled_from([THREE, Policy(), Policy(THREE.tiers[:1]), Policy(THREE.tiers[1:]), Policy((), 9 * DAY)])


@given(held, policies, days, st.integers(0, 86_399))
def test_a_plan_once_carried_out_leaves_nothing(
    some: list[tuple[datetime, str, int]], policy: Policy, now: datetime, second: int
) -> None:
    files = {file.path: file for file in (_file(*one) for one in some)}
    now += timedelta(seconds=second)
    steps = plan(Snapshot(files=files), policy, now)
    assert [step.day for step in steps] == sorted({step.day for step in steps})
    for step in steps:
        end = datetime(step.day[0], step.day[1], step.day[2], tzinfo=UTC) + DAY
        after = step.tier.after if step.tier else policy.delete_after
        assert after is not None and now - end >= after
        assert {f.path for f in step.files} == {f.path for f in files.values() if f.partition[:3] == step.day}
        assert step.tier is None or any(f.tier != step.tier.name for f in step.files)
        # Nothing goes back to where it was.
        order = tables.TIERS.index
        assert step.tier is None or all(order(f.tier) <= order(step.tier.name) for f in step.files)
        for file in step.files:
            del files[file.path]
        if step.tier:
            day = datetime(step.day[0], step.day[1], step.day[2], tzinfo=UTC)
            files.setdefault("new " + str(step.day), _file(day, step.tier.name, 99))
    assert plan(Snapshot(files=files), policy, now) == []


def test_the_age_of_a_day_counts_from_its_end(archive: Archive) -> None:
    due = datetime(2025, 1, 18, tzinfo=UTC) + 30 * DAY
    policy = parse('[warm]\nafter = "30d"')
    assert plan(archive.snapshot(), policy, due - timedelta(microseconds=1)) == []
    (step,) = plan(archive.snapshot(), policy, due)
    assert (step.day, step.rows, step.tier) == ((2025, 1, 17), 897, policy.tiers[0])
    assert step.describe().startswith("2025-01-17: 897 rows in 1 file (")
    assert step.describe().endswith("KiB) hot → warm")


# -- moving


def test_days_move_and_nothing_is_lost(archive: Archive) -> None:
    before = rows_of(archive)
    steps = archives.move(archive)
    assert [(step.day[2], step.tier and step.tier.name) for step in steps] == [(17, "cold"), (18, "warm")]
    assert tiers_of(archive) == {17: {"cold"}, 18: {"warm"}, 19: {"hot"}}
    assert rows_of(archive).equals(before)
    assert archives.move(archive) == []
    assert damage(archive) == []


def test_what_a_tier_is_like(archive: Archive) -> None:
    archives.move(archive, policy='[warm]\nafter = "1d"\nsort = ["status", "path"]\ncompression = "brotli"\nlevel = 5')
    for file in archive.snapshot().select(tables.LOGS, tier="warm"):
        table = pl.read_parquet(archive.storage.at(file.path), hive_partitioning=False)
        assert table.columns == list(tables.columns(tables.LOGS))
        assert table.select("status", "path", "timestamp").equals(
            table.select("status", "path", "timestamp").sort("status", "path", "timestamp", nulls_last=False)
        )
        metadata = pq.ParquetFile(archive.storage.at(file.path)).metadata
        assert metadata.row_group(0).column(0).compression == "BROTLI"
        assert file.path == f"warm/year=2025/month=1/day={file.partition[2]}/{Path(file.path).name}"


def test_cold_keeps_the_columns_of_the_policy(archive: Archive) -> None:
    archives.move(archive)
    (file,) = archive.snapshot().select(tables.LOGS, tier="cold")
    assert file.columns == parse(archives.POLICY).tiers[1].columns
    assert tuple(pq.read_schema(archive.storage.at(file.path)).names) == file.columns


def test_a_tier_on_another_disk(archive: Archive, tmp_path: Path) -> None:
    other = tmp_path / "other"
    policy = f'[warm]\nafter = "1d"\npath = "{other}"'
    with pytest.raises(ArchiveError, match="is not there") as failed:
        archives.move(archive, policy=policy)
    assert "mounted" in failed.value.hint
    assert not other.exists()
    other.mkdir()
    before = rows_of(archive)
    with pytest.raises(ForeignPath, match="names no such folder"):
        archives.move(archive, policy=policy)  # of some --policy
    (archive.root / "lifecycle.toml").write_text(policy)
    archive = Archive.open(archive.root)
    archives.move(archive, policy=policy)
    files = archive.snapshot().select(tables.LOGS)
    assert all(file.path.startswith(f"{other}/warm/year=2025/month=1/day=") for file in files)
    assert rows_of(archive).equals(before)
    assert damage(archive) == []
    archives.move(archive, policy=policy + '\n[cold]\nafter = "2d"')
    sweep(archive, datetime.now(UTC) + HOUR, timedelta(0))
    assert not [path for path in other.rglob("*") if path.is_file()]


def test_a_tier_whose_folder_has_changed(archive: Archive, tmp_path: Path) -> None:
    """Days that moved to the former one stay there, and are read there as long as the policy names it."""
    before = rows_of(archive)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    (archive.root / "lifecycle.toml").write_text(f'[warm]\nafter = "1d"\npath = "{tmp_path}/one/"')
    archives.move(Archive.open(archive.root), policy=(archive.root / "lifecycle.toml").read_text())
    (archive.root / "lifecycle.toml").write_text(f'[warm]\nafter = "1d"\npath = "{tmp_path}/other"')
    with pytest.raises(ArchiveError, match="names no such folder") as failed:
        Archive.open(archive.root).snapshot()
    assert f'former = ["{tmp_path}/one"]' in failed.value.hint
    with (archive.root / "lifecycle.toml").open("a") as file:
        file.write(f'\nformer = ["{tmp_path}/one"]')
    assert rows_of(Archive.open(archive.root)).equals(before)
    assert damage(Archive.open(archive.root)) == []


def test_late_lines_of_a_day_that_has_moved(archive: Archive, tmp_path: Path) -> None:
    archives.move(archive)
    late = tmp_path / "late.log"
    late.write_text(
        "".join(f'10.9.9.9 - - [{day}/Jan/2025:10:10:10 +0000] "GET /late HTTP/1.1" 200 7\n' for day in (17, 18, 19))
    )
    api.add([late], archive.root)
    assert tiers_of(archive) == {17: {"cold", "hot"}, 18: {"warm", "hot"}, 19: {"hot"}}
    before = rows_of(archive)
    steps = archives.move(archive)
    assert [step.describe().split("B) ")[1] for step in steps] == ["hot + cold → cold", "hot + warm → warm"]
    assert tiers_of(archive) == {17: {"cold"}, 18: {"warm"}, 19: {"hot"}}
    assert rows_of(archive).equals(before)
    assert damage(archive) == []


def test_cold_files_of_two_policies(archive: Archive, tmp_path: Path) -> None:
    """What one did not keep is null where the other did, and is null for good once they are put together."""
    archives.move(archive)
    late = tmp_path / "late.log"
    late.write_text('10.9.9.9 - - [17/Jan/2025:10:10:10 +0000] "GET /late HTTP/1.1" 200 7 "-" "curl/8"\n')
    api.add([late], archive.root)
    keeps = '[cold]\nafter = "31d"\ncolumns = ["kind", "timestamp", "path", "user_agent"]'
    archives.move(archive, policy=keeps)
    (file,) = archive.snapshot().select(tables.LOGS, tier="cold")
    table = pl.read_parquet(archive.storage.at(file.path), hive_partitioning=False)
    assert table.columns == ["kind", "timestamp", "path", "user_agent"]
    assert table.height == 898
    assert table["user_agent"].drop_nulls().to_list() == ["curl/8"]
    assert damage(archive) == []


def test_files_are_about_as_large_as_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move, "ROW_GROUP", 8_000)
    lines = [
        f"10.{i % 251}.{i % 83}.{i % 7} - - [17/Jan/2025:{i // 6000:02}:{i // 100 % 60:02}:{i % 60:02} +0000] "
        f'"GET /{hashlib.sha256(b"%d" % i).hexdigest()} HTTP/1.1" 200 {i}\n'
        for i in range(60_000)
    ]
    (tmp_path / "a.log").write_text("".join(lines))
    archive = archives.make(tmp_path / "archive", [tmp_path / "a.log"])
    before = rows_of(archive)
    archives.move(archive, policy='[warm]\nafter = "1d"\nfile_size = "1MB"\nlevel = 1')
    files = archive.snapshot().select(tables.LOGS)
    assert len(files) > 1
    sizes = [file.bytes for file in files]
    assert all(1e6 <= size < 2e6 for size in sizes[:-1]), sizes
    assert [file.first for file in files[1:]] >= [file.last for file in files[:-1]]
    assert rows_of(archive).equals(before)


def test_a_day_that_does_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sorted on disk, in the writer's folder."""
    lines = [
        f"10.0.0.1 - - [17/Jan/2025:{i * 7 % 24:02}:{i % 60:02}:00 +0000] "
        f'"GET /{i * 7919 % 999_983}/{"x" * 99} HTTP/1.1" 200 {i}\n'
        for i in range(120_000)
    ]
    (tmp_path / "a.log").write_text("".join(lines))
    archive = archives.make(tmp_path / "archive", [tmp_path / "a.log"])
    monkeypatch.setattr(move, "MEMORY", "100MB")
    seen: list[str] = []
    monkeypatch.setattr(move, "_groups", _watched(move._groups, archive.root / paths.WORK, seen))
    archives.move(archive, policy='[warm]\nafter = "1d"\nsort = ["path"]\nlevel = 1')
    assert any("sort/" in path for path in seen)
    (file,) = archive.snapshot().select(tables.LOGS)
    stored = pl.read_parquet(archive.storage.at(file.path), columns=["path"], hive_partitioning=False)["path"]
    assert stored.len() == 120_000
    assert stored.is_sorted()
    assert [path.name for path in (archive.root / paths.WORK).iterdir()] == ["replaced"]


def _watched(groups: Callable[..., Any], folder: Path, seen: list[str]) -> Callable[..., Any]:
    def watched(batches: Any) -> Any:
        for group in groups(batches):
            seen.extend(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
            yield group

    return watched


# -- going


def test_rows_go_and_their_rollups_stay(archive: Archive, tmp_path: Path) -> None:
    before = api.report(archive=archive.root).to_dict()
    steps = archives.move(archive, policy='[delete]\nafter = "30d"')
    assert [step.describe().split("B) ")[1] for step in steps] == ["hot → deleted, rollups stay"] * 2
    assert set(tiers_of(archive)) == {19}
    after = api.report(archive=archive.root).to_dict()
    assert {**after, "generated_at": 0} == {**before, "generated_at": 0}
    assert damage(archive) == []


def test_what_is_gone_is_not_added_again(archive: Archive, tmp_path: Path) -> None:
    archives.move(archive, policy='[delete]\nafter = "30d"')
    added = api.add([archives.day_of("combined_time.log", 17, tmp_path)], archive.root)
    assert added.counts.lines == 0
    assert set(tiers_of(archive)) == {19}


def test_replaced_files_stay_for_the_grace(archive: Archive) -> None:
    """A reader that began before can finish; a day later they are gone."""
    old = archive.snapshot()
    before = rows_of(archive)
    archives.move(archive)
    now = datetime.now(UTC)
    assert sweep(archive, now + 23 * HOUR).removed == 0
    assert rows_of(archive, old).equals(before)
    assert damage(archive) == []
    assert sweep(archive, now + 25 * HOUR).removed >= 3
    assert not any((archive.root / file.path).exists() for file in old.select(tables.LOGS) if file.partition[2] != 19)
    assert rows_of(archive).equals(before)
    assert damage(archive) == []


# -- what goes wrong


def test_what_was_written_is_read_back(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that gives back something else: the day stays where it was, and is named."""
    before, rows = archive.snapshot(), rows_of(archive)

    def lying(step: str) -> None:
        if step == "write.synced":
            path = max((archive.root / "cold").rglob("*.tmp"), key=lambda path: path.stat().st_mtime_ns)
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(bytes(data))

    with faults.injected(lying), pytest.raises(ArchiveError, match="other bytes than were written"):
        archives.move(archive)
    assert archive.snapshot().files == before.files
    assert rows_of(archive).equals(rows)
    assert not (archive.root / "cold").exists() or not list((archive.root / "cold").rglob("*.parquet"))


@pytest.mark.parametrize("wrong", ["DISTINCT ON (path)", ""])
def test_other_rows_are_noticed(archive: Archive, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """Rows that get lost, or change, between reading and writing."""
    right = move._rows

    def rows(*arguments: Any) -> str:
        sql = right(*arguments)
        return (
            f"SELECT DISTINCT ON (path) * FROM ({sql})"
            if wrong
            else f"SELECT * REPLACE (bytes + 1 AS bytes) FROM ({sql})"
        )

    digest = move._digest
    monkeypatch.setattr(move, "_rows", rows)

    def honest(*arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(move, "_rows", right)
            return digest(*arguments)

    monkeypatch.setattr(move, "_digest", honest)
    before = archive.snapshot()
    with pytest.raises(ArchiveError, match="rows came out"):
        archives.move(archive)
    assert archive.snapshot().files == before.files


def test_one_day_that_fails_does_not_stop_the_others(archive: Archive) -> None:
    (first, *_) = archive.snapshot().select(tables.LOGS)
    (archive.root / first.path).write_bytes(b"garbage")
    (archive.root / "lifecycle.toml").write_text(archives.POLICY)
    done = invoke("archive", "tier", "--archive", str(archive.root), "--now", "2025-02-18")
    assert done.returncode == 1
    assert b"2025-01-18" in done.stderr and b"Traceback" not in done.stderr
    assert tiers_of(archive) == {17: {"hot"}, 18: {"warm"}, 19: {"hot"}}


def test_a_day_that_is_added_to_meanwhile(archive: Archive, tmp_path: Path) -> None:
    """Compaction, or another `tier`, takes the files away: the day is looked at anew."""
    late = tmp_path / "late.log"
    late.write_text('10.9.9.9 - - [17/Jan/2025:10:10:10 +0000] "GET /late HTTP/1.1" 200 7\n')
    hits = []

    def meanwhile(step: str) -> None:
        if step == "tier.verified" and not hits:
            hits.append(step)
            api.add([late], archive.root)  # a late line
            archives.move(archive)  # and somebody else moves everything

    with faults.injected(meanwhile):
        archives.move(archive)
    assert hits
    assert tiers_of(archive) == {17: {"cold"}, 18: {"warm"}, 19: {"hot"}}
    assert rows_of(archive).height == 4 * 897 + 1
    assert damage(archive) == []


class Cut(Exception):
    """Something that nobody expects."""


TIER_STEPS = [
    step for step in faults.STEPS if not step.startswith(("sweep", "workspace", "compact", "checkpoint", "erase"))
]


@pytest.mark.parametrize("step", TIER_STEPS)
def test_raised_at_any_step_nothing_is_lost(archive: Archive, step: str) -> None:
    before = rows_of(archive)
    reached = []

    def cut(name: str) -> None:
        if name == step:
            reached.append(name)
            raise Cut

    with faults.injected(cut), pytest.raises(Cut):
        archives.move(archive)
    assert reached
    assert rows_of(archive).equals(before)
    assert damage(archive, deep=False) == []
    archives.move(archive)
    assert tiers_of(archive) == {17: {"cold"}, 18: {"warm"}, 19: {"hot"}}
    assert rows_of(archive).equals(before)
    sweep(archive, datetime.now(UTC) + HOUR, timedelta(0))
    assert damage(archive) == []
    named = {*archive.snapshot().files}
    lying = {path.relative_to(archive.root).as_posix() for path in archive.root.rglob("*.parquet*")}
    assert lying == named


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, "tests")
import archives
from logstats.archive.log import faults
from logstats.archive.archive import Archive

def cut(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

with faults.injected(cut):
    archives.move(Archive.open(sys.argv[1]))
"""


@pytest.mark.parametrize("step", ["write.begin", "write.renamed", "tier.verified", "commit.written", "commit.appeared"])
def test_killed_at_a_step_nothing_is_lost(archive: Archive, step: str) -> None:
    before = rows_of(archive)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(archive.root), step], cwd=archives.ROOT, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(archives.ROOT)},
    )  # fmt: skip
    assert done.returncode == -9
    assert rows_of(archive).equals(before)
    assert damage(archive, deep=False) == []
    archives.move(archive)
    sweep(archive, datetime.now(UTC) + HOUR, timedelta(0))
    assert rows_of(archive).equals(before)
    assert damage(archive) == []
    assert not list((archive.root / paths.WORK).iterdir())


# -- the command line


def test_dry_run_changes_nothing(archive: Archive) -> None:
    (archive.root / "lifecycle.toml").write_text(archives.POLICY)
    before = archives.contents(archive.root)
    done = invoke("archive", "tier", "--archive", str(archive.root), "--now", "2025-02-18", "--dry-run")
    assert done.returncode == 0
    assert [line.split("B) ")[1] for line in done.stdout.decode().splitlines()] == ["hot → cold", "hot → warm"]
    assert archives.contents(archive.root) == before


def test_tier_says_what_it_did(archive: Archive, tmp_path: Path) -> None:
    policy = tmp_path / "lifecycle.toml"
    policy.write_text(archives.POLICY)
    arguments = ("archive", "tier", "--archive", str(archive.root), "--now", "2025-02-18", "--policy", str(policy))
    done = invoke(*arguments)
    assert done.returncode == 0
    assert "2025-01-17: 897 rows in 1 file" in done.stderr.decode()
    again = invoke(*arguments, "--grace", "0h")
    assert again.returncode == 0
    assert re.search(r"\d\d replaced files deleted", again.stderr.decode())
    assert damage(archive) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--policy", "nothing.toml"], 2),
        (["--grace", "soon"], 2),
        (["--now", "someday"], 2),
        (["--policy", "{wrong}"], 2),
    ],
)
def test_wrong_arguments(archive: Archive, tmp_path: Path, arguments: list[str], code: int) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[warm]\nafter = 1")
    done = invoke(
        "archive", "tier", "--archive", str(archive.root), *[a.replace("{wrong}", str(wrong)) for a in arguments]
    )
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_without_a_policy_nothing_moves(archive: Archive) -> None:
    (archive.root / "lifecycle.toml").unlink()
    done = invoke("archive", "tier", "--archive", str(archive.root))
    assert done.returncode == 0
    assert b"nothing moves" in done.stderr
    assert {tier for tiers in tiers_of(archive).values() for tier in tiers} == {"hot"}


def test_status(archive: Archive) -> None:
    archives.move(archive)
    (archive.root / "lifecycle.toml").write_text('[cold]\nafter = "1d"')
    arguments = ("archive", "status", "--archive", str(archive.root), "--now", "2025-01-19T12:00")
    told = json.loads(invoke(*arguments, "-o", "json").stdout)
    assert (told["lines"], told["requests"] + told["events"], told["rejected"]) == (3600, 4 * 897, 12)
    parts = {one["name"]: one for one in told["held"]}
    assert [parts[tier]["rows"] for tier in tables.TIERS] == [897, 2 * 897, 897]
    assert [parts[tier]["days"] for tier in tables.TIERS] == [1, 1, 1]
    assert parts["hot"]["files"] == 1
    on_disk = sum(path.stat().st_size for path in (archive.root / "hot").glob("*/*/day=19/*/*.parquet"))
    assert parts["hot"]["bytes"] == on_disk
    raw = sum(path.stat().st_size for path in archive.root.parent.glob("*.log"))
    assert told["bytes"] == raw
    assert parts["cold"]["ratio"] == pytest.approx(parts["cold"]["bytes"] / (raw * 897 / 3600))
    assert parts["cold"]["oldest"].startswith("2025-01-17T00:")
    assert told["waiting"]["files"] >= 3
    assert [source["lines"] for source in told["sources"]] == [900] * 4
    assert [line.split("B) ")[1] for line in told["due"]] == ["warm → cold"] or told["due"] == []
    text = invoke(*arguments).stdout.decode()
    wide = [line for line in text.splitlines() if len(line) > 80 and "/" not in line]
    assert not wide
    assert "combined_time" in text
