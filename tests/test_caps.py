"""What a stranger chooses (paths, methods, hosts, times, users) does not choose how much memory is taken.

A process reads a log from a pipe, and the operating system says how much memory it took at the most. Totals stay exact,
and what was folded is said.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LINES = 150_000
LIMIT_MB = 450  # 210 to 370 were seen; 520 for paths without their cap
MEASURED = """
import re, resource, sys
from pathlib import Path
from logstats.cli.main import run
try:
    run()
finally:
    status = Path("/proc/self/status")  # of this program alone; getrusage counts what forked it, too
    if status.exists():
        peak = int(re.search("VmHWM:\\s*([0-9]+)", status.read_text())[1])
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", peak // 1024, file=sys.stderr)
"""


def line(
    minute: str = "2025-01-17 10:30", method: str = "GET", path: str = "/a", user: str = "u1", host: str = "a"
) -> str:
    return f"{minute}:00 {method} {path} 200 1ms user={user} bytes=7 host={host}\n"


def forged_minute(i: int) -> str:
    """One of five million minutes, never twice."""
    return f"{1000 + i % 8000:04d}-{1 + i // 8000 % 12:02d}-{1 + i // 96000 % 28:02d} 10:{i // 96000 // 28 % 60:02d}"


def letters(i: int) -> str:
    """A word of its own for every number."""
    return "".join(chr(65 + i // 26**place % 26) for place in range(4))


BY = ["--by", "user_id", "--by", "host", "--by", "user_id,host"]
LOGS: dict[str, tuple[Callable[[int], str], list[str]]] = {
    "paths": (lambda i: line(path=f"/x{i}x"), []),
    "methods": (lambda i: line(method=letters(i)), []),
    "users and hosts": (
        lambda i: line(user=f"u{i}", host=f"h{i}.example.com"),
        BY,
    ),
    "minutes": (lambda i: line(minute=forged_minute(i), user=f"u{i % 7}"), []),
}


def measured(lines: Iterator[str], arguments: list[str]) -> tuple[dict[str, Any], int]:
    command = [sys.executable, "-c", MEASURED, "report", "-q", "--format", "app", "-o", "json", *arguments]
    ran = subprocess.run(command, input="".join(lines).encode(), capture_output=True, timeout=120)
    said = ran.stderr.decode().split()
    assert (ran.returncode, said[0]) == (0, "peak"), ran.stderr
    return json.loads(ran.stdout), int(said[1])


@pytest.mark.parametrize("name", LOGS)
def test_memory_is_bounded_totals_exact_and_folding_said(name: str) -> None:
    make, arguments = LOGS[name]
    report, peak = measured((make(i) for i in range(LINES)), arguments)
    assert peak < LIMIT_MB
    assert (report["lines"], report["requests"], report["rejected"]) == (LINES, LINES, 0)
    assert report["bytes"] == 7 * LINES
    assert report["status"] == {"200": LINES}
    assert report["latency_ms"]["count"] == LINES
    assert sum(row["requests"] for row in report["endpoints"]) == LINES
    assert len(report["endpoints"]) <= 10_001
    for rows in report["breakdowns"].values():
        assert sum(row["requests"] for row in rows) == LINES
        assert len(rows) == 10_001 and rows[-1]["value"] == "(other)"
        assert rows[-1]["requests"] == LINES - 10_000
    notes = " ".join(report["notes"])
    folded = f"{LINES - 10_000:,}"
    if name in ("paths", "methods"):
        other = report["endpoints"][-1]
        assert (other["endpoint"], other["requests"]) == ("(other)", LINES - 10_000)
        assert report["endpoints_folded"] == LINES - 10_000
        assert f"{folded} requests to endpoints beyond the first 10,000 are counted as (other)" in notes
    if name == "users and hosts":
        for column in ("user_id", "host", "user_id,host"):
            assert f"{folded} requests of {column} values beyond the first 10,000 are counted as (other)" in notes
        assert report["unique_users"]["total"] == pytest.approx(LINES, rel=4 * 0.0081)
    if name == "minutes":
        assert len(report["minutes"]) == LINES
        assert report["unique_users"]["total"] == 7


def test_lines_of_31_megabytes_take_bounded_memory(tmp_path: Path) -> None:
    """Four of them took a gigabyte. A line longer than 4 MiB is rejected, and said to be; a shorter one is read."""
    with (tmp_path / "a.log").open("w") as file:  # a process that is forked counts what this one has in memory
        for size in [31_000_000] * 4 + [4_000_000] * 4:
            file.write(line(path="/" + "a" * size))
    command = [sys.executable, "-c", MEASURED, "report", "-q", "--format", "app", "-o", "json"]
    with (tmp_path / "a.log").open("rb") as file:
        ran = subprocess.run(command, stdin=file, capture_output=True, timeout=120)
    report = json.loads(ran.stdout)
    assert (report["lines"], report["requests"], report["rejects"]["by_reason"]) == (8, 4, {"too_long": 4})
    assert [row["endpoint"] for row in report["endpoints"]] == ["/" + "a" * 999 + "{long}"]
    assert int(ran.stderr.decode().split()[1]) < 400
