"""What a file of endpoints says of its rows: the same as the rows, whatever hours they are of; never believed if it is
damaged or false."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import archives
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds import examples

from logstats import api, durations, schema
from logstats.archive import verify
from logstats.archive.archive import Archive
from logstats.archive.log import summed_endpoints, tables
from logstats.archive.log.commit import ArchiveError
from logstats.archive.query import report, rows

KINDS = tables.columns(tables.ENDPOINTS)
KEYS = ["method", "endpoint", "status_class", "bucket"]
ROW = st.fixed_dictionaries(
    {
        "hour": st.integers(-(10**6), 10**6),
        "method": st.none() | st.sampled_from(["GET", "POST", "é"]),
        "endpoint": st.none() | st.sampled_from(["/", "/a", "", "/é/{id}", schema.OTHER, schema.MALFORMED]),
        "status_class": st.integers(0, 9),
        "bucket": st.none() | st.integers(-690, 2**31 - 1),
        "requests": st.integers(1, 2**40),
        "bytes": st.integers(0, 2**62),
        "spans": st.lists(st.integers(0, 2**60), max_size=3),
    }
)


def as_stored(found: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a file, their durations in nanoseconds as microseconds and a rest."""

    def split(ns: int) -> tuple[int, int]:
        us = (ns + durations.HALF_US) // 1000
        return us, ns - us * 1000

    columns: dict[str, list[Any]] = {name: [] for name in KINDS}
    for row in found:
        spans = row["spans"]
        figures: dict[str, Any] = {**row, "timed": len(spans), "hour": row["hour"] * 3_600_000_000}
        for name, value in (("", sum(spans)), ("_min", min(spans, default=None)), ("_max", max(spans, default=None))):
            figures[f"us{name}"], figures[f"rest_ns{name}"] = (None, None) if value is None else split(value)
        for name, column in columns.items():
            column.append(figures[name])
    made = [pl.Series(name, columns[name], pl.Int64 if name == "hour" else None, strict=False) for name in KINDS]
    return pl.DataFrame([column.cast(KINDS[column.name]) for column in made])


