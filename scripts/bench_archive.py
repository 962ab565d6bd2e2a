#!/usr/bin/env python3
"""Measure the archive: how fast lines go in, how small they are, how fast answers come out. Nothing fails here.

    python scripts/bench_archive.py                     2 million lines, 5 runs each, all sections
    python scripts/bench_archive.py --only add --lines 200000
    python scripts/bench_archive.py --only flat --big 20000000
    python scripts/bench_archive.py --day               100 million lines of 24 hours from 8 sources, and a smaller day
    python scripts/bench_archive.py --day --lines 200000 --tier

Medians of whole processes in turns, as the kernel accounts for them (wait4), start-up included.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from bench import PYTHON, ROOT, Case, generator, logs, measure, once, show
from bench_day import query_of
from bench_day import run as run_day

LOGSTATS: Final = (PYTHON, "-m", "logstats")
DUCKDB: Final = (PYTHON, str(ROOT / "scripts" / "bench_duckdb.py"))
ERRORS_BY_APP: Final = query_of(date(2025, 1, 17))
_DUCKDB: Final = "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())"


def logstats(*arguments: str) -> None:
    """Run the program."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*LOGSTATS, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)


def fresh(root: Path) -> Path:
    """A new archive, in the place of what is there."""
    shutil.rmtree(root, ignore_errors=True)
    logstats("archive", "init", str(root), "-q")
    return root


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def gzip_6(log: Path) -> int:
    """Bytes of a file as `gzip -6` leaves it."""
    packed = log.with_suffix(".gz6")
    if not packed.exists():
        with log.open("rb") as plain, gzip.open(packed.with_suffix(".partial"), "wb", compresslevel=6) as file:
            shutil.copyfileobj(plain, file, 1 << 20)
        packed.with_suffix(".partial").rename(packed)
    return packed.stat().st_size


def add(folder: Path, lines: int, runs: int) -> None:
    """Lines into a new archive, and once more, when there is nothing to add; and what DuckDB takes for their rows."""
    root, copied = folder / "archive", folder / "copied"
    for name in ("combined_time", "wide"):
        log = logs(folder, name, lines)
        command = (*LOGSTATS, "archive", "add", str(log), "--archive", str(root), "-q")
        cases = [
            Case("archive add", command, prepare=lambda: fresh(root)),
            Case("the same again", command),
            Case("DuckDB, COPY to Parquet by hour", (*DUCKDB, "--copy", str(copied), str(log))),
        ]
        size = log.stat().st_size
        title = f"Adding {lines:,} lines ({name}), {size / 1e6:,.0f} MB"
        show(title, measure(cases, runs), lines, size, against="archive add")


def sizes(folder: Path, lines: int) -> None:
    """Bytes of each part of an archive, against `gzip -6` of the lines."""
    log = logs(folder, "combined", lines)
    packed = gzip_6(log)
    root = fresh(folder / "archive")
    logstats("archive", "add", str(log), "--archive", str(root), "-q")
    print(f"\nSizes: {lines:,} combined lines of one day\n{'':34}{'MB':>10}{'of gzip -6':>12}")
    rows = {"the lines": log.stat().st_size, "gzip -6": packed, "hot, hourly files": size_of(root / "hot")}
    rows["rollups"] = size_of(root / "rollups")
    rows["rejects, commits, catalog"] = size_of(root) - rows["hot, hourly files"] - rows["rollups"]
    logstats("archive", "tier", "--archive", str(root), "--now", "2025-03-01", "-q")
    rows["warm, after 30 days"] = size_of(root / "warm")
    logstats("archive", "tier", "--archive", str(root), "--now", "2025-06-01", "-q")
    rows["cold, after 90 days"] = size_of(root / "cold")
    for name, size in rows.items():
        print(f"  {name:32}{size / 1e6:10,.1f}{size / packed:12.3f}")


def flat(folder: Path, lines: int, big: int) -> None:
    """Peak memory for a pipe, and for one ten times as long."""
    figures = {}
    for count in (lines, big):
        root = fresh(folder / "archive")
        command = (*LOGSTATS, "archive", "add", "-", "--archive", str(root), "-q")
        name = f"{count:,} lines through a pipe"
        figures[name] = once(Case(name, command, generator("combined", count)))
    show("Memory of archive add (the generator sets the pace)", figures)


