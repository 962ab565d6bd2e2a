"""Each line once: whatever becomes of the files that lines are in."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numbered
import pyarrow as pa
import pytest
from archives import grown
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from numbered import line, log, numbers, once
from program import invoke

import logstats
from logstats import api
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.ingest import ingest
from logstats.archive.ingest.known_sources import (
    LARGEST_BLOCK,
    LAST_BYTES,
    BlockDigest,
    _blocks_before,
    block_end,
    block_start,
)
from logstats.archive.ingest.partition_writer import Partitions
from logstats.archive.ingest.progress import Added
from logstats.archive.log import faults, tables
from logstats.archive.log.commit import ArchiveError
from logstats.errors import UsageError
from logstats.inputs import Memory, chunks

Add = Callable[..., Added]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A new archive."""
    return init(tmp_path / "archive").root


@pytest.fixture
def add(root: Path) -> Add:
    """Adds to it."""

    def add(*sources: Path, **more: object) -> Added:
        return api.add(list(sources), root, **more)  # type: ignore[arg-type]

    return add


def lines_added(added: Added) -> list[int]:
    return [outcome.counts.lines for outcome in added.outcomes]


def test_the_same_file_twice_adds_nothing(tmp_path: Path, root: Path, add: Add) -> None:
    (tmp_path / "access.log").write_bytes(log(0, 500))
    assert lines_added(add(tmp_path / "access.log")) == [500]
    before = numbered.commits(root)
    again = add(tmp_path / "access.log")
    assert lines_added(again) == [0]
    assert again.outcomes[0].known == 500
    assert numbered.commits(root) == before  # not even a commit
    assert numbers(root) == once((0, 500))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(100, 9_000), max_size=5))
