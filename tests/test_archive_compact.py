"""Small files become one when their hour has closed; what nothing needs is deleted, and nothing else."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numbered
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats import api, pipeline
from logstats.archive.add import add as add_to
from logstats.archive.archive import Archive
from logstats.archive.create import init
from logstats.archive.ingest.ingest import COMMIT_SECONDS, IngestOptions
from logstats.archive.log import paths, tables
from logstats.archive.log.commit import DataFile
from logstats.archive.log.orphans import sweep
from logstats.archive.log.parquet_writer import Writer
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.archive.tiers import compact
from logstats.inputs import discover

HOUR = (2025, 1, 17, 10)
END = datetime(2025, 1, 17, 11, tzinfo=UTC)


def file(number: int, rows: int, partition: paths.Partition = HOUR, table: str = tables.LOGS) -> DataFile:
    path = f"{paths.folder(table, tables.tier_of(table), partition)}/writer-{number}.parquet"
    return DataFile(path, table, tables.tier_of(table), rows, rows * 10, "", END, END)


def snapshot(*files: DataFile) -> Snapshot:
    return Snapshot(1, END, {f.path: f for f in files})


def sizes(found: list[compact.Group]) -> list[list[int]]:
    return [[f.rows for f in group] for group in found]


def test_an_hour_waits_until_it_has_closed() -> None:
    held = snapshot(file(0, 5), file(1, 7))
    assert compact.due(held, END + compact.SETTLE - timedelta(seconds=1)) == []
    assert sizes(compact.due(held, END + compact.SETTLE)) == [[5, 7]]
    many = snapshot(*(file(n, 5) for n in range(compact.OPEN_FILES)))
    assert sizes(compact.due(many, END)) == [[5] * compact.OPEN_FILES]


def test_a_late_line_does_not_rewrite_its_hour() -> None:
    later = END + timedelta(days=1)
    assert compact.due(snapshot(file(0, 1_000_000), file(1, 3)), later) == []
    assert sizes(compact.due(snapshot(file(0, 1_000_000), file(1, 3), file(2, 4)), later)) == [[3, 4]]
    assert sizes(compact.due(snapshot(file(0, 1_000_000), file(1, 300_000)), later)) == [[1_000_000, 300_000]]


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=60))
def test_however_files_come_each_row_is_written_a_few_times(arrivals: list[int]) -> None:
    """As with a log-structured merge: rows are written again only together with at least a fifth as many others."""
    held: list[int] = []
    written = 0
    for number, rows in enumerate(arrivals):
        held.append(rows)
        files = snapshot(*(file(n, r) for n, r in enumerate(held)))
        for group in compact.due(files, END + timedelta(days=1)):
            for f in group:
                held.remove(f.rows)
            held.append(sum(f.rows for f in group))
            written += held[-1]
        assert sum(held) == sum(arrivals[: number + 1])
        assert len(held) <= 12
    assert written <= 25 * sum(arrivals) + 16_384 * len(arrivals)


def test_days_at_the_end_of_time_never_close() -> None:
    last = [file(n, 5, (9999, 12, 31, 23)) for n in range(2)]
    assert compact.due(snapshot(*last), datetime(9999, 12, 31, tzinfo=UTC)) == []


def grow(tmp_path: Path, root: Path, ends: list[int]) -> None:
    for end in ends:
        (tmp_path / "access.log").write_bytes(numbered.log(0, end))
        api.add(tmp_path / "access.log", root)


def test_compaction_keeps_every_row_and_figure(tmp_path: Path) -> None:
    small, whole = init(tmp_path / "small").root, init(tmp_path / "whole").root
    grow(tmp_path, small, [50, 100, 150, 4_000])
    (tmp_path / "whole.log").write_bytes(numbered.log(0, 4_000))
    api.add(tmp_path / "whole.log", whole)
    held = numbered.files(small).values()
    assert [commit["what"] for commit in numbered.commits(small)].count("compact") >= 2
    assert {table: sum(f["table"] == table for f in held) for table in tables.TABLES} == {
        **dict.fromkeys(tables.TABLES, 1), tables.LOGS: 2, tables.LATENCY: 0, tables.REJECTS: 0,
    }  # fmt: skip
    for table in tables.TABLES:
        one, other = (sorted(numbered.rows(root, table), key=str) for root in (small, whole))
        for row in (*one, *other):
            row.pop("source", None)
        assert one == other, table


def test_removed_files_stay_for_those_who_read_them(tmp_path: Path) -> None:
    root = init(tmp_path / "archive").root
    grow(tmp_path, root, [50, 100])
    archive = Archive.open(root)
    removed = archive.snapshot().removed
    assert removed
    now = datetime.now(UTC)
    assert sweep(archive, now).removed == 0
    assert not any((root / path).exists() for path in removed)
    assert all((root / "work/replaced" / f"{path}.old").exists() for path in removed)
    assert sweep(archive, now + timedelta(hours=25)).removed == len(removed)
    assert not list((root / "work").iterdir())
    assert archive.snapshot().removed == {}
    assert sweep(archive, now + timedelta(hours=25)).removed == 0
    assert numbered.numbers(root) == numbered.once((0, 100))


def test_what_a_live_writer_has_begun_is_left_alone(tmp_path: Path) -> None:
    root = init(tmp_path / "archive").root
    (tmp_path / "access.log").write_bytes(numbered.log(0, 10))
    archive = Archive.open(root)
    with Workspace(archive) as workspace:
        writer = Writer(workspace, tables.REJECTS, (2025, 1, 17))
        begun = root / (writer.path + paths.TEMPORARY)
        assert sweep(archive, datetime.now(UTC)).left_over == 0
        assert begun.exists()
        writer.abandon()
    assert not begun.exists()
    assert numbered.left_over(root) == []


def test_a_long_source_is_committed_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logstats.archive.ingest.ingest.CHUNK", 1 << 20)
    root = init(tmp_path / "archive").root
    (tmp_path / "access.log").write_bytes(numbered.log(0, 60_000))
    how = IngestOptions(reading=api.Options().reading(frozenset()), commit_rows=15_000)
    added = add_to(Archive.open(root), discover([str(tmp_path / "access.log")])[0], how, pipeline.Silence())
    assert [outcome.counts.lines for outcome in added.outcomes] == [60_000]
    assert len(added.commits) > 2
    ends = [commit["sources"][0]["end"]["lines"] for commit in numbered.commits(root) if commit["sources"]]
    assert ends == sorted(set(ends))
    assert ends[-1] == 60_000
    assert numbered.numbers(root) == numbered.once((0, 60_000))
    assert api.add(tmp_path / "access.log", root).counts.lines == 0


def test_a_pipe_is_committed_as_time_passes(tmp_path: Path) -> None:
    root = init(tmp_path / "archive").root
    (tmp_path / "access.log").write_bytes(numbered.log(0, 300))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    passed = iter(range(0, 10**6, COMMIT_SECONDS))
    asked = threading.Event()

    def clock() -> int:
        if (now := next(passed)) > 0:  # the first lines have been taken
            asked.set()
        return now

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(numbered.log(0, 100))
            asked.wait(timeout=30)
            file.write(numbered.log(100, 300))

    writer = threading.Thread(target=write)
    writer.start()
    how = IngestOptions(reading=api.Options().reading(frozenset()), clock=clock)
    added = add_to(Archive.open(root), discover([str(pipe)])[0], how, pipeline.Silence())
    writer.join()
    lines = [commit["counts"]["lines"] for commit in numbered.commits(root) if commit["what"] == "add"]
    assert (lines[0], sum(lines)) == (100, 300)
    assert len(added.commits) == len(lines)
    assert api.add(tmp_path / "access.log", root).counts.lines == 0
    assert numbered.numbers(root) == numbered.once((0, 300))


def test_fields_of_a_w3c_log_are_known_where_it_goes_on(tmp_path: Path) -> None:
    root = init(tmp_path / "archive").root
    head = b"#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2025-01-17 10:00:00\n"
    fields = b"#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-bytes time-taken\n"
    lines = [b"2025-01-17 10:%02d:%02d 10.0.0.1 GET /item/%d 200 %d 12\n" % (n // 60, n % 60, n, n) for n in range(90)]
    other = b"#Fields: date time cs-method cs-uri-stem c-ip sc-status\n"
    more = [b"2025-01-17 10:%02d:%02d GET /item/%d 10.0.0.2 404\n" % (n // 60, n % 60, n) for n in range(90, 120)]
    whole = head + fields + b"".join(lines) + other + b"".join(more)
    log = tmp_path / "u_ex250117.log"
    cuts = [len(head + fields) + 3_000, whole.index(other) + 10, whole.index(other) + len(other) + 500, len(whole)]
    for cut in cuts:
        log.write_bytes(whole[:cut])
        added = api.add(log, root)
        assert added.counts.rejected == 0
    assert numbered.numbers(root) == numbered.once((0, 120))
    held = {int(row["path"].rsplit("/", 1)[1]): row for row in numbered.rows(root, "logs")}
    assert {held[n]["client_ip"] for n in range(90)} == {"10.0.0.1"}
    assert {(held[n]["client_ip"], held[n]["status"]) for n in range(90, 120)} == {("10.0.0.2", 404)}