def ask(folder: Path, lines: int, days: int, runs: int) -> None:
    """Reports and queries over some days of so many lines each: whole commands, and a query inside DuckDB."""
    root = folder / f"asked-{days}-{lines}"
    made = root.with_suffix(".made")
    if not made.exists():
        fresh(root)
        for day in range(days):
            start = (datetime(2025, 1, 17) + timedelta(days=day)).date().isoformat()
            log = folder / "day.log"
            with log.open("wb") as file:
                subprocess.run([*generator("combined_time", lines), "--start", start], stdout=file, check=True)
            logstats("archive", "add", str(log), "--archive", str(root), "--source-name", start, "-q")
        log.unlink()
        made.touch()
    report = (*LOGSTATS, "report", "--archive", str(root), "-q", "-o", "json")
    query = (*LOGSTATS, "query", ERRORS_BY_APP, "--archive", str(root), "-q")
    files = f"read_parquet('{root}/hot/**/*.parquet', hive_partitioning=true)"
    from_files = ERRORS_BY_APP.replace("FROM logs", f"FROM {files}")
    edges = ("--since", "2025-01-17T10:30", "--until", "2025-01-18T15:10")
    cases = [
        Case("report, from rollups", report),
        Case("report, from rows", (*report, "--rows")),
        Case("DuckDB, the report from the rows", (*DUCKDB, "--rows", str(root / "hot"))),
        Case("report, hours and edges", (*report, *edges)),
        Case("query, a day's errors by app", query),
        Case("DuckDB, the same from the rows' files", (PYTHON, "-c", _DUCKDB, from_files)),
    ]
    figures = measure(cases, runs)
    show(f"Asking {days} days of {lines:,} lines", figures, against="report, from rollups")
    ours, theirs = (figures[case.name].wall for case in cases[-2:])
    from_rows, from_duckdb = (figures[case.name].wall for case in cases[1:3])
    print(f"  DuckDB takes {from_duckdb / from_rows:.2f} times as long for the report from the rows")
    print(f"  the query takes {ours - theirs:.2f} s beyond what DuckDB takes")

    from logstats.archive.archive import Archive
    from logstats.archive.query.sql import connect

    archive = Archive.open(root)
    snapshot = archive.snapshot()
    with connect(archive.storage, snapshot) as connection:
        began = time.perf_counter()
        connection.execute("FROM query($sql)", {"sql": ERRORS_BY_APP}).fetchall()
        took = time.perf_counter() - began
        plan = str(connection.execute("EXPLAIN ANALYZE FROM query($sql)", {"sql": ERRORS_BY_APP}).fetchall())
    opened = ", ".join(dict.fromkeys(re.findall(r"Scanning Files: \d+/\d+", plan)))
    print(f"  a day's errors by app, inside DuckDB: {took:.3f} s; {opened} (of {len(snapshot.files):,} in the archive)")


def main() -> None:
    """Run the sections that are asked for."""
    sections = ("add", "sizes", "flat", "ask")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, help="(default: 2 million, with --day 100 million)")
    parser.add_argument("--day", action="store_true", help="only this: a day at the scale of the design")
    parser.add_argument("--tier", action="store_true", help="with --day: the large day moves, too")
    parser.add_argument("--big", type=int, default=20_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--day-lines", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=sections, action="append", help="repeatable")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "logstats-bench", help="for logs")
    args = parser.parse_args()
    asked = args.only or sections
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    if args.day:
        run_day(fresh(args.folder / "archive-of-a-day"), args.folder, args.lines or 100_000_000, tier=args.tier)
        return
    args.lines = args.lines or 2_000_000
    if "add" in asked:
        add(args.folder, args.lines, args.runs)
    if "sizes" in asked:
        sizes(args.folder, args.lines)
    if "flat" in asked:
        flat(args.folder, args.lines, args.big)
    if "ask" in asked:
        ask(args.folder, args.day_lines, args.days, args.runs)


if __name__ == "__main__":
    main()
