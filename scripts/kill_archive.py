"""Kills `archive add` and `archive tier` at random instants, goes on each time, and counts the lines in the end.

    python scripts/kill_archive.py [--kills 300] [--seed 1] [--lines 60000] [--store] [--workers 2]

A log grows by steps that end anywhere, is rotated and compressed as a server does it, while adds and tiers of
it are killed with SIGKILL. In the end they run once more in peace, and every line must be in the archive once, no file
left over, and `archive verify` content. The archive is read by tests/numbered.py, which knows nothing of the program.
A line says every 25 kills how far it is. With `--workers`, files of 128 KB are large already: they are split.

With `--store` the archive lies on an object store (LocalBucket, whose objects are files) and has writers on two
machines. A proxy lets requests fail, repeats and delays them, and loses answers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import numbered  # noqa: E402

# Imports everything once; what it forks is the program as it is when it has begun. So no kill is spent on imports.
_FORKING = """
import json, os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from logstats.cli.main import run
import logstats.api.adding, logstats.archive.add, logstats.archive.publish.catalog, logstats.cli.archive
import logstats.archive.tiers.move, obstore
from logstats.archive.ingest import ingest
from logstats.inputs import object_store
from logstats.scale import shards
object_store.FIRST_WAIT = 0.01
shards.HEAD, shards.SMALLEST, ingest.CHUNK = 4 << 10, 64 << 10, 32 << 10
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        sys.argv[1:] = asked["arguments"]
        os.environ.update(asked["environment"])
        said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        code = 1
        try:
            run()
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
POLICY = '[warm]\nafter = "1d"\nfile_size = "1MB"\n[cold]\nafter = "2d"\nlevel = 5\n'
DAY = 86_400