def test_a_file_that_grows_by_any_steps(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("grows")
    root = init(folder / "archive").root
    whole = log(0, 80)
    for cut in [*sorted(cuts), len(whole)]:
        (folder / "access.log").write_bytes(whole[:cut])
        api.add(folder / "access.log", root)
        assert numbers(root) == once((0, whole[:cut].count(b"\n")))
    places = {(row["line"], row["path"]) for row in numbered.rows(root, "logs")}
    assert places == {(number + 1, f"/item/{number}") for number in range(80)}


def test_a_unit_that_lines_of_a_later_add_settle(tmp_path: Path, root: Path, add: Add) -> None:
    """As if the log had been read at once: what the lines before left open is still open."""
    file, line = (
        tmp_path / "a.log",
        '{{"time":"2025-01-17T10:00:{s:02}Z","method":"GET","path":"/{n}","status":200{more}}}\n',
    )
    file.write_text("".join(line.format(s=n % 60, n=n, more="") for n in range(200)), encoding="utf-8")
    assert add(file).outcomes[0].format == "json"
    with file.open("a", encoding="utf-8") as opened:
        opened.writelines(line.format(s=n % 60, n=n, more=f',"duration":0.0{n}') for n in range(200, 400))
    again = add(file).outcomes[0]
    found = {row["path"]: row["duration_ms"] for row in numbered.rows(root, "logs")}
    assert found == {f"/{n}": pytest.approx(n / 10) if n >= 200 else None for n in range(400)}
    assert again.format == logstats.report(file).sources[0].format


def test_half_a_line_waits_for_its_newline(tmp_path: Path, root: Path, add: Add) -> None:
    whole = log(0, 3)
    file = tmp_path / "access.log"
    file.write_bytes(whole[:-30])
    added = add(file)
    assert (lines_added(added), added.outcomes[0].left) == ([2], len(line(2)) - 30)
    assert add(file).outcomes[0].left == len(line(2)) - 30
    file.write_bytes(whole)
    assert lines_added(add(file)) == [1]
    assert numbers(root) == once((0, 3))


def test_final_takes_half_a_line(tmp_path: Path, root: Path, add: Add) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(log(0, 3)[:-1])
    assert lines_added(add(file)) == [2]
    assert lines_added(add(file, final=True)) == [1]
    assert lines_added(add(file, final=True)) == [0]
    assert numbers(root) == once((0, 3))


def test_rotation_by_renaming_and_compressing(tmp_path: Path, root: Path, add: Add) -> None:
    current, first, second = tmp_path / "access.log", tmp_path / "access.log.1", tmp_path / "access.log.2.gz"
    current.write_bytes(log(0, 300))
    add(current)
    with current.open("ab") as file:
        file.write(log(300, 400))  # after the last add, before the rotation
    current.rename(first)
    current.write_bytes(log(400, 450))
    assert sorted(lines_added(add(current, first))) == [50, 100]
    second.write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    current.rename(first)
    current.write_bytes(log(450, 460))
    assert sum(lines_added(add(tmp_path))) == 10
    assert sum(lines_added(add(tmp_path))) == 0
    assert numbers(root) == once((0, 460))


@pytest.mark.parametrize("size", [5, 400, 2_000])
def test_a_file_that_was_truncated_and_filled_again(tmp_path: Path, root: Path, add: Add, size: int) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(log(0, 400))
    add(file)
    shutil.copy(file, tmp_path / "access.log.1")
    inode = file.stat().st_ino
    with file.open("r+b") as opened:
        opened.truncate()
        opened.write(log(1_000, 1_000 + size))
    assert file.stat().st_ino == inode
    assert lines_added(add(file, tmp_path / "access.log.1")) == [size, 0]
    assert numbers(root) == once((0, 400), (1_000, 1_000 + size))


@pytest.mark.parametrize("times", [1, 9])
def test_a_file_that_is_truncated_and_filled_again_while_it_is_read(
    tmp_path: Path, root: Path, add: Add, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Reading would go on in the middle of the new lines, and those before would be lost."""
    file = tmp_path / "access.log"
    file.write_bytes(log(0, 100))
    add(file)
    with file.open("ab") as opened:
        opened.write(log(100, 400))
    read_lines, written = chunks.OpenFile.read_lines, [(0, 400)]
    opened_files: set[chunks.OpenFile] = set()

    def refilled_meanwhile(self: chunks.OpenFile, size: int, memory: Memory) -> bytes:
        data = read_lines(self, size, memory)
        if len(written) <= times and self not in opened_files:
            opened_files.add(self)
            shutil.copy(file, tmp_path / f"access.log.{len(written)}")
            os.truncate(file, 0)
            written.append((1_000 * len(written), 1_000 * len(written) + 600))
            with file.open("ab") as opened:
                opened.write(log(*written[-1]))
        return data

    monkeypatch.setattr(chunks, "HEAD", 1 << 10)
    monkeypatch.setattr(ingest, "CHUNK", 4 << 10)
    monkeypatch.setattr(chunks.OpenFile, "read_lines", refilled_meanwhile)
    if times > ingest.RETRIES:
        with pytest.raises(ArchiveError, match="filled again each time"):
            add(file)
        times = 0
    assert lines_added(add(file)) == [600]
    add(*tmp_path.glob("access.log.?"))
    assert numbers(root) == once(*written)


@pytest.mark.parametrize("grown", [1, 900])
@pytest.mark.parametrize("kept", [0, 2, 804, 997])
def test_a_log_that_was_cut_back_and_grew_again(tmp_path: Path, root: Path, add: Add, kept: int, grown: int) -> None:
    """In the middle of a block, whose lines only the stored rows tell apart; at half a line, which makes another."""
    file = tmp_path / "access.log"
    odd = b"no line at all\n\n"  # rejected, and ignored
    file.write_bytes(log(0, 600) + odd + log(600, 800) + odd + log(800, 1_000))
    add(file)
    after = log(0, 600) + odd + log(600, 800) + odd + log(800, kept) if kept > 800 else log(0, kept)
    os.truncate(file, len(after))
    with file.open("ab") as opened:
        opened.write(log(5_000, 5_000 + grown))
    assert lines_added(add(file)) == [grown]
    assert lines_added(add(file)) == [0]
    os.truncate(file, len(after) + len(log(5_000, 5_000 + grown // 2)) + 40)
    with file.open("ab") as opened:
        opened.write(b" /other\n" + log(9_000, 9_010))
    assert lines_added(add(file)) == [11]
    with file.open("ab") as opened:
        opened.write(log(9_010, 9_020))
    assert lines_added(add(file)) == [10]
    held = numbers(root)
    assert all(held[number] == 1 for number in (*range(1_000), *range(5_000, 5_000 + grown), *range(9_000, 9_020)))


class Histories(RuleBasedStateMachine):
    """A log and its rotated copies, in any order of what becomes of them. What was ever there when `add` ran is in the
    archive once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="logstats-histories-"))
        self.root = init(self.folder / "archive").root
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.current = self.logs / "access.log"
        self.current.write_bytes(b"")
        self.written = self.rotated = 0
        self.cut = False  # since the last add: a copy of it would be a file of its own
        self.seen: set[int] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(lines=st.integers(1, 40))
    def grow(self, lines: int) -> None:
        with self.current.open("ab") as file:
            file.write(log(self.written, self.written + lines))
        self.written += lines

    @rule(share=st.floats(0, 1))
    def cut_back(self, share: float) -> None:
        lines = self.current.read_bytes().splitlines(keepends=True)
        os.truncate(self.current, sum(map(len, lines[: int(share * len(lines))])))
        self.cut = True

    @rule()
    def refill(self) -> None:
        size = self.current.stat().st_size
        os.truncate(self.current, 0)
        while self.current.stat().st_size <= size:
            self.grow(5)
        self.cut = True

    @rule()
    def rename(self) -> None:
        self.rotated += 1
        self.current.rename(self.logs / f"access.log.{self.rotated}")
        self.current.write_bytes(b"")

    @precondition(lambda self: not self.cut)
    @rule()
    def copy_and_truncate(self) -> None:
        self.rotated += 1
        shutil.copy(self.current, self.logs / f"access.log.{self.rotated}")
        os.truncate(self.current, 0)

    @precondition(lambda self: not self.cut)
    @rule()
    def compress(self) -> None:
        for place in self.logs.glob("access.log.*[0-9]"):
            place.with_name(f"{place.name}.gz").write_bytes(gzip.compress(place.read_bytes()))
            place.unlink()

    @rule()
    def add(self) -> None:
        for place in self.logs.iterdir():
            content = gzip.decompress(place.read_bytes()) if place.suffix == ".gz" else place.read_bytes()
            self.seen.update(map(int, re.findall(rb"/item/(\d+)", content)))
        api.add([self.logs], self.root)
        self.cut = False
        assert numbers(self.root) == Counter(self.seen)


