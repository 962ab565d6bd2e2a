"""A report over a small log: without a frame, and so without Polars, but the same."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds import examples
from test_kernels import REQUESTS, SEGMENTS
from test_paths_agree import INSERTED, damaged

import logstats
from logstats.endpoints import Endpoints
from logstats.formats.detection.candidates import Contender
from logstats.formats.detection.detect import Detected, Detector
from logstats.formats.fields.request_line import _absolute, _unusual, path_of, request_of
from logstats.formats.registry import builtin
from logstats.kernels import library as kernels
from logstats.kernels.columns import Strings, strings
from logstats.kernels.interning import Dictionary
from logstats.pipeline import chunk_task, sample_lines
from logstats.pipeline.line_counter import LineCounter
from logstats.reports import small
from logstats.summaries.names import SORTS

SHARED = Path(__file__).parents[2] / "shared"
SAMPLES = Path(__file__).parent.parent / "sample_logs"
NOW = datetime(2025, 1, 17, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not kernels.AVAILABLE, reason="without a compiler, all lines become rows")


def line(number: int, request: str = "GET /a HTTP/1.1") -> str:
    time, status = f"17/Jan/2025:10:{number // 60 % 60:02}:{number % 60:02} +0000", 200 + number % 7 * 50
    return f'192.0.2.{number % 250} - - [{time}] "{request}" {status} {number} "-" "curl/8" 0.{number:03}'


def report_of(path: Path, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(logstats.report(path, now=NOW, **options).to_json())
    return found


@pytest.fixture
def in_columns(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have small reports made as large ones are."""

    def slowly() -> None:
        monkeypatch.setattr(small, "measured", lambda *_: None)
        monkeypatch.setattr(chunk_task, "FEW_REFUSED", 0)
        monkeypatch.setattr(Contender, "certain", lambda *_: None)

    return slowly


LOADED = """
import sys
from logstats.cli.main import run
sys.argv = ["logstats", *sys.argv[1:]]
try:
    run()
except SystemExit:
    pass
assert not {"polars", "pyarrow", "duckdb"} & sys.modules.keys(), "more is loaded than a small log needs"
"""


@pytest.mark.parametrize(
    "options", [["-o", "table"], ["-o", "json"], ["-o", "markdown", "--top", "3"], ["--format", "combined_time"]]
)
def test_no_frame_is_made(tmp_path: Path, options: list[str]) -> None:
    """Of a log with requests of scanners, endpoints that Python decides about, and lines that nobody can read."""
    odd = ["\\x16\\x03\\x01", "-", "GET /é/app.3f9c2b7a1d.js?q HTTP/1.1", "GET http://h/x y HTTP/1.1", "get / HTTP/3"]
    lines = [line(number, odd[number % 9] if number % 9 < len(odd) else "GET /a HTTP/1.1") for number in range(500)]
    (tmp_path / "access.log").write_text("\n".join([*lines[:250], "*** rotated ***", lines[3][:60], *lines[250:]]))
    (tmp_path / "access.log.1").write_text("\n".join(lines[:99]))
    command = [sys.executable, "-c", LOADED, "report", *options, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    assert "/app.{hash}.js" in ran.stdout


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("name", ["common.log", "combined.log", "combined_time.log", "app.log"])
def test_a_small_report_is_the_same(name: str, sort: str, tmp_path: Path, in_columns: Callable[[], None]) -> None:
    path = SAMPLES / name
    some = tmp_path / name
    some.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:400]))
    found = report_of(some, sort=sort, percentiles=("50", "99.9"), top=7)
    in_columns()
    assert found == report_of(some, sort=sort, percentiles=("50", "99.9"), top=7)


