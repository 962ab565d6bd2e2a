#!/usr/bin/env python3
"""What shards cost, and how far they carry: `python scripts/bench_scale.py [LOG]` (else 2 million lines are made).

It measures, on this machine: reading with one process of one thread, and with two; what starting a process takes; what
a shard is when it comes back, and merging it. The three take turns, and of each the fastest of some runs counts. Two
processes should be 1.7 times as fast as one, start-up deducted. From these figures follows what any number of workers
would take for any number of bytes, where reading is divided and merging is not: the table shows where it stops being
linear. Time by the clock only means something where nothing else runs (the load is printed); the figure of CPU time is
the speed-up that two idle cores would allow, if the process that merges shares them with the two that read.
"""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"  # one process is one thread, as each of the two is

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
RUNS = 3
WORKERS = (1, 2, 8, 16, 64, 256)
SIZES = {"1 GB": 1e9, "100 GB": 1e11, "1 TB": 1e12, "10 TB": 1e13}


@dataclass
class Run:
    """Seconds of a run, of which some went into merging; seconds of CPU, here and in processes that were started; its
    shards, and bytes of what came back."""

    seconds: float
    here: float
    there: float
    merging: float
    shards: int
    returned: int


def cpu(whose: int) -> float:
    """Seconds of CPU, of this process (RUSAGE_SELF) or of those that it started and that ended."""
    taken = resource.getrusage(whose)
    return taken.ru_utime + taken.ru_stime


def report(log: Path, executor: Executor, workers: int) -> Run:
    """A report of a log, by so many workers."""
    begun, here, there = time.perf_counter(), cpu(resource.RUSAGE_SELF), cpu(resource.RUSAGE_CHILDREN)
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
    seconds = time.perf_counter() - begun
    here, there = cpu(resource.RUSAGE_SELF) - here, cpu(resource.RUSAGE_CHILDREN) - there
    return Run(seconds, here, there, merging, len(cut), returned)


def start_up(folder: Path) -> Run:
    """What it takes until a process has read a log of one line."""
    log = folder / "one.log"
    log.write_text('10.0.0.1 - - [17/Jan/2025:10:30:00 +0000] "GET / HTTP/1.1" 200 5\n', encoding="utf-8")
    return report(log, Processes(1), 1)


def fastest(runs: list[Run]) -> Run:
    """The run that others disturbed the least."""
    return min(runs, key=lambda run: run.seconds)


def main() -> int:
    """Measure, and print the model."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if len(sys.argv) > 1:
            log = Path(sys.argv[1])
        else:
            log = folder / "made.log"
            maker = [sys.executable, str(Path(__file__).parent / "make_logs.py"), "--format", "combined_time"]
            with log.open("wb") as file:
                subprocess.run([*maker, "--lines", "2000000", "--stdout"], stdout=file, check=True)
        size = log.stat().st_size
        report(log, Here(), 2)  # warms the page cache, and loads everything
        rounds = [(report(log, Here(), 2), start_up(folder), report(log, Processes(2), 2)) for _ in range(RUNS)]
    one, start, two = (fastest(list(runs)) for runs in zip(*rounds, strict=True))
    print(f"{RUNS} runs of each in turn; when they began, {load:.1f} processes were running on {os.cpu_count()} cores")
    rate = size / (one.seconds - one.merging)
    merge = one.merging / one.shards
    print(f"{size / 1e6:,.0f} MB in {one.shards} shards; what comes back is {one.returned / size:.2%} of it")
    print(
        f"one process, one thread   {one.seconds:6.2f} s  {rate / 1e6:,.0f} MB/s; merging {1000 * merge:.1f} ms a shard"
    )
    print(f"start of a process        {start.seconds:6.2f} s")
    ratio = one.seconds / max(two.seconds - start.seconds, 1e-9)
    print(
        f"two processes             {two.seconds:6.2f} s  {ratio:.2f} times as fast, start-up deducted (1.7 expected)"
    )
    each = (two.there - 2 * start.there + two.here) / 2
    print(
        f"in CPU time: one {one.here:.2f} s; two {two.there:.2f} s, of which {2 * start.there:.2f} s to start, and "
        f"{two.here:.2f} s to merge: two idle cores would allow {one.here / each:.2f} times"
    )
    print("\nseconds (and part of a linear gain), if every worker reads as fast as here:\n")
    print("workers " + "".join(f"{name:>18}" for name in SIZES))
    for workers in WORKERS:
        cells = []
        for total in SIZES.values():
            number = max(workers * ROUNDS, total / LARGEST)
            alone = total / rate
            taken = start.seconds + max(total / rate / workers, number * merge) + merge
            cells.append(f"{taken:,.0f} ({alone / taken / workers:.0%})")
        print(f"{workers:7d} " + "".join(f"{cell:>18}" for cell in cells))
    most = LARGEST / rate / merge
    print(f"\nmerging keeps one process busy at about {most:,.0f} workers: beyond, more of them gain nothing.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