Histories.TestCase.settings = settings(max_examples=20, stateful_step_count=14, deadline=None)
test_histories = Histories.TestCase


@pytest.mark.parametrize("more", [0, 50])
@pytest.mark.parametrize("older_copy", [False, True])
def test_a_file_refilled_with_the_same_last_bytes(
    tmp_path: Path, root: Path, add: Add, more: int, older_copy: bool
) -> None:
    """Its size, its last 64 KiB and its inode are as they were: a block before them tells that it is another log."""
    file, end = tmp_path / "access.log", 2_800
    if older_copy:
        (tmp_path / "longer.log").write_bytes(log(1_000, end + 1_000))
        add(tmp_path / "longer.log")
    file.write_bytes(log(1_000, end))
    add(file)
    refilled = log(1_000, 1_500) + log(1_500, 2_000).replace(b"/item/1", b"/item/6") + log(2_000, end)
    size, inode = file.stat().st_size, file.stat().st_ino
    assert len(refilled) == size
    assert refilled[-LAST_BYTES:] == file.read_bytes()[-LAST_BYTES:]
    with file.open("r+b") as opened:
        opened.truncate()
        opened.write(refilled + log(8_000, 8_000 + more))
    assert file.stat().st_ino == inode
    add(file)
    held = numbers(root)
    assert all(held[number] == 1 for number in [*range(6_500, 7_000), *range(8_000, 8_000 + more)])
    assert lines_added(add(file)) == [0]


@pytest.mark.parametrize("offset", [256, 512, 1_024, LARGEST_BLOCK, 2 * LARGEST_BLOCK, 5 * LARGEST_BLOCK])
def test_how_many_blocks_lie_before_an_offset(offset: int) -> None:
    count, end = 1, 256
    while end < offset:
        count, end = count + 1, block_end(end)
    assert end == offset
    assert _blocks_before(offset) == count


