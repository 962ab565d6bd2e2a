"""Writes into three followed logs as fast as asked, with rotation and copytruncate, and says what became of the lines.

Four programs may be soaked:

    session   the session behind `watch`, in a process of its own: lines lost and twice, CPU time, memory
    screen    `logstats watch` on a terminal of 200x50: also how long a line took to be on it
    serve     `logstats serve`: also how long lines took to be in an event, on the page, and in /metrics, with as many
              --clients as asked, and on one core with --one-core
    archive   `logstats archive add --follow`, which is killed with SIGKILL in the middle and started again, and ends by
              SIGTERM: rows lost and twice in the archive; CPU time and memory of the second one

Lines are numbered by their sizes, so that their number and the sum of their sizes tell whether one is missing or came
twice. A process of its own writes. Exit code 1 if a line was lost or came
twice, or, in runs of two minutes and more, if memory is not flat: of the time after the first third, in which what is
held of the newest lines fills up, the median of each sixth is at most 10 % above that of the first. (Single seconds lie
above, while a page is made.) Times are printed, and fail nothing.

    scripts/soak.py                                                   # ten seconds
    scripts/soak.py --seconds 600 --rate 50000                        # ten minutes
    scripts/soak.py screen --seconds 60 --rate 5000
    scripts/soak.py serve --seconds 60 --rate 20000 --clients 200 --one-core
    scripts/soak.py archive --seconds 60 --rate 20000 --interval 2
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from logstats import api
from logstats.live.pace import Pace
from logstats.live.watching import Watching

ROTATE, TRUNCATE = 2.0, 7.0  # seconds
TICK = 0.05  # seconds between two writes
MARK = 2.3  # seconds between two lines that cannot be read, of which a screen shows the newest whole
PATIENCE = 30.0  # seconds for what was written last
SPARE = 0.2  # seconds beyond an interval, until which a line should be shown
FLAT = 1.1  # memory in any stretch to that in the first one
STRETCHES = 6  # after a third of the time
LONG = 120.0  # seconds, from which on memory has to be flat
PAGE_SIZE = resource.getpagesize()
TICKS = os.sysconf("SC_CLK_TCK")
At = list[tuple[float, int]]  # (when, so many lines): monotonic seconds, the same clock in every process


@dataclass(slots=True)
class Writer:
    """Writes numbered lines into some logs, and marks if asked."""

    folder: Path
    rate: int
    seconds: float
    marks: bool
    written: int = 0
    rotations: int = 0
    truncations: int = 0
    at: At = field(default_factory=list)  # when so many lines were written
    marked: list[float] = field(default_factory=list)  # when each mark was

    def run(self) -> None:
        """Write until the time is over, and leave `written.json`."""
        logs = [self.folder / f"{name}.log" for name in "abc"]
        begun = time.monotonic()
        rotate, truncate, mark = begun + ROTATE, begun + TRUNCATE, begun + MARK
        while (now := time.monotonic()) < begun + self.seconds:
            due = int((now - begun) * self.rate) - self.written
            for place, log in enumerate(logs):
                self._append(log, due // 3 + (place < due % 3))
            self.at.append((time.monotonic(), self.written))
            if self.marks and now >= mark:
                mark += MARK
                with logs[0].open("a") as file:
                    file.write(f"mark-{len(self.marked)}-\n")
                self.marked.append(time.monotonic())
            if now >= rotate:
                rotate += ROTATE
                self.rotations += 2
                for log in logs[:2]:
                    log.rename(self.folder / f"{log.name}.{self.rotations}")
            if now >= truncate:
                truncate += TRUNCATE
                self.truncations += 1
                copy = self.folder / f"c.log.{self.truncations}"
                copy.write_bytes(logs[2].read_bytes())
                os.truncate(logs[2], 0)
                for old in sorted(self.folder.glob("?.log.*"), key=lambda path: path.stat().st_mtime)[:-12]:
                    old.unlink()
            time.sleep(TICK)
        done = {"written": self.written, "rotations": self.rotations, "truncations": self.truncations}
        told = json.dumps({**done, "at": self.at, "marked": self.marked})
        (self.folder / "written.tmp").write_text(told)
        (self.folder / "written.tmp").rename(self.folder / "written.json")

    def _append(self, log: Path, count: int) -> None:
        at = f"{datetime.now(UTC):%d/%b/%Y:%H:%M:%S} +0000"
        lines = [
            f'10.0.0.1 - - [{at}] "GET /{number % 50}/x HTTP/1.1" 200 {number} "-" "soak" 0.005\n'
            for number in range(self.written, self.written + count)
        ]
        with log.open("a") as file:
            file.write("".join(lines))
        self.written += count


@dataclass(slots=True)
class Process:
    """What a process takes: CPU seconds, and MiB in memory once a second."""

    pid: int
    begun: float = field(default_factory=time.monotonic)
    memory: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Note its memory, if a second has passed."""
        if time.monotonic() - self.begun >= len(self.memory):
            resident = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            self.memory.append(resident * PAGE_SIZE >> 20)

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def tell(self, seconds: float, cpu: float) -> bool:
        """Print it; whether memory is flat."""
        print(f"CPU: {cpu:.1f} s in {seconds:.0f} s, {cpu / seconds:.2f} of a core")
        since = self.memory[len(self.memory) // 3 :]
        ends = [len(since) * number // STRETCHES for number in range(STRETCHES + 1)]
        stretches = [median(since[begin:end] or since) for begin, end in pairwise(ends)]
        grown, told = max(stretches) / stretches[0], ", ".join(f"{one:.0f}" for one in stretches)
        print(f"memory after a third of the time: {told} MiB ({grown - 1:+.0%}), at most {max(since)} MiB")
        return seconds < LONG or grown <= FLAT


def main() -> int:
    """Run it, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "program", nargs="?", choices=["session", "screen", "serve", "archive", "write"], default="session"
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=20_000, help="lines a second")
    parser.add_argument(
        "--interval", type=float, default=1.0, help="seconds between two frames, events, snapshots, commits"
    )
    parser.add_argument("--clients", type=int, default=1, help="of serve, that listen to events")
    parser.add_argument("--one-core", action="store_true", help="serve has one core, and all else the others")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.program == "write":
        Writer(given.folder, given.rate, given.seconds, marks=given.clients > 0).run()
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for log in "abc":
            (folder / f"{log}.log").touch()
        soaked = {"session": session, "screen": screen, "serve": serve, "archive": archive}
        return soaked[given.program](folder, given)


@contextlib.contextmanager
def writing(folder: Path, given: argparse.Namespace, *, marks: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A writer at work."""
    asked = ["--seconds", str(given.seconds), "--rate", str(given.rate), "--clients", str(int(marks))]
    command = [sys.executable, __file__, "write", "--folder", str(folder), *asked]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


def written(folder: Path) -> Writer:
    """What a writer that is done has done. Prints it."""
    told = json.loads((folder / "written.json").read_text())
    done = Writer(folder, 0, 0, marks=False, **{**told, "at": [(at, lines) for at, lines in told["at"]]})
    print(f"{done.written:,} lines, {done.rotations} rotations, {done.truncations} truncations")
    return done


def compare(done: Writer, requests: int, total: int, rejected: int) -> bool:
    """Whether requests, and the sum of their sizes, are those that were written. Prints it."""
    wrong = total - done.written * (done.written - 1) // 2
    missing = done.written - requests
    whole = not missing and not wrong and rejected == len(done.marked)
    if whole:
        print("0 lost, 0 twice")
    else:
        print(f"LOST OR TWICE: {missing:,} fewer lines than written, sizes differ by {wrong:,}, {rejected:,} rejected")
    return whole


def tell(what: str, delays: Sequence[float], interval: float) -> None:
    """Print how delays are spread, and how many are within the interval and `SPARE` more."""
    if not delays:
        print(f"{what}: nothing came")
        return
    ordered = sorted(delays)
    shares = {50: "median", 90: "90 %", 99: "99 %", 100: "all"}
    words = [f"{word} {ordered[min(len(ordered) - 1, len(ordered) * n // 100)]:.2f} s" for n, word in shares.items()]
    timely = sum(delay <= interval + SPARE for delay in delays) / len(delays)
    print(f"{what}: {', '.join(words)}; {timely:.2%} within {interval + SPARE:.1f} s ({len(ordered):,} measured)")


def delays(done: At, shown: At) -> list[float]:
    """Of each write, how long it took until so many lines were shown."""
    found, place = [], 0
    for at, lines in done:
        while place < len(shown) and shown[place][1] < lines:
            place += 1
        if place == len(shown):
            break
        found.append(shown[place][0] - at)
    return found


def logs_of(folder: Path) -> list[str]:
    """The logs that are followed."""
    return [str(folder / f"{log}.log") for log in "abc"]


# -- the session, in this process


def session(folder: Path, given: argparse.Namespace) -> int:
    """The session behind `watch`, which this process has to itself."""
    said: list[str] = []
    watched = api.watch(logs_of(folder), None, Watching(from_start=True, interval=given.interval), say=said.append)
    watched.step()
    shown: At = []
    taken, before = Process(os.getpid()), time.process_time()
    with writing(folder, given, marks=False) as writer:
        pace = Pace(given.interval, prompt=True)
        ended = None
        while True:
            look = pace.look()
            more = watched.step(look)
            if look == "show":
                lines = watched.snapshot().lines
                shown.append((time.monotonic(), lines))
                taken.look()
            if writer.poll() is not None:
                ended = ended or time.monotonic()
                lines = json.loads((folder / "written.json").read_text())["written"]
                if (shown and shown[-1][1] >= lines) or time.monotonic() > ended + PATIENCE:
                    break
            if not more:
                time.sleep(pace.wait())
    cpu = time.process_time() - before
    made = watched.report(percentiles=("50",))
    done = written(folder)
    whole = compare(done, made.requests, made.bytes, made.rejected)
    flat = taken.tell(given.seconds, cpu)
    tell("written to snapshot", delays(done.at, shown), given.interval)
    for text in said:
        print(f"said: {text}")
    return int(not whole or not flat)


# -- `logstats watch`


def screen(folder: Path, given: argparse.Namespace) -> int:
    """`logstats watch` on a terminal, which shows the newest line that could not be read."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    out = folder / "report.json"
    asked = ["--from-start", "--interval", f"{given.interval}s", "--out", str(out)]
    command = [sys.executable, "-m", "logstats", "watch", *logs_of(folder), *asked]
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"}
    seen: dict[int, float] = {}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        try:
            os.set_blocking(ours, False)
            rest = _frames(ours, b"", seen, until=b"requests/s")
            taken, before = Process(process.pid), Process(process.pid).cpu
            with writing(folder, given, marks=True) as writer:
                ended = None
                while ended is None or time.monotonic() < ended + 3 * given.interval + 1:
                    rest = _frames(ours, rest, seen)
                    taken.look()
                    if writer.poll() is not None:
                        ended = ended or time.monotonic()
            cpu = taken.cpu - before
            os.write(ours, b"q")
            while process.poll() is None:
                _frames(ours, b"", {})  # the report, which it prints when it ends
        finally:
            process.kill()
    done = written(folder)
    report = json.loads(out.read_text())
    whole = compare(done, report["requests"], report["bytes"], report["rejected"])
    flat = taken.tell(given.seconds, cpu)
    tell("written to screen", [seen[n] - at for n, at in enumerate(done.marked) if n in seen], given.interval)
    if len(seen) < len(done.marked):
        print(
            f"{len(done.marked) - len(seen)} of {len(done.marked)} marks were not on a screen before the next one was"
        )
    return int(not whole or not flat)


def _frames(terminal: int, rest: bytes, seen: dict[int, float], until: bytes = b"") -> bytes:
    """Note when marks are on the screen; wait for a text, if one is given."""
    while True:
        with contextlib.suppress(BlockingIOError, OSError):
            rest += os.read(terminal, 1 << 16)
        for mark in re.findall(rb"mark-(\d+)-", rest):
            seen.setdefault(int(mark), time.monotonic())
        if until in rest:
            return rest[-1000:]
        time.sleep(0.01)


# -- `logstats serve`


def serve(folder: Path, given: argparse.Namespace) -> int:
    """`logstats serve`, with as many listeners as asked."""
    cores = sorted(os.sched_getaffinity(0))
    if given.one_core:
        os.sched_setaffinity(0, cores[1:] or cores)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = ["--from-start", "--interval", f"{given.interval}s", "--listen", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "logstats", "serve", "-q", *logs_of(folder), *asked]
    with subprocess.Popen(command) as process:
        try:
            if given.one_core:
                os.sched_setaffinity(process.pid, cores[:1])
            return asyncio.run(_served(process.pid, port, folder, given))
        finally:
            process.terminate()
            process.wait()


async def _served(pid: int, port: int, folder: Path, given: argparse.Namespace) -> int:
    while True:
        with contextlib.suppress(OSError):
            if b"200" in (await _get(port, "/health"))[:20]:
                break
        await asyncio.sleep(0.1)
    events: list[At] = [[] for _ in range(given.clients)]
    page, metrics = At(), At()
    listening = [asyncio.ensure_future(_listen(port, shown)) for shown in events]
    asking = [asyncio.ensure_future(_look_at_page(port, events[0], page))]
    asking.append(asyncio.ensure_future(_scrape(port, metrics)))
    while not all(events):
        await asyncio.sleep(0.1)
    taken, before = Process(pid), Process(pid).cpu
    with writing(folder, given, marks=False) as writer:
        begun = time.monotonic()
        while writer.poll() is None:
            taken.look()
            await asyncio.sleep(0.1)
        cpu, passed = taken.cpu - before, time.monotonic() - begun
        came = sum(len([at for at, _ in shown if at >= begun]) for shown in events) / passed
        lines = json.loads((folder / "written.json").read_text())["written"]
        end = time.monotonic() + PATIENCE
        while any(not shown or shown[-1][1] < lines for shown in (*events, metrics, page)) and time.monotonic() < end:
            await asyncio.sleep(0.1)
    for task in (*listening, *asking):
        task.cancel()
    report = json.loads((await _get(port, "/api/report?range=all")).partition(b"\r\n\r\n")[2])
    done = written(folder)
    whole = compare(done, report["requests"], report["bytes"], report["rejected"])
    flat = taken.tell(given.seconds, cpu)
    print(f"{given.clients:,} clients: {came:,.0f} events a second, {came / given.clients:.2f} each")
    tell("written to event", [delay for shown in events for delay in delays(done.at, shown)], given.interval)
    tell("written to page", delays(done.at, page), given.interval)
    tell("written to /metrics, asked for ten times a second", delays(done.at, metrics), given.interval)
    return int(not whole or not flat)


async def _get(port: int, path: str) -> bytes:
    """The answer to one request, with its head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return head + (await reader.readexactly(int(length[1])) if length else await reader.read())
    finally:
        writer.close()


async def _listen(port: int, shown: At) -> None:
    """A page that is open: the lines of each event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while line := await reader.readline():
        if line.startswith(b"data: {") and (found := re.search(rb'"lines": (\d+)', line)):
            shown.append((time.monotonic(), int(found[1])))


async def _look_at_page(port: int, events: At, page: At) -> None:
    """The page's script: after each event, it asks for the panels."""
    number = 0
    while True:
        await asyncio.sleep(0.01)
        if len(events) > number:
            number = len(events)
            lines = events[-1][1]
            await _get(port, "/panels?range=5m")
            page.append((time.monotonic(), lines))


async def _scrape(port: int, metrics: At) -> None:
    while True:
        text = await _get(port, "/metrics")
        if found := re.search(rb'logstats_lines_total\{result="requests"\} (\d+)', text):
            metrics.append((time.monotonic(), int(found[1])))
        await asyncio.sleep(0.1)


# -- `logstats archive add --follow`


def archive(folder: Path, given: argparse.Namespace) -> int:
    """The daemon, which finds what was rotated while it was away under other names."""
    place = str(folder / "archive")
    logstats = [sys.executable, "-m", "logstats"]
    subprocess.run([*logstats, "archive", "init", place, "-q"], check=True)
    command = [*logstats, "archive", "add", "--follow", *logs_of(folder), "--archive", place]
    command += ["--every", f"{given.interval}s", "-q"]
    with writing(folder, given, marks=False) as writer:
        begun = time.monotonic()
        with subprocess.Popen(command) as first:
            while time.monotonic() < begun + given.seconds / 2:
                time.sleep(0.1)
            first.kill()
        with subprocess.Popen(command) as second:
            try:
                taken, again = Process(second.pid), time.monotonic()
                while writer.poll() is None:
                    taken.look()
                    time.sleep(0.1)
                cpu, passed = taken.cpu, time.monotonic() - again
                second.terminate()
                code = second.wait()
            finally:
                second.kill()
    done = written(folder)
    print(f"killed after {given.seconds / 2:g} s; the second one ended with code {code}")
    asked = [*logstats, "query", "SELECT count(*), sum(bytes) FROM logs", "--archive", place, "-o", "csv"]
    rows, total = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()[1].split(",")
    asked = [*logstats, "report", "--archive", place, "-o", "json"]
    report = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    whole = compare(done, int(rows), int(total), report["rejected"]) and report["requests"] == int(rows)
    flat = taken.tell(passed, cpu)
    return int(not whole or not flat or code != 0)


if __name__ == "__main__":
    sys.exit(main())
