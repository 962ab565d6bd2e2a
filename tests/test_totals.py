"""What files of endpoints and traffic say of their rows: the same as the rows, whatever hours, methods and hosts these
are of; never believed if it is damaged or false."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import archives
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rounds import examples

from logstats import api, durations, schema
from logstats.archive import verify
from logstats.archive.archive import Archive
from logstats.archive.log import tables, totals
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


def said_of(table: str, rows: pl.DataFrame, pieces: int = 1) -> str | None:
    """What a file says that is written in so many pieces."""
    adding = totals.Adding(table)
    for number in range(pieces):
        part = rows[number * rows.height // pieces : (number + 1) * rows.height // pieces]
        if part.height:
            adding.add(part.to_arrow())
    return adding.text()


@pytest.fixture(autouse=True)
def _any_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "LEAST_ROWS", 1)


ANY = settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 4))
def test_pieces_say_what_a_dictionary_has(found: list[dict[str, Any]], pieces: int) -> None:
    text = said_of(tables.ENDPOINTS, as_stored(found), pieces)
    wanted = as_dictionary(found)
    if max(max(sums[2], sums[3] // 1000 + 1) for sums in wanted.values()) >= 2**63:
        return  # such a file may say nothing
    assert text is not None
    said = totals.unpacked(tables.ENDPOINTS, [text])
    assert dict(said.schema) == totals.SHAPES[tables.ENDPOINTS].schema
    assert {
        tuple(row[key] for key in KEYS): [
            *(row[name] for name in ("requests", "timed", "bytes")),
            row["us"] * 1000 + row["rest_ns"],
            *(row[name] for name in ("ns_min", "ns_max", "first")),
        ]
        for row in said.iter_rows(named=True)
    } == wanted


MINUTE = st.fixed_dictionaries(
    {
        "minute": st.integers(-(10**6), 10**6).map(lambda number: number // 10**5),
        "kind": st.sampled_from(["request", "event"]),
        "status": st.none() | st.sampled_from([0, 99, 100, 200, 204, 503, 999]),
        "level": st.none() | st.sampled_from(["", "error", "é"]),
        "method": st.sampled_from(["GET", "POST"]),
        "number": st.integers(0, 2**40),
        "bytes": st.integers(0, 2**40),
        "spans": st.tuples(st.integers(0, 59_999_999), st.integers(0, 59_999_999)),
    }
)


def as_traffic(found: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a file of `traffic`."""
    kinds = tables.columns(tables.TRAFFIC)
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    for row in found:
        minute, is_event = row["minute"] * 60_000_000, row["kind"] == "event"
        first, last = sorted(row["spans"])
        figures = {**row, "minute": minute, "host": None, "app_name": None, "first": minute + first}
        figures |= {"last": minute + last, "requests": 0 if is_event else row["number"]}
        figures |= {"events": row["number"] if is_event else 0}
        for name, column in columns.items():
            column.append(figures[name])
    times = ("minute", "first", "last")
    made = [pl.Series(name, column, pl.Int64 if name in times else None) for name, column in columns.items()]
    return pl.DataFrame([column.cast(kinds[column.name]) for column in made])


@ANY
@given(st.lists(MINUTE, min_size=1, max_size=30), st.integers(1, 4))
def test_traffic_by_its_parts(found: list[dict[str, Any]], pieces: int) -> None:
    minutes: dict[tuple[int, int], list[int]] = {}
    statuses: dict[int | None, int] = {}
    levels: dict[str | None, int] = {}
    times: list[int] = []
    for row in found:
        times += [row["minute"] * 60_000_000 + span for span in row["spans"]]
        if row["kind"] == "event":
            levels[row["level"]] = levels.get(row["level"], 0) + row["number"]
            continue
        held = minutes.setdefault((row["minute"], (row["status"] or 0) // 100), [0, 0])
        held[0] += row["number"]
        held[1] += row["bytes"]
        statuses[row["status"]] = statuses.get(row["status"], 0) + row["number"]
    text = said_of(tables.TRAFFIC, as_traffic(found), pieces)
    assert text is not None
    said = totals.unpacked(tables.TRAFFIC, [text])
    assert dict(said.schema) == totals.SHAPES[tables.TRAFFIC].schema
    part = {name: said.filter(pl.col("part") == name) for name in ("minutes", "statuses", "levels", "times")}
    assert sum(table.height for table in part.values()) == said.height
    assert {row[:2]: [*row[2:]] for row in part["minutes"].select(MINUTES).iter_rows()} == minutes
    assert dict(part["statuses"].select("status", "requests").iter_rows()) == statuses
    assert dict(part["levels"].select("level", "events").iter_rows()) == levels
    assert part["times"].select("earliest", "latest").rows() == [(min(times), max(times))]


MINUTES = ("minute", "status_class", "requests", "bytes")
ONE = {"hour": 1, "method": "GET", "endpoint": "/", "status_class": 2, "bucket": 7, "requests": 1, "bytes": 1}
TIMED = {**ONE, "spans": [5]}


def test_a_file_with_many_endpoints_or_few_rows_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = as_stored([{**TIMED, "endpoint": f"/{number}"} for number in range(50)])
    for most, says in ((50, True), (49, False)):
        monkeypatch.setattr(totals, "MOST_ROWS", most)
        assert (said_of(tables.ENDPOINTS, table) is not None) is says
        assert (said_of(tables.ENDPOINTS, table, 3) is not None) is says
    monkeypatch.setattr(totals, "MOST_ROWS", 50)
    for least, says in ((50, True), (51, False)):
        monkeypatch.setattr(totals, "LEAST_ROWS", least)
        assert (said_of(tables.ENDPOINTS, table, 3) is not None) is says
    assert totals.Adding(tables.TRAFFIC).text() is None


def test_a_sum_beyond_64_bits_is_not_said() -> None:
    assert said_of(tables.ENDPOINTS, as_stored([{**TIMED, "bytes": 2**62}] * 2)) is None


def text_of(table: pl.DataFrame) -> str:
    """Any table in the place of totals."""
    file = io.BytesIO()
    table.write_parquet(file)
    return base64.b64encode(file.getvalue()).decode()


GOOD = totals.packed(totals.of(tables.ENDPOINTS, as_stored([TIMED]))) or ""
DATA = base64.b64decode(GOOD)
TABLE = pl.read_parquet(DATA)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        "é",
        GOOD[:-8],
        base64.b64encode(b"no Parquet").decode(),
        base64.b64encode(DATA[:4] + b"\xff" * 40 + DATA[44:]).decode(),
        base64.b64encode(DATA[:-40] + b"\xff" * 20 + DATA[-20:]).decode(),
        text_of(pl.DataFrame({"a": [1]})),
        text_of(TABLE.drop("ns_max")),
        text_of(TABLE.with_columns(pl.col("bytes").cast(pl.Int32))),
        text_of(TABLE.with_columns(timed=pl.lit(None, pl.Int64))),
        text_of(TABLE.with_columns(requests=pl.lit(-1, pl.Int64))),
        text_of(TABLE.with_columns(status_class=pl.lit(10, pl.UInt8))),
    ],
)
def test_what_no_file_says(text: str) -> None:
    assert totals.unpacked(tables.ENDPOINTS, [GOOD, GOOD]).height == 2
    for texts in ([text], [GOOD, text], [text, GOOD]):
        with pytest.raises(ValueError, match=r"\w"):
            totals.unpacked(tables.ENDPOINTS, texts)


