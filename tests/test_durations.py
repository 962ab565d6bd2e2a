"""Figures of durations: exact to the nanosecond wherever they are shown, merged and stored, also with older ones."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from program import invoke
from rounds import examples

import logstats
from logstats import durations
from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.commit import Commit
from logstats.archive.log.parquet_writer import Writer
from logstats.archive.log.writer import Workspace
from logstats.archive.verify import verify
from logstats.formats.fields.numbers import LONGEST_NS
from logstats.kernels import library as kernels
from logstats.reports import units
from logstats.scale import stored, writer

CADDY = 24_323  # nanoseconds, as in https://github.com/caddyserver/caddy logs: "duration":0.000024323
EXACT = 2**33 * 10**6  # nanoseconds: up to here, Float64 milliseconds are less than two nanoseconds apart
FORMAT = '$remote_addr [$time_local] "$request" $status $bytes_sent $request_time $upstream_response_time'


def seconds(ns: int) -> str:
    return f"{ns // 10**9}.{ns % 10**9:09}"


def write(path: Path, spans: list[int], hour: int = 10) -> Path:
    """A log of requests that take so many nanoseconds, nearly all of it in the upstream."""
    path.write_text(
        "".join(
            f'192.0.2.{n % 9} [17/Jan/2025:{hour}:{n // 60 % 60:02}:{n % 60:02} +0000] "GET /a HTTP/1.1" 200 1 '
            f"{seconds(ns)} {seconds(max(ns - 1000, 0))}\n"
            for n, ns in enumerate(spans)
        )
    )
    return path


def reported(*arguments: object) -> dict[str, Any]:
    ran = invoke(*map(str, arguments), "-q", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def figures(report: dict[str, Any]) -> list[float]:
    return [report["latency_ms"][name] for name in ("avg", "min", "max")]


def exact(spans: list[int]) -> list[float]:
    """Average, minimum and maximum in milliseconds, each rounded once."""
    return [float(Fraction(ns, 10**6)) for ns in (Fraction(sum(spans), len(spans)), min(spans), max(spans))]


@given(st.integers(0, EXACT) | st.integers(0, 10**9))
@settings(max_examples=examples(200), deadline=None)
@example(6_781_000)
@example(EXACT)
def test_milliseconds_of_rows_are_whole_nanoseconds(ns: int) -> None:
    ms = durations.milliseconds(pl.Series("ms", [ns], dtype=pl.Int64))
    assert ms.to_list() == [float(Fraction(ns, 10**6))]
    assert ms.to_frame().select(durations.nanoseconds(pl.col("ms"))).to_series().to_list() == [ns]


@given(st.integers(EXACT, LONGEST_NS))
@settings(max_examples=examples(50), deadline=None)
@example(LONGEST_NS)
def test_the_longest_are_exact_to_the_microsecond(ns: int) -> None:
    ms = durations.milliseconds(pl.Series("ms", [ns], dtype=pl.Int64)).to_frame()
    (found,) = ms.select(durations.nanoseconds(pl.col("ms"))).to_series()
    assert abs(found - ns) < 1000


SPANS = st.integers(0, 5000) | st.integers(0, LONGEST_NS)


@given(st.lists(st.tuples(st.integers(0, 10**30) | SPANS, st.none() | SPANS, st.none() | SPANS), min_size=1))
@settings(max_examples=examples(50), deadline=None)
def test_a_file_has_two_columns_for_each_figure(rows: list[tuple[int, int | None, int | None]]) -> None:
    kinds: dict[str, pl.DataType] = {"ns": pl.Int128(), "ns_min": pl.Int64(), "ns_max": pl.Int64()}
    table = pl.DataFrame(rows, kinds, orient="row")
    types = durations.stored(kinds)
    assert durations.held(types) == kinds
    made = durations.to_stored(kinds)
    file = table.select(made[name].cast(kind).alias(name) for name, kind in types.items())
    for row, held in zip(rows, file.iter_rows(named=True), strict=True):
        for ns, micros, rest in zip(row, ("us", "us_min", "us_max"), durations.RESTS.values(), strict=True):
            assert (held[micros], held[rest]) == (
                (None, None) if ns is None else ((ns + 500) // 1000, (ns + 500) % 1000 - 500)
            )
    back = durations.from_stored(kinds)
    assert file.select(**back).select(list(kinds)).equals(table)
    before = file.with_columns(pl.lit(None, pl.Int64).alias(rest) for rest in durations.RESTS.values())
    found = before.select(**back).select(list(kinds))
    assert found.equals(table.select((pl.all() + 500) // 1000 * 1000))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("spans", [[CADDY] * 1000, [300, 999, 1501, 2**50 + 1, EXACT, 0, CADDY]])
def test_every_output_has_the_exact_figures(
    tmp_path: Path, spans: list[int], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "AVAILABLE", kernels.AVAILABLE and compiled)
    log = write(tmp_path / "a.log", spans)
    reading = ("--log-format", FORMAT)
    report = logstats.report(log, log_format=FORMAT)
    assert report.latency
    assert report.latency.sum_ns == sum(spans)
    found = reported("report", log, *reading, "--by", "status")
    assert figures(found) == exact(spans)
    for row in (found["endpoints"][0], found["breakdowns"]["status"][0]):
        assert [row["latency_ms"][name] for name in ("avg", "min", "max")] == exact(spans)
    behind = [max(ns - 1000, 0) for ns in spans]
    rows = {row["upstream"]: row["avg_ms"] for row in found["upstream"]}
    assert rows["in the upstream"] == pytest.approx(exact(behind)[0], rel=1e-15)
    (row,) = csv.DictReader(io.StringIO(invoke("report", str(log), *reading, "-q", "-o", "csv").stdout.decode()))
    assert [float(row[name]) for name in ("avg_ms", "min_ms", "max_ms")] == exact(spans)
    metrics = invoke("report", str(log), *reading, "-q", "-o", "openmetrics").stdout.decode()
    sums = re.findall(r"request_duration_seconds_sum(?:\{[^}]*\})? (\S+)", metrics)
    assert {float(text) for text in sums} == {float(Fraction(sum(spans), 10**9))}


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0"), (1, "1ns"), (999, "999ns"), (1000, "1.00µs"), (CADDY, "24.3µs"), (99_949, "99.9µs"), (99_951, "0.10ms"),
     (250_000, "0.25ms"), (1_000_000, "1.00ms"), (6_781_000, "6.78ms")],
)  # fmt: skip
def test_people_read_three_figures(ns: int, text: str) -> None:
    assert units.duration(ns / 1e6) == text


def test_objectives_and_thresholds_hold_to_the_nanosecond(tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", [CADDY] * 100)
    made = tmp_path / "a.summary"
    reading = ("--log-format", FORMAT)
    limits = [f"{metric} {op} 24.323us" for metric in ("avg", "max") for op in ("<=", "<")]
    thresholds = [word for limit in limits for word in ("--fail-if", limit)]
    ran = invoke("report", str(log), *reading, *thresholds, "-q", "-o", "summary", "--out", str(made))
    assert ran.returncode == 3, ran.stderr
    policy = tmp_path / "slo.toml"
    policy.write_text('window = "1d"\n' + "".join(f'[[objective]]\nname = "{n}"\nrequire = "{n}"\n' for n in limits))
    archive = str(tmp_path / "archive")
    assert invoke("archive", "init", archive).returncode == 0
    assert invoke("archive", "add", "--archive", archive, str(log), *reading).returncode == 0
    for sources in ([str(log), *reading], [str(made)], ["--archive", archive]):
        ran = invoke("report" if sources[0] != str(made) else "merge", *sources, *thresholds, "-q", "-o", "json")
        assert [one["failed"] for one in json.loads(ran.stdout)["thresholds"]] == [True, False] * 2
        ran = invoke("slo", *sources, "--policy", str(policy), "-q", "-o", "json")
        found = {one["name"]: one["met"] for one in json.loads(ran.stdout)["objectives"]}
        assert found == dict(zip(limits, [True, False] * 2, strict=True))


def test_any_way_to_the_figures_is_the_same(tmp_path: Path) -> None:
    """Lines, summaries, rollups and rows of archives, in parts or whole."""
    spans = [(n * 7_919) % 100_003 for n in range(400)]
    parts = [write(tmp_path / f"{n}.log", spans[n * 200 : n * 200 + 200], 10 + n) for n in range(2)]
    reading = ("--log-format", FORMAT)
    archive = str(tmp_path / "archive")
    assert invoke("archive", "init", archive).returncode == 0
    summaries = [part.with_suffix(".summary") for part in parts]
    for part, made in zip(parts, summaries, strict=True):
        assert invoke("report", str(part), *reading, "-q", "-o", "summary", "--out", str(made)).returncode == 0
        assert invoke("archive", "add", "--archive", archive, str(part), *reading).returncode == 0
    month = tmp_path / "month.summary"
    assert invoke("merge", *map(str, summaries), "-q", "-o", "summary", "--out", str(month)).returncode == 0
    ways: list[tuple[object, ...]] = [("report", *parts, *reading), ("merge", *summaries), ("merge", month)]
    for way in (*ways, ("report", "--archive", archive), ("report", "--archive", archive, "--rows")):
        assert figures(reported(*way)) == exact(spans), way


# ------------------------------------------------------------------ what earlier versions wrote


class _Before(stored.Layout):
    """The columns that a summary file had when durations were rounded to microseconds."""

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.columns = {name: kind for name, kind in self.columns.items() if name not in self.later}


def test_a_summary_from_before_merges(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a.log", [24_000] * 500), write(tmp_path / "b.log", [CADDY] * 500, 11)
    made = [tmp_path / "a.summary", tmp_path / "b.summary"]
    with pytest.MonkeyPatch.context() as patch, made[0].open("wb") as file:
        patch.setattr(writer.stored, "Layout", _Before)
        logstats.report(before, log_format=FORMAT, summary=file)
    with made[1].open("wb") as file:
        logstats.report(after, log_format=FORMAT, summary=file)
    assert not {name for name in pl.read_parquet_schema(made[0]) if "rest_ns" in name}
    whole = reported("report", before, after, "--log-format", FORMAT)
    assert figures(whole) == exact([24_000, CADDY])
    for files in (made, made[::-1]):
        merged = reported("merge", *files)
        assert figures(merged) == figures(whole)
        assert merged["upstream"] == whole["upstream"]
    sums = duckdb.sql(f"""SELECT sum(us), sum(us * 1000 + rest_ns), sum(upstream_us * 1000 + upstream_rest_ns)
        FROM read_parquet('{made[1]}') WHERE "table" IN ('endpoints', 'upstream')""")
    # 60 requests in each of 8 minutes, 20 in another: the nearest to 1459.38 µs and 486.46 µs.
    assert sums.fetchall() == [(8 * 1459 + 486, 500 * CADDY, 500 * CADDY)]


def _round(archive: Archive) -> None:
    """Replace the rollup of endpoints by what an earlier version had made of it: 24 µs for each request."""
    (file,) = archive.snapshot().select(tables.ENDPOINTS)
    rows = pl.read_parquet(archive.root / file.path, hive_partitioning=False).drop(durations.RESTS.values())
    full = tables.arrow_schema(tables.ENDPOINTS)
    with Workspace(archive) as workspace:
        columns = pa.schema([full.field(name) for name in rows.columns])
        made = Writer(workspace, tables.ENDPOINTS, file.partition, columns)
        made.write(rows.with_columns(us=pl.col("timed") * 24).cast({"us": pl.Decimal(38, 0)}))
        one = replace(made.close(), schema=tables.began(tables.ENDPOINTS))
        workspace.keep([one])
        archive.commit(lambda _: Commit(what="compact", added=(one,), removed=(file.path,)), workspace.folder)
        workspace.committed()


def test_an_archive_from_before_is_read_added_to_and_verified(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a.log", [CADDY] * 500), write(tmp_path / "b.log", [CADDY] * 500, 11)
    root = str(tmp_path / "archive")
    assert invoke("archive", "init", root).returncode == 0
    assert invoke("archive", "add", "--archive", root, str(before), "--log-format", FORMAT).returncode == 0
    archive = Archive.open(root)
    _round(archive)

    def check(spans: list[int]) -> None:
        assert figures(reported("report", "--archive", root)) == exact(spans)
        sql = "SELECT sum(us * 1000 + rest_ns), min(us_min * 1000 + rest_ns_min), max(us_max * 1000 + rest_ns_max)"
        wanted = f"{sum(spans)},{min(spans)},{max(spans)}".encode()
        ran = invoke("query", "--archive", root, "-o", "csv", f"{sql} FROM endpoints")
        assert ran.stdout.splitlines()[1] == wanted
        with duckdb.connect() as catalog:
            catalog.execute(f"SET file_search_path = '{root}'")
            catalog.execute(Path(root, "catalog.sql").read_text())
            assert catalog.sql(f"{sql} FROM endpoints").fetchall() == [(sum(spans), min(spans), max(spans))]
        assert not [finding for finding in verify(archive, deep=True) if not finding.note]

    check([24_000] * 500)
    assert figures(reported("report", "--archive", root, "--rows")) == exact([CADDY])
    assert len(archive.snapshot().select(tables.ENDPOINTS)) == 1
    assert invoke("archive", "add", "--archive", root, str(after), "--log-format", FORMAT).returncode == 0
    (whole,) = archive.snapshot().select(tables.ENDPOINTS)  # the day is over: both are one file now
    assert set(durations.RESTS.values()) <= set(whole.held)
    check([24_000, CADDY] * 500)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**60) | st.integers(0, 10**26), st.integers(0, 2**33)), max_size=20))
@example([(2**53, 1), (1, 3)])
@example([(2**53 + 1, 1), (1, 3)])
@example([(1, 2**53 // 10**6 + 1), (5, 0)])
def test_averages_are_the_nearest_to_the_exact_ones(pairs: list[tuple[int, int]]) -> None:
    sums, counts = pl.Series([ns for ns, _ in pairs], dtype=pl.Int128), pl.Series([n for _, n in pairs], dtype=pl.Int64)
    exact = [float(Fraction(ns, n * 10**6)) if n else None for ns, n in pairs]
    assert durations.averages(sums, counts).to_list() == exact