REQUEST = st.tuples(
    st.integers(0, 3_000),  # minutes
    st.sampled_from(["GET /a", "POST /a", "GET /b?c=1", "GET /é/123", "PUT /(other)", "G /x"]),
    st.sampled_from([200, 204, 304, 404, 500, 503]),
    st.integers(0, 2**40),
    st.sampled_from(["0.000", "0.001", "0.012", "1.500", "86400.125", "-"]),
    st.integers(0, 40),
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(REQUEST, min_size=1, max_size=60), st.sampled_from(SORTS), st.none() | st.integers(0, 3))
def test_any_chunk_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, requests: list[Any], sort: str, top: int | None
) -> None:
    path = tmp_path_factory.mktemp("small") / "access.log"
    path.write_text(
        "".join(
            f"192.0.2.{user} - - [{1 + minute // 1440:02}/Jan/2025:{minute // 60 % 24:02}:{minute % 60:02}:00 +0000] "
            f'"{request} HTTP/1.1" {status} {size} "-" "curl/8" {span}\n'
            for minute, request, status, size, span, user in requests
        )
    )
    found = report_of(path, sort=sort, top=top, format="combined_time")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "measured", lambda *_: None)
        assert found == report_of(path, sort=sort, top=top, format="combined_time")


@pytest.mark.parametrize(
    "name", ["combined", "combined_time", "common", "vhost_combined", "json", "app", "caddy", "iis"]
)
def test_damaged_lines_are_rejected_for_the_same_reasons(
    name: str, tmp_path: Path, in_columns: Callable[[], None]
) -> None:
    draw = random.Random(f"small {name}")
    whole = [sample.line for sample in builtin()[name].samples if not sample.rejected and "\n" not in sample.line]
    files = []
    for number in range(6):
        path = tmp_path / f"{number}.log"
        lines = [*whole * 40, *damaged(name, draw, 8 * number)]
        draw.shuffle(lines)
        path.write_text("".join(f"{line}\n" for line in lines))
        files.append(path)
    asked: list[dict[str, Any]] = [{}, {"format": name}]
    found = [report_of(path, **options) for path in files for options in asked]
    in_columns()
    assert found == [report_of(path, **options) for path in files for options in asked]


def test_lines_of_another_format_are_found(tmp_path: Path, in_columns: Callable[[], None]) -> None:
    other = '{"time": "2025-01-17T10:30:00Z", "method": "GET", "path": "/json", "status": 200, "duration_ms": 3}'
    path = tmp_path / "mixed.log"
    path.write_text("\n".join([*map(line, range(300)), "nobody's", other, *map(line, range(300))]) + "\n")
    found = report_of(path)
    assert {row["endpoint"]: row["requests"] for row in found["endpoints"]} == {"/a": 600, "/json": 1}
    in_columns()
    assert found == report_of(path)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=20) | REQUESTS, min_size=1, max_size=12))
def test_one_request_is_split_as_many_are(requests: list[str]) -> None:
    column = pl.Series(requests, dtype=pl.String)
    parts = [None if None in (row[0], row[1]) else row for row in _unusual(column).rows()]
    assert [request_of(text) for text in requests] == parts
    assert [path_of(text) for text in requests] == _absolute(column)["path"].to_list()


ROUTES = ["/api/{name}", "/files/**", "/api/users/{id}/files"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(SEGMENTS, max_size=5).map("/".join), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_one_endpoint_is_that_of_many(paths: list[str], routed: bool, templates: bool) -> None:
    paths = [*paths, f"/{paths[0]}", f"/api/{paths[-1]}", "/é/" + "x" * 5_000]
    endpoints = Endpoints(ROUTES if routed else (), templates=templates)
    one = Endpoints(ROUTES if routed else (), templates=templates)
    assert [one.endpoint(path) for path in paths] == endpoints.templates(pl.Series(paths)).to_list()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.text(max_size=20) | st.sampled_from(["", "a" * 12, "é" * 7, "ab" * 500]))))
