"""Requests that are counted without making rows of them: the report is the one that their rows give."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rounds import examples
from test_paths_agree import FORMATS, damaged

import logstats
from logstats import Options
from logstats.formats.registry import builtin
from logstats.formats.text import Text
from logstats.formats.wrappers.stack import FormatStack, StackReader, stack_reader
from logstats.kernels import library as kernels
from logstats.kernels import tallies
from logstats.kernels.counting import LONGEST_NS, Buckets
from logstats.options import job_of
from logstats.pipeline import Counts
from logstats.pipeline.line_counter import Counted, LineCounter
from logstats.reports.build import build
from logstats.sketches import hll, loghist
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, joined, needs, summarise

SAMPLES = Path(__file__).parent.parent / "sample_logs"
SPEC = ReportSpec(over_time=True, upstream=False)


@cache
def reader_of(name: str, spec: ReportSpec) -> tuple[StackReader, LineCounter]:
    options = Options()
    job = replace(job_of(options, needs(spec), lambda *_: None, keep_rejected=False), report=spec)
    counter = LineCounter.of(job)
    assert counter is not None
    return stack_reader([FormatStack(builtin()[name])], job.reading), counter


def report_of(name: str, chunks: Sequence[list[str]], spec: ReportSpec, *, counting: bool) -> tuple[Any, int]:
    """(the report of some chunks of lines of a format, as JSON has it; how many lines were counted without rows)."""
    reader, counter = reader_of(name, spec)
    statistics, counts, lines = Statistics(spec), Counts(), 0
    for chunk in chunks:
        batch = reader(Text.from_bytes("\n".join(chunk).encode()), counter if counting else None)
        made = summarise(batch.rows, spec) if batch.rows.height else {}
        if batch.counted is not None:
            counted: Counted = batch.counted
            lines += counted.lines
            made = joined(counted.summaries, made)
        for reason, number in batch.rejected.group_by("reason").len().iter_rows():
            counts.reasons[reason] = counts.reasons.get(reason, 0) + number
        statistics.add(made)
    report = build(statistics, counts, generated_at=datetime(2025, 1, 1, tzinfo=UTC))
    return json.loads(report.to_json()), lines


def check(name: str, chunks: Sequence[list[str]], spec: ReportSpec = SPEC) -> int:
    found, lines = report_of(name, chunks, spec, counting=True)
    expected, _ = report_of(name, chunks, spec, counting=False)
    assert found == expected
    return lines


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(name: str) -> None:
    """Damaged lines of it, in two chunks; nothing to see where all lines become rows."""
    reader, counter = reader_of(name, SPEC)
    if counter.plan(reader.readers[0][1]) is not None:
        draw = random.Random(f"counted {name}")
        check(name, [damaged(name, draw, 60), damaged(name, draw, 20)])


@pytest.mark.parametrize(
    "name", ["common", "combined_time", "vhost_combined_us", "app", "nginx_main", "json", "kv", "ltsv"]
)
def test_of_these_most_lines_are_counted(name: str) -> None:
    """So that the other tests compare something."""
    sample = next(one.line for one in builtin()[name].samples if "status" in one.expect)
    assert check(name, [[sample] * 5]) == 5


TIMES = st.sampled_from(
    [
        "17/Jan/2025:10:30:00 +0000",
        "17/Jan/2025:10:30:01 -0330",
        "31/Dec/9999:23:59:59 -0100",
        "01/Jan/0001:00:00:00 +0000",
        "01/Jan/0001:00:00:00 +0100",
        "29/Feb/2025:10:30:00 +0000",
        "31/Dec/1969:23:59:59 +0000",
        "-",
    ]
)
REQUESTS = st.one_of(
    st.builds(
        "{} {} HTTP/1.1".format,
        st.sampled_from(["GET", "POST", "M-SEARCH", "get"]),
        st.from_regex(r"/[a-c0-9/.?=-]{0,30}"),
    ),
    st.sampled_from(
        ["-", "", "GET /", r"\x16\x03\x01", "GET http://a.example/b?c HTTP/1.1", "GET * HTTP/1.0", " / HTTP/1.1"]
    ),
    st.sampled_from(
        ["GET /" + "a" * 300 + " HTTP/1.1", "GET /" + "9/" * 2500 + " HTTP/1.1", "GET /app.738.js HTTP/2.0"]
    ),
)
NUMBERS = st.sampled_from(["200", "404", "000", "0", "99", "1000", "-", "503", "2e2", "2.0", "é"])
SIZES = st.sampled_from(["0", "512", "-", str(2**40), str(2**40 + 1), str(2**63), "1.5", "1e3"])
DURATIONS = st.one_of(
    st.sampled_from(
        ["0", "0.000", "-", "1e-3", "0.125s", "12.5ms", "1125899.906842624", "1125899.906842625", "9e18", "0.0000001"]
    ),
    st.integers(0, 10**13).map(lambda ns: f"{ns // 10**9}.{ns % 10**9:09d}"),
)
USERS = st.sampled_from(["-", "alice", "john smith", "a  b", "a -b", " a", "ü", "x" * 27, "x" * 28, "x" * 300])
CLIENTS = st.sampled_from(
    ["10.0.0.1", "2001:db8::1", "host.example", "999.1.1.1", "-", "10.0.0.1:80", "[::1]:80", "a,b"]
)
LINE = '{} - {} [{}] "{}" {} {} "-" "-" {}'


@settings(max_examples=examples(15), deadline=None)
@given(
    st.lists(
        st.builds(LINE.format, CLIENTS, USERS, TIMES, REQUESTS, NUMBERS, SIZES, DURATIONS), min_size=1, max_size=30
    )
)
@example(
    [LINE.format("10.0.0.1", "a", "17/Jan/2025:10:30:00 +0000", f"GET /{n}x HTTP/1.1", 200, 1, 0.1) for n in range(3)]
)
def test_hostile_fields(lines: list[str]) -> None:
    good = LINE.format("10.0.0.1", "-", "17/Jan/2025:10:30:00 +0000", "GET /a HTTP/1.1", "200", "1", "0.125")
    assert check("combined_time", [[good, *lines], [good]]) >= 2


def test_sums_that_need_more_than_64_bits() -> None:
    """The longer the durations of a chunk, the fewer of them are certain: what is counted never overflows."""
    fast, long = (
        LINE.format("10.0.0.1", "-", "17/Jan/2025:10:30:00 +0000", "GET /a HTTP/1.1", 200, 1, took)
        for took in ("0.000024323", "1125899")
    )
    assert 1_125_899 * 10**9 < LONGEST_NS < 2**63 < 1_125_899 * 10**9 * 10_000
    assert check("combined_time", [[fast, long] * 5_000]) == 5_000
    assert check("combined_time", [[fast, long] * 5]) == 10


def test_many_keys_and_minutes_in_many_chunks() -> None:
    """More keys than are held, more minutes than one, paths that C decides and others, in an order that matters."""
    draw = random.Random(4)
    lines = []
    for number in range(6_000):
        time = f"{1 + number // 300:02d}/Jan/2025:10:{draw.randrange(60):02d}:00 +0000"
        path = draw.choice([f"/app.{draw.randrange(3_000)}.js", f"/a{'b' * draw.randrange(300)}/{number}", "/x"])
        request = draw.choice([f"GET {path} HTTP/1.1", f"GET {path}"]) if number % 50 else f"\\x16{number}"
        status, size = draw.choice([200, 404, 503]), draw.randrange(10**6)
        lines.append(
            LINE.format(
                f"10.0.{number % 7}.{number % 251}", "-", time, request, status, size, draw.randrange(10**5) / 1000
            )
        )
    chunks = [lines[:10], lines[10:4_000], lines[4_000:4_001], lines[4_001:]]
    assert check("combined_time", chunks) > 5_000
    assert check("combined_time", chunks, replace(SPEC, max_endpoints=5)) > 5_000
    assert check("combined_time", [[line] for line in lines[:20]], replace(SPEC, user_key="client_ip")) > 15


@pytest.mark.parametrize(
    "options", [{}, {"max_endpoints": 3}, {"exact_users": True}, {"templates": False}, {"routes": ["/api/*"]}]
)
@pytest.mark.parametrize("log", ["combined_time.log", "json.log", "kv.log"])
def test_whole_reports(log: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the counter, without it, and without any kernel."""

    def made() -> Any:
        report = json.loads(logstats.report(SAMPLES / log, **options).to_json())
        return {name: value for name, value in report.items() if name != "generated_at"}

    found = made()
    monkeypatch.setattr(LineCounter, "of", lambda _: None)
    assert made() == found
    monkeypatch.setattr(kernels, "AVAILABLE", False)
    assert made() == found


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(1, LONGEST_NS), min_size=1, max_size=50))
@example([1, 2, 3, 999_999, 1_000_000, 1_000_001, LONGEST_NS])
def test_bounds_are_those_of_the_buckets(durations: list[int]) -> None:
    first, bounds = loghist.bounds(LONGEST_NS)
    near = [ns for bound in bounds[np.searchsorted(bounds, durations)].tolist() for ns in (bound, bound + 1)]
    some = [ns for ns in (*durations, *near) if ns <= LONGEST_NS]
    spans = pl.DataFrame({"ms": [ns / 1e6 for ns in some]})
    expected = spans.select(loghist.bucket(pl.col("ms"))).to_series().to_list()
    assert (first + np.searchsorted(bounds, some)).tolist() == expected


