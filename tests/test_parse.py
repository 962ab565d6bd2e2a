"""`parse`, and the library's `read`: rows, whole, in order, in three forms that hold the same."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hostile import ATTACKS, hostile_log
from program import invoke

import logstats
from logstats import schema
from logstats.pipeline import Counts
from logstats.reports.rows import WRITERS

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / "sample_logs").glob("*.log"))
COLUMNS = [*schema.COLUMNS, "source", "line"]


def rows_as(kind: str, source: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """What is written, read by somebody else's reader."""
    out = tmp_path / f"rows.{kind}"
    ran = invoke("parse", "-q", str(source), "-o", kind, "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    if kind == "jsonl":
        return [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    if kind == "csv":
        return list(csv.DictReader(io.StringIO(out.read_bytes().decode(), newline="")))
    import pyarrow.parquet

    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(out).to_pylist()
    return rows


def iso(time: datetime | None) -> str | None:
    return time and time.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("log", SAMPLES, ids=lambda path: path.stem)
def test_three_forms_hold_the_same_rows(log: Path, tmp_path: Path) -> None:
    by_json, by_csv, by_parquet = (rows_as(kind, log, tmp_path) for kind in WRITERS)
    truth = json.loads(log.with_name(f"{log.name}.expected.json").read_text())
    assert len(by_json) == truth["requests"] + truth["events"]
    assert [row["line"] for row in by_json] == sorted({row["line"] for row in by_json})
    assert by_json == [{**row, "timestamp": iso(row["timestamp"])} for row in by_parquet]
    assert list(by_json[0]) == list(by_csv[0]) == list(by_parquet[0]) == COLUMNS
    for row, cells in zip(by_json, by_csv, strict=True):
        for name, value in row.items():
            if value is None:
                assert cells[name] == ""
            elif isinstance(value, str):
                assert cells[name].removeprefix("'") == value.removeprefix("'")
            else:
                assert float(cells[name]) == value
    text = log.read_bytes().split(b"\n")
    for row in by_json[:20]:
        assert row["source"] == str(log)
        if row["kind"] == "request" and row["method"]:
            assert row["path"].encode() in text[row["line"] - 1]


def test_times_have_microseconds_where_there_are_any() -> None:
    lines = [f"2025-01-17T{when} GET /a 200 1ms\n" for when in ("10:30:00Z", "10:30:00.5+01:00", "10:30:00.000001Z")]
    ran = invoke("parse", "-q", stdin="".join(lines).encode())
    assert [json.loads(row)["timestamp"] for row in ran.stdout.splitlines()] == [
        "2025-01-17T10:30:00Z", "2025-01-17T09:30:00.500000Z", "2025-01-17T10:30:00.000001Z",
    ]  # fmt: skip


def test_hostile_text_comes_through_and_acts_nowhere(tmp_path: Path) -> None:
    log = tmp_path / "a.json"
    log.write_bytes(hostile_log())
    ran = invoke("parse", "-q", str(log))
    text = ran.stdout.decode()
    for order in "\x1b\x7f\x9b\u202e\u2066\u200b\u061c\ufeff\u2028\u2029\r":
        assert order not in text
    rows = [json.loads(row) for row in text.split("\n")[:-1]]
    assert {row["host"] for row in rows if row["kind"] == "request"} == set(ATTACKS)
    ran = invoke("parse", "-q", str(log), "-o", "csv")
    for cells in csv.reader(io.StringIO(ran.stdout.decode(), newline="")):
        for cell in cells:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
            assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in cell)


def test_extra_fields_are_kept() -> None:
    request = {"time": "2025-01-17T10:30:00Z", "method": "GET", "path": "/", "status": 200, "colour": "red", "x": [1]}
    row = json.loads(invoke("parse", "-q", stdin=json.dumps(request).encode()).stdout)
    assert json.loads(row["extra"]) == {"colour": "red", "x": [1]}


# ------------------------------------------------------------------ the library


def test_the_library_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "a.log"
    log.write_text("2025-01-17 10:30:00 GET /a 200 1ms\nwhat is this\n")
    report = logstats.report([log, tmp_path / "none.log"])
    assert sorted(s.problem is None for s in report.sources) == [False, True]
    assert (report.requests, report.rejected) == (1, 1)
    list(logstats.read(log))
    assert capfd.readouterr() == ("", "")


def test_read_gives_frames_of_the_schema(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"2025-01-17 10:30:00 GET /a/{i} 200 {i}ms\n" for i in range(100)) + "bad\n")
    counts = Counts()
    frame = pl.concat(logstats.read(log, counts=counts))
    assert frame.schema == {**schema.dtypes(), "source": pl.String(), "line": pl.Int64()}
    assert frame["line"].to_list() == list(range(1, 101))
    assert (counts.lines, counts.requests, counts.rejected) == (101, 100, 1)
    few = pl.concat(logstats.read(log, columns=["status", "path"]))
    assert few.columns == ["status", "path", "source", "line"]
    assert few.equals(frame.select(few.columns))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda log: logstats.report(log, sort="speed"), logstats.UsageError),
        (lambda log: logstats.report(log, percentiles=[0]), logstats.UsageError),
        (lambda log: logstats.report(log, by=["colour"]), logstats.UsageError),
        (lambda log: logstats.report(log, colour="red"), logstats.UsageError),
        (lambda log: logstats.report(log, format="nope"), logstats.FormatError),
        (lambda log: logstats.report(log, log_format="$x"), logstats.FormatError),
        (lambda log: logstats.report(log, routes=["users"]), logstats.RouteError),
        (lambda log: logstats.report(log, max_endpoints=0), logstats.UsageError),
        (lambda log: logstats.read(log, columns=["colour"]), logstats.UsageError),
        (lambda log: list(logstats.read(log.with_name("none"))), logstats.SourceError),
    ],
)
def test_errors_are_of_one_tree(tmp_path: Path, call: Any, error: type[Exception]) -> None:
    log = tmp_path / "a.log"
    log.write_text("2025-01-17 10:30:00 GET /a 200 1ms\n")
    with pytest.raises(error) as raised:
        call(log)
    assert isinstance(raised.value, logstats.LogstatsError)
    assert raised.value.what


def test_options_may_be_an_object_or_keywords(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("2025-01-17 10:30:00 GET /a 200 1ms\n2025-01-17 10:30:00 GET /b 404 1ms\n")
    now = datetime(2025, 1, 18, tzinfo=UTC)
    options = logstats.Options(status=["404"], now=now)
    assert logstats.report(log, options) == logstats.report(log, status=["404"], now=now)
    assert logstats.report(log, options, status=["200"]).status == {"200": 1}
