"""What of an archive is not read because it cannot hold what is asked for, and that nothing is missed by that.

DuckDB reads the same Bloom filters with code of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from archives import make, move
from hypothesis import given
from hypothesis import strategies as st
from program import invoke

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.query import bloom, rows

HOURS = 3
ROWS = 200  # of each hour
MAPPED = "::ffff:10.0.1.7"


def trace(hour: int, number: int) -> str:
    return f"{hour}{number:031x}"


def address(hour: int, number: int) -> str:
    """Those of the last hour are in part written as addresses of IPv6."""
    return MAPPED if (hour, number) == (2, 7) else f"10.0.{hour}.{number}"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("pruning")
    lines = [
        json.dumps(
            {
                "time": f"2025-01-17T{hour:02}:{number // 60:02}:{number % 60:02}Z",
                "method": "GET",
                "path": f"/{'x' * (5000 if number == 1 else 1)}/{hour}/{number}",
                "status": 200,
                "client_ip": address(hour, number),
                "trace_id": trace(hour, number),
                "user_id": None if hour == 1 else f"user{number % 5}",
            }
        )
        for hour in range(HOURS)
        for number in range(ROWS)
    ]
    (folder / "a.log").write_text("\n".join(lines) + "\n")
    return make(folder / "archive", [folder / "a.log"])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The numbers of columns of each row group that is read."""
    read: list[Any] = []
    plain = pq.ParquetFile.read_row_group

    def counted(self: Any, group: int, columns: Any = None, **more: Any) -> Any:
        read.append(len(columns))
        return plain(self, group, columns=columns, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    return read


def found(archive: Archive, *words: str) -> list[tuple[str, str]]:
    """The paths and trace ids of what is found."""
    ran = invoke("search", *words, "-o", "jsonl", "--archive", str(archive.root))
    assert ran.returncode == 0, ran.stderr
    rows = map(json.loads, ran.stdout.splitlines())
    return [(row["path"].rpartition("x")[2], row["trace_id"]) for row in rows]


def test_only_row_groups_that_may_hold_a_value_are_read(archive: Archive, reads: list[int]) -> None:
    wanted = [("/1/33", trace(1, 33))]
    for where in (
        f"trace_id = '{trace(1, 33)}'",
        "client_ip = 10.0.1.33",
        "path in ('/x/1/33', '/x/9/9')",
        f"user_id is null and trace_id = '{trace(1, 33)}' and status = 200",
    ):
        reads.clear()
        assert found(archive, "--where", where) == wanted, where
        few = [number for number in reads if number < 5]  # what tells; then all columns, of one row group
        assert (len(few), len(reads)) == ((2, 3) if "client_ip" in where else (1, 2)), where
    reads.clear()
    assert found(archive, "--where", f"trace_id = '{trace(1, 999)}'") == []
    assert found(archive, "--path", "/x/1/999") == []
    assert found(archive, "x", "--where", "user_id = 'user7'") == []
    assert reads == []


def test_an_address_that_is_written_as_one_of_ipv6_is_found(archive: Archive) -> None:
    both = [("/1/7", trace(1, 7)), ("/2/7", trace(2, 7))]
    assert found(archive, "--where", "client_ip = 10.0.1.7") == both
    assert found(archive, "--where", "client_ip = '::ffff:a00:107'") == both


def test_texts_of_any_length_in_all_tiers(archive: Archive, tmp_path: Path) -> None:
    moved = make(tmp_path / "archive", [archive.root.parent / "a.log"])
    for tier in ("hot", "warm", "cold"):
        assert {file.tier for file in moved.snapshot().select(tables.LOGS)} == {tier}
        for hour in range(HOURS):
            path = f"/{'x' * 5000}/{hour}/1"
            assert found(moved, "--where", f"path = '{path}'") == [(f"/{hour}/1", trace(hour, 1))]
            assert found(moved, trace(hour, 5)) == [(f"/{hour}/5", trace(hour, 5))]
        for file in moved.snapshot().select(tables.LOGS):
            group = pq.ParquetFile(moved.storage.at(file.path)).metadata.row_group(0)
            columns = map(group.column, range(group.num_columns))
            filtered = {column.path_in_schema for column in columns if column.bloom_filter_offset is not None}
            assert filtered == {"path", "user_id", "client_ip", "trace_id"}
        move(moved, policy='[warm]\nafter = "1d"' if tier == "hot" else '[cold]\nafter = "2d"')


@given(st.text(max_size=99))
def test_duckdb_reads_the_same_filter(archive: Archive, text: str) -> None:
    file = archive.storage.at(next(iter(archive.snapshot().select(tables.LOGS))).path)
    index = tables.arrow_schema(tables.LOGS).names.index("trace_id")
    column = pq.ParquetFile(file).metadata.row_group(0).column(index)
    with Path(file).open("rb") as opened:
        opened.seek(column.bloom_filter_offset)
        bits = bloom.bits_of(opened.read(column.bloom_filter_length))
    assert bits is not None
    for value in (text, trace(0, len(text)), trace(0, 33) + text):
        probe = "SELECT bloom_filter_excludes FROM parquet_bloom_probe($file, 'trace_id', $value)"
        excluded = duckdb.execute(probe, {"file": file, "value": value}).fetchall()[0]
        assert excluded == (not bloom.may_hold(bits, bloom.hash_of(value.encode())),)


@pytest.mark.parametrize("data", [b"", b"\x15", b"\x15\x80\x80\x80\x80\x80\x80", b"\x15\x40" + b"\0" * 31, b"PAR1" * 9])
def test_what_is_no_filter_leaves_nothing_out(data: bytes) -> None:
    assert bloom.bits_of(data) is None


@given(st.lists(st.tuples(st.sampled_from([0, 1, 5, rows.BATCH // 2, rows.BATCH, 3 * rows.BATCH + 1]), st.booleans())))
def test_neighbouring_row_groups_are_read_together(groups: list[tuple[int, bool]]) -> None:
    sizes = [size for size, _ in groups]
    asked = [number for number, (_, is_asked) in enumerate(groups) if is_asked]
    found = list(rows._stretches(asked, sizes))
    assert all(0 < count <= rows.BATCH for _, count in found)
    assert all(start + count <= following for (start, count), (following, _) in zip(found, found[1:], strict=False))
    covered = [(start, start + count) for start, count in found]
    for number, (size, is_asked) in enumerate(groups):
        first, end = sum(sizes[:number]), sum(sizes[: number + 1])
        held = sum(max(0, min(end, b) - max(first, a)) for a, b in covered)
        assert held == (size if is_asked else 0)
