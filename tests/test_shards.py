"""Sharded equals whole: below the caps, however the input is cut, packed, ordered or fed, the report is the same."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from program import invoke

import logstats

ROOT = Path(__file__).parent.parent
ARGUMENTS = ["--format", "combined_time", "--by", "client_ip", "--by", "user_agent,status", "-o", "json"]
SAMPLE = ROOT / "sample_logs" / "combined_time.log"


def body(text: bytes, *, samples: bool = True) -> str:
    """The report as text, but for when it was made and what its source is called.

    `samples`: the first rejected lines, which stand where they stand only if there is one source.
    """
    report: dict[str, Any] = json.loads(text)
    del report["generated_at"], report["sources"]
    for sample in report["rejects"]["samples"]:
        del sample["source"]
    if not samples:
        del report["rejects"]["samples"]
    return json.dumps(report)


@pytest.fixture(scope="module")
def whole() -> bytes:
    ran = invoke("report", str(SAMPLE), *ARGUMENTS)
    assert ran.returncode == 0
    return ran.stdout


@pytest.mark.parametrize("chunk", [1_500, 9_999, 100_000])
def test_chunks_of_any_size(
    whole: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch, chunks_of: Callable[[int], None]
) -> None:
    chunks_of(chunk)
    cut_reads(monkeypatch, chunk)
    assert body(invoke("report", str(SAMPLE), *ARGUMENTS).stdout) == body(whole)


def cut_reads(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A chunk is never smaller than what one read gives: let reads give little."""
    from logstats.inputs.chunks import OpenFile

    read = OpenFile.read
    monkeypatch.setattr(OpenFile, "read", lambda self, most: read(self, min(most, size)))


def test_a_pipe_is_the_file(whole: bytes) -> None:
    assert body(invoke("report", "-", *ARGUMENTS, stdin=SAMPLE.read_bytes()).stdout) == body(whole)


def test_gzip_of_several_members_is_the_file(whole: bytes, tmp_path: Path) -> None:
    data = SAMPLE.read_bytes()
    (tmp_path / "a").write_bytes(b"".join(gzip.compress(data[i : i + 10_007]) for i in range(0, len(data), 10_007)))
    assert body(invoke("report", str(tmp_path / "a"), *ARGUMENTS).stdout) == body(whole)


@pytest.mark.parametrize("seed", range(4))
def test_files_in_any_order(whole: bytes, tmp_path: Path, seed: int) -> None:
    """Only which rejected lines are shown depends on what comes first."""
    draw = random.Random(seed)
    lines = SAMPLE.read_bytes().splitlines(keepends=True)
    cuts = sorted({0, len(lines), *(draw.randrange(len(lines)) for _ in range(draw.randrange(1, 6)))})
    parts = []
    for number, (start, end) in enumerate(zip(cuts, cuts[1:], strict=False)):
        part = tmp_path / f"{number}.log"
        data = b"".join(lines[start:end])
        part.write_bytes(gzip.compress(data) if draw.random() < 0.3 else data)
        parts.append(str(part))
    draw.shuffle(parts)
    assert body(invoke("report", *parts, *ARGUMENTS).stdout, samples=False) == body(whole, samples=False)


def test_lines_in_any_order(whole: bytes, tmp_path: Path) -> None:
    lines = SAMPLE.read_bytes().splitlines(keepends=True)
    random.Random(5).shuffle(lines)
    (tmp_path / "a.log").write_bytes(b"".join(lines))
    ran = invoke("report", str(tmp_path / "a.log"), *ARGUMENTS)
    assert body(ran.stdout, samples=False) == body(whole, samples=False)


def test_beyond_a_cap_the_cut_does_not_matter_but_the_order_of_lines_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks_of: Callable[[int], None]
) -> None:
    """What comes first is held: a property of the input, never of its chunks."""
    log = tmp_path / "a.log"
    log.write_text("".join(f"2025-01-17 10:30:00 GET /{'abcdefgh'[i % 8]} 200 1ms\n" for i in range(96)))
    expected = logstats.report(log, max_endpoints=3).endpoints
    assert {row.endpoint: row.requests for row in expected} == {"/a": 12, "/b": 12, "/c": 12, "(other)": 60}
    cut_reads(monkeypatch, 100)
    chunks_of(1)
    assert logstats.report(log, max_endpoints=3).endpoints == expected
