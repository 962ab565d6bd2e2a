#!/usr/bin/env python3
"""How long it takes to find out how logs are written: milliseconds a file.

    scripts/bench_detect.py [--cold] [--worst N] [FILE|FOLDER]...

Without files: sample_logs/, and the folder that LOGSTATS_REAL_LOGS names. Each figure is the best of three; with
--cold, that of the first detection in a process of its own, libraries loaded. They fail nothing.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow  # noqa: F401  # which reading loads, so that it is no part of what is measured

from logstats.formats.detection.detect import Detector
from logstats.formats.registry import builtin
from logstats.pipeline import sample_lines
from logstats.pipeline.line_counter import LineCounter

ROOT = Path(__file__).resolve().parent.parent
RUNS = 3
FIRST = 4 << 20  # bytes of a file that are read


def logs(given: Sequence[Path]) -> Iterator[Path]:
    """The files that are named, and those of the folders."""
    real = os.environ.get("LOGSTATS_REAL_LOGS")
    for path in given or [ROOT / "sample_logs", *([Path(real)] if real else [])]:
        if path.is_file():
            yield path
            continue
        other = (".expected.jsonl", ".expected.json", ".toml", ".tsv", ".md")
        yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.name.endswith(other))


def milliseconds(path: Path, runs: int) -> tuple[float, str]:
    """The fastest of some detections, each with nothing made ready before, and what they find."""
    builtin()
    with path.open("rb") as file:
        lines = sample_lines(file.read(FIRST))
    best, name = float("inf"), "-"
    for _ in range(runs):
        began = time.perf_counter()
        found = Detector(builtin().values(), certain=LineCounter.certain()).detect(lines)
        best = min(best, 1e3 * (time.perf_counter() - began))
        name = found.name if found else "-"
    return best, name


def cold(path: Path) -> tuple[float, str]:
    """The first detection of a process."""
    ran = subprocess.run(
        [sys.executable, __file__, "--one", str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    taken, name = ran.stdout.split(maxsplit=1)
    return float(taken), name.strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--worst", type=int, default=5)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    gc.set_threshold(100_000)  # as the command line has it
    if given.one:
        print(*milliseconds(given.one, 1))
        return
    taken = [(*(cold(path) if given.cold else milliseconds(path, RUNS)), path) for path in logs(given.paths)]
    if not taken:
        raise SystemExit("no files")
    taken.sort(reverse=True)
    times = [one for one, _, _ in taken]
    print(f"{len(times)} files: median {statistics.median(times):.0f} ms, slowest {times[0]:.0f} ms")
    for one, name, path in taken[: given.worst]:
        print(f"{one:6.0f} ms  {path.name}: {name}")


if __name__ == "__main__":
    main()
