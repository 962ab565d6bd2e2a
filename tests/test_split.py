"""`--split-by`: each report is the one of a filter for its value; many values are bounded, and none lacks a request."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from program import invoke

import logstats
from logstats.inputs import discover
from logstats.options import Options
from logstats.pipeline import Counts, Silence
from logstats.reports.index import file_names
from logstats.scale import split as splitting
from logstats.scale.calls import Here
from logstats.scale.run import run_shards
from logstats.scale.shards import shards
from logstats.scale.split import Split, SplitWork
from logstats.scale.work import Task, read
from logstats.summaries.spec import ReportSpec

FORMAT = '%v %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %D'
AGENTS = ["a.example", "b.example", "<b>&", "index", "../x", "-"]


def line(number: int, agent: str) -> str:
    time = f"17/Jan/2025:10:{number // 60 % 60:02}:{number % 60:02} +0000"
    asked = f'"GET /p{number % 3} HTTP/1.1" {200 + number % 2 * 300} 5'
    return f'a.example 192.0.2.{number % 9} - - [{time}] {asked} "-" "{agent}" {number}'


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "x.log"
    lines = [line(number, AGENTS[number * 7919 % 13 % 6]) for number in range(200)]
    path.write_text("\n".join([*lines, "no line"]) + "\n")
    return path


def body(report: logstats.Report) -> dict[str, Any]:
    made = json.loads(report.to_json())
    del made["generated_at"], made["filters"], made["notes"]
    return made


def test_each_is_the_report_of_a_filter(log: Path) -> None:
    how: dict[str, Any] = {"log_format": FORMAT, "by": ["status"], "slowest": 2, "not_found": True, "over_time": True}
    reports = logstats.split(log, split_by="user_agent", **how)
    assert set(reports) == {*AGENTS[:5], None}
    for value, report in reports.items():
        where = "user_agent is null" if value is None else f'user_agent = "{value}"'
        assert body(report) == body(logstats.report(log, where=where, **how))
    assert sum(report.requests for report in reports.values()) == 200


def test_an_app_is_a_column(log: Path) -> None:
    assert list(logstats.split(log, split_by="app", log_format=FORMAT)) == ["a.example"]


def test_an_archive_gives_the_same(log: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    invoke("archive", "init", kept)
    assert invoke("archive", "add", "-q", "--archive", kept, "--log-format", FORMAT, str(log)).returncode == 0
    whole = logstats.split(log, split_by="user_agent", log_format=FORMAT)
    held = logstats.split(archive=kept, split_by="user_agent")
    assert {value: one.endpoints for value, one in held.items()} == {v: one.endpoints for v, one in whole.items()}
    assert {value: (one.lines, one.filtered) for value, one in held.items()} == {
        value: (one.lines, one.filtered) for value, one in whole.items()
    }


def test_shards_are_the_whole(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inputs.chunks.HEAD", "scale.shards.HEAD"):
        monkeypatch.setattr(f"logstats.{name}", 3000)
    monkeypatch.setattr("logstats.scale.shards.SMALLEST", 6000)
    work = SplitWork(ReportSpec(slowest=2), "user_agent")
    task = Task(work, Options(log_format=FORMAT), chunk=3000)
    made = Split(work.spec)
    for result in run_shards(shards(discover([str(log)])[0], task.job(Counts()), 3), task, Here(), Counts(), Silence()):
        made.add(result)
    reports = logstats.split(log, split_by="user_agent", log_format=FORMAT, slowest=2)
    for value, held in made.held.items():
        held.statistics.merge()
        slowest = held.statistics.states["slowest"].result()
        assert slowest.rows() == reports[value].tables["slowest"].rows
        assert held.requests == reports[value].requests


def test_many_values_are_bounded_and_none_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each chunk another value is frequent; those that one chunk did not tell apart count as others throughout."""
    for name, value in (("TOLD", 4), ("MOST", 3), ("HELD", 6)):
        monkeypatch.setattr(splitting, name, value)
    monkeypatch.setattr("logstats.api.splitting.MOST", 3)
    work, held = SplitWork(ReportSpec(), "host"), Split(ReportSpec())
    counted: dict[str, int] = {}
    for chunk in range(8):
        hosts = ["a"] * 9 + ["b"] * 8 + [f"h{(chunk * 3 + n) % 11}" for n in range(7) for _ in range(n % 3 + 1)]
        for host in hosts:
            counted[host] = counted.get(host, 0) + 1
        columns = {name: pl.lit(None, kind) for name, kind in logstats_dtypes().items() if name in work.needs}
        rows = (
            pl.DataFrame({"host": hosts})
            .with_row_index("line")
            .with_columns(**{name: value for name, value in columns.items() if name != "host"})
        )
        held.add(work.work(rows, "", 0))
        assert len(held.held) <= 7 + 2
    held.keep(3)
    assert {value for value in held.held if value != "(other)"} >= {"a", "b"}
    assert all(one.requests == counted[str(value)] for value, one in held.held.items() if value != "(other)")
    assert sum(one.requests for one in held.held.values()) == sum(counted.values())