def test_texts_go_there_and_back(chunks: list[list[str]]) -> None:
    column, known = Strings(), Dictionary()
    for chunk in chunks:
        column.append(chunk)
    every = [text for chunk in chunks for text in chunk]
    assert len(column) == len(every)
    assert strings(column._views[: len(column)], column._segments) == every
    numbers = known.numbers(pl.Series(every, dtype=pl.String))
    assert known.held(numbers).strings() == known.held(numbers).column().to_list() == every
    assert known.strings(1) == known.texts(1).to_list()


def told(found: Detected | None) -> Any:
    if found is None:
        return None
    best, rival = found.ranking[0], found.rival
    about = best.places, best.requests, best.lines, best.explained, best.rows.to_dicts()
    return found.name, found.share, about, rival and rival.stack.name, found.open_units, found.kept_out


def test_detection_finds_the_same_without_rows() -> None:
    """In all real logs, the whole sample and parts of it."""
    if not SHARED.exists():
        pytest.skip("reads the real logs beside the checkout")
    quick, slow = Detector(builtin().values(), certain=LineCounter.certain()), Detector(builtin().values())
    files = [
        path
        for folder in (SHARED / "real_logs", SAMPLES)
        for path in sorted(folder.rglob("*"))
        if path.suffix not in {".jsonl", ".tsv", ".gz", ".zst"} and path.is_file()
    ]
    without = 0
    for path in files:
        lines = sample_lines(path.read_bytes()[: 256 << 10])
        for some in (lines, lines[::7]):
            found = quick.detect(some)
            without += found is not None and found.ranking[0].made.made is None
            assert told(found) == told(slow.detect(some)), path
    assert without > 50


def test_a_chunk_without_any_path_has_the_endpoint_of_one_with_some(
    tmp_path: Path, chunks_of: Callable[[int], None]
) -> None:
    """A method without a path is a request line that is none, whatever the other lines of a chunk have."""
    time = "2025-01-17T10:30:00Z"
    bare = json.dumps({"time": time, "method": "GET", "status": 404, "duration_ms": 3})
    path = tmp_path / "app.log"
    path.write_text(f"{bare}\n" * 400 + json.dumps({**json.loads(bare), "path": "/a"}) + "\n")
    whole = report_of(path)
    assert {row["endpoint"]: row["requests"] for row in whole["endpoints"]} == {"(malformed)": 400, "/a": 1}
    chunks_of(4 << 10)
    assert report_of(path) == whole


def test_garbage_has_no_end_of_looks(tmp_path: Path, in_columns: Callable[[], None]) -> None:
    """Lines that look like requests of all kinds, and are of no format."""
    draw = random.Random("looks")
    odd = ["".join(draw.choices([*INSERTED, "GET ", " 200 ", "HTTP/1.1", "status="], k=9)) for _ in range(50)]
    path = tmp_path / "access.log"
    lines = [*map(line, range(300)), *(text.replace("\n", "") for text in odd)]
    draw.shuffle(lines)
    path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    found = report_of(path)
    in_columns()
    assert found == report_of(path)


HANDLED = """
import ctypes, signal, sys, threading
from logstats.frames import pl

def handler():
    held = ctypes.create_string_buffer(1024)
    assert ctypes.CDLL(None).sigaction(signal.SIGINT, None, held) == 0
    return held.raw[:ctypes.sizeof(ctypes.c_void_p)]

before = handler()
loading = threading.Thread(target=lambda: pl.col)
loading.start()
loading.join()
assert "polars" in sys.modules and handler() == before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="where the handler stands in the struct is the system's own matter")
def test_ctrl_c_stays_pythons_when_polars_is_loaded() -> None:
    """Polars' own handler would raise KeyboardInterrupt in a thread that reads lines, where nobody expects it."""
    ran = subprocess.run([sys.executable, "-c", HANDLED], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    alone = HANDLED.replace("from logstats.frames import pl\n", "").replace("pl.col", "__import__('polars')")
    ran = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True)
    assert ran.returncode == 1, "Polars has no handler of its own any more: `frames` need not keep Python's"
