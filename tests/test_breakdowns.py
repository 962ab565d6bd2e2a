"""`--by`: any column, several together, computed ones; in every output, over archives and summaries alike."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from program import invoke

import logstats
from logstats import schema
from logstats.reports.schema import load_schema
from logstats.summaries.names import breakdown

LINES = [
    'a.example 192.0.2.7 - ann [17/Jan/2025:10:30:00 +0000] "GET /search?q=cats&page=2 HTTP/1.1" 200 5 "-" "curl/8"',
    'b.example 192.0.2.8 - bob [18/Jan/2025:23:30:00 +0000] "GET /search?page=3&q=d+g HTTP/2.0" 404 7 "-" "<b>|`x"',
    'a.example 192.0.3.8 - bob [18/Jan/2025:23:30:05 +0000] "GET /search HTTP/3" 200 7 "-" "curl/8"',
    '- 2001:db8::1 - - [18/Jan/2025:23:31:00 +0000] "GET / HTTP/1.0" 500 5 "-" "curl/8"',
]
FORMAT = '%v %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
BY = ("host,endpoint", "protocol", "hour", "weekday,status", "query:page", "ip/24", "bytes", "user_id")
EXPECTED = {
    "host,endpoint": {"a.example, /search": 2, "b.example, /search": 1, "–, /": 1},
    "protocol": {"h1": 2, "h2": 1, "h3": 1},
    "hour": {"11": 1, "00": 3},
    "weekday,status": {"Fri, 200": 1, "Sun, 404": 1, "Sun, 200": 1, "Sun, 500": 1},
    "query:page": {"2": 1, "3": 1},
    "ip/24": {"192.0.2.0/24": 2, "192.0.3.0/24": 1, "2001:db8::/48": 1},
    "bytes": {"5": 2, "7": 2},
    "user_id": {"ann": 1, "bob": 2},
}
READING = {"log_format": FORMAT, "tz": "Europe/Berlin"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "access.log"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def counted(report: logstats.Report) -> dict[str, dict[str, int]]:
    return {by: {row.value: row.requests for row in rows} for by, rows in report.breakdowns.items()}


def test_each_ranking_counts_what_python_counts(log: Path) -> None:
    assert counted(logstats.report(log, by=BY, **READING)) == EXPECTED


def test_an_archive_gives_the_same(log: Path, tmp_path: Path) -> None:
    invoke("archive", "init", str(tmp_path / "kept"))
    added = invoke("archive", "add", "-q", "--archive", str(tmp_path / "kept"), "--log-format", FORMAT, str(log))
    assert added.returncode == 0
    report = logstats.report(archive=tmp_path / "kept", by=(*BY, "source"), tz="Europe/Berlin")
    assert counted(report) == {**EXPECTED, "source": {str(log): 4}}


def test_summaries_give_the_same(log: Path, tmp_path: Path) -> None:
    halves = []
    for number, part in enumerate((LINES[:2], LINES[2:])):
        half = tmp_path / f"{number}.log"
        half.write_text("".join(f"{line}\n" for line in part))
        halves.append(tmp_path / f"{number}.summary")
        with halves[-1].open("wb") as file:
            logstats.report(half, by=BY, summary=file, **READING)
    merged = logstats.merge(halves, by=BY, tz="Europe/Berlin")
    assert counted(merged) == EXPECTED
    assert json.loads(merged.to_json())["breakdowns"]["weekday,status"][0]["values"]["weekday"] in ("Fri", "Sun")
    with (tmp_path / "utc.summary").open("wb") as file:
        logstats.report(tmp_path / "1.log", by=BY, summary=file, log_format=FORMAT)
    with pytest.raises(logstats.UsageError, match="--tz UTC"):
        logstats.merge([halves[0], tmp_path / "utc.summary"], by=BY)


def test_json_has_the_value_of_each_column(log: Path) -> None:
    import jsonschema

    made = json.loads(
        invoke("report", "-q", "--log-format", FORMAT, "--by", "host, endpoint", "-o", "json", str(log)).stdout
    )
    jsonschema.validate(made, json.loads(load_schema()))
    values = [row["values"] for row in made["breakdowns"]["host,endpoint"]]
    assert {"host": None, "endpoint": "/"} in values
    assert {"host": "a.example", "endpoint": "/search"} in values


@pytest.mark.parametrize("name", ["host,endpoint", "bytes", "query:page"])
def test_csv_has_a_column_for_each(log: Path, name: str) -> None:
    ran = invoke("report", "-q", "--log-format", FORMAT, "--table", name, "-o", "csv", str(log))
    rows = list(csv.DictReader(io.StringIO(ran.stdout.decode())))
    keys = {"bytes": ["by_bytes"]}.get(name, name.split(","))
    assert list(rows[0])[: len(keys)] == keys
    assert Counter({", ".join(row[key] or "–" for key in keys): int(row["requests"]) for row in rows}) == EXPECTED[name]


@pytest.mark.parametrize("output", ["table", "html", "markdown"])
def test_people_see_them_harmless(log: Path, output: str) -> None:
    by = [word for name in ("host,endpoint", "user_agent,ip/24", "query:<b>", "query:|b|") for word in ("--by", name)]
    shown = invoke("report", "-q", "--log-format", FORMAT, *by, "-o", output, str(log)).stdout.decode()
    assert "By host, endpoint" in shown
    assert "192.0.2.0/24" in shown
    assert output == "table" or "<b>" not in shown.replace("`<b>", "")
    if output == "html":
        ids = [part.partition('"')[0] for part in shown.split(' id="')[1:]]
        assert len(ids) == len(set(ids))


def test_what_lies_beyond_the_cap_is_counted_together(log: Path) -> None:
    report = logstats.report(log, by=["host,endpoint"], max_endpoints=1, **READING)
    assert counted(report)["host,endpoint"] == {"a.example, /search": 2, "(other)": 2}
    assert report.breakdowns["host,endpoint"][-1].values is None
    assert any("host,endpoint" in note for note in report.notes)


def test_every_column_of_the_schema_can_be_ranked_by(log: Path) -> None:
    report = logstats.report(log, by=list(schema.COLUMNS), **READING)
    assert set(report.breakdowns) == set(schema.COLUMNS)
    assert counted(report)["timestamp"].keys() >= {"2025-01-17T10:30:00Z", "2025-01-18T23:31:00Z"}


@pytest.mark.parametrize(
    ("by", "words"),
    [("hots", "did you mean host"), ("host,host", "once"), ("host,", "cannot rank by ''"), ("ip/x", "cannot rank")],
)
def test_what_is_no_column(by: str, words: str) -> None:
    with pytest.raises(logstats.UsageError) as raised:
        breakdown(by)
    assert words in f"{raised.value.what} {raised.value.hint}"


def test_a_table_that_there_is_not(log: Path) -> None:
    ran = invoke("report", "-q", "-o", "csv", "--table", "endpoint", str(log))
    assert ran.returncode == 0  # a column, too
    ran = invoke("report", "-q", "-o", "csv", "--table", "minuts", str(log))
    assert ran.returncode == 2
    assert b"--table 'minuts' is not known" in ran.stderr


def test_protocols_are_told_however_they_are_logged() -> None:
    import polars as pl

    given: dict[str, Any] = {
        "HTTP/1.1": "h1", "HTTP/1.0": "h1", "HTTP/2": "h2", "HTTP/2.0": "h2", "h2": "h2", "h2c": "h2", "http/2": "h2",
        "HTTP/3": "h3", "h3-29": "h3", "HTTP/0.9": "HTTP/0.9", "WHATEVER/2": "WHATEVER/2", "h4": "h4", None: None,
    }  # fmt: skip
    frame = pl.DataFrame({"protocol": list(given)})
    assert frame.select(schema.as_key("protocol")).to_series().to_list() == list(given.values())


@pytest.mark.parametrize(
    ("where", "requests"),
    [("protocol = h1", 2), ("protocol = HTTP/1.0", 1), ("protocol in (h2, h3)", 2), ("protocol != h1", 2)],
)
def test_filters_take_protocols_in_short(log: Path, where: str, requests: int) -> None:
    assert logstats.report(log, where=where, **READING).requests == requests