@pytest.mark.parametrize("table", [TABLE.clear(), pl.concat([TABLE] * 30_001)])
def test_no_totals_and_too_many(table: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="no table of totals"):
        totals.unpacked(tables.ENDPOINTS, [text_of(table)])


def test_traffic_has_no_other_parts() -> None:
    event = {"kind": "event", "status": None, "level": "x", "method": None, "number": 1, "bytes": 0}
    said = totals.of(tables.TRAFFIC, as_traffic([{**event, "minute": 1, "spans": (1, 2)}]))
    assert totals.unpacked(tables.TRAFFIC, [totals.packed(said) or ""]).height == said.height
    with pytest.raises(ValueError, match="no such part"):
        totals.unpacked(tables.TRAFFIC, [totals.packed(said.with_columns(part=pl.lit("hosts"))) or ""])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three days; the rollups of the last one lie in two files, as commits write them."""
    folder = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "LEAST_ROWS", 1)
        logs = [archives.day_of("combined_time.log", day, folder) for day in (17, 18, 19)]
        archive = archives.build(folder / "archive", logs)
        for table in totals.SHAPES:
            file = archive.snapshot().select(table)[-1]
            whole = rows.read(archive, [file], list(tables.columns(table)), table)
            archives.replace(archive, file, [whole.filter(pl.col("requests") % 2 == odd) for odd in (0, 1)])
    return archive


def asked(archive: Archive, **options: Any) -> dict[str, Any]:
    found = api.report(archive=archive.root, now=datetime(2025, 2, 1, tzinfo=UTC), **options).to_dict()
    return {name: value for name, value in found.items() if name not in ("generated_at", "notes")}


SPANS = [{}, {"since": "2025-01-17T11:00"}, {"since": "2025-01-17T11:07", "until": "2025-01-19T20:00"}]


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("options", [{}, {"sort": "p99", "max_endpoints": 5}])
def test_a_report_is_the_same_as_from_the_rows(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, span: dict[str, str], options: dict[str, Any]
) -> None:
    found = asked(archive, **span, **options)
    if not options:  # which endpoints are held under a cap depends on how they came
        assert found == asked(archive, **span, rows=True)
    monkeypatch.setattr(report, "totals_of", lambda _, files: (None, files))  # as if written by an earlier version
    assert found == asked(archive, **span, **options)


def test_rows_of_whole_files_are_not_read(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    inside = report._inside_of

    def noted(archive: Archive, table: str, files: list[Any], span: Any) -> pl.LazyFrame:
        read.append(table)
        return inside(archive, table, files, span)

    monkeypatch.setattr(report, "_inside_of", noted)
    asked(archive)
    assert not {*read} & {*totals.SHAPES}
    asked(archive, since="2025-01-17T11:00")
    assert {*read} >= {*totals.SHAPES}


@pytest.mark.parametrize("table", [*totals.SHAPES])
def test_what_is_damaged_is_named(archive: Archive, tmp_path: Path, table: str) -> None:
    copy, path = archives.saying(archive, tmp_path / "damaged", table, totals.Adding, "x")
    with pytest.raises(ArchiveError, match=rf"{path}: .*what it says of its {table} is damaged"):
        asked(copy)
    (finding,) = verify.verify(copy)
    assert finding.path == path
    assert "is damaged" in finding.what


@pytest.mark.parametrize("table", [*totals.SHAPES])
def test_what_is_false_is_found(archive: Archive, tmp_path: Path, table: str) -> None:
    found, silent = rows.totals_of(archive, archive.snapshot().select(table)[:1])
    assert found is not None
    assert not silent
    more = totals.packed(found.with_columns(pl.col("bytes") + 1))
    assert more is not None
    copy, path = archives.saying(archive, tmp_path / "false", table, totals.Adding, more)
    (finding,) = verify.verify(copy)
    assert (finding.path, finding.what) == (path, f"what it says of its {table} is not what its rows give")
    assert [*verify.verify(archive)] == []
