"""The commit log: whatever was lost, exchanged, cut or written twice is seen, and nothing is added to such a log."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numbered
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke

from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.log import faults, paths
from logstats.archive.log.commit import ArchiveError, Commit, CorruptCommit, Damaged
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.archive.verify import verify


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of at least eight commits: a log that grew seven times, two hundred lines each."""
    folder = tmp_path_factory.mktemp("eight")
    root = init(folder / "archive").root
    for end in range(200, 1_600, 200):
        (folder / "access.log").write_bytes(numbered.log(0, end))
        api.add([folder / "access.log"], root)
    assert Archive.open(root).snapshot().number >= 8
    return root


@pytest.fixture
def root(eight: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(eight, tmp_path / "archive"))


def checkpointed(root: Path) -> None:
    archive = Archive.open(root)
    with Workspace(archive) as workspace:
        archive.write_checkpoint(archive.snapshot(), workspace.folder)


def commit_file(root: Path, number: int) -> Path:
    return root / paths.commit_path(number)


def reseal(root: Path, number: int, change: Callable[[dict[str, Any]], object], to: int | None = None) -> None:
    """Rewrite a commit as somebody would who knows the format: its own digest is right again."""
    value = json.loads(commit_file(root, number).read_bytes())["value"]
    change(value)
    body = json.dumps(value, separators=(",", ":")).encode()
    sealed = b'{"sha256":"%s",\n"value":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)
    commit_file(root, to or number).write_bytes(sealed)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def lose_the_third(root: Path) -> str:
    commit_file(root, 3).unlink()
    return paths.commit_path(3)


def lose_the_third_behind_a_checkpoint(root: Path) -> str:
    checkpointed(root)
    return lose_the_third(root)


def lose_the_first(root: Path) -> str:
    commit_file(root, 1).unlink()
    return paths.commit_path(1)


def lose_the_last(root: Path) -> str:
    last = Archive.open(root).snapshot().number
    commit_file(root, last).unlink()
    return paths.commit_path(last)


def lose_the_last_behind_a_checkpoint(root: Path) -> str:
    checkpointed(root)
    (root / "catalog.sql").unlink()
    return lose_the_last(root)


def lose_all(root: Path) -> str:
    for path in root.glob("commits/0*.json"):
        path.unlink()
    return paths.commit_path(1)


def flip_the_checkpoint(root: Path) -> str:
    checkpointed(root)
    flip(root / paths.CHECKPOINT)
    return paths.CHECKPOINT


def flip_a_commit(root: Path) -> str:
    flip(commit_file(root, 4))
    return paths.commit_path(4)


def exchange_a_commit(root: Path) -> str:
    """One that is whole, of this number, and not the one that was here."""
    reseal(root, 4, lambda value: value.update(note={"another": True}))
    return paths.commit_path(5)  # which was written after another


def exchange_the_last_below_a_checkpoint(root: Path) -> str:
    checkpointed(root)
    reseal(root, Archive.open(root).snapshot().number, lambda value: value.update(note={"another": True}))
    return paths.CHECKPOINT


def write_twice(root: Path) -> str:
    """The same change under the next number, as by a retry whose first try had worked."""
    last = max(commit["number"] for commit in numbered.commits(root) if commit["what"] == "add" and commit["added"])
    end = Archive.open(root).snapshot()
    reseal(root, last, lambda value: value.update(number=end.number + 1, previous=end.digest), end.number + 1)
    return paths.commit_path(end.number + 1)


def a_checkpoint_of_another_archive(root: Path) -> str:
    other = init(root.parent / "other")
    with Workspace(other) as workspace:
        other.write_checkpoint(other.snapshot(), workspace.folder)
    shutil.copy(other.root / paths.CHECKPOINT, root / paths.CHECKPOINT)
    return paths.CHECKPOINT


def a_folder_in_place_of_a_commit(root: Path) -> str:
    commit_file(root, 5).unlink()
    commit_file(root, 5).mkdir()
    return paths.commit_path(5)


