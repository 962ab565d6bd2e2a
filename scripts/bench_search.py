#!/usr/bin/env python3
"""Measure how long one line is looked for in a month of logs: in an archive, and by zgrep in the same logs, gzipped.

    python scripts/bench_search.py                              30 days of 1 million lines, 3 runs each
    python scripts/bench_search.py --lines 30000

The logs are those of one day, with the date of each day, and on one of the days a line of a client, a user and a path
that no other line has. They are gzipped and added one day after another; both stay in the folder for the next run.
Medians of whole processes, as the kernel accounts for them (wait4), start-up included. Nothing fails here.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from bench import Case, logs, measure, show
from bench_archive import LOGSTATS, fresh, logstats, size_of

FIRST: Final = date(2025, 1, 17)
NEEDLE: Final = "4bf92f3577b34da6"
CLIENT, USER, PATH = "203.0.113.251", f"user-{NEEDLE}", f"/api/orders/{NEEDLE}"


def script_of(day: date, line: int | None) -> str:
    """What sed does to the log of the first day: another date; after one line, the needle, at its time."""
    script = f"s|{FIRST:%d/%b/%Y}|{day:%d/%b/%Y}|\n"
    if line is not None:
        needle = rf'{CLIENT} - {USER} [\1] "GET {PATH} HTTP/1.1" 200 12 "-" "curl/8.5.0" 0.012'
        script += rf"{line}{{p;s|^[^[]*\[\([^]]*\)\].*|{needle}|}}"
    return script


def made(folder: Path, log: Path, days: int, lines: int) -> tuple[Path, list[str]]:
    """The archive, and the gzipped logs; made once."""
    place = folder / f"searched-{days}-{lines}"
    root, done = place / "archive", place / "made"
    every = [FIRST + timedelta(days=number) for number in range(days)]
    packed = [place / f"{day.isoformat()}.log.gz" for day in every]
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        fresh(root)
        adding = 0.0
        for day, gz in zip(every, packed, strict=True):
            plain = place / f"{day.isoformat()}.log"
            script = script_of(day, lines // 2 if day == every[days // 2] else None)
            with plain.open("wb") as file:
                subprocess.run(("sed", "-e", script, str(log)), stdout=file, check=True)
            began = time.perf_counter()
            with gz.open("wb") as file, subprocess.Popen(("gzip", "-6", "-n", "-c", str(plain)), stdout=file):
                logstats("archive", "add", str(plain), "--archive", str(root), "-q")
                adding += time.perf_counter() - began
            plain.unlink()
        print(f"adding {days} days took {adding:,.1f} s, beside gzip")
        done.touch()
    return root, [str(path) for path in packed]


def run(folder: Path, days: int, lines: int, runs: int) -> None:
    """Look for the needle in all ways."""
    root, packed = made(folder, logs(folder, "combined_time", lines), days, lines)
    sizes = size_of(root / "hot"), sum(Path(path).stat().st_size for path in packed)
    search = (*LOGSTATS, "search", "-q", "--archive", str(root))
    day = FIRST + timedelta(days=days // 2)
    during = ("--since", day.isoformat(), "--until", (day + timedelta(days=1)).isoformat())
    cases = [
        Case("zgrep -F NEEDLE", ("zgrep", "-F", NEEDLE, *packed)),
        Case("search NEEDLE, the same logs", (*LOGSTATS, "search", "-q", NEEDLE, *packed)),
        Case("search NEEDLE --archive", (*search, NEEDLE)),
        Case("the same, of that day", (*search, NEEDLE, *during)),
        Case("--where client_ip = CLIENT", (*search, "--where", f"client_ip = {CLIENT}")),
        Case("--where user_id = USER", (*search, "--where", f"user_id = {USER}")),
        Case("--where path = PATH", (*search, "--where", f"path = {PATH}")),
        Case("no client", (*search, "--where", "client_ip = 203.0.113.252")),
    ]
    for case in cases:
        found = subprocess.run(case.command, capture_output=True, check=False).stdout.count(b"\n")
        assert found == (case.name != "no client"), f"{case.name}: {found} lines"
    title = (
        f"One line in {days} days of {lines:,} lines: {sizes[0] / 1e6:,.0f} MB of rows, {sizes[1] / 1e6:,.0f} MB of .gz"
    )
    show(title, measure(cases, runs), days * lines, against="zgrep -F NEEDLE")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of each day")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "logstats-bench", help="for logs")
    args = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    run(args.folder, args.days, args.lines, args.runs)


if __name__ == "__main__":
    main()