@pytest.mark.parametrize(("one", "other"), [(500, 30), (30, 500), (1, 1), (3, 2_000)])
def test_two_hosts_whose_logs_begin_alike(tmp_path: Path, root: Path, add: Add, one: int, other: int) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 1_000) + log(10_000, 10_000 + one))
    (tmp_path / "b.log").write_bytes(log(0, 1_000) + log(20_000, 20_000 + other))
    assert lines_added(add(tmp_path / "a.log")) == [1_000 + one]
    assert lines_added(add(tmp_path / "b.log")) == [1_000 + other]
    assert lines_added(add(tmp_path)) == [0, 0]
    with (tmp_path / "b.log").open("ab") as file:
        file.write(log(30_000, 30_005))
    with (tmp_path / "a.log").open("ab") as file:
        file.write(log(40_000, 40_007))
    assert sorted(lines_added(add(tmp_path))) == [5, 7]
    alike = once((0, 1_000), (0, 1_000))
    assert numbers(root) == alike + once(
        (10_000, 10_000 + one), (20_000, 20_000 + other), (30_000, 30_005), (40_000, 40_007)
    )


def test_one_content_under_two_names(tmp_path: Path, root: Path, add: Add) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 300))
    shutil.copy(tmp_path / "a.log", tmp_path / "b.log")
    (tmp_path / "c.log.gz").write_bytes(gzip.compress(log(0, 300)))
    assert lines_added(add(tmp_path / "a.log", tmp_path / "b.log")) == [300, 0]
    assert lines_added(add(tmp_path / "c.log.gz", tmp_path / "b.log")) == [0, 0]
    assert numbers(root) == once((0, 300))


@pytest.mark.parametrize("kept", [1, 2, 7, 300, 999])
def test_an_older_copy_of_a_log_adds_nothing(tmp_path: Path, root: Path, add: Add, kept: int) -> None:
    (tmp_path / "access.log").write_bytes(log(0, 1_000))
    add(tmp_path / "access.log")
    (tmp_path / "backup.log").write_bytes(log(0, kept))
    assert lines_added(add(tmp_path / "backup.log")) == [0]
    assert lines_added(add(tmp_path / "backup.log")) == [0]
    (tmp_path / "backup.log").write_bytes(log(0, 1_001))
    assert lines_added(add(tmp_path / "backup.log")) == [1]
    assert numbers(root) == once((0, 1_001))


@pytest.mark.parametrize("last", [0, 1])
def test_an_interrupt_just_before_a_source_is_read(
    tmp_path: Path, root: Path, add: Add, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    files = [tmp_path / "a.log", tmp_path / "b.log"]
    for number, file in enumerate(files):
        file.write_bytes(log(number * 10, number * 10 + 10) + b"half")
    begin = ingest.Ingest._begin

    def interrupted(self: Any, known: Any, outcome: Any, *more: Any) -> Any:
        self._interrupt.asked = outcome.name == str(files[last])
        return begin(self, known, outcome, *more)

    monkeypatch.setattr(ingest.Ingest, "_begin", interrupted)
    added = add(*files)
    assert added.interrupted
    assert [(one.counts.lines, one.left, one.problem) for one in added.outcomes] == [(10, 4, None), (0, 0, None)][
        -last - 1 :
    ]
    monkeypatch.undo()
    add(*files)
    assert numbers(root) == once((0, 20))


def test_a_pipe_and_the_file_that_it_came_from(tmp_path: Path, root: Path) -> None:
    arguments = ("archive", "add", "-", "--archive", str(root))
    assert invoke(*arguments, stdin=log(0, 200)).returncode == 0
    again = invoke(*arguments, stdin=log(0, 250) + line(250)[:20])
    assert b"50 lines added after 200 lines that the archive has" in again.stderr
    assert b"has no newline yet" in again.stderr
    (tmp_path / "access.log").write_bytes(log(0, 260))
    grown = invoke("archive", "add", str(tmp_path / "access.log"), "--archive", str(root))
    assert b"10 lines added after 250" in grown.stderr
    assert invoke(*arguments, stdin=gzip.compress(log(0, 100) + log(900, 910))).returncode == 0
    assert numbers(root) == once((0, 260), (0, 100), (900, 910))


def test_source_names_tell_alike_logs_apart(tmp_path: Path, root: Path, add: Add) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 100))
    shutil.copy(tmp_path / "a.log", tmp_path / "b.log")
    assert lines_added(add(tmp_path / "a.log", source_name="one")) == [100]
    assert lines_added(add(tmp_path / "b.log", source_name="two")) == [100]
    assert lines_added(add(tmp_path / "b.log", source_name="one")) == [0]
    assert lines_added(add(tmp_path / "b.log")) == [100]
    assert lines_added(add(tmp_path / "a.log", allow_duplicates=True)) == [100]
    assert lines_added(add(tmp_path / "a.log")) == [0]
    assert numbers(root) == once(*[(0, 100)] * 4)


