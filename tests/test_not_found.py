"""`--not-found`: paths answered with 404, as Python counts them, in every output, over archives and summaries."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest
from program import invoke

import logstats

PLAIN = '192.0.2.7 - - [17/Jan/2025:10:{:02}:00 +0000] "GET {} HTTP/1.1" {} 5 "-" "curl/8"\n'
ASKED = [("/wp-login.php", 404)] * 3 + [("/users/7", 404), ("/users/8?x=1", 404), ("/", 200), ("/users/7", 410)]
COUNTED = Counter({"/wp-login.php": 3, "/users/7": 1, "/users/8": 1})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "x.log"
    path.write_text("".join(PLAIN.format(n, target, status) for n, (target, status) in enumerate(ASKED)))
    return path


def counted(report: logstats.Report) -> Counter[str]:
    return Counter({row["path"]: row["requests"] for row in json.loads(report.to_json())["not_found"]})


def test_each_path_as_it_was_asked_for(log: Path) -> None:
    report = logstats.report(log, not_found=True)
    assert counted(report) == COUNTED
    assert json.loads(report.to_json())["not_found"][0] == {"path": "/wp-login.php", "requests": 3}
    assert "not_found" not in json.loads(logstats.report(log).to_json())
    folded = logstats.report(log, not_found=True, max_endpoints=1)
    assert counted(folded) == Counter({"/wp-login.php": 3, "(other)": 2})


def test_archives_and_summaries_give_the_same(log: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    invoke("archive", "init", kept)
    assert invoke("archive", "add", "-q", "--archive", kept, str(log)).returncode == 0
    assert counted(logstats.report(archive=kept, not_found=True)) == COUNTED
    with (tmp_path / "a.summary").open("wb") as file:
        logstats.report(log, not_found=True, summary=file)
    with (tmp_path / "b.summary").open("wb") as file:
        logstats.merge([tmp_path / "a.summary"] * 2, summary=file)
    twice = Counter({path: 2 * n for path, n in COUNTED.items()})
    assert counted(logstats.merge(tmp_path / "b.summary", not_found=True)) == twice
    within = logstats.merge(tmp_path / "b.summary", not_found=True, since="2025-01-17T10:02", until="2025-01-17T10:04")
    assert counted(within) == Counter({"/wp-login.php": 2, "/users/7": 2})
    with (tmp_path / "c.summary").open("wb") as file:
        logstats.report(log, summary=file)
    with pytest.raises(logstats.UsageError, match="does not hold what was not found"):
        logstats.merge(tmp_path / "c.summary", not_found=True)


def test_every_output_has_them(log: Path) -> None:
    for output in ("table", "markdown", "html"):
        shown = invoke("report", "-q", "--not-found", "-o", output, str(log)).stdout.decode()
        assert "Not found (404)" in shown
        assert "/users/8" in shown
    made = invoke("report", "-q", "-o", "csv", "--table", "not_found", str(log)).stdout.decode()
    assert Counter({row["path"]: int(row["requests"]) for row in csv.DictReader(io.StringIO(made))}) == COUNTED
