#!/usr/bin/env python3
"""Measure logstats beside its peers, in one run on one machine, and print figures and ratios. Nothing fails here.

    python scripts/bench.py                     2 million lines, 5 runs each, all sections
    python scripts/bench.py --lines 200000 --runs 3 --only peers
    python scripts/bench.py --only memory --big 20000000
    python scripts/bench.py --before ../then    each report also by another checkout of it, in turn

Commands of a section take turns, so that a machine that slows down slows them all; the medians are printed. Time and
memory are the kernel's own account of each finished process (wait4), start-up included. Peers that are not installed
are said and left out (Debian: apt-get install goaccess logswan).
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = sys.executable
REPORT: Final = (PYTHON, "-m", "logstats", "report", "-q", "-o", "json")
VARIANTS: Final = ("combined", "common", "vhost_combined", "combined_us", "app", "json", "json_nested", "logfmt", "kv")


@dataclass(frozen=True, slots=True)
class Case:
    """A command to time; `stdin` is a command whose output it reads."""

    name: str
    command: Sequence[str]
    stdin: Sequence[str] = ()
    runs: int | None = None
    root: Path = ROOT  # of the checkout whose logstats it runs
    prepare: Callable[[], object] | None = None  # before each run


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians of some runs."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    memory: float  # MB, the most that was resident

    def __str__(self) -> str:
        return f"{self.wall:8.2f} s {self.cpu:8.2f} s {self.memory:8.0f} MB"


def once(case: Case) -> Figures:
    """Run a command to its end."""
    environment = {**os.environ, "PYTHONPATH": str(case.root)}
    if case.prepare is not None:
        case.prepare()
    feeder = subprocess.Popen(case.stdin, stdout=subprocess.PIPE, env=environment) if case.stdin else None
    began = time.perf_counter()
    process = subprocess.Popen(
        case.command,
        stdin=feeder.stdout if feeder else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=case.root,  # where `python -m` looks first
    )
    if feeder and feeder.stdout:
        feeder.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if feeder:
        feeder.wait()
    if process.returncode:
        print(f"  {case.name}: exit {process.returncode}", file=sys.stderr)
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


_before: list[Path] = []  # another checkout, if one is to be measured beside this one


def measure(cases: Sequence[Case], runs: int) -> dict[str, Figures]:
    """Medians of each, in turns, after one run that does not count; also of what another checkout makes of them."""
    for root in _before:
        ours = [case for case in cases if "logstats" in case.command]
        cases = [*cases, *(replace(case, name=f"{case.name}, before", root=root) for case in ours)]
    taken: dict[str, list[Figures]] = {case.name: [] for case in cases}
    for number in range(runs + 1):
        for case in cases:
            if case.runs is not None and number > case.runs:
                continue
            figures = once(case)
            if number or case.runs == 0:
                taken[case.name].append(figures)
    return {name: _median(all_) for name, all_ in taken.items()}


def _median(all_: Sequence[Figures]) -> Figures:
    return Figures(median(f.wall for f in all_), median(f.cpu for f in all_), median(f.memory for f in all_))


def show(title: str, figures: dict[str, Figures], lines: int = 0, size: int = 0, against: str = "") -> None:
    """A table; with `against`, how many times as long each takes as that one."""
    print(f"\n{title}\n{'':34}{'wall':>10}{'cpu':>11}{'peak':>12}{'lines/s':>13}{'MB/s':>8}{'ratio':>8}")
    for name, taken in figures.items():
        rates = f"{lines / taken.wall:13,.0f}" if lines else " " * 13
        rates += f"{size / taken.wall / 1e6:8.0f}" if size else " " * 8
        ratio = f"{taken.wall / figures[against].wall:8.2f}" if against else ""
        print(f"  {name:32}{taken}{rates}{ratio}")


def logs(folder: Path, name: str, lines: int) -> Path:
    """A generated log, made once."""
    path = folder / f"{lines}" / f"{name}.log"
    if not path.exists():
        print(f"making {path}", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            subprocess.run(generator(name, lines), stdout=file, check=True)
        partial.rename(path)
    return path


def generator(name: str, lines: int) -> tuple[str, ...]:
    """The command that writes such lines to its standard output; `wide` are those of `--wide`."""
    script = str(ROOT / "scripts" / "make_logs.py")
    if name == "wide":
        wide = ("--format", "combined_time", "--wide", "--users", "50000", "--lines", str(lines), "--stdout")
        return (PYTHON, script, *wide)
    return (PYTHON, script, "--format", name, "--lines", str(lines), "--users", "200000", "--stdout")


def peers(folder: Path, lines: int, runs: int) -> None:
    """The whole default report, against what people use today."""
    log = logs(folder, "combined_time", lines)
    goaccess: tuple[str, ...] = ("goaccess", str(log), "--log-format", '%h %^[%d:%t %^] "%r" %s %b "%R" "%u" %T')
    goaccess += ("--date-format", "%d/%b/%Y", "--time-format", "%H:%M:%S", "-o", str(folder / "goaccess.json"))
    loop = (
        "import sys, tests.reference as r; r.reference(open(sys.argv[1], errors='backslashreplace').readlines(), 10**9)"
    )
    duckdb = (PYTHON, str(ROOT / "scripts" / "bench_duckdb.py"))
    cases = [
        Case("logstats report FILE", (*REPORT, str(log))),
        Case("cat FILE | logstats report -", (*REPORT, "-"), stdin=("cat", str(log))),
        Case("DuckDB, SQL by hand", (*duckdb, str(log))),
        Case("DuckDB, tuned by hand", (*duckdb, "--tuned", str(log))),
        Case("logswan", ("logswan", str(log))),
        Case("goaccess -o json", goaccess, runs=1),
        Case("Python loop (tests/reference.py)", (PYTHON, "-c", loop, str(log)), runs=1),
    ]
    there = [case for case in cases if shutil.which(case.command[0])]
    for case in cases:
        if case not in there:
            print(f"{case.name}: not installed", file=sys.stderr)
    figures = measure(there, runs)
    title = f"Peers: {lines:,} combined lines with request time, {log.stat().st_size / 1e6:,.0f} MB"
    show(title, figures, lines, log.stat().st_size, against=cases[0].name)


def wide(folder: Path, lines: int, runs: int) -> None:
    """The hardest case for keys: 50,000 users evenly, 10,000 endpoints; the table that people see, and all of it."""
    log = logs(folder, "wide", lines)
    duckdb = (PYTHON, str(ROOT / "scripts" / "bench_duckdb.py"))
    report = (PYTHON, "-m", "logstats", "report", "-q", str(log))
    cases = [
        Case("logstats report FILE", report),
        Case("the same, -o json", (*report, "-o", "json")),
        Case("DuckDB, SQL by hand", (*duckdb, str(log))),
        Case("DuckDB, lean, ten endpoints", (*duckdb, "--lean", str(log))),
    ]
    title = f"Wide: {lines:,} combined lines with request time, {log.stat().st_size / 1e6:,.0f} MB"
    figures = measure(cases, runs)
    show(title, figures, lines, log.stat().st_size, against=cases[0].name)
    json, sql = (figures[case.name].wall for case in cases[1:3])
    print(f"  the SQL by hand takes {sql / json:.2f} times as long as -o json")


def cores(folder: Path, lines: int, runs: int) -> None:
    """One core against all: what beyond start-up becomes faster."""
    if not shutil.which("taskset"):
        print("one core against all: taskset is not installed", file=sys.stderr)
        return
    one = ("taskset", "-c", "0")
    for name in ("combined_time", "wide"):
        few, many = ((*REPORT, str(logs(folder, name, n))) for n in (1000, lines))
        cases = [Case("1,000 lines, one core", (*one, *few)), Case("1,000 lines", few)]
        cases += [Case("all, one core", (*one, *many)), Case("all", many)]
        turns = [[once(case) for case in cases] for _ in range(max(runs, 11) + 1)][1:]
        figures = {case.name: _median(taken) for case, taken in zip(cases, zip(*turns, strict=True), strict=True)}
        show(f"Cores: {lines:,} lines, {name}", figures)
        times = median(
            (all_one.wall - start_one.wall) / (all_.wall - start.wall) for start_one, start, all_one, all_ in turns
        )
        print(f"  after start-up, one core takes {times:.2f} times as long (median of turns)")


def formats(folder: Path, lines: int, runs: int) -> None:
    """Formats of one generator beside each other."""
    paths = {name: logs(folder, name, lines // 4) for name in ("combined_time", *VARIANTS)}
    definition = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    definition += '"$http_user_agent" $request_time'
    cases = [Case(name, (*REPORT, str(path))) for name, path in paths.items()]
    packed = paths["combined_time"].with_suffix(".log.gz")
    if not packed.exists():
        with gzip.open(packed, "wb", compresslevel=6) as file:
            file.write(paths["combined_time"].read_bytes())
    cases.append(Case("combined_time, gzip", (*REPORT, str(packed))))
    cases.append(Case("--log-format", (*REPORT, "--log-format", definition, str(paths["combined_time"]))))
    figures = measure(cases, runs)
    show(f"Formats: {lines // 4:,} lines each", figures, lines // 4, against="combined_time")


def every(lines: int) -> None:
    """Every format that there is, on lines of its own samples."""
    from bench_formats import table

    print(f"\nEvery format, {lines // 10:,} lines each, in one process that is warm")
    table([], lines // 10)


def big(folder: Path, lines: int, runs: int) -> None:
    """A log ten times as long."""
    log = logs(folder, "combined_time", lines)
    cases = [
        Case("logstats report FILE", (*REPORT, str(log))),
        Case("DuckDB, SQL by hand", (PYTHON, str(ROOT / "scripts" / "bench_duckdb.py"), str(log))),
    ]
    size = log.stat().st_size
    title = f"Big: {lines:,} combined lines with request time, {size / 1e6:,.0f} MB"
    show(title, measure(cases, runs), lines, size, against=cases[0].name)


def memory(folder: Path, lines: int, big: int, runs: int) -> None:
    """Peak memory of a pipe, for an input and one ten times as long: one day, 200,000 users. It is as fast as pipes
    are: of a slow one less is in memory at a time."""
    inputs = {n: ("cat", str(logs(folder, "combined_time", n))) for n in (lines, big)}
    cases = [Case(f"{n:,} lines through a pipe", (*REPORT, "-"), stdin) for n, stdin in inputs.items()]
    figures = measure(cases, runs)
    show("Memory", figures)
    least, most = (figures[case.name].memory for case in cases)
    print(f"  ten times the lines take {most / least - 1:.0%} more memory")


def start(folder: Path, runs: int) -> None:
    """What every call pays."""
    report = (PYTHON, "-m", "logstats", "report", "-q")
    cases = [
        Case("python -c 'import polars'", (PYTHON, "-c", "import polars")),
        Case("import polars, numpy, pyarrow", (PYTHON, "-c", "import polars, numpy, pyarrow")),
        Case("logstats --help", (PYTHON, "-m", "logstats", "--help")),
        Case("logstats report, 1,000 lines", (*report, str(logs(folder, "combined_time", 1000)))),
        Case("the same, -o json", (*report, "-o", "json", str(logs(folder, "combined_time", 1000)))),
        Case("JSON lines, -o json", (*report, "-o", "json", str(logs(folder, "json", 1000)))),
    ]
    show("Start-up", measure(cases, max(runs, 11)), against=cases[0].name)


def stages(folder: Path, lines: int) -> None:
    """Where the time goes: each stage by itself, over the first 96 MB; and who holds the interpreter meanwhile."""
    sys.path.insert(0, str(ROOT))
    for name in ("combined_time", "wide"):
        log = logs(folder, name, lines)
        _stages(name, log)
        share, samples = _interpreted(log)
        print(f"  workers run Python in {share:.0%} of {samples:,} samples")


def _stages(name: str, log: Path) -> None:
    from dataclasses import replace

    import polars  # noqa: F401 (or the first stage would pay for it)

    from logstats import Options
    from logstats.formats import registry
    from logstats.formats.reader import reader
    from logstats.formats.text import Text
    from logstats.options import job_of
    from logstats.pipeline import CHUNK, Counts
    from logstats.pipeline.line_counter import LineCounter
    from logstats.reports.build import build
    from logstats.summaries.spec import ReportSpec
    from logstats.summaries.statistics import Statistics, joined, needs, summarise

    wanted = ReportSpec()
    job = replace(job_of(Options(), needs(wanted), lambda *_: None, keep_rejected=False), report=wanted)
    ready, counter = reader(registry.named("combined_time"), job.reading), LineCounter.of(job)
    statistics = Statistics(wanted)
    with log.open("rb") as file:
        chunks = [file.read(CHUNK) + file.readline() for _ in range(8)]
    spent: dict[str, float] = {}

    began, count = time.process_time(), 0

    def lap(stage: str) -> None:
        nonlocal began
        now = time.process_time()
        spent[stage] = spent.get(stage, 0.0) + now - began
        began = now

    for chunk in chunks:
        text = Text.from_bytes(chunk)
        count += len(text)
        lap("bytes to text")
        tokens = ready.tokens(text)
        lap("text to fields")
        counted, fields = (None, tokens.fields) if counter is None else counter(ready, tokens.fields)
        lap("fields to tables, in C")
        part = {} if counted is None else counted.summaries
        if fields.height:
            batch = ready.convert(replace(tokens, fields=fields), text)
            lap("other fields to rows")
            part = joined(part, summarise(batch.rows, wanted))
            lap("rows to tables")
        statistics.add(part)
        lap("merging")
    statistics.merge()
    lap("merging")
    made = build(statistics, Counts())
    lap("reading out")
    made.to_json()
    lap("writing JSON")
    print(f"\nWhere the time goes: {count:,} lines, {name} (CPU, all threads)")
    for stage, seconds in spent.items():
        print(f"  {stage:32}{seconds / count * 1e9:8.0f} ns/line")


def _interpreted(log: Path) -> tuple[float, int]:
    """(the share of a worker's samples in which it runs Python, or what Python calls and is no kernel; how many)."""
    import threading

    import logstats

    taken: list[bool] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.002):
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                file, function = frame.f_code.co_filename, frame.f_code.co_name
                if names.get(ident, "").startswith("logstats_") and not file.endswith(("threading.py", "thread.py")):
                    taken.append(not (file.endswith("library.py") and function in ("call", "copied", "sort")))

    sampler = threading.Thread(target=sample)
    sampler.start()
    for _ in range(5):
        logstats.report(log)
    ended.set()
    sampler.join()
    return sum(taken) / max(len(taken), 1), len(taken)


def main() -> None:
    """Run the sections that are asked for."""
    sections = ("peers", "big", "wide", "cores", "memory", "formats", "every", "start", "stages")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--big", type=int, default=20_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=sections, action="append", help="repeatable")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "logstats-bench", help="for logs")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="one whose scripts/test has been run")
    args = parser.parse_args()
    if args.before is not None:
        _before.append(args.before.resolve())
    args.folder = args.folder.resolve()
    asked = args.only or sections
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    if "peers" in asked:
        peers(args.folder, args.lines, args.runs)
    if "big" in asked:
        big(args.folder, args.big, args.runs)
    if "wide" in asked:
        wide(args.folder, args.lines, args.runs)
    if "cores" in asked:
        cores(args.folder, args.lines, args.runs)
    if "memory" in asked:  # before what reads lines in this process: a child's peak is that of its parent at the least
        memory(args.folder, args.lines, args.big, args.runs)
    if "formats" in asked:
        formats(args.folder, args.lines, args.runs)
    if "every" in asked:
        every(args.lines)
    if "start" in asked:
        start(args.folder, args.runs)
    if "stages" in asked:
        stages(args.folder, args.lines)


if __name__ == "__main__":
    main()
