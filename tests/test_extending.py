"""What `logstats/__init__.py` says must be touched to add something, done to a copy of the package, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

import logstats

ROOT = Path(__file__).parent.parent
LINE = '192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET /a HTTP/1.1" 200 5\n'


class Copy:
    """A copy of the package that is changed, and counts which files were."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.touched: set[str] = set()
        shutil.copytree(ROOT / "logstats", folder / "logstats")

    def write(self, name: str, text: str) -> None:
        """A new file."""
        path = self.folder / "logstats" / name
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        self.touched.add(name)

    def change(self, name: str, before: str, after: str) -> None:
        """Other words in a file."""
        path = self.folder / "logstats" / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, (name, before)
        path.write_text(text.replace(before, after), encoding="utf-8")
        self.touched.add(name)

    def run(self, *arguments: str, stdin: str = LINE) -> str:
        """What the program prints."""
        done = subprocess.run(
            [sys.executable, "-m", "logstats", *arguments],
            env={**os.environ, "PYTHONPATH": str(self.folder), "LOGSTATS_CONFIG": ""},
            cwd=self.folder, input=stdin, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


FORMAT = """
title = "Semicolons"
link = "https://example.com/semicolons"
engine = "delimited"
pattern = '$timestamp;$method;$path;$status;$FIELD'
[fields]
FIELD = { role = "ROLE" }
[[sample]]
line = '2025-01-17T10:30:00Z;GET;/a;200;TLSv1.3'
expect = { timestamp = 2025-01-17T10:30:00Z, method = "GET", path = "/a", status = 200, ROLE = "TLSv1.3" }
"""
SEMICOLONS = "2025-01-17T10:30:00Z;GET;/a;200;TLSv1.3\n"


def a_format(field: str, role: str) -> str:
    return FORMAT.replace("FIELD", field).replace("ROLE", role)


def test_a_format_is_one_file(copy: Copy) -> None:
    copy.write("formats/builtin/semicolons.toml", a_format("agent", "user_agent"))
    assert "semicolons" in copy.run("formats", "list")
    row = "| `semicolons` | [Semicolons](https://example.com/semicolons) |"
    assert row in copy.run("help", "formats", "-o", "markdown")
    made = copy.run("parse", "-q", "--format", "semicolons", "-", stdin=SEMICOLONS)
    assert json.loads(made)["user_agent"] == "TLSv1.3"
    assert len(copy.touched) == 1


def test_a_column_is_two_files(copy: Copy) -> None:
    copy.change("schema.py", '    "extra",\n', '    "note",\n    "extra",\n')
    copy.change("schema.py", "TEXTS: Final = (", 'TEXTS: Final = ("note", ')
    copy.write("formats/builtin/semicolons.toml", a_format("noted", "note"))
    made = copy.run("parse", "-q", "--format", "semicolons", "-", stdin=SEMICOLONS)
    assert json.loads(made)["note"] == "TLSv1.3"
    copy.run("archive", "init", "-q", "kept")
    copy.run("archive", "add", "-q", "--archive", "kept", "--format", "semicolons", "-", stdin=SEMICOLONS)
    assert copy.run("query", "--archive", "kept", "-o", "csv", "SELECT note FROM logs") == "note\nTLSv1.3\n"
    assert len(copy.touched) == 2


def test_a_computed_column_is_two_files(copy: Copy) -> None:
    """It can be ranked by and filtered by."""
    copy.change("schema.py", "COMPUTED: Final = (\n", 'COMPUTED: Final = (\n    "verb",\n')
    copy.change(
        "enrich/computed.py",
        '        if name == "hour":\n',
        '        if name == "verb":\n'
        '            return frozenset({"method"}), lambda rows: rows["method"].str.to_lowercase()\n'
        '        if name == "hour":\n',
    )
    made = json.loads(copy.run("report", "-q", "--by", "verb,status", "--where", "verb = get", "-o", "json", "-"))
    assert [row["values"] for row in made["breakdowns"]["verb,status"]] == [{"verb": "get", "status": "200"}]
    assert len(copy.touched) == 2


def test_a_renderer_is_two_files(copy: Copy) -> None:
    copy.write("reports/shouted.py", "def to_shouted(report):\n    return f'{report.requests} REQUESTS!\\n'\n")
    copy.change(
        "reports/renderers.py",
        "RENDERERS: Final = {\n",
        "def _shouted(report: Report, view: View) -> bytes:\n"
        "    from logstats.reports.shouted import to_shouted\n\n"
        "    return to_shouted(report).encode()\n\n\n"
        'RENDERERS: Final = {\n    "shouted": Renderer("to be heard", _shouted),\n',
    )
    assert copy.run("report", "-q", "-o", "shouted", "-") == "1 REQUESTS!\n"
    assert "shouted" in copy.run("report", "--help")
    assert len(copy.touched) == 2


AGGREGATE = '''
"""Requests by protocol."""

import polars as pl

from logstats.summaries.aggregate import Aggregate, CappedTable


def aggregates(spec):
    yield Aggregate("protocols", frozenset({"protocol"}), summarise, Protocols)


def summarise(rows):
    return rows.group_by("protocol").agg(pl.len().cast(pl.Int64).alias("requests"), pl.col("line").min().alias("first"))


class Protocols(CappedTable):
    def __init__(self):
        super().__init__(["protocol"], ["requests"])
'''


def test_an_aggregate_is_two_files(copy: Copy) -> None:
    """It is in every kind of output for people and data, in the schema, and in a report over an archive."""
    copy.write("summaries/protocols.py", AGGREGATE)
    copy.change("summaries/names.py", '    "times": "",\n', '    "protocols": "Protocols",\n    "times": "",\n')
    lines = LINE * 2 + LINE.replace("HTTP/1.1", "HTTP/2.0")
    rows = [{"protocol": "HTTP/1.1", "requests": 2}, {"protocol": "HTTP/2.0", "requests": 1}]
    assert json.loads(copy.run("report", "-q", "-o", "json", "-", stdin=lines))["protocols"] == rows
    made = copy.run("report", "-q", "-o", "csv", "--table", "protocols", "-", stdin=lines)
    assert made == "protocol,requests\nHTTP/1.1,2\nHTTP/2.0,1\n"
    assert "Protocols\n" in copy.run("report", "-q", "-", stdin=lines)
    assert "| `HTTP/1.1` | 2 |" in copy.run("report", "-q", "-o", "markdown", "-", stdin=lines)
    assert json.loads(copy.run("report", "--schema"))["properties"]["protocols"]["description"] == "Protocols"
    copy.run("archive", "init", "-q", "kept")
    copy.run("archive", "add", "-q", "--archive", "kept", "-", stdin=lines)
    assert json.loads(copy.run("report", "-q", "-o", "json", "--archive", "kept"))["protocols"] == rows
    copy.run("report", "-q", "-o", "summary", "--out", "a.summary", "-", stdin=lines)
    assert json.loads(copy.run("merge", "-o", "json", "a.summary"))["protocols"] == rows
    assert len(copy.touched) == 2


COMMAND = '''
from typing import Annotated

from logstats.cli import options as shared


@shared.command(shared.READING, shared.FILTERS)
def count(
    sources: shared.Sources = None,
    shared_options: shared.SharedOptions = shared.SHARED,
    mark: Annotated[str, shared.Option("--mark TEXT", "What stands behind it.")] = ".",
) -> int:
    """How many requests there are."""
    from logstats import api

    print(f"{api.report(sources or [], shared.reading_options(shared_options)).requests}{mark}")
    return 0
'''


def test_a_command_is_two_files(copy: Copy) -> None:
    copy.write("cli/count.py", COMMAND)
    copy.change(
        "cli/main.py",
        '    "report": ("report", "report"),\n',
        '    "report": ("report", "report"),\n    "count": ("count", "count"),\n',
    )
    assert copy.run("count", "--mark", "!", "-") == "1!\n"
    assert copy.run("count", "--status", "5xx", "-") == "0.\n"
    assert "logstats count" in copy.run("help", "options")
    assert "What stands behind it" in copy.run("help", "-o", "man")
    found = json.loads(copy.run("config", "-o", "json"))["defaults"]
    assert {"command": "count", "option": "mark", "value": ".", "from": "built in"} in found
    assert len(copy.touched) == 2


def test_a_topic_is_one_file(copy: Copy) -> None:
    copy.write("manual/pages/weather.md", "# The weather\n\nIt rains.\n")
    assert copy.run("help", "weather") == "The weather\n\n  It rains.\n"
    assert len(copy.touched) == 1


def test_the_names_on_the_way_of_a_line_are_there() -> None:
    text = logstats.__doc__ or ""
    steps = re.findall(r"^ ?\d+\. `([\w.]+)`", text, re.MULTILINE)
    assert len(steps) == 10
    for name in steps:
        assert resolve_name(f"logstats.{name}")
    files = re.findall(r"`((?:[a-z_]+/)*[\w.]+\.(?:py|json))`", text)
    assert len(files) > 8
    assert all((ROOT / "logstats" / name).exists() or (ROOT / name).exists() for name in files)
