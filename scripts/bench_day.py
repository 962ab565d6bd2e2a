"""A day at the scale of the design, for `bench_archive.py --day`: 24 hours of 8 sources; and the day before, that ages.

Eight servers behind one balancer have the same clients and pages, at other times. So one log is made, by two processes,
and NumPy makes the others of it. Each is added and deleted, one after another: the disk needs room for two of them (100
million lines: 5 GB), and for the archive. Only `archive add` is timed.

The day before has a tenth of the lines. It moves to warm, and is asked for again; with `--tier`, the large day moves to
warm, and then both to cold. Of 100 million lines on two idle cores, making takes about 3 minutes, adding 4 to 7, and
each move of the large day about 5.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from bench import PYTHON, ROOT, Case, Figures, once
from numpy.typing import NDArray

from logstats.archive.archive import Archive
from logstats.archive.log import tables

LOGSTATS: Final = (PYTHON, "-m", "logstats")
SOURCES: Final = 8
DAY: Final = date(2025, 1, 17)
BEFORE: Final = DAY - timedelta(days=1)
PART: Final = 10  # times as many lines as the day before has
_BLOCK: Final = 64 << 20  # bytes that are varied at once
_TIME: Final = 28  # bytes of a time


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


def make(log: Path, lines: int, day: date) -> None:
    """The log of the first server: each half of the day by a process of its own."""
    halves = (lines // 2, lines - lines // 2)
    parts = [log.with_suffix(f".{number}") for number in range(2)]
    makers = []
    for number, (part, count) in enumerate(zip(parts, halves, strict=True)):
        start = f"{day.isoformat()}T{12 * number:02}:00"
        asked = ("--lines", str(count), "--seed", str(number + 1), "--start", start, "--hours", "12")
        maker = (PYTHON, str(ROOT / "scripts" / "make_logs.py"), "--format", "combined_time", "--stdout", *asked)
        with part.open("wb") as file:
            makers.append(subprocess.Popen(maker, stdout=file))
    codes = [maker.wait() for maker in makers]
    if any(codes):
        raise SystemExit("make_logs.py failed")
    with parts[0].open("ab") as file, parts[1].open("rb") as rest:
        shutil.copyfileobj(rest, file, _BLOCK)
    parts[1].unlink()
    parts[0].rename(log)


def vary(log: Path, other: Path, number: int) -> None:
    """Another server's log of the same day: in each block the same requests at other times, some hundred thousand lines
    apart from where the first server has them."""
    with log.open("rb") as file, other.open("wb") as out:
        rest = b""
        while block := file.read(_BLOCK):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            data = np.frombuffer(whole + newline, np.uint8)
            ends = np.flatnonzero(data == ord("\n"))
            turn = int(ends[len(ends) * number // SOURCES]) + 1 if len(ends) else 0
            turned = np.concatenate([data[turn:], data[:turn]])
            turned[_times(turned)] = data[_times(data)]
            out.write(turned.data)
        out.write(rest)


def _times(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The places of the bytes of each time, [17/Jan/2025:10:30:00 +0000], a row each."""
    first = np.flatnonzero(data == ord("["))
    first = first[first + _TIME < len(data)]
    first = first[(data[first + _TIME - 1] == ord("]")) & (data[first + 3] == ord("/")) & (data[first + 7] == ord("/"))]
    places: NDArray[np.int64] = np.add.outer(first, np.arange(_TIME))
    return places


def add_day(root: Path, folder: Path, lines: int, day: date) -> Added:
    """Add a day of so many lines, an equal part of each source."""
    wall = cpu = memory = 0.0
    octets = 0
    each = lines // SOURCES
    first = folder / "web0.log"
    make(first, each, day)
    for number in range(SOURCES):
        log = folder / f"web{number}.log"
        if number:
            vary(first, log, number)
        octets += log.stat().st_size
        asked = ("archive", "add", str(log), "--archive", str(root), "--source-name", log.stem, "-q")
        taken = once(Case("archive add", (*LOGSTATS, *asked)))
        if number:
            log.unlink()
        wall, cpu, memory = wall + taken.wall, cpu + taken.cpu, max(memory, taken.memory)
    first.unlink()
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


def show_answers(root: Path, day: date) -> None:
    """Print the time and memory of a day's report, and of the query of the README."""
    for name, figures in ask(root, day).items():
        show(f"{name} of {day}", figures)


def run(root: Path, folder: Path, lines: int, *, tier: bool = False) -> None:
    """Measure two days in a new archive, and print."""
    folder.mkdir(parents=True, exist_ok=True)
    octets = 0
    for day, count in ((DAY, lines), (BEFORE, lines // PART)):
        begun = time.perf_counter()
        added = add_day(root, folder, count, day)
        octets += added.octets
        making = time.perf_counter() - begun - added.wall
        size = f"{added.octets / 1e6:,.0f} MB"
        print(f"\n{day}: {added.lines:,} lines of {SOURCES} sources, {size}, made in {making:,.0f} s")
        print(
            f"  archive add: {added.wall:,.1f} s ({added.cpu:,.1f} s of CPU), {added.lines / added.wall:,.0f} lines/s, "
            f"{added.octets / added.wall / 1e6:,.0f} MB/s, peak {added.memory:,.0f} MB",
            flush=True,
        )
        show_stored(root, octets)
        show_answers(root, day)
    moves = [(BEFORE, 31, f"{BEFORE} moves to warm")]
    if tier:
        moves += [(DAY, 31, f"{DAY} moves to warm"), (DAY, 91, "both days move to cold")]
    for day, age, what in moves:
        now = (day + timedelta(days=age)).isoformat() + "T01:00"
        print(f"\n{what}")
        command = (*LOGSTATS, "archive", "tier", "--archive", str(root), "--now", now, "--grace", "0h", "-q")
        show("archive tier", once(Case("archive tier", command)))
        show_stored(root, octets)
        for one in (BEFORE, DAY):
            show_answers(root, one)
