"""Writes into three followed logs as fast as asked, with rotation and copytruncate, and counts what a session reads.

Every line has its number; the writer's own count says what should have come: none lost, none twice. Prints CPU time,
memory, and how long lines took from being written to being in a snapshot. Exit code 1 if a line was lost or came twice.

    .venv/bin/python scripts/soak.py                            # some seconds
    .venv/bin/python scripts/soak.py --seconds 600 --rate 50000 # ten minutes
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from logstats import api
from logstats.live.watching import Watching

ROTATE, TRUNCATE = 2.0, 7.0  # seconds
TICK = 0.05  # seconds between two writes


@dataclass(slots=True)
class Writer:
    """Writes numbered lines into some logs. The numbers are those of users, whose exact count tells what was lost."""

    folder: Path
    rate: int
    seconds: float
    written: int = 0
    rotations: int = 0
    truncations: int = 0
    at: list[tuple[float, int]] = field(default_factory=list)  # when so many lines were written

    def run(self) -> None:
        """Write until the time is over."""
        logs = [self.folder / f"{name}.log" for name in "abc"]
        begun = time.monotonic()
        rotate, truncate = begun + ROTATE, begun + TRUNCATE
        while (now := time.monotonic()) < begun + self.seconds:
            due = int((now - begun) * self.rate) - self.written
            for place, log in enumerate(logs):
                self._append(log, due // 3 + (place < due % 3))
            self.at.append((time.monotonic(), self.written))
            if now >= rotate:
                rotate += ROTATE
                self.rotations += 1
                logs[0].rename(self.folder / f"a.log.{self.rotations}")
                logs[1].rename(self.folder / f"b.log.{self.rotations}")
            if now >= truncate:
                truncate += TRUNCATE
                self.truncations += 1
                copy = self.folder / f"c.log.{self.truncations}"
                copy.write_bytes(logs[2].read_bytes())
                os.truncate(logs[2], 0)
            time.sleep(TICK)

    def _append(self, log: Path, count: int) -> None:
        at = f"{datetime.now(UTC):%d/%b/%Y:%H:%M:%S} +0000"
        lines = [
            f'10.0.0.1 - u{number} [{at}] "GET /{number % 50}/x HTTP/1.1" 200 {number} "-" "soak" 0.005\n'
            for number in range(self.written, self.written + count)
        ]
        with log.open("a") as file:
            file.write("".join(lines))
        self.written += count


def main() -> int:
    """Run it, and print what became of it."""
    parser = argparse.ArgumentParser(description="Soak test of following.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=20_000, help="lines a second")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between snapshots")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for log in "abc":
            (folder / f"{log}.log").touch()
        said: list[str] = []
        session = api.watch(
            [folder / f"{log}.log" for log in "abc"],
            None,
            Watching(from_start=True, interval=arguments.interval),
            user_key="user_id",
            exact_users=True,
            say=said.append,
        )
        session.step()
        writer = Writer(folder, arguments.rate, arguments.seconds)
        thread = threading.Thread(target=writer.run)
        shown: list[tuple[float, int]] = []
        memory: list[int] = []
        thread.start()
        due = time.monotonic()
        while thread.is_alive() or not shown or shown[-1][1] < writer.written:
            more = session.step()
            if time.monotonic() >= due:
                snapshot = session.snapshot()
                shown.append((time.monotonic(), snapshot.lines))
                memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20)
                due = time.monotonic() + arguments.interval
            if not thread.is_alive() and shown[-1][0] > writer.at[-1][0] + 30:
                break  # what is lost does not come
            if not more:
                time.sleep(max(0.0, min(0.1, due - time.monotonic())))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        made = session.report(percentiles=("50",))
    lost, twice = writer.written - made.unique_users.total, made.lines - made.unique_users.total
    delays = sorted(_delays(writer.at, shown))
    print(f"{writer.written:,} lines, {2 * writer.rotations} rotations, {writer.truncations} truncations")
    print(f"{lost:,} lost, {twice:,} twice, {made.rejected:,} rejected")
    print(f"CPU of writer and session: {usage.ru_utime + usage.ru_stime:.1f} s in {arguments.seconds:g} s")
    print(f"memory: {memory[len(memory) // 4]} MiB after a quarter, {memory[-1]} MiB at the end (exact users grow)")
    for share in (50, 90, 99, 100):
        print(f"written to shown: {share} % within {delays[min(len(delays) - 1, len(delays) * share // 100)]:.2f} s")
    for text in said:
        print(f"said: {text}")
    return int(bool(lost or twice or made.rejected))


def _delays(written: list[tuple[float, int]], shown: list[tuple[float, int]]) -> list[float]:
    """Of each write, how long it took until a snapshot had as many lines."""
    found, place = [], 0
    for at, lines in written:
        while place < len(shown) and shown[place][1] < lines:
            place += 1
        if place == len(shown):
            break
        found.append(shown[place][0] - at)
    return found or [float("inf")]


if __name__ == "__main__":
    sys.exit(main())
