"""What asking for a column costs: the script measures every column, and what it keeps is what is shown."""

from __future__ import annotations

import json
from pathlib import Path

import bench_columns
import pytest
from program import invoke

import logstats
from logstats import schema

README = Path(__file__).parent.parent / "README.md"


def test_the_figures_that_are_kept_are_those_of_the_readme_and_the_manual(tmp_path: Path) -> None:
    kept = json.loads(bench_columns.KEPT.read_text(encoding="utf-8"))["nanoseconds"]
    measured = {bench_columns.ROWS, bench_columns.LOGGED, *bench_columns.questions(tmp_path)}
    assert set(kept) <= measured, "names of what is measured by now"
    readme, page = README.read_text(encoding="utf-8"), invoke("help", "breakdowns").stdout.decode()
    for what, cost in kept.items():
        assert f"{what} | {cost:,} |".replace("` |", "|") in readme.replace("` |", " |"), what
        assert what.partition(",")[0] in page


def test_every_column_is_measured(tmp_path: Path) -> None:
    assert {f"--by {name}" for name in schema.names()} <= set(bench_columns.questions(tmp_path))


def test_what_is_measured_is_what_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each column has values in the log, and the figures are differences of two reports."""
    bench_columns.write(tmp_path, 50)
    questions = bench_columns.questions(tmp_path)
    asked = [options for name, options in questions.items() if name.startswith("--by ")]
    by = [column for options in asked for column in options["by"]]
    more = {"geo": (tmp_path / "places.mmdb",), "verify_bots": (tmp_path / "googlebot.json",)}
    report = logstats.report(tmp_path / "every.log", by=by, **more)
    assert [name for name in by if not report.breakdowns[name]] == []
    assert set(bench_columns.measure(tmp_path / "every.log", dict([questions.popitem()]), 1)) == {
        "",
        "--where 'user_agent contains \"o\"'",
    }