DAMAGE = [
    lose_the_third,
    lose_the_third_behind_a_checkpoint,
    lose_the_first,
    lose_the_last,
    lose_the_last_behind_a_checkpoint,
    lose_all,
    flip_the_checkpoint,
    flip_a_commit,
    exchange_a_commit,
    exchange_the_last_below_a_checkpoint,
    write_twice,
    a_checkpoint_of_another_archive,
    a_folder_in_place_of_a_commit,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_an_error_and_nothing_is_added_to_it(root: Path, tmp_path: Path, damage: Any) -> None:
    named = damage(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    (tmp_path / "new.log").write_bytes(numbered.log(5_000, 5_010))
    archive = Archive(root)
    for work in (
        lambda: api.report(archive=root),
        lambda: api.add([tmp_path / "new.log"], root),
        archive.snapshot,
    ):
        with pytest.raises(Damaged) as failed:
            work()
        assert failed.value.path == named
        assert failed.value.hint
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    findings = list(verify(archive))
    assert named in {finding.path for finding in findings if not finding.note}
    assert not any("may be deleted" in finding.hint for finding in findings)


@pytest.mark.parametrize(
    "damage", [lose_the_third, lose_the_last, flip_the_checkpoint, lose_the_third_behind_a_checkpoint]
)
def test_every_command_says_so(root: Path, tmp_path: Path, damage: Any) -> None:
    named = damage(root)
    (tmp_path / "new.log").write_bytes(numbered.log(5_000, 5_010))
    (tmp_path / "slo.toml").write_text(
        'window = "1d"\n[[objective]]\nname = "up"\ngood = "status < 500"\ntarget = 99\n'
    )
    for command in (
        ["query", "SELECT count(*) AS n FROM logs"],
        ["report"],
        ["slo", "--policy", str(tmp_path / "slo.toml")],
        ["diff", "--before", "2025-01-16", "--after", "2025-01-17"],
        ["archive", "status"],
        ["archive", "add", str(tmp_path / "new.log")],
        ["archive", "tier"],
        ["archive", "tier", "--dry-run"],
        ["archive", "files"],
        ["archive", "verify"],
        ["archive", "init", str(root)],
    ):
        done = invoke(*command, *([] if "init" in command else ["--archive", str(root)]))
        assert done.returncode == 1, (command, done.stderr)
        assert named in (done.stderr + done.stdout).decode(), command
        assert b"Traceback" not in done.stderr


def test_a_query_of_a_damaged_log_is_of_what_came_before(root: Path) -> None:
    """Not of what is left: a compaction that is missing would count rows twice."""
    lose_the_third(root)
    done = invoke("query", "SELECT count(*) AS n FROM logs", "--archive", str(root), "-o", "csv")
    assert done.returncode == 1
    assert done.stdout == b"n\r\n200\r\n"
    assert b"the archive after commit 2" in done.stderr


def test_what_the_error_says_to_do_helps(root: Path) -> None:
    """A checkpoint that is damaged is deleted; a commit comes back; a copy goes on without its last commit."""
    whole = Archive.open(root).snapshot()
    flip_the_checkpoint(root)
    (root / paths.CHECKPOINT).unlink()
    assert Archive.open(root).snapshot() == whole
    lost = commit_file(root, 3).read_bytes()
    lose_the_third(root)
    commit_file(root, 3).write_bytes(lost)
    assert Archive.open(root).snapshot() == whole
    lose_the_last(root)
    (root / "catalog.sql").unlink()
    assert Archive.open(root).snapshot().number == whole.number - 1


def test_archives_of_the_first_version_are_read(root: Path, tmp_path: Path) -> None:
    """Commits without writer and previous, and a checkpoint without digest."""
    last = Archive.open(root).snapshot()

    def plain(value: dict[str, Any]) -> None:
        del value["writer"], value["previous"]

    for number in range(1, last.number + 1):
        reseal(root, number, plain)
    checkpointed(root)
    reseal_checkpoint = json.loads((root / paths.CHECKPOINT).read_bytes())["value"]
    del reseal_checkpoint["digest"]
    body = json.dumps(reseal_checkpoint, separators=(",", ":")).encode()
    (root / paths.CHECKPOINT).write_bytes(
        b'{"sha256":"%s",\n"value":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)
    )
    archive = Archive.open(root)
    assert archive.snapshot().files == last.files
    assert [finding for finding in verify(archive) if not finding.note] == []
    (tmp_path / "new.log").write_bytes(numbered.log(5_000, 5_010))
    api.add([tmp_path / "new.log"], root)  # and from here on there is a chain
    assert numbered.numbers(root) == numbered.once((0, 1_400), (5_000, 5_010))
    lose_the_third(root)
    with pytest.raises(CorruptCommit):
        archive.snapshot()


def test_each_commit_names_the_one_before(root: Path) -> None:
    """By the digest of its file, as anybody can compute it."""
    writers = set()
    before = ""
    for commit in numbered.commits(root):
        assert commit["previous"] == before
        before = hashlib.sha256(commit_file(root, commit["number"]).read_bytes()).hexdigest()
        writers.add(commit["writer"])
    assert len(writers) >= 8 and all(len(writer) == 19 for writer in writers)


def test_only_commits_after_the_checkpoint_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpointed(root)
    archive = Archive.open(root)
    read: list[str] = []
    right = archive.storage.read
    monkeypatch.setattr(archive.storage, "read", lambda path, *more: read.append(path) or right(path, *more))
    last = archive.snapshot().number
    assert read == [paths.CATALOG, paths.CHECKPOINT, paths.commit_path(last)]


# -- races


def test_nothing_is_created_into_a_gap(root: Path, tmp_path: Path) -> None:
    """Not even if the gap came after the writer had looked."""
    last = Archive.open(root).snapshot().number
    (tmp_path / "new.log").write_bytes(numbered.log(5_000, 5_010))

    def meanwhile(step: str) -> None:
        if step == "commit.ready":
            commit_file(root, last).unlink(missing_ok=True)

    with faults.injected(meanwhile), pytest.raises(ArchiveError):
        api.add([tmp_path / "new.log"], root)
    assert not commit_file(root, last + 1).exists()
    assert not commit_file(root, last).exists()


def test_lost_races_end(root: Path) -> None:
    """Writers who always come second at the last instant: each goes on behind those who were faster."""
    archive = Archive.open(root)
    before = archive.snapshot().number
    deep = 0

    def faster(step: str) -> None:
        nonlocal deep
        if step == "commit.ready" and deep < 5:
            deep += 1
            thread = threading.Thread(target=append)
            thread.start()
            thread.join()

    def append() -> None:
        with Workspace(archive) as workspace:
            archive.commit(lambda snapshot: Commit(what="sweep", note={"after": snapshot.number}), workspace.folder)

    with faults.injected(faster):
        append()
    assert archive.snapshot().number == before + 6
    assert [finding for finding in verify(archive) if not finding.note] == []


def test_a_link_that_worked_and_said_that_it_did_not(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over NFS: the file that is in the way is our own."""
    import os

    right = os.link

    def twice(source: Any, target: Any) -> None:
        right(source, target)
        right(source, target)

    monkeypatch.setattr(os, "link", twice)
    archive = Archive.open(root)
    before = archive.snapshot().number
    with Workspace(archive) as workspace:
        archive.commit(lambda _: Commit(what="sweep"), workspace.folder)
    assert archive.snapshot().number == before + 1


def test_commits_that_appear_while_the_folder_is_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing may hold the later of two new files and not the earlier: that is no gap."""
    archive = Archive.open(root)
    last = archive.snapshot().number
    right = archive._listed
    monkeypatch.setattr(archive, "_listed", lambda: [number for number in right() if number != last - 1])
    assert archive.snapshot().number == last


# -- the law: a log is whole if and only if its numbers are 1 to the last one that anything tells of


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 12),
    st.sets(st.integers(1, 12)),
    st.integers(0, 14),
    st.integers(0, 14),
    st.lists(st.sampled_from(["9.json", "000000003.json", "00000003.json.tmp", "x", "00000000.json"]), max_size=2),
)
def test_gaps(
    tmp_path_factory: pytest.TempPathFactory, count: int, lost: set[int], checkpoint: int, catalog: int, odd: list[str]
) -> None:
    root = tmp_path_factory.mktemp("gaps")
    (root / "commits").mkdir()
    there = [number for number in range(1, count + 1) if number not in lost]
    for name in (*(f"{number:08}.json" for number in there), *odd):
        (root / "commits" / name).touch()
    archive = Archive(root)
    torn: list[Damaged] = []
    written = {paths.CHECKPOINT: checkpoint, paths.CATALOG: catalog}
    last = archive._last(written, torn)
    top = max([*there, checkpoint, catalog])
    assert (not torn) == (there == list(range(1, top + 1)))
    assert last == next(number for number in range(top + 2) if number + 1 not in there)
    if torn:
        assert [one.path for one in torn] == [paths.commit_path(last + 1)]
        with pytest.raises(CorruptCommit):
            archive._last(written)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 8), st.integers(0, 8))
def test_the_fold_does_not_depend_on_where_it_is_cut(eight: Path, one: int, other: int) -> None:
    archive = Archive.open(eight)
    commits = list(archive.commits())
    first, second = sorted((one, other))
    cut = Snapshot().after(commits[:first]).after(commits[first:second]).after(commits[second:])
    assert cut == archive.snapshot() == Snapshot().after(commits)
    assert archive.snapshot(second or 1) == Snapshot().after(commits[: second or 1])


def test_sweeps_go_on_as_the_log_grows(root: Path) -> None:
    """Replaced files are deleted once, and the log that says so is whole."""
    from logstats.archive.log.orphans import sweep

    archive = Archive.open(root)
    later = datetime.now(UTC) + timedelta(days=2)
    sweep(archive, later)
    assert sweep(archive, later).removed == 0
    assert [finding for finding in verify(archive) if not finding.note] == []
