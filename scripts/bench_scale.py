#!/usr/bin/env python3
"""What shards cost, and how far they carry: `python scripts/bench_scale.py [LOG]`. Without one, 400,000 lines are made.

It measures, on this machine: reading with one process of one thread, and with two; what starting a process takes; what
a shard is when it comes back, and merging it. Two processes should be 1.7 times as fast as one, start-up deducted. From
these figures follows what any number of workers would take for any number of bytes, where reading is divided and
merging is not: the table shows where it stops being linear. It needs as many idle cores as workers that it measures.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from logstats.inputs import discover
from logstats.options import Options
from logstats.pipeline import Counts, Silence
from logstats.scale.calls import ROUNDS, Executor, Here
from logstats.scale.processes import Processes
from logstats.scale.run import run_shards
from logstats.scale.shards import LARGEST, shards
from logstats.scale.work import ReportWork, Task
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics

SPEC = ReportSpec(by=("status",), over_time=True)
WORKERS = (1, 2, 8, 16, 64, 256)
SIZES = {"1 GB": 1e9, "100 GB": 1e11, "1 TB": 1e12, "10 TB": 1e13}


@dataclass
class Run:
    """Seconds of a run, of which some went into merging; its shards, and bytes of what came back."""

    seconds: float
    merging: float
    shards: int
    returned: int


def report(log: Path, executor: Executor, workers: int) -> Run:
    """A report of a log, by so many workers."""
    begun = time.perf_counter()
    task = Task(ReportWork(SPEC), Options(), threads=1)
    task = replace(task, chunk=task.job(Counts()).chunk)
    cut = list(shards(discover([str(log)])[0], task.job(Counts()), workers))
    statistics, merging, returned = Statistics(SPEC), 0.0, 0
    for found in run_shards(iter(cut), task, executor, Counts(), Silence()):
        before = time.perf_counter()
        statistics.add(found)
        statistics.merge()
        merging += time.perf_counter() - before
        returned += len(pickle.dumps(found))
    return Run(time.perf_counter() - begun, merging, len(cut), returned)


def start_up(folder: Path) -> float:
    """Seconds until a process has read a log of one line."""
    log = folder / "one.log"
    log.write_text('10.0.0.1 - - [17/Jan/2025:10:30:00 +0000] "GET / HTTP/1.1" 200 5\n', encoding="utf-8")
    return report(log, Processes(1), 1).seconds


def main() -> int:
    """Measure, and print the model."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if len(sys.argv) > 1:
            log = Path(sys.argv[1])
        else:
            log = folder / "made.log"
            maker = [sys.executable, str(Path(__file__).parent / "make_logs.py"), "--format", "combined_time"]
            with log.open("wb") as file:
                subprocess.run([*maker, "--lines", "400000", "--stdout"], stdout=file, check=True)
        size = log.stat().st_size
        report(log, Here(), 2)  # warms the page cache, and loads everything
        one, start = report(log, Here(), 2), start_up(folder)
        two = report(log, Processes(2), 2)
    rate = size / (one.seconds - one.merging)
    merge = one.merging / one.shards
    print(f"{size / 1e6:,.0f} MB in {one.shards} shards; what comes back is {one.returned / size:.2%} of it")
    print(
        f"one process, one thread   {one.seconds:6.2f} s  {rate / 1e6:,.0f} MB/s; merging {1000 * merge:.1f} ms a shard"
    )
    print(f"start of a process        {start:6.2f} s")
    ratio = one.seconds / max(two.seconds - start, 1e-9)
    print(
        f"two processes             {two.seconds:6.2f} s  {ratio:.2f} times as fast, start-up deducted (1.7 expected)"
    )
    print("\nseconds (and part of a linear gain), if every worker reads as fast as here:\n")
    print("workers " + "".join(f"{name:>18}" for name in SIZES))
    for workers in WORKERS:
        cells = []
        for total in SIZES.values():
            number = max(workers * ROUNDS, total / LARGEST)
            alone = total / rate
            taken = start + max(total / rate / workers, number * merge) + merge
            cells.append(f"{taken:,.0f} ({alone / taken / workers:.0%})")
        print(f"{workers:7d} " + "".join(f"{cell:>18}" for cell in cells))
    most = LARGEST / rate / merge
    print(f"\nmerging keeps one process busy at about {most:,.0f} workers: beyond, more of them gain nothing.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
