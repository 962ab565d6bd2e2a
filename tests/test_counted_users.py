"""What a file of users says of its rows: the same as the rows, whatever commits wrote them; never believed if it is
damaged or false."""

from __future__ import annotations

import base64
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import archives
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats import api
from logstats.archive import verify
from logstats.archive.archive import Archive
from logstats.archive.log import counted_users, tables
from logstats.archive.log.commit import ArchiveError
from logstats.archive.query import report, rows
from logstats.sketches import hll

UTC_TIME = pl.Datetime("us", "UTC")
ROWS = st.dictionaries(
    st.tuples(st.integers(-(10**6), 10**6), st.integers(0, hll.REGISTERS - 1)), st.integers(1, hll.MAX_RANK), min_size=1
)


def table_of(found: dict[tuple[int, int], int]) -> pl.DataFrame:
    """(minute, register) → rank as a file of users has it."""
    keys = sorted(found)
    return pl.DataFrame(
        {
            "minute": pl.Series([minute * 60_000_000 for minute, _ in keys], dtype=pl.Int64).cast(UTC_TIME),
            "register": pl.Series([register for _, register in keys], dtype=pl.UInt16),
            "rank": pl.Series([found[key] for key in keys], dtype=pl.UInt8),
        }
    )


@given(ROWS, st.integers(1, 4))
def test_pieces_say_what_the_whole_gives(found: dict[tuple[int, int], int], pieces: int) -> None:
    table = table_of(found)
    counting = counted_users.Counting()
    minutes = table["minute"].unique().sort()
    for number in range(pieces):  # each has whole minutes
        some = minutes[number * len(minutes) // pieces : (number + 1) * len(minutes) // pieces]
        part = table.filter(pl.col("minute").is_in(some.implode()))
        if part.height:
            counting.add(part.to_arrow())
    text = counting.text()
    assert text is not None
    counted, registers = counted_users.unpacked(text)
    wanted, whole = hll.users_by_minute(table)
    assert counted.equals(wanted)
    assert registers.tolist() == whole.tolist()


def test_a_minute_in_two_pieces_is_not_counted() -> None:
    counting = counted_users.Counting()
    for register in (1, 2):
        counting.add(table_of({(7, register): 3}).to_arrow())
    assert counting.text() is None
    assert counted_users.Counting().text() is None


GOOD = counted_users.packed(*hll.users_by_minute(table_of({(7, 1): 3, (8, 2): 1})))
INSIDE = zlib.decompress(base64.b64decode(GOOD))


def _text(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        base64.b64encode(b"no zlib").decode(),
        GOOD[:-8],
        _text(INSIDE[:-8]),
        _text(INSIDE[: hll.REGISTERS]),
        _text(bytes([hll.MAX_RANK + 1]) + INSIDE[1:]),
        _text(INSIDE[: hll.REGISTERS] + np.array([8, 7, 1, 1]).tobytes()),
        _text(INSIDE[: hll.REGISTERS] + np.array([7, 8, 1, 0]).tobytes()),
        _text(bytes(80 << 20)),
    ],
)
def test_what_no_file_says(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        counted_users.unpacked(text)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three days. The users of the first lie in one file, those of the second in two for different minutes, those of
    the third in two that share all minutes, as commits write them before files are put together."""
    folder = tmp_path_factory.mktemp("logs")
    archive = archives.build(
        folder / "archive", [archives.day_of("combined_time.log", day, folder) for day in (17, 18, 19)]
    )
    _, second, third = archive.snapshot().select(tables.USERS)
    noon = datetime(2025, 1, 18, 12, tzinfo=UTC)
    for file, is_first in ((second, pl.col("minute") < noon), (third, pl.col("register") % 2 == 0)):
        whole = rows.read(archive, [file], list(tables.columns(tables.USERS)), tables.USERS)
        archives.replace(archive, file, [whole.filter(is_first), whole.filter(~is_first)])
    return archive


def asked(archive: Archive, **options: Any) -> dict[str, Any]:
    found = api.report(archive=archive.root, now=datetime(2025, 2, 1, tzinfo=UTC), **options).to_dict()
    return {name: found[name] for name in ("unique_users", "requests", "minutes")}


@pytest.mark.parametrize("since", [None, "2025-01-17T11:00", "2025-01-17T11:07"])
def test_a_report_is_the_same_as_from_the_rows(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, since: str | None
) -> None:
    found = asked(archive, since=since)
    assert found == asked(archive, since=since, rows=True)
    monkeypatch.setattr(report, "users_of", lambda *_: None)  # as if an earlier version had written the files
    assert found == asked(archive, since=since)


def test_rows_of_whole_files_are_not_read(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the minutes that two commits have are read, row by row."""
    read: list[int] = []
    users_by_minute = hll.users_by_minute

    def noted(table: pl.DataFrame) -> tuple[pl.DataFrame, hll.Registers]:
        read.extend(table["minute"].dt.day().unique())
        return users_by_minute(table)

    monkeypatch.setattr(hll, "users_by_minute", noted)
    asked(archive)
    assert {*read} == {19}


def test_what_is_damaged_is_named(archive: Archive, tmp_path: Path) -> None:
    for text, what in (("x", "is damaged"), (GOOD, "is not about the minutes of its rows")):
        copy, path = archives.saying(archive, tmp_path / what, tables.USERS, counted_users.Counting, text)
        with pytest.raises(ArchiveError, match=rf"{path}: .*{what}"):
            asked(copy)
        (finding,) = verify.verify(copy)
        assert finding.path == path
        assert what in finding.what


def test_what_is_false_is_found(archive: Archive, tmp_path: Path) -> None:
    file = archive.snapshot().select(tables.USERS)[0]
    found = rows.users_of(archive, file)
    assert found is not None
    counted, registers = found
    more = counted_users.packed(counted.with_columns(pl.col("users") + 1), registers)
    copy, path = archives.saying(archive, tmp_path / "false", tables.USERS, counted_users.Counting, more)
    (finding,) = verify.verify(copy)
    assert (finding.path, finding.what) == (path, "what it says of its users is not what its rows give")
    assert [*verify.verify(archive)] == []
