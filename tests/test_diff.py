"""Comparisons: no alarm on two halves of the same traffic, an alarm where something was changed, saved reports."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest
from hostile import github_html
from program import invoke
from rounds import examples

import logstats
from logstats.errors import UsageError
from logstats.objectives import diff
from logstats.objectives.diff import Comparison, Side
from logstats.reports.load import from_dict, saved_report
from logstats.reports.model import EndpointRow, Latency
from logstats.sketches import loghist

ROOT = Path(__file__).parent.parent
LINES = 6_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated day, with its incident and its crawlers."""
    make = [sys.executable, str(ROOT / "scripts" / "make_logs.py"), "--format", "combined_time", "--stdout"]
    made = subprocess.run([*make, "--lines", str(LINES), "--seed", "11"], capture_output=True, check=True, timeout=60)
    file = tmp_path_factory.mktemp("diff") / "day.log"
    file.write_bytes(made.stdout)
    return file


def side(rows: pl.DataFrame) -> Side:
    """What `diff.side` takes from a report of these rows; faster, since many are made."""

    def row(some: pl.DataFrame) -> EndpointRow:
        classes = {f"{digit}xx": n for digit, n in (some["status"] // 100).value_counts().iter_rows()}
        took = some["duration_ms"].to_list()
        buckets = list(some.group_by("bucket").len().sort("bucket", nulls_last=False).iter_rows())
        latency = Latency(len(took), sum(took) / len(took), min(took), max(took), {}, 0.01, 0, buckets, 0)
        return EndpointRow(None, "", some.height, classes.get("5xx", 0), 0, classes, latency, None)

    statuses = {str(status): n for status, n in rows["status"].value_counts().iter_rows()}
    endpoints = {str(name): row(some) for (name,), some in rows.group_by("name")}
    return Side("half", None, None, 0, 0, row(rows), endpoints, statuses, True)


def test_no_alarm_on_halves_of_the_same_traffic(log: Path) -> None:
    """At most 1 % of many splits; random ones of several sizes, interleaved lines, and whole minutes."""
    rows = pl.concat(logstats.read([log], columns=["timestamp", "method", "endpoint", "status", "duration_ms"]))
    rows = rows.select(
        "status",
        "duration_ms",
        name=pl.concat_str(pl.col("method").fill_null("-"), "endpoint", separator=" "),
        bucket=loghist.bucket(pl.col("duration_ms")),
        minute=pl.col("timestamp").dt.epoch("s") // 60,
    )
    random = np.random.default_rng(1)
    number, minute = np.arange(rows.height), rows["minute"].to_numpy() - rows["minute"].min()
    parts = [0.5] * examples(40) + [0.1] * examples(20) + [0.02] * examples(10)
    splits = [random.random(rows.height) < part for part in parts]
    splits += [(random.random(minute.max() + 1) < 0.5)[minute] for _ in range(examples(30))]
    splits += [number // run % 2 == 0 for run in (1, 2, 3, 5, 10, 20, 50, 100)]
    splits += [number % of == 0 for of in (3, 4, 5, 10)]
    alarms = sum(
        bool(diff.compare(side(rows.filter(pl.Series(split))), side(rows.filter(pl.Series(~split)))).changes)
        for split in splits
    )
    assert len(splits) > 100
    assert alarms <= len(splits) * 0.01


def test_halves_through_the_whole_program(log: Path, tmp_path: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    for number, chosen in enumerate([lambda i: i % 2, lambda i: Random(i).random() < 0.3]):
        halves = [tmp_path / f"{number}{name}.log" for name in "ab"]
        for half, wanted in zip(halves, (True, False), strict=True):
            half.write_bytes(b"".join(line for i, line in enumerate(lines) if bool(chosen(i)) is wanted))
        found = logstats.diff(*halves)
        assert found.changes == [] and found.tests > 50
    assert logstats.diff(log, log).changes == []


@pytest.fixture(scope="module")
def changed(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same day after a deployment: one endpoint 30 % slower, one with a slow tail, one that fails, one renamed."""
    random = Random(3)
    lines = []
    for line in log.read_text().splitlines():
        head, _, took = line.rpartition(" ")
        if '"GET /api/bugs/' in line and took.replace(".", "").isdigit():
            took = f"{float(took) * 1.3:.3f}"
        if '"GET /api/users/me' in line and random.random() < 0.12:
            took = "0.900"
        if '"POST /login' in line:
            head = head.replace('" 302 ', '" 503 ')
        if '"GET /favicon.ico' in line:
            head = head.replace("favicon.ico", "favicon.svg").replace('" 200 ', '" 203 ')
        if '"GET /bugs/' in line and random.random() < 0.6:
            continue
        lines.append(f"{head} {took}\n")
    file = tmp_path_factory.mktemp("diff") / "changed.log"
    file.write_text("".join(lines))
    return file


@pytest.fixture(scope="module")
def found(log: Path, changed: Path) -> Comparison:
    return logstats.diff(log, changed)


def names(found: Comparison, kind: str) -> set[str | None]:
    return {change.name for change in found.changes_of(kind)}


def test_what_was_changed_is_found(found: Comparison) -> None:
    assert {"GET /api/bugs/{id}", "GET /api/users/me"} <= names(found, "slower")
    typical, tail = (
        next(c for c in found.changes_of("slower") if c.name == name)
        for name in ("GET /api/bugs/{id}", "GET /api/users/me")
    )
    assert typical.measure == "p50" and typical.change == pytest.approx(0.3, abs=0.06)
    assert tail.measure == "p95" and tail.after == pytest.approx(900, rel=0.01)
    assert "POST /login" in names(found, "more_errors") and None in names(found, "more_errors")
    assert names(found, "new_endpoint") == {"GET /favicon.svg"}
    assert names(found, "vanished_endpoint") == {"GET /favicon.ico"}
    assert names(found, "less_traffic") == {"GET /bugs/{id}"}
    assert names(found, "new_status") == {"203"}
    assert names(found, "more_of_status") == {"503"}


def test_nothing_else_is_found(found: Comparison) -> None:
    allowed = {"GET /api/bugs/{id}", "GET /api/users/me", "POST /login", "GET /favicon.svg", "GET /favicon.ico"}
    allowed |= {"GET /bugs/{id}", "GET /api/bugs/{id}/comments", "GET /api/bugs/{id}/attachments/{uuid}"}
    assert {change.name for change in found.changes if change.name and "/" in change.name} <= allowed
    assert not found.changes_of("faster") and not found.changes_of("fewer_errors")


def test_the_other_way_round_is_the_opposite(log: Path, changed: Path, found: Comparison) -> None:
    back = logstats.diff(changed, log)
    assert names(back, "faster") == names(found, "slower")
    assert names(back, "fewer_errors") == names(found, "more_errors")
    assert names(back, "new_endpoint") == names(found, "vanished_endpoint")


def test_changes_are_ranked_by_impact(found: Comparison) -> None:
    for kind in diff.KINDS:
        impacts = [abs(change.impact) for change in found.changes_of(kind) if change.name]
        assert impacts == sorted(impacts, reverse=True)
    worse = next(change for change in found.changes_of("more_errors") if change.name == "POST /login")
    after, before = worse.figures_after, worse.figures_before
    assert worse.impact == pytest.approx(after.errors - after.requests * before.errors / before.requests)


def test_saved_reports_say_the_same(log: Path, changed: Path, found: Comparison, tmp_path: Path) -> None:
    saved = []
    for number, file in enumerate((log, changed)):
        text = logstats.report([file]).to_json()
        saved.append(tmp_path / f"{number}.json")
        saved[-1].write_text(text if number else json.dumps(json.loads(text), indent=2, sort_keys=True))
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(gzip.compress(saved[1].read_bytes()))
    for pair in (saved, [saved[0], packed], [saved[0], changed], [log, logstats.report([changed])]):
        compared = logstats.diff(*pair)
        assert compared.changes == found.changes
    with pytest.raises(UsageError, match="saved reports"):
        logstats.diff(*saved, status=["200"])


def test_a_saved_report_is_the_report(log: Path) -> None:
    for options in (
        {},
        {"by": ["status", "client_ip"], "over_time": True},
        {"exact_users": True, "fail_if": ["p95 > 1ms"]},
    ):
        report = logstats.report([log, ROOT / "sample_logs" / "kv.log"], **options)
        again = from_dict(json.loads(report.to_json()), "x")
        assert again.to_dict() == report.to_dict()
        assert again.latency and report.latency and again.latency.sum_ns == report.latency.sum_ns


def test_what_is_no_report(tmp_path: Path, log: Path) -> None:
    file = tmp_path / "x.json"
    for text in ("", "{", "[1]", '{"a": 1}', '{"level": "info"}\n{"level": "warn"}\n', log.read_text()):
        file.write_text(text)
        assert saved_report(file) is None
    good = logstats.report([log]).to_dict()
    for broken, words in (
        ({**good, "schema_version": 2}, "schema version 2"),
        ({**good, "endpoints": [{}]}, "not a whole report"),
        ({**good, "latency_ms": {**good["latency_ms"], "buckets": [[1, 2]]}}, "buckets do not hold"),
        ({**good, "status": {"200": "many"}}, "not a whole report"),
        ({"schema_version": 1, "endpoints": []}, "not a whole report"),
    ):
        file.write_text(json.dumps(broken))
        with pytest.raises(UsageError, match=words):
            saved_report(file)


def test_what_is_not_in_a_saved_report_is_not_gone(log: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.json"
    cut.write_text(logstats.report([log], top=3).to_json())
    compared = logstats.diff(cut, log)
    assert compared.changes == [] and any("not all endpoints" in note for note in compared.notes)
    assert logstats.diff(log, log, max_endpoints=5).changes == []


def test_fail_if_slower(log: Path, changed: Path) -> None:
    assert invoke("diff", "-q", str(log), str(log), "--fail-if-slower", "1%").returncode == 0
    assert invoke("diff", "-q", str(log), str(changed)).returncode == 0, "without it a difference is no failure"
    done = invoke("diff", "-q", str(log), str(changed), "--fail-if-slower", "20%")
    assert done.returncode == 3
    said = done.stderr.decode()
    assert "slower: GET /api/bugs/{id}: +" in said and "slower: GET /api/users/me: " in said
    done = invoke("diff", "-q", str(log), str(changed), "--fail-if-slower", "50%")
    assert done.returncode == 3 and b"/api/bugs/{id}:" not in done.stderr
    assert invoke("diff", str(log), str(log), "--fail-if-slower", "20").returncode == 2
    sizes = ROOT / "sample_logs" / "combined.log"
    done = invoke("diff", "-q", str(sizes), str(sizes), "--fail-if-slower", "20%")
    assert done.returncode == 3 and b"no data" in done.stderr


def test_outputs_and_errors(log: Path, changed: Path, tmp_path: Path) -> None:
    shown = invoke("diff", "-q", str(log), str(changed)).stdout.decode()
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "GET /api/bugs/{id}" in shown and "Vanished endpoints" in shown
    saved = json.loads(invoke("diff", "-q", str(log), str(changed), "-o", "json").stdout)
    assert saved["method"].startswith("latency: Mann-Whitney U") and saved["alpha"] <= 0.01
    assert {change["kind"] for change in saved["changes"]} <= set(diff.KINDS)
    assert b"## Slower" in invoke("diff", "-q", str(log), str(changed), "-o", "markdown").stdout
    done = invoke("diff", str(tmp_path / "none.log"), str(log))
    assert done.returncode == 1 and b"nothing to compare" in done.stderr
    noise = tmp_path / "noise.log"
    noise.write_text("what\nis this\n" * 20)
    assert invoke("diff", "-q", str(noise), str(log)).returncode == 5
    empty = tmp_path / "empty.log"
    empty.touch()
    done = invoke("diff", "-q", str(empty), str(log))
    said = b" ".join(done.stdout.split())  # where lines are broken depends on the length of the folder's name
    assert done.returncode == 0 and b"no requests" in said and b"No differences" not in said
    assert b"Nothing to compare" in said


def test_a_hostile_log_is_shown_as_text(tmp_path: Path) -> None:
    def write(name: str, path: str, took: str) -> str:
        stamp = "17/Jan/2025:10:00:00 +0000"
        line = f'10.0.0.1 - - [{stamp}] "GET {path} HTTP/1.1" 200 10 "-" "agent" {took}\n'
        (tmp_path / name).write_text(line * 100)
        return str(tmp_path / name)

    one = write("a.log", "/\x1b[31m|<script>alert(1)</script>", "0.100")
    other = write("b.log", "/\u202e\u9999|**bold**", "0.200")
    for output in ("table", "markdown", "json"):
        done = invoke("diff", "-q", one, other, "-o", output, "--fail-if-slower", "20%")
        assert done.returncode == 3
        for shown in (done.stdout, done.stderr):
            assert b"\x1b" not in shown and "\u202e" not in shown.decode()
        if output == "markdown":
            html = github_html(done.stdout.decode())
            assert "<script>" not in html and "<strong>" not in html
            assert r"/\x1b[31m\x7c&lt;script&gt;alert(1)&lt;/script&gt;" in html and "**bold**" in html


def test_no_time_at_all_is_less_than_a_nanosecond() -> None:
    """It comes first, and nothing else is counted with it."""
    held = [(loghist.bucket_of(ns / 1e6), count) for count, ns in enumerate((1, 300, 490, 1000), 1)]
    made = diff.paired([(None, 5), *held], [(None, 7)])
    assert (made.before.tolist(), made.after.tolist()) == ([5, 1, 2, 3, 4], [7, 0, 0, 0, 0])