class Server:
    """A log as a server leaves it: a file that grows, and older ones with a number."""

    def __init__(self, folder: Path, lines: int, steps: int, chance: random.Random) -> None:
        self.folder, self.lines, self.chance = folder, lines, chance
        self.written = 0
        self._half = b""  # of the line that is being written
        self._step = max(1, lines // max(1, steps))

    def line(self, number: int) -> bytes:
        """Three days of lines, a few of them late by hours."""
        second = number * 3 * DAY // self.lines - (7_200 if number % 97 == 0 else 0)
        return numbered.line(number, second=max(0, second))

    def grow(self) -> None:
        """Write some lines, and perhaps half of one."""
        count = min(self.chance.randint(0, 2 * self._step), self.lines - self.written)
        data = b"".join(self.line(number) for number in range(self.written, self.written + count))
        data = data[len(self._half) :] if count else b""
        self.written += count if count else 0
        if count:
            self._half = b""
        if not self._half and self.written < self.lines and self.chance.random() < 0.5:
            following = self.line(self.written)
            self._half = following[: self.chance.randint(1, len(following) - 1)]
            data += self._half
        with (self.folder / "access.log").open("ab") as file:
            file.write(data)

    def rotate(self) -> None:
        """Rename what there is, compress the older one; the server goes on in a new file at the end of a line.

        Nothing is deleted: what is gone before an add could end is no fault of the archive.
        """
        if self._half or not (self.folder / "access.log").exists():
            return
        for number, old in sorted(
            ((int(p.name.split(".")[2]), p) for p in self.folder.glob("access.log.*")), reverse=True
        ):
            if number == 1:
                (self.folder / "access.log.2.gz").write_bytes(gzip.compress(old.read_bytes(), 1))
                old.unlink()
            else:
                old.rename(self.folder / f"access.log.{number + 1}.gz")
        (self.folder / "access.log").rename(self.folder / "access.log.1")

    def finish(self) -> None:
        """Write the rest."""
        with (self.folder / "access.log").open("ab") as file:
            rest = b"".join(self.line(number) for number in range(self.written, self.lines))
            file.write(rest[len(self._half) :])
        self.written = self.lines


class Program:
    """The program, which runs as often as it is asked to, in a process of its own each time."""

    def __init__(self, folder: Path) -> None:
        self._said = folder / "said.txt"
        self._forking = subprocess.Popen([sys.executable, "-c", _FORKING], stdin=PIPE, stdout=PIPE, bufsize=0)

    def run(self, arguments: list[str], environment: dict[str, str], seconds: float) -> tuple[int, str]:
        """(the exit code, what it said) of a run that is killed after so many seconds: then the code is negative."""
        asked = {"arguments": arguments, "environment": environment, "said": str(self._said)}
        assert self._forking.stdin is not None and self._forking.stdout is not None
        self._forking.stdin.write(json.dumps(asked).encode() + b"\n")
        child = int(self._forking.stdout.readline())
        if not select.select([self._forking.stdout], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
        return int(self._forking.stdout.readline()), self._said.read_text(errors="replace")

    def close(self) -> None:
        """End it."""
        self._forking.kill()
        self._forking.wait()


def main() -> int:
    """Run it; 1 if a line was lost or is there twice, or a file was left over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--lines", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", action="store_true")
    parser.add_argument(
        "--workers", type=int, default=1, help="of each add and tier; the process that is killed is theirs"
    )
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill_archive-") as name:
        folder = Path(name)
        if not options.store:
            root = folder / "archive"
            return kill(folder, options.kills, options.lines, chance, root, str(root), workers=options.workers)
        import buckets

        with buckets.localbucket(folder) as address:
            buckets.make_bucket(address)
            network = buckets.Network(address)
            url = f"s3://{buckets.BUCKET}/archive"
            os.environ.update(buckets.KEYS, AWS_ENDPOINT_URL=network.address)
            root = folder / buckets.BUCKET / "archive"
            return kill(folder, options.kills, options.lines, chance, root, url, network, options.workers)


KINDS = ("pass", "fail", "slow down", "lost", "twice", "late")


def kill(
    folder: Path,
    kills: int,
    lines: int,
    chance: random.Random,
    root: Path,
    archive: str,
    network: Any = None,
    workers: int = 1,
) -> int:
    """So many kills of writers of an archive, whose files lie in `root`; behind a bad network, if there is one."""
    logs = folder / "logs"
    logs.mkdir()
    subprocess.run([sys.executable, "-m", "logstats", "archive", "init", archive, "-q"], check=True)
    machines = [{"XDG_CACHE_HOME": str(folder / f"machine-{number}")} for number in range(2 if network else 1)]
    (root / "lifecycle.toml").write_text(POLICY)
    server = Server(logs, lines, kills, chance)
    first = 2.0 if network or workers > 1 else 0.3
    took = {"add": first, "tier": first}  # seconds that one takes, as far as is known
    killed: Counter[str] = Counter()
    done: Counter[str] = Counter()

    def arguments(what: str) -> list[str]:
        if what == "add":
            return ["archive", "add", str(logs), "--archive", archive, "--workers", str(workers), "-q"]
        now = numbered.BEGIN + timedelta(seconds=server.written * 3 * DAY // lines, days=chance.choice([1, 2, 3]))
        return [
            "archive",
            "tier",
            "--now",
            now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "--grace",
            "0h",
            "--archive",
            archive,
            "--workers",
            str(workers),
            "-q",
        ]

    program, begun_at = Program(folder), time.monotonic()
    while sum(killed.values()) < kills:
        server.grow()
        if chance.random() < 0.15:
            server.rotate()
        what = "tier" if chance.random() < 0.35 else "add"
        if network:
            network.fate = lambda method, path: chance.choices(KINDS, (60, 1, 1, 1, 1, 1))[0]
        begun = time.monotonic()
        code, said = program.run(arguments(what), chance.choice(machines), chance.uniform(0, 1.1 * took[what]))
        if code == -signal.SIGKILL:
            killed[what] += 1
            took[what] = max(took[what], time.monotonic() - begun)
            if killed.total() % 25 == 0:
                passed = time.monotonic() - begun_at
                durations = ", ".join(f"{name} takes about {seconds:.1f} s" for name, seconds in took.items())
                print(
                    f"{killed.total()} kills, {done.total()} runs that ended, {passed:.0f} s; {durations}", flush=True
                )
        else:
            assert code == 0 or (network and "does not answer" in said), said
            done[what] += 1
            took[what] = 0.7 * took[what] + 0.3 * (time.monotonic() - begun)
        if network and chance.random() < 0.3:
            network.deliver()
    server.finish()
    if network:
        network.fate = lambda method, path: "pass"
        network.deliver()
    for what in ("add", "tier", "add", "tier"):
        for machine in machines:
            code, said = program.run(arguments(what), machine, 600)
            assert code == 0, said
    program.close()
    print(f"all runs once more, in peace: {time.monotonic() - begun_at:.0f} s", flush=True)
    if network:
        _forget(archive)
    held = numbered.numbers(root)
    lost = [number for number in range(lines) if not held[number]]
    twice = [number for number, times in held.items() if times > 1]
    left_over = numbered.left_over(root)
    verified = subprocess.run(
        [sys.executable, "-m", "logstats", "archive", "verify", "--archive", archive], check=False
    )
    print(
        f"{killed.total()} kills ({killed['add']} of add, {killed['tier']} of tier), {done.total()} runs that ended; "
        f"{len(numbered.commits(root)):,} commits, {len(numbered.files(root)):,} files\n"
        f"{lines:,} lines: {len(lost)} lost, {len(twice)} twice; {len(left_over)} files left over; "
        f"verify {'is content' if verified.returncode == 0 else 'complains'}"
    )
    for what, found in (("lost", lost), ("twice", twice), ("left over", left_over)):
        if found:
            print(f"{what}: {found[:10]}")
    return int(bool(lost or twice or left_over or verified.returncode))


def _forget(archive: str) -> None:
    """What `archive tier` does a day later: delete what writers of other machines have left."""
    from datetime import UTC, datetime

    from logstats.archive.archive import Archive
    from logstats.archive.log.orphans import sweep

    sweep(Archive.open(archive), datetime(2100, 1, 1, tzinfo=UTC), timedelta(0), left=timedelta(0))


if __name__ == "__main__":
    sys.exit(main())
