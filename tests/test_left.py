"""Lines that several chunks leave are read together: the report, its line numbers and its order are as ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import logstats
from logstats.pipeline.source_reader import SourceReader

LINES = 4000


def line(number: int) -> str:
    """A line of which some are broken, and some are read in the slow lane only."""
    status = "abc" if number % 97 == 0 else "200"
    target = f"/rare/{'abcdefgh'[number % 8]}{number}@x" if number % 61 == 0 else f"/often/{'abcd'[number % 4]}"
    end = "" if number % 53 == 0 else '"'
    seconds = "0.012ms" if number % 41 == 0 else f"0.{number % 1000:03}"
    time = f"17/Jan/2025:10:{number // 60 % 60:02}:{number % 60:02} +0000"
    return f'192.0.2.{number % 250} - - [{time}] "GET {target} HTTP/1.1{end} {status} 512 "-" "curl/8" {seconds}'


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("left") / "access.log"
    path.write_text("".join(f"{line(number)}\n" for number in range(LINES)))
    return path


@pytest.mark.parametrize("options", [{}, {"max_endpoints": 9}, {"over_time": True, "sort": "max"}])
def test_the_report_is_that_of_one_chunk(
    log: Path, options: dict[str, Any], chunks_of: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, whole_rejects, _ = outcome(log, monkeypatch, **options)
    chunks_of(4 << 10)
    monkeypatch.setattr("logstats.inputs.chunks.HEAD", 4 << 10)
    cut, cut_rejects, together = outcome(log, monkeypatch, **options)
    assert together > 3  # lines of many chunks waited, and not all of them for the end
    assert cut_rejects == whole_rejects
    assert cut == whole
    assert whole_rejects


def test_rejected_lines_know_their_number(
    log: Path, chunks_of: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks_of(4 << 10)
    monkeypatch.setattr("logstats.inputs.chunks.HEAD", 4 << 10)
    report = logstats.report(log)
    lines = log.read_text().splitlines()
    assert report.rejects.samples
    for sample in report.rejects.samples:
        assert lines[sample.line - 1] == sample.text


def test_a_line_of_another_format_among_many_is_found(
    tmp_path: Path, chunks_of: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in a hundred, in chunks that leave few of their lines."""
    other = '{"time": "2025-01-17T10:30:00Z", "method": "GET", "path": "/json", "status": 200, "duration_ms": 3}'
    path = tmp_path / "mixed.log"
    path.write_text("".join(f"{other if number % 100 == 99 else good(number)}\n" for number in range(LINES)))
    whole, _, _ = outcome(path, monkeypatch)
    chunks_of(4 << 10)
    monkeypatch.setattr("logstats.inputs.chunks.HEAD", 4 << 10)
    cut, rejects, _ = outcome(path, monkeypatch)
    assert cut == whole
    assert not rejects
    assert {row["endpoint"]: row["requests"] for row in cut["endpoints"]}["/json"] == LINES // 100


def good(number: int) -> str:
    return line(number * 97 * 61 * 53 * 41 + 1)


def outcome(log: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Any, list[bytes], int]:
    """(the report as JSON has it, the rejected lines, how often lines that had waited were read together)."""
    together, rejects = 0, list[bytes]()
    made = SourceReader._together

    def counted(self: SourceReader[Any]) -> Any:
        nonlocal together
        together += 1
        return made(self)

    with monkeypatch.context() as patch:
        patch.setattr(SourceReader, "_together", counted)
        report = logstats.report(log, rejects=rejects.extend, **options)
    found = json.loads(report.to_json())
    found.pop("generated_at")
    return found, rejects, together