def test_every_cell_of_the_buckets_begins_low_enough() -> None:
    buckets = Buckets(loghist.bounds(LONGEST_NS)[1])
    assert (np.diff(buckets.cells.astype(int)) >= 0).all()


def test_long_paths_are_counted() -> None:
    """Up to 300 bytes, whose templates C makes; without rows."""
    reader, counter = reader_of("combined", SPEC)
    (line,) = [sample.line for sample in builtin()["combined"].samples if not sample.rejected][:1]
    lines = [_with_path(line, number) for number in range(1, 70)]
    found = counter.of_text(reader.readers[0][1], Text.from_bytes("\n".join(lines).encode()))
    assert found is not None and not len(found[1])
    check("combined", [lines])


def _with_path(line: str, number: int) -> str:
    before, _, rest = line.partition('"')
    request, _, after = rest.partition('"')
    return f'{before}"GET /{"ab-/" * number}{number} {request.rpartition(" ")[2]}"{after}'


CODES = st.lists(st.integers(0, 3) | st.integers(0, 2**63 - 1), max_size=40)


@settings(max_examples=examples(100), deadline=None)
@given(CODES, CODES)
def test_tallies_are_those_of_numpy(one: list[int], other: list[int]) -> None:
    def made() -> list[Any]:
        codes = [np.array(some, np.uint64) for some in (one, other)]
        counted = [tallies.tally(some.copy()) for some in codes]
        weighted = tallies.tally(codes[0].copy(), np.arange(len(one), dtype=np.int64))
        high = tallies.highest(codes[0].copy())
        places = tallies.order(codes[0].copy()).tolist()
        assert sorted(places) == [*range(len(one))]
        signed = tallies.tally(codes[0].copy(), -np.arange(len(one), dtype=np.int64))
        assert sum(signed[1].tolist()) == -sum(range(len(one)))
        return [
            [one[place] for place in places],
            high.tolist(),
            *(part.tolist() for pair in (*counted, weighted, tallies.merged(*counted)) for part in pair),
        ]

    found = made()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "AVAILABLE", False)
        assert made() == found
    assert found[0] == sorted(one)
    assert found[2] == sorted(set(one)) and sum(found[3]) == len(one)


USERS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 16383), st.integers(0, 63)), max_size=40)


@given(USERS)
def test_codes_of_users_are_taken_apart(users: list[tuple[int, int, int]]) -> None:
    users = sorted(users)
    codes = np.array([minute << 20 | register << 6 | rank for minute, register, rank in users], np.uint64)
    minutes = np.array([-(2**40), 0, 2**40])
    expected = [(int(minutes[minute]), register, rank) for minute, register, rank in users]
    for available in {kernels.AVAILABLE, False}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "AVAILABLE", available)
            assert [*zip(*(part.tolist() for part in kernels.users(codes, minutes)), strict=True)] == expected
    if users:
        with pytest.raises(IndexError):
            kernels.users(codes, minutes[: users[-1][0]])


def test_registers_are_raised_to_the_highest_rank() -> None:
    rows = np.array([5 << 6 | 3, 5 << 6 | 2, 16383 << 6 | 51, 5 << 6 | 4], np.uint32)
    registers = np.zeros(hll.REGISTERS, np.uint8)
    kernels.raise_registers(rows, registers)
    assert registers[5] == 4 and registers[16383] == 51 and np.count_nonzero(registers) == 2
