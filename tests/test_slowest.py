"""`--slowest N`: exactly the slowest single requests, with their places, however the lines were cut, kept or merged."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke

import logstats
from logstats.inputs import discover
from logstats.options import Options
from logstats.pipeline import Counts, Silence
from logstats.scale.calls import Here
from logstats.scale.run import run_shards
from logstats.scale.shards import shards
from logstats.scale.work import ReportWork, Task
from logstats.summaries.slowest import Slowest, summarise
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics

MOST = 7


def line(number: int, took: int | None) -> str:
    time = f"2025-01-17T10:{number // 60:02}:{number % 60:02}Z"
    asked = {"time": time, "method": "GET", "path": f"/p{number}?n={number}"}
    got = {"status": 200, "trace_id": f"t{number}"}
    return json.dumps(asked | got | ({} if took is None else {"duration_ms": took}))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files; there are many equal durations, and some lines have none."""
    folder, draw = tmp_path_factory.mktemp("logs"), random.Random(7)
    paths = []
    for name in ("b.log", "a.log"):
        lines = [line(number, draw.choice([None, *range(40)])) for number in range(600)]
        (folder / name).write_text("\n".join([*lines[:300], "no line", *lines[300:]]) + "\n")
        paths.append(folder / name)
    return paths


def expected(paths: list[Path], most: int = MOST) -> list[dict[str, Any]]:
    """The slowest by sorting all of them; of equals the first by source, then by line."""
    found = []
    for path in paths:
        for number, text in enumerate(path.read_text().splitlines(), 1):
            row = json.loads(text) if text.startswith("{") else {}
            if "duration_ms" in row:
                row["target"] = row.pop("path")
                found.append({**row, "source": str(path), "line": number})
    return sorted(found, key=lambda one: (-one["duration_ms"], one["source"], one["line"]))[:most]


def slowest(report: logstats.Report) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(report.to_json())["slowest"]
    return found


def test_they_are_those_of_sorting(logs: list[Path]) -> None:
    assert slowest(logstats.report(logs, slowest=MOST)) == expected(logs)
    assert slowest(logstats.report(logs, slowest=10_000)) == expected(logs, 10_000)
    assert "slowest" not in json.loads(logstats.report(logs).to_json())