def logstats_dtypes() -> dict[str, pl.DataType]:
    from logstats import schema

    return schema.dtypes()


def test_what_has_no_report_of_its_own_is_said(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logstats.api.splitting.MOST", 2)
    ran = invoke("report", "--log-format", FORMAT, "--split-by", "user_agent", "-o", "json", str(log))
    reports = {one["value"]: one["report"] for one in json.loads(ran.stdout)["reports"]}
    assert len(reports) == 4  # two, what was not logged, and the others
    words = f"{reports['(other)']['requests']:,} lines of further values are one report, (other)"
    assert words in ran.stderr.decode()
    assert all(any(words in note for note in one["notes"]) for one in reports.values())


def test_pages_and_an_index(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "100%" / "pages"
    asked = ["--log-format", FORMAT, "--split-by", "user_agent", "-o", "html", "--out", str(folder).replace("%", "%%")]
    ran = invoke("report", "-q", *asked, str(log))
    assert ran.returncode == 0
    index = (folder / "index.html").read_text()
    links = re.findall(r'href="([^"]+\.html)"', index)
    assert sorted(links) == sorted(path.name for path in folder.iterdir() if path.name != "index.html")
    assert "&lt;b&gt;&amp;" in index
    assert "<b>&" not in index
    assert "Access log report: a.example" in (folder / "a-example.html").read_text()


def test_names_of_pages() -> None:
    values: dict[str | None, Any] = dict.fromkeys(["a", "A", "a/", "", "index", "é", None, "x" * 300])
    names = list(file_names(values).values())
    assert names[:5] == ["a.html", "a-2.html", "a-3.html", "empty.html", "index-2.html"]
    assert len(set(names)) == len(values)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}\.html", name) for name in names)


def test_json_tables_and_markdown(log: Path) -> None:
    asked = ["report", "-q", "--log-format", FORMAT, "--split-by", "user_agent", str(log)]
    made = json.loads(invoke(*asked, "-o", "json").stdout)
    assert made["split_by"] == "user_agent"
    assert None in [one["value"] for one in made["reports"]]
    assert sum(one["report"]["requests"] for one in made["reports"]) == 200
    assert b"== user_agent: a.example ==" in invoke(*asked).stdout
    assert invoke(*asked, "-o", "markdown").stdout.count(b"# Access log report") == 6


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["-o", "csv"], b"holds one report"),
        (["-o", "html"], b"--out DIR"),
        (["--split-by", "host,path"], b"name one column"),
        (["--split-by", "hots"], b"did you mean host"),
    ],
)
def test_what_does_not_go_together(log: Path, more: list[str], words: bytes) -> None:
    ran = invoke("report", "-q", "--log-format", FORMAT, "--split-by", "host", *more, str(log))
    assert (ran.returncode, words in ran.stderr) == (2, True), ran.stderr


def test_lines_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("nothing\nthat is a log\n")
    ran = invoke("report", "--format", "combined", "--split-by", "host", "-o", "json", str(tmp_path / "x.log"))
    assert ran.returncode == 5
    assert json.loads(ran.stdout)["reports"][0]["report"]["rejected"] == 2


def test_a_shard_holds_more_endpoints_than_a_report_and_says_what_it_folds(tmp_path: Path) -> None:
    """Which ones a report keeps is known when all shards are merged."""
    (tmp_path / "x.log").write_text(
        "".join(f"2025-01-17 10:30:00 GET /{letter} 404 1ms\n" for letter in "abcdefghijkl")
    )
    task = Task(SplitWork(ReportSpec(max_endpoints=1, not_found=True), "method"), Options())
    outcome = read(task, discover([str(tmp_path / "x.log")])[0])
    (part,) = outcome.results[0].parts
    held = next(table for summaries in part.summaries for name, table in summaries.items() if name == "not_found")
    assert held.height == 11
    beyond = [f"2 requests of {name} beyond 10 count as (other)" for name in ("endpoints", "not_found")]
    assert outcome.counts.notes == [f"{tmp_path}/x.log: method GET: {text}" for text in beyond]


def test_what_is_missed_is_said_with_the_value(log: Path) -> None:
    asked = ["--log-format", FORMAT, "--split-by", "user_agent", "--fail-if", "requests > 0"]
    ran = invoke("report", "-q", *asked, str(log))
    assert ran.returncode == 3
    assert b"user_agent <b>&: failed: requests > 0" in ran.stderr


def test_a_range_outside_of_an_archive_says_what_there_is(log: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    invoke("archive", "init", kept)
    assert invoke("archive", "add", "-q", "--archive", kept, "--log-format", FORMAT, str(log)).returncode == 0
    ran = invoke("report", "--split-by", "host", "--archive", kept, "--since", "2026-01-01")
    assert b"nothing is of the time asked for: there are lines of" in ran.stderr