def test_a_file_that_was_cut_off_and_comes_again(tmp_path: Path, root: Path, add: Add) -> None:
    whole = gzip.compress(log(0, 3_000))
    (tmp_path / "access.log.gz").write_bytes(whole[: len(whole) // 2])
    cut = add(tmp_path / "access.log.gz")
    assert cut.outcomes[0].problem is not None
    assert 0 < cut.counts.lines < 3_000
    (tmp_path / "access.log.gz").write_bytes(whole)
    assert add(tmp_path / "access.log.gz").counts.lines == 3_000 - cut.counts.lines
    assert numbers(root) == once((0, 3_000))


def test_an_unknown_format_is_not_taken_for_read(tmp_path: Path, root: Path, add: Add) -> None:
    (tmp_path / "odd.log").write_bytes(
        b"".join(b"<%d> [17/Jan/2025:10:00:00 +0000] /item/%d\n" % (n, n) for n in range(50))
    )
    (tmp_path / "good.log").write_bytes(log(0, 10))
    added = add(tmp_path / "odd.log", tmp_path / "good.log")
    assert lines_added(added) == [0, 10]
    assert "no format reads these lines" in str(added.outcomes[0].problem)
    assert lines_added(add(tmp_path / "odd.log", log_format="<$http_x> [$time_local] $request_uri")) == [50]


def test_exit_codes_of_what_no_format_reads(tmp_path: Path, root: Path) -> None:
    (tmp_path / "odd.log").write_bytes(b"<1> hello\n" * 50)
    (tmp_path / "good.log").write_bytes(log(0, 10))
    alone = invoke("archive", "add", str(tmp_path / "odd.log"), "--archive", str(root))
    assert alone.returncode == 5
    assert b"odd.log: nothing added, it is not counted as read" in alone.stderr
    assert invoke("archive", "add", str(tmp_path / "*.log"), "--archive", str(root)).returncode == 1
    assert numbers(root) == once((0, 10))


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 1_000))
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(log(5_000, 6_000)))
    add(tmp_path / "a.log", tmp_path / "b.log.gz")

    def opened(*_: object) -> None:
        raise AssertionError("the file is read")

    monkeypatch.setattr("logstats.archive.ingest.ingest.OpenFile", opened)
    monkeypatch.setattr("logstats.inputs.chunks.OpenFile", opened)
    assert lines_added(add(tmp_path / "a.log", tmp_path / "b.log.gz")) == [0, 0]


def test_a_copy_is_read_only_once_to_be_known(tmp_path: Path, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 1_000))
    add(tmp_path / "a.log")
    shutil.copy(tmp_path / "a.log", tmp_path / "b.log")
    add(tmp_path / "b.log")
    monkeypatch.delattr("logstats.archive.ingest.ingest.OpenFile")
    assert lines_added(add(tmp_path / "b.log")) == [0]


def test_filters_are_refused(tmp_path: Path, root: Path, add: Add) -> None:
    with pytest.raises(UsageError):
        add(tmp_path, since="2025-01-01")
    refused = invoke("archive", "add", "x.log", "--status", "5xx", "--archive", str(root))
    assert refused.returncode == 2
    assert b"takes no filters" in refused.stderr


def test_rejected_lines_are_kept_whole(tmp_path: Path, root: Path, add: Add) -> None:
    torn = b'10.0.0.1 - - [17/Jan/2025:10:00:00 +0000] "GET /item/7'
    untimed = line(8).replace(b"17/Jan", b"99/Foo")
    wild = b"\xff\xfe\x00 nothing \x1b[31m at all\r\n"
    (tmp_path / "access.log").write_bytes(log(0, 7) + torn + b"\n" + untimed + wild + log(9, 20) + b"\n")
    counts = add(tmp_path / "access.log").counts
    assert (counts.lines, counts.requests, counts.rejected, counts.ignored) == (22, 18, 3, 1)
    held = {(row["line"], row["raw"]): row["reason"] for row in numbered.rows(root, "rejects")}
    assert held.keys() == {(8, torn), (9, untimed.rstrip(b"\n")), (10, wild.rstrip(b"\r\n"))}
    assert held[9, untimed.rstrip(b"\n")] == "no_time"
    assert counts.reasons == Counter(held.values())
    assert sum(commit["counts"]["rejected"] for commit in numbered.commits(root)) == 3


