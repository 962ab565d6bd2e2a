"""A day at the scale of the design, for `bench_archive.py --day`: 24 hours of 8 sources, and then the next day.

Each source writes its own log, which is made, added and deleted, one after another: the disk needs room for one of them
(100 million lines: 2.5 GB), and for the archive. Only `archive add` is timed, not the making of the log.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from bench import PYTHON, ROOT, Case, Figures, once

from logstats.archive.archive import Archive
from logstats.archive.log import tables

LOGSTATS: Final = (PYTHON, "-m", "logstats")
SOURCES: Final = 8
FIRST: Final = date(2025, 1, 17)


@dataclass(frozen=True, slots=True)
class Added:
    """What adding the logs of a day took: seconds, the most memory of a process in MB, lines, and bytes of the logs."""

    wall: float
    cpu: float
    memory: float
    lines: int
    octets: int


def query_of(day: date) -> str:
    """The query of the README, of a day."""
    return (
        f"SELECT app_name, COUNT(*) FROM logs WHERE year={day.year} AND month={day.month} AND day={day.day} "
        "AND level='ERROR' GROUP BY app_name"
    )


def add_day(root: Path, folder: Path, lines: int, day: date) -> Added:
    """Add a day of so many lines, an equal part of each source."""
    wall = cpu = memory = 0.0
    octets = 0
    each = lines // SOURCES
    for number in range(SOURCES):
        log = folder / f"web{number}.log"
        maker = (PYTHON, str(ROOT / "scripts" / "make_logs.py"), "--format", "combined_time", "--stdout")
        with log.open("wb") as file:
            asked = ("--lines", str(each), "--seed", str(number + 1), "--start", day.isoformat())
            subprocess.run([*maker, *asked], stdout=file, check=True)
        octets += log.stat().st_size
        taken = once(
            Case(
                "archive add",
                (*LOGSTATS, "archive", "add", str(log), "--archive", str(root), "--source-name", f"web{number}", "-q"),
            )
        )
        log.unlink()
        wall, cpu, memory = wall + taken.wall, cpu + taken.cpu, max(memory, taken.memory)
    return Added(wall, cpu, memory, each * SOURCES, octets)


def ask(root: Path, day: date) -> dict[str, Figures]:
    """The report of a day, and the query of the README."""
    to = (day + timedelta(days=1)).isoformat()
    report = ("report", "--archive", str(root), "--since", day.isoformat(), "--until", to, "-o", "json", "-q")
    query = ("query", query_of(day), "--archive", str(root), "-q")
    return {name: once(Case(name, (*LOGSTATS, *asked))) for name, asked in (("report", report), ("query", query))}


def show_stored(root: Path, octets: int) -> None:
    """Print the files and bytes of each tier, and of the rollups, of logs of so many bytes."""
    held = list(Archive.open(root).snapshot().files.values())
    parts = [(tier, [one for one in held if one.table == tables.LOGS and one.tier == tier]) for tier in tables.TIERS]
    parts.append(("rollups", [one for one in held if one.table in tables.ROLLUPS]))
    parts.append(("rejects", [one for one in held if one.table == tables.REJECTS]))
    for name, files in parts:
        size = sum(one.bytes for one in files)
        print(f"  {name:12}{len(files):8,} files{size / 1e6:14,.1f} MB{size / octets:10.2%} of the logs")


def show(what: str, figures: Figures) -> None:
    """Print a command's time and memory."""
    print(f"  {what:32}{figures}")


def run(root: Path, folder: Path, lines: int) -> None:
    """Measure two days in a new archive, and print."""
    folder.mkdir(parents=True, exist_ok=True)
    second = FIRST + timedelta(days=1)
    octets = 0
    for day in (FIRST, second):
        added = add_day(root, folder, lines, day)
        octets += added.octets
        print(f"\n{day}: {added.lines:,} lines of {SOURCES} sources, {added.octets / 1e6:,.0f} MB")
        print(
            f"  archive add: {added.wall:,.1f} s ({added.cpu:,.1f} s of CPU), {added.lines / added.wall:,.0f} lines/s, "
            f"{added.octets / added.wall / 1e6:,.0f} MB/s, peak {added.memory:,.0f} MB"
        )
        show_stored(root, octets)
        for name, figures in ask(root, day).items():
            show(f"{name} of {day}", figures)
    for days, tier in ((31, "warm"), (91, "cold")):
        now = (FIRST + timedelta(days=days)).isoformat() + "T01:00"
        command = (*LOGSTATS, "archive", "tier", "--archive", str(root), "--now", now, "--grace", "0h", "-q")
        print(f"\n{FIRST} moves to {tier}")
        show("archive tier", once(Case("archive tier", command)))
        show_stored(root, octets)
        for day in (FIRST, second):
            for name, figures in ask(root, day).items():
                show(f"{name} of {day}", figures)