def as_dictionary(found: list[dict[str, Any]]) -> dict[tuple[Any, ...], list[Any]]:
    """What rows come to, the slow way: requests, durations, bytes, their sum, minimum and maximum, the first hour."""
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for row in found:
        held = sums.setdefault(tuple(row[key] for key in KEYS), [0, 0, 0, 0, None, None, None])
        spans, hour = row["spans"], row["hour"] * 60
        for place, more in enumerate((row["requests"], len(spans), row["bytes"], sum(spans))):
            held[place] += more
        if spans:
            held[4] = min(spans) if held[4] is None else min(held[4], *spans)
            held[5] = max(spans) if held[5] is None else max(held[5], *spans)
        held[6] = hour if held[6] is None else min(held[6], hour)
    return sums


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 4))
def test_pieces_say_what_a_dictionary_has(found: list[dict[str, Any]], pieces: int) -> None:
    table = as_stored(found)
    summing = summed_endpoints.Summing()
    for number in range(pieces):
        part = table[number * len(found) // pieces : (number + 1) * len(found) // pieces]
        if part.height:
            summing.add(part.to_arrow())
    wanted = as_dictionary(found)
    text = summing.text()
    if max(max(sums[2], sums[3] // 1000 + 1) for sums in wanted.values()) >= 2**63:
        return  # such a file may say nothing
    assert text is not None
    said = summed_endpoints.unpacked(text)
    assert dict(said.schema) == summed_endpoints.SHAPE.schema
    assert {
        tuple(row[key] for key in KEYS): [
            *(row[name] for name in ("requests", "timed", "bytes")),
            row["us"] * 1000 + row["rest_ns"],
            *(row[name] for name in ("ns_min", "ns_max", "first")),
        ]
        for row in said.iter_rows(named=True)
    } == wanted


def test_a_file_with_many_endpoints_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"hour": 1, "method": "GET", "status_class": 2, "bucket": 7, "requests": 1, "bytes": 1, "spans": [5]}
    table = as_stored([{**row, "endpoint": f"/{number}"} for number in range(50)])
    for most, says in ((50, True), (49, False)):
        monkeypatch.setattr(summed_endpoints, "MOST_ROWS", most)
        summing = summed_endpoints.Summing()
        summing.add(table.to_arrow())
        assert (summing.text() is not None) is says
    assert summed_endpoints.Summing().text() is None


def test_a_sum_beyond_64_bits_is_not_said() -> None:
    row = {"hour": 1, "method": "GET", "endpoint": "/", "status_class": 2, "bucket": 7, "requests": 1, "spans": [5]}
    summing = summed_endpoints.Summing()
    summing.add(as_stored([{**row, "bytes": 2**62}] * 2).to_arrow())
    assert summing.text() is None


ONE = {"hour": 1, "method": "GET", "endpoint": "/", "status_class": 2, "bucket": 7, "requests": 1, "bytes": 1}
GOOD = summed_endpoints.packed(summed_endpoints.summed(as_stored([{**ONE, "spans": [5]}]))) or ""
HEAD, _, DATA = zlib.decompress(base64.b64decode(GOOD)).partition(b"\n")


def text_of(data: bytes, **changed: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(json.loads(HEAD) | changed).encode() + b"\n" + data)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        base64.b64encode(b"no zlib").decode(),
        GOOD[:-8],
        base64.b64encode(zlib.compress(b"no JSON\n" + DATA)).decode(),
        base64.b64encode(zlib.compress(b"[" * 100_000 + b"\n" + DATA)).decode(),
        text_of(DATA[:-1]),
        text_of(b""),
        text_of(DATA, names=[]),
        text_of(DATA, names=7),
        text_of(DATA, names=[[["GET"], "/"]]),
        text_of(DATA, kinds={}),
        text_of(DATA, kinds=dict.fromkeys(json.loads(HEAD)["kinds"], "O")),
        text_of(bytes([9]) + DATA[1:]),
        text_of(DATA[:1] + b"\x7f" + DATA[2:]),
        text_of(b"\xff" * len(DATA)),
        text_of(bytes(80 << 20)),
    ],
)
def test_what_no_file_says(text: str) -> None:
    assert summed_endpoints.unpacked(GOOD).height == 1
    with pytest.raises(ValueError, match=r"\w"):
        summed_endpoints.unpacked(text)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three days; the endpoints of the last one lie in two files, as commits write them."""
    folder = tmp_path_factory.mktemp("logs")
    logs = [archives.day_of("combined_time.log", day, folder) for day in (17, 18, 19)]
    archive = archives.build(folder / "archive", logs)
    file = archive.snapshot().select(tables.ENDPOINTS)[-1]
    whole = rows.read(archive, [file], list(KINDS), tables.ENDPOINTS)
    archives.replace(archive, file, [whole.filter(pl.col("requests") % 2 == odd) for odd in (0, 1)])
    return archive


def asked(archive: Archive, **options: Any) -> dict[str, Any]:
    found = api.report(archive=archive.root, now=datetime(2025, 2, 1, tzinfo=UTC), **options).to_dict()
    return {name: found[name] for name in ("endpoints", "latency_ms", "requests", "bytes")}


SPANS = [{}, {"since": "2025-01-17T11:00"}, {"since": "2025-01-17T11:07", "until": "2025-01-19T20:00"}]


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("options", [{}, {"sort": "p99", "max_endpoints": 5}])
def test_a_report_is_the_same_as_from_the_rows(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, span: dict[str, str], options: dict[str, Any]
) -> None:
    found = asked(archive, **span, **options)
    if not options:  # which endpoints are held under a cap depends on how they came
        assert found == asked(archive, **span, rows=True)
    monkeypatch.setattr(report, "endpoints_of", lambda *_: None)  # as if an earlier version had written the files
    assert found == asked(archive, **span, **options)


def test_rows_of_whole_files_are_not_read(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    inside = report._inside_of

    def noted(archive: Archive, table: str, files: list[Any], span: Any) -> pl.LazyFrame:
        read.append(table)
        return inside(archive, table, files, span)

    monkeypatch.setattr(report, "_inside_of", noted)
    asked(archive)
    assert tables.ENDPOINTS not in read
    asked(archive, since="2025-01-17T11:00")
    assert tables.ENDPOINTS in read


def test_what_is_damaged_is_named(archive: Archive, tmp_path: Path) -> None:
    copy, path = archives.saying(archive, tmp_path / "damaged", tables.ENDPOINTS, summed_endpoints.Summing, "x")
    with pytest.raises(ArchiveError, match=rf"{path}: .*what it says of its endpoints is damaged"):
        asked(copy)
    (finding,) = verify.verify(copy)
    assert finding.path == path
    assert "is damaged" in finding.what


def test_what_is_false_is_found(archive: Archive, tmp_path: Path) -> None:
    found = rows.endpoints_of(archive, archive.snapshot().select(tables.ENDPOINTS)[0])
    assert found is not None
    more = summed_endpoints.packed(found.with_columns(pl.col("bytes") + 1))
    assert more is not None
    copy, path = archives.saying(archive, tmp_path / "false", tables.ENDPOINTS, summed_endpoints.Summing, more)
    (finding,) = verify.verify(copy)
    assert (finding.path, finding.what) == (path, "what it says of its endpoints is not what its rows give")
    assert [*verify.verify(archive)] == []