@pytest.mark.parametrize("sparse", [0, 4_096])
def test_times_spread_over_thousands_of_hours(
    tmp_path: Path, root: Path, add: Add, monkeypatch: pytest.MonkeyPatch, sparse: int
) -> None:
    monkeypatch.setattr("logstats.archive.ingest.partition_writer.SPARSE", sparse)
    monkeypatch.setattr("logstats.archive.ingest.table_writers._BUDGETS", {tables.LOGS: 100_000})
    monkeypatch.setattr("logstats.archive.ingest.table_writers._BUDGET", 20_000)
    monkeypatch.setattr("logstats.archive.ingest.partition_writer.OPEN", 4)
    hours = [(number * 7_919) % 300 for number in range(3_000)]
    (tmp_path / "access.log").write_bytes(
        b"".join(line(number, second=hour * 3_600 + number % 3_600) for number, hour in enumerate(hours))
    )
    add(tmp_path / "access.log")
    assert numbers(root) == once((0, 3_000))
    held = numbered.files(root).values()
    assert sum(file["table"] == "logs" for file in held) == len(
        {(hour + 10) // 24 for hour in hours} if sparse else set(hours)
    )
    days = {hour // 24 for hour in (h + 10 for h in hours)}
    assert sum(file["table"] == "traffic" for file in held) == len(days)
    by_hour: dict[str, list[int]] = {}
    for file in held:
        if file["table"] == "logs":
            with numbered.pq.ParquetFile(root / file["path"]) as parquet:
                by_hour[file["path"].rsplit("/", 1)[0]] = parquet.read(["line"])["line"].to_pylist()
    assert sparse or all(lines == sorted(lines) for lines in by_hour.values())  # as they arrived
    assert numbered.left_over(root) == []


@pytest.mark.parametrize("late", [False, True])
def test_hours_of_rollups_are_written_when_they_are_whole(
    tmp_path: Path, root: Path, add: Add, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """A log in order of time needs no run. What is late nevertheless goes to a second file, and counts as it should."""
    monkeypatch.setattr("logstats.archive.ingest.table_writers._BUDGETS", {})
    monkeypatch.setattr("logstats.archive.ingest.table_writers._BUDGET", 32_000)
    spilled: list[str] = []
    spill = Partitions._spill

    def counted(self: Partitions, rows: pa.Table) -> None:
        spilled.append(self.table)
        spill(self, rows)

    monkeypatch.setattr(Partitions, "_spill", counted)
    parts = [*range(12), *([3, 1] if late else [])]  # by the hour
    for number, hour in enumerate(parts):
        part = b"".join(line(100 * number + n, second=3_600 * hour + 30 * n) for n in range(100))
        (tmp_path / f"{number:02}.log").write_bytes(part)
    add(*sorted(tmp_path.glob("*.log")))
    made = [file["table"] for file in numbered.commits(root)[1]["added"]]
    assert late or tables.TRAFFIC not in spilled
    assert made.count(tables.TRAFFIC) == (2 if late else 1)
    assert [file["table"] for file in numbered.files(root).values()].count(tables.TRAFFIC) == 1  # after compaction
    rollups, rows = (api.report(archive=root, over_time=True, rows=rows).to_dict() for rows in (False, True))
    for one in (rollups, rows):
        del one["notes"], one["generated_at"]
    assert rollups == rows


def test_years_at_both_ends_of_time(tmp_path: Path, root: Path, add: Add) -> None:
    early, late = (line(n).replace(b"17/Jan/2025", day) for n, day in ((0, b"01/Jan/0001"), (1, b"31/Dec/9999")))
    (tmp_path / "access.log").write_bytes(early + late)
    assert add(tmp_path / "access.log").counts.lines == 2
    assert numbers(root) == once((0, 2))
    paths = {path.rsplit("/", 1)[0] for path, file in numbered.files(root).items() if file["table"] == "logs"}
    assert paths == {"hot/year=1/month=1/day=1/hour=10", "hot/year=9999/month=12/day=31/hour=10"}
    assert lines_added(add(tmp_path / "access.log")) == [0]


def test_traffic_and_users_are_those_of_the_lines(tmp_path: Path, root: Path, add: Add) -> None:
    from hyperloglog import HyperLogLog

    statuses = [200, 404, 500, 301]
    (tmp_path / "a.log").write_bytes(b"".join(line(n, status=statuses[n % 4]) for n in range(400)))
    (tmp_path / "b.log").write_bytes(b"".join(line(n, status=503) for n in range(350, 700)))
    add(tmp_path / "a.log")
    add(tmp_path / "b.log")
    expected = Counter((n // 60, statuses[n % 4]) for n in range(400)) + Counter(
        (n // 60, 503) for n in range(350, 700)
    )
    found: Counter[tuple[int, int]] = Counter()
    for row in numbered.rows(root, "traffic"):
        found[int((row["minute"] - numbered.BEGIN).total_seconds()) // 60, row["status"]] += row["requests"]
    assert found == expected
    sketch = HyperLogLog(1.04 / 128)
    for n in range(700):
        sketch.add(f"10.0.{n // 250 % 250}.{n % 250}")
    registers = [0] * 16_384
    for row in numbered.rows(root, "users"):
        registers[row["register"]] = max(registers[row["register"]], row["rank"])
    assert registers == list(sketch.M)


# -- several at once, and crashes


def test_two_adds_of_one_file_at_once(tmp_path: Path, root: Path, add: Add) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 300))
    (tmp_path / "b.log").write_bytes(log(1_000, 1_100))
    reached: list[str] = []

    def second(step: str) -> None:
        reached.append(step)
        if reached.count("commit.ready") == 1 and step == "commit.ready":
            thread = threading.Thread(target=add, args=(tmp_path / "a.log",))  # its own context: no faults
            thread.start()
            thread.join()

    with faults.injected(second):
        added = add(tmp_path / "a.log", tmp_path / "b.log")
    assert lines_added(added) == [0, 100]
    assert numbers(root) == once((0, 300), (1_000, 1_100))
    assert numbered.left_over(root) == []


def test_two_adds_of_different_files_at_once_both_stay(tmp_path: Path, root: Path, add: Add) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 300))
    (tmp_path / "b.log").write_bytes(log(1_000, 1_100))
    reached: list[str] = []

    def second(step: str) -> None:
        reached.append(step)
        if reached.count("commit.ready") == 1 and step == "commit.ready":
            thread = threading.Thread(target=add, args=(tmp_path / "b.log",))
            thread.start()
            thread.join()

    with faults.injected(second):
        assert lines_added(add(tmp_path / "a.log")) == [300]
    assert [commit["what"] for commit in numbered.commits(root)] == ["init", "add", "add", "compact"]
    assert reached.count("write.synced") == 2  # of the add and of the compaction: nothing was read again
    assert numbers(root) == once((0, 300), (1_000, 1_100))


def test_processes_that_add_the_same_files(tmp_path: Path, root: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.log").write_bytes(log(number * 1_000, number * 1_000 + 500))
    command = [sys.executable, "-m", "logstats", "archive", "add", str(tmp_path / "*.log"), "--archive", str(root)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert numbers(root) == once(*((n * 1_000, n * 1_000 + 500) for n in range(4)))
    assert numbered.left_over(root) == []


class Boom(Exception):
    """What a test makes happen."""


def steps_of(work: Callable[[], object]) -> list[str]:
    reached: list[str] = []
    with faults.injected(reached.append):
        work()
    return reached


def test_an_error_at_any_step_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = init(tmp_path / "whole" / "archive").root
    reached = steps_of(lambda: grown(tmp_path / "whole", whole))
    assert set(reached) == set(faults.STEPS) - {"workspace.abandoned", "tier.verified", "erase.verified"}  # others' own
    # Of each step the first time or the last, by turns: all of them would be minutes.
    places = [[n for n, name in enumerate(reached) if name == step] for step in sorted(set(reached))]
    chosen = [of_step[-(turn % 2)] for turn, of_step in enumerate(places)]
    for number in chosen:
        folder = tmp_path / str(number)
        folder.mkdir()
        root = init(folder / "archive").root
        count = iter(range(len(reached) + 1))

        def fail(step: str, number: int = number, count: object = count) -> None:
            if next(count) == number:  # type: ignore[call-overload]
                raise Boom(step)

        with faults.injected(fail), pytest.raises(Boom):
            grown(folder, root)
        grown(folder, root)
        assert numbers(root) == once((0, 100)), reached[number]
        assert numbered.left_over(root) == [], reached[number]


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from logstats.archive.log import faults
from archives import grown
wanted, number = sys.argv[1], int(sys.argv[2])
def hook(step):
    global number
    number -= step == wanted
    if step == wanted and number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
with faults.injected(hook):
    grown(Path(sys.argv[3]), Path(sys.argv[3]) / "archive")
"""


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("write.written", 2),
        ("write.renamed", 4),
        ("commit.written", 1),
        ("commit.appeared", 0),
        ("commit.appeared", 3),
        ("compact.verified", 0),
        ("checkpoint.written", 0),
        ("sweep.file", 2),
    ],
)
def test_kill_9_at_any_step_loses_nothing(tmp_path: Path, step: str, number: int) -> None:
    root = init(tmp_path / "archive").root
    code = _KILLED.format(tests=str(Path(__file__).parent))
    killed = subprocess.run([sys.executable, "-c", code, step, str(number), str(tmp_path)], timeout=60, check=False)
    assert killed.returncode == -9
    if numbered.left_over(root):  # and whoever clears up after it may fail as well

        def fail(step: str) -> None:
            if step == "workspace.abandoned":
                raise Boom

        with faults.injected(fail), pytest.raises(Boom):
            grown(tmp_path, root)
    grown(tmp_path, root)
    assert numbers(root) == once((0, 100))
    assert numbered.left_over(root) == []


def test_a_full_disk_leaves_the_archive_as_it_was(tmp_path: Path, root: Path) -> None:
    (tmp_path / "a.log").write_bytes(log(0, 100))
    api.add(tmp_path / "a.log", root)
    (tmp_path / "b.log").write_bytes(log(1_000, 9_000))
    # No file may grow beyond this: the kernel refuses the write, as on a disk that is full.
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from logstats.cli.main import run; sys.argv = sys.argv[:1] + sys.argv[1:]; run()"
    )
    failed = subprocess.run(
        [sys.executable, "-c", code, "archive", "add", str(tmp_path / "b.log"), "--archive", str(root)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert failed.returncode == 1, failed.stderr
    assert b"the archive is as it was before" in failed.stderr
    assert b"Traceback" not in failed.stderr
    assert numbers(root) == once((0, 100))
    assert numbered.left_over(root) == []
    api.add(tmp_path / "b.log", root)
    assert numbers(root) == once((0, 100), (1_000, 9_000))


# -- the digests


@given(st.integers(0, 10**12))
def test_blocks_follow_one_another(offset: int) -> None:
    start, end = block_start(offset), block_end(offset)
    assert start <= offset < end
    assert end - start <= max(256, min(start, LARGEST_BLOCK))  # no block is longer than what is before it
    assert block_start(end) == end
    assert block_start(end - 1) == start


@given(st.binary(max_size=3_000), st.lists(st.integers(0, 3_000), max_size=6))
def test_digests_do_not_depend_on_pieces(data: bytes, cuts: list[int]) -> None:
    import base64
    import hashlib

    digest = BlockDigest()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in zip(edges, edges[1:], strict=False):
        digest.update(data[start:end])
    bounds = [0, *(b for b in (256, 512, 1_024, 2_048) if b <= len(data))]
    expected = [
        base64.b64encode(hashlib.sha256(data[a:b]).digest()[:12], b"-_").decode()
        for a, b in zip(bounds, [*bounds[1:], len(data)], strict=True)
    ]
    assert [*digest.blocks, digest.tail] == expected


def test_the_library_says_what_it_did(tmp_path: Path, root: Path, add: Add) -> None:
    (tmp_path / "access.log").write_bytes(log(0, 10))
    added = add(tmp_path / "access.log", tmp_path / "missing.log")
    assert [(o.name.rsplit("/", 1)[1], o.counts.lines, o.problem is None) for o in added.outcomes] == [
        ("access.log", 10, True),
        ("missing.log", 0, False),
    ]
    assert added.commits == [2]
    assert Archive.open(root).snapshot().number == 2
    assert os.listdir(root / "work") == []  # noqa: PTH208
    assert logstats.__version__ in numbered.commits(root)[1]["by"]