def test_shards_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of a file do not know how many lines come before them."""
    times = [number * 7919 % 40 for number in range(1200)]
    plain = '192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" 0.{:03}\n'
    logs = [tmp_path / "b.log", tmp_path / "a.log"]
    for log in logs:
        log.write_text("".join(map(plain.format, times)))
    monkeypatch.setattr("logstats.inputs.chunks.HEAD", 9000)
    monkeypatch.setattr("logstats.scale.shards.HEAD", 9000)
    monkeypatch.setattr("logstats.scale.shards.SMALLEST", 18000)
    spec = ReportSpec(slowest=MOST)
    task = Task(ReportWork(spec), Options(format="combined_time"), chunk=9000)
    cut = list(shards(discover([*map(str, logs)])[0], task.job(Counts()), 3))
    assert any(shard.goes_on for shard in cut)
    made = Statistics(spec)
    for result in run_shards(iter(cut), task, Here(), Counts(), Silence()):
        made.add(result)
    made.merge()
    held = made.get("slowest", Slowest).result()
    whole = sorted((-took, str(log), number) for log in logs for number, took in enumerate(times, 1))
    assert held.select("source", "line").rows() == [one[1:] for one in whole[:MOST]]


def test_summaries_merge_to_the_whole(logs: list[Path], tmp_path: Path) -> None:
    files = []
    for number, log in enumerate(logs):
        files.append(tmp_path / f"{number}.summary")
        with files[-1].open("wb") as file:
            logstats.report(log, slowest=MOST, summary=file)
    assert slowest(logstats.merge(files, slowest=MOST)) == expected(logs)
    within = logstats.merge(files, slowest=2, since="2025-01-17T10:02", until="2025-01-17T10:03")
    assert [row["time"][14:16] for row in slowest(within)] == ["02", "02"]
    with (tmp_path / "both.summary").open("wb") as file:
        assert slowest(logstats.merge(files, summary=file)) == expected(logs)
    merged = logstats.merge(tmp_path / "both.summary")
    assert "slowest" not in json.loads(merged.to_json())
    assert slowest(logstats.merge(tmp_path / "both.summary", slowest=3)) == expected(logs, 3)
    with pytest.raises(logstats.UsageError, match="holds 7 of the slowest requests, not 8"):
        logstats.merge(files, slowest=8)


def test_an_archive_gives_the_same(logs: list[Path], tmp_path: Path) -> None:
    invoke("archive", "init", str(tmp_path / "kept"))
    assert invoke("archive", "add", "-q", "--archive", str(tmp_path / "kept"), *map(str, logs)).returncode == 0
    assert slowest(logstats.report(archive=tmp_path / "kept", slowest=MOST)) == expected(logs)


@pytest.mark.parametrize("output", ["table", "html", "markdown", "csv", "email"])
def test_every_output_has_them(tmp_path: Path, output: str) -> None:
    log = tmp_path / "x.log"
    hostile = line(2, 9).replace("/p2", "/<b>|`\\u001b[2J")
    log.write_text(f"{line(1, 5)}\n{hostile}\n{line(3, 1)}\n")
    more = {"csv": ["--table", "slowest"], "email": ["--email-to", "a@example.com"]}.get(output, [])
    asked = ["--slowest", "2", "--top", "1", "--label", f"web={log}", "-o", output, *more]
    shown = invoke("report", "-q", *asked, str(log)).stdout.decode()
    assert "\x1b" not in shown
    assert output != "html" or "<b>" not in shown.partition("Slowest requests")[2]
    if output == "csv":
        assert [row["line"] for row in csv.DictReader(io.StringIO(shown))] == ["2", "1"]
    elif output != "email":
        assert "Slowest requests" in shown
        assert "t2" in shown
        assert "t1" in shown  # --top cuts rankings, and this has its own number
    if output == "table":
        assert "web:2  trace t2" in shown


def test_a_table_that_was_not_asked_for(logs: list[Path]) -> None:
    ran = invoke("report", "-q", "-o", "csv", "--table", "slowest", str(logs[0]))
    assert ran.returncode == 2
    assert b"add --slowest N" in ran.stderr
    with pytest.raises(logstats.UsageError):
        logstats.report(logs, slowest=10_001)


PARTS = st.lists(st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0, 2.0]))), max_size=5)


def frames(parts: list[list[float | None]]) -> Iterator[pl.DataFrame]:
    for number, part in enumerate(parts):
        places = pl.int_range(len(part), dtype=pl.Int64, eager=True)
        rows = pl.DataFrame({"duration_ms": pl.Series(part, dtype=pl.Float64), "line_number": places})
        text = [pl.lit(None, pl.String).alias(name) for name in ("method", "path", "query", "trace_id")]
        time = pl.lit(None, pl.Datetime("us", "UTC")).alias("timestamp")
        yield rows.with_columns(*text, time, status=pl.lit(None, pl.UInt16), source=pl.lit(f"s{number}"))


@settings(max_examples=25)
@given(PARTS, st.integers(1, 6), st.randoms())
def test_the_order_of_merging_is_nothing(some: list[list[float | None]], most: int, draw: random.Random) -> None:
    tables = [summarise(frame, most) for frame in frames(some)]
    draw.shuffle(tables)
    half, whole = Slowest(most), Slowest(most)
    for number, table in enumerate(tables):
        (half if number % 2 else whole).add(table)
    for table in half.condense():
        whole.add(table)
    flat = [(-took, f"s{s}", n) for s, part in enumerate(some) for n, took in enumerate(part) if took is not None]
    assert whole.result().select("source", "line").rows() == [one[1:] for one in sorted(flat)[:most]]
