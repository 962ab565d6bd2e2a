"""What workers do with an archive is what one process does."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import archives
import numbered
import polars as pl
import pytest
from program import invoke

import logstats
from logstats.api.adding import _ingest, add_some
from logstats.archive import verify
from logstats.archive.add import add_apart
from logstats.archive.apart import together
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.ingest import rollups
from logstats.archive.ingest.known_sources import BlockDigest, may_share
from logstats.archive.log import faults, tables
from logstats.archive.log.commit import ArchiveError, Conflict, Counts, End
from logstats.archive.log.commit import Source as Recorded
from logstats.archive.log.orphans import sweep
from logstats.archive.log.writer import Workspace
from logstats.archive.staging import Staging, adopt
from logstats.inputs import Source, discover
from logstats.options import Options
from logstats.pipeline import Interrupt, Silence
from logstats.scale.calls import Call, Here
from logstats.scale.processes import Processes

HOW = _ingest(Options(now=archives.MOVED), None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three days, a tier each."""
    folder = tmp_path_factory.mktemp("workers")
    archive = archives.make(folder / "archive", archives.logs_of_three_days(folder))
    archives.move(archive)
    return archive


class Elsewhere(Here):
    """Another process in this one: what goes there and comes back is pickled."""

    def submit(self, call: Call) -> Any:
        return pickle.loads(pickle.dumps(call))

    def result(self, ticket: Any, until: Callable[[], bool]) -> Any:
        return pickle.loads(pickle.dumps(super().result(ticket, until)))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are in this process."""

    @contextmanager
    def begun(workers: int, cluster: str | None = None) -> Iterator[Here | None]:
        yield Elsewhere() if workers > 1 else None

    monkeypatch.setattr("logstats.scale.executors.started", begun)


def test_pieces_are_of_all_files_in_order(sound: Archive) -> None:
    files = list(sound.snapshot().files.values())
    total = sum(file.bytes for file in files)
    pieces = list(together(files, lambda file: file.bytes, total, 2))
    assert [file for piece in pieces for file in piece] == files
    assert 2 < len(pieces) <= 8
    assert list(together([], len, 0, 2)) == []


def test_a_report_from_rows(sound: Archive, here: None) -> None:
    """Filters, breakdowns, computed columns, exact users, conditions."""
    asked = ["report", "--archive", str(sound.root), "--rows", "-o", "json", "--by", "client_ip", "--by", "hour"]
    asked += ["--exact-users", "--where", "status != 404", "--since", "2025-01-17T03:20"]
    asked += ["--fail-if", "status = 500: requests > 0", "--tz", "Europe/Berlin", "--max-endpoints", "4"]
    runs = [invoke(*asked, "--workers", workers) for workers in ("1", "2")]
    one, two = (json.loads(run.stdout) | {"generated_at": ""} for run in runs)
    assert one == two
    assert one["requests"] > 2000 and one["filtered"] > 0
    assert [run.returncode for run in runs] == [3, 3]
    assert runs[0].stderr == runs[1].stderr


def test_edges_from_rows_and_a_cap_that_is_passed(sound: Archive, here: None) -> None:
    for asked in (
        {"since": "2025-01-17T10:20", "until": "2025-01-19T10:40", "over_time": True},
        {"by": ["client_ip"], "max_endpoints": 2, "rows": True},
        {"since": "2025-01-18", "slowest": 9, "not_found": True, "exact_users": True},
    ):
        made: list[Any] = [
            logstats.report(archive=sound.root, workers=workers, now=archives.MOVED, **asked).to_json()  # type: ignore[arg-type]
            for workers in (1, 2)
        ]
        assert made[0] == made[1], asked


def test_workers_without_work_are_refused(sound: Archive, tmp_path: Path) -> None:
    policy = tmp_path / "slo.toml"
    policy.write_text('[[objective]]\nname = "up"\ntarget = 99.0\ngood = "status < 500"\n')
    asked = ("report", "--archive", str(sound.root), "--workers", "2")
    ran = invoke(*asked)
    assert ran.returncode == 2 and b"rollups answer this at once" in ran.stderr and b"--rows" in ran.stderr
    for command in (("slo", "--policy", str(policy)), ("report", "--split-by", "host")):
        ran = invoke(*command, "--archive", str(sound.root), "--workers", "2")
        assert ran.returncode == 2 and b"--workers" in ran.stderr, command


def test_findings_are_the_same_in_the_same_order(sound: Archive, tmp_path: Path, here: None) -> None:
    """Damaged rows and rollups, and a foreign file."""
    shutil.copytree(sound.root, tmp_path / "copy")
    archive = Archive.open(tmp_path / "copy")
    held = archive.snapshot()
    for file in (held.select(tables.LOGS)[0], held.select(tables.USERS)[-1]):
        place = archive.root / file.path
        data = bytearray(place.read_bytes())
        data[len(data) // 2] ^= 1
        place.write_bytes(data)
    (archive.root / "hot" / "foreign.txt").touch()
    alone = list(verify.verify(Archive.open(archive.root), deep=True))
    assert len([one for one in alone if not one.note]) == 3
    runs = [
        invoke("archive", "verify", "--deep", "--archive", str(archive.root), "--workers", workers)
        for workers in ("1", "2")
    ]
    assert runs[0].returncode == 1
    assert (runs[0].stdout, runs[0].stderr) == (runs[1].stdout, runs[1].stderr)


def rows_of(archive: Archive) -> list[Any]:
    """The tier, columns and rows of each day."""
    held = archive.snapshot().select(tables.LOGS)
    return [(one.tier, one.rows, one.columns, pl.read_parquet(archive.root / one.path).to_dicts()) for one in held]


def test_days_move_by_workers_as_by_one(tmp_path: Path, here: None) -> None:
    """The same files, with the same rows, and the same words."""
    logs = archives.logs_of_three_days(tmp_path)
    (tmp_path / "policy.toml").write_text(archives.POLICY, encoding="utf-8")
    said, made = [], []
    for workers in (1, 2):
        archive = archives.make(tmp_path / str(workers), logs)
        asked = ("archive", "tier", "--archive", str(archive.root), "--policy", str(tmp_path / "policy.toml"))
        ran = invoke(*asked, "--now", "2025-02-18", "--workers", str(workers))
        assert ran.returncode == 0
        said.append(ran.stderr)
        made.append(rows_of(archive))
        assert [one for one in verify.verify(archive) if not one.note] == []
    assert {tier for tier, *_ in made[0]} == {"hot", "warm", "cold"}
    assert made[0] == made[1]
    assert said[0] == said[1]
    ran = invoke("archive", "tier", "--archive", str(tmp_path / "1"), "--dry-run", "--workers", "2")
    assert ran.returncode == 2 and b"--workers have nothing to do" in ran.stderr


def test_a_day_that_cannot_be_moved_is_said_of_a_worker_too(sound: Archive, tmp_path: Path, here: None) -> None:
    shutil.copytree(sound.root, tmp_path / "copy")
    archive = Archive.open(tmp_path / "copy")
    (hot,) = archive.snapshot().select(tables.LOGS, tier="hot")
    (archive.root / hot.path).write_bytes(b"")
    runs = [
        invoke("archive", "tier", "--archive", str(archive.root), "--now", "2025-03-18", "--workers", workers)
        for workers in ("1", "2")
    ]
    assert runs[0].returncode == 1 and b"2025-01-19" not in runs[0].stdout
    assert hot.path in runs[0].stderr.decode()
    assert runs[0].stderr == runs[1].stderr


def content(archive: Archive) -> dict[str, Any]:
    """All rows, and the rollups merged, whatever files they lie in; and what verify finds."""
    held = archive.snapshot()
    made: dict[str, Any] = {"findings": [one for one in verify.verify(archive) if not one.note]}
    for table in tables.TABLES:
        frames = [pl.read_parquet(archive.root / one.path, hive_partitioning=False) for one in held.select(table)]
        if table in tables.ROLLUPS:
            made[table] = rollups.merged(frames, table).to_dicts() if frames else []
        else:
            made[table] = sorted(map(repr, pl.concat(frames).drop("added", strict=False).to_dicts())) if frames else []
    made["sources"] = sorted((one.name, one.end.bytes, one.counts.lines) for one in held.sources.values())
    return made


def test_a_backfill_by_workers_is_that_of_one(tmp_path: Path, here: None) -> None:
    """Rows, rejected lines, rollups and how far each source was read; a source that is there twice counts once; a file
    that is not there, and one that no format reads, are said."""
    logs = archives.logs_of_three_days(tmp_path)
    (tmp_path / "prose.log").write_text("It was a dark and stormy night.\n" * 40, encoding="utf-8")
    named = [*map(str, logs), str(tmp_path / "prose.log"), str(tmp_path / "gone.log")]
    made, said = [], []
    for workers in ("1", "2"):
        archive = init(tmp_path / workers)
        ran = invoke("archive", "add", *named, "--archive", str(archive.root), "--workers", workers)
        assert ran.returncode == 1
        said.append(sorted(ran.stderr.splitlines()))
        made.append(content(archive))
        assert invoke("archive", "add", *named[:4], "--archive", str(archive.root)).stderr.count(b"nothing new") == 4
    assert made[0] == made[1]
    assert made[0]["findings"] == [] and len(made[0][tables.LOGS]) > 3000
    assert said[0] == said[1]

    # The same by a worker that is killed when it has written everything, and with a file that is there twice.
    copy = tmp_path / "copy.log"
    copy.write_bytes(logs[1].read_bytes())
    marker = tmp_path / "marker"
    marker.touch()
    archive = init(tmp_path / "killed")
    found, _ = discover([*map(str, logs), str(copy)])
    with closing(Processes(1)) as executor:
        add_apart(archive, found, partial(dying, str(marker)), HOW, Silence(), Interrupt(), executor)
    killed = content(archive)
    assert not marker.exists() and killed["findings"] == []
    assert numbered.left_over(archive.root) == [] and not list((archive.root / "work").glob("*.lock"))
    for table in (tables.TRAFFIC, tables.ENDPOINTS, tables.LATENCY, tables.USERS):
        assert killed[table] == made[0][table]
    assert len(killed[tables.LOGS]) == len(made[0][tables.LOGS])


def dying(marker: str, archive: Archive, files: list[Source]) -> Any:
    """Add some files; the first process that has done so ends at once."""
    added = add_some(Options(now=archives.MOVED), None, False, False, archive, files)
    with suppress(FileNotFoundError):
        Path(marker).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return added


def test_only_one_process_commits(tmp_path: Path) -> None:
    """A worker hands back the commits that it would make, and the archive is as it was until another makes them; one
    that fails leaves no file."""
    archive = init(tmp_path / "archive")
    log = tmp_path / "new.log"
    log.write_bytes(numbered.log(0, 50))
    found, _ = discover([str(log)])
    held = numbered.files(archive.root)
    with Workspace(archive) as workspace:
        at_work = Staging.of(str(archive.root), workspace.lend())
        staged = at_work.staged(add_some(Options(), None, False, False, at_work, found))
        (commit,) = staged.commits
        assert numbered.files(archive.root) == held
        assert all((archive.root / file.path).exists() for file in commit.added)
        failing = Staging.of(str(archive.root), workspace.id)
        with faults.injected(_failing("write.renamed")), pytest.raises(ZeroDivisionError):
            add_some(Options(), None, False, False, failing, found)
        sweep(archive, archives.MOVED)
        adopt(archive, pickle.loads(pickle.dumps(staged)), workspace, numbers := [])
        assert numbers == [archive.snapshot().number]
        with pytest.raises(Conflict):  # the same lines, read without knowing of these
            adopt(archive, staged, workspace, [])
    assert numbered.numbers(archive.root)[7] == 1
    assert numbered.left_over(archive.root) == []
    with pytest.raises(ArchiveError, match="does not find the folder"):
        add_some(Options(), None, False, False, Staging.of(str(archive.root), "gone"), found)


def _failing(step: str) -> Callable[[str], None]:
    def hook(reached: str) -> None:
        if reached == step:
            raise ZeroDivisionError

    return hook


def test_the_workspace_of_a_killed_process_stays_while_its_worker_writes(tmp_path: Path) -> None:
    """The worker shares the lock: a sweep deletes what both have begun when the worker has ended, too."""
    archive = init(tmp_path / "archive")
    owner = Workspace(archive).__enter__()
    with Workspace(Staging.of(str(archive.root), owner.lend())) as worker:
        path = archive.root / worker.new_path(tables.LOGS, "hot", (2025, 1, 17, 3))
        assert owner._lock is not None
        owner._lock.close()  # as the kernel does with the lock of a process that is killed
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        assert sweep(archive, archives.MOVED).left_over == 0
        assert path.exists()
    assert path.exists()
    assert sweep(archive, archives.MOVED).left_over == 1
    assert numbered.left_over(archive.root) == [] and not path.exists()


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        (b"#Fields: a b\n" * 30 + b"one\n" * 300, b"#Fields: a b\n" * 30 + b"two\n" * 300, False),
        (b"#Fields: a b\n" * 30 + b"one\n", b"#Fields: a b\n" * 30 + b"two\n" * 300, True),  # ends in the same block
        (b"one\n" * 300, b"one\n" * 300, True),
        (b"one\n" * 300, b"one\n" * 900, True),
        (b"one\n", b"two\n", False),
        (b"one\n", b"one\ntwo\n" * 900, True),
    ],
)
def test_logs_that_only_begin_alike_do_not_wait_for_each_other(one: bytes, other: bytes, may: bool) -> None:
    """As CloudFront's do, whose first lines are directives. A log that the other may continue is compared again."""
    sources = []
    for content in (one, other):
        digest = BlockDigest()
        digest.update(content)
        end = End(len(content), content.count(b"\n"), digest.tail)
        sources.append(Recorded("", "", None, None, tuple(digest.blocks), (end,), Counts(), tuple(digest.heads)))
    assert may_share(*sources) == may_share(*reversed(sources)) == may


def test_what_workers_cannot_add_is_refused(tmp_path: Path) -> None:
    archive = init(tmp_path / "archive")
    for more, word in ((["-"], b"no file"), (["--follow", "x.log"], b"--follow")):
        ran = invoke("archive", "add", *more, "--archive", str(archive.root), "--workers", "2")
        assert ran.returncode == 2 and word in ran.stderr
