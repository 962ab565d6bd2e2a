"""What arrives once and cannot be read again, kept in a file until it is in the archive: standard input, and what is
sent to a port.

A `Stream` takes in what arrives, in a thread of its own, and appends it to its `Spool`, whose bytes the daemon then
adds as those of a source that grows. Memory is bounded by what the source buffers. Once `MOST` bytes wait to be
committed, or the disk is full, nothing more is taken: then the writer of a pipe and senders by TCP have to wait, and
the system drops datagrams, which it counts.

A spool is a folder `work/streams/ID` of the archive, readable by its owner alone: `lock` is held while its daemon
lives, `about.json` says what the archive calls the stream, and a file whose name is a number has its bytes from that
offset on. What a daemon that was killed has left there is added by the next one. A committed byte is in the archive
under the record that `about.json` names, so nothing is added twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from logstats.archive.archive import Archive
from logstats.archive.ingest.progress import Outcome
from logstats.archive.log import paths
from logstats.archive.log.local_storage import sync
from logstats.archive.log.storage import cannot_write
from logstats.inputs import Arriving, Source
from logstats.sizes import size as shown_size

STREAMS: Final = f"{paths.WORK}/streams"
MOST: Final = 1 << 30  # bytes that wait to be committed
KEPT: Final = 64 << 20  # committed bytes that are kept before those that are not needed any more are let go
_MOMENT: Final = 0.25  # seconds that arriving bytes are waited for
_AGAIN: Final = 1.0  # seconds between two attempts to write, and between two calls of fdatasync
_LOCK, _ABOUT = "lock", "about.json"
_PIECE: Final = 1 << 20


class Spool:
    """The kept bytes of one stream. `size` is how many ever arrived, `base` how many of them are gone again.

    `append` may be called in one thread while another calls the rest.
    """

    def __init__(self, folder: Path, lock: int, about: dict[str, str | None]) -> None:
        self.folder, self._lock_file, self._about = folder, lock, about
        self.base = max((int(path.name) for path in folder.iterdir() if path.name.isdigit()), default=0)
        self._file = os.open(self._path(self.base), os.O_RDWR | os.O_CREAT, 0o600)
        self.size = self.base + os.fstat(self._file).st_size
        self._lock = threading.Lock()

    @classmethod
    def create(cls, archive: Archive, name: str, source_name: str | None) -> Self:
        """An empty spool. Raises LogstatsError."""
        id = f"{paths.writer_id()}-0"
        folder = archive.root / STREAMS / id
        new = folder.with_name(f".{id}")
        try:
            archive.storage.local.plain(f"{STREAMS}/x")
            new.mkdir(parents=True, mode=0o700)
            lock = os.open(new / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            _take(lock)
            about = {"name": name, "source_name": source_name, "record": id}
            (new / _ABOUT).write_text(json.dumps(about))
            new.rename(folder)
            sync(folder.parent)
            return cls(folder, lock, about)
        except OSError as error:
            raise cannot_write(error, folder) from None

    @property
    def name(self) -> str:
        """The name of the stream, as it was given."""
        return self._about["name"] or "-"

    @property
    def source_name(self) -> str | None:
        """The `--source-name` with which it was taken in."""
        return self._about["source_name"]

    @property
    def record(self) -> str:
        """What the archive calls it."""
        return self._about["record"] or self.folder.name

    def source(self) -> Source:
        """All of it that has arrived by now, to be added."""
        with self._lock:
            place = Path(f"/dev/fd/{self._file}")  # the archive's folder may have another name by now
            kept = self.size - self.base
            return Source(self.name, place, kept, stop=self.size, record=self.record, base=self.base)

    def append(self, data: bytes) -> None:
        """Keep further bytes. Raises OSError, and then has kept none of them."""
        with self._lock:
            written = 0
            while written < len(data):
                place = self.size - self.base + written
                written += os.pwrite(self._file, memoryview(data)[written:], place)
            self.size += len(data)

    def sync(self) -> None:
        """Make durable what was appended. Raises OSError."""
        with self._lock:
            os.fsync(self._file)

    def lines(self, start: int) -> int:
        """How many lines end after an offset."""
        count = 0
        for place in range(max(0, start - self.base), self.size - self.base, _PIECE):
            count += os.pread(self._file, _PIECE, place).count(b"\n")
        return count

    def settle(self, record: str, base: int) -> None:
        """The archive calls it by this record, and needs nothing of what came before `base` to know it again.

        Raises OSError, and goes on with what it had.
        """
        if record != self.record:
            about = {**self._about, "record": record}
            new = self.folder / f"{_ABOUT}{paths.TEMPORARY}"
            new.write_text(json.dumps(about))
            new.replace(self.folder / _ABOUT)
            self._about = about
        if base - self.base < KEPT:
            return
        with self._lock:
            new = self._path(base).with_suffix(paths.TEMPORARY)
            file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            for place in range(base - self.base, self.size - self.base, _PIECE):
                os.write(file, os.pread(self._file, _PIECE, place))
            os.fsync(file)
            new.replace(self._path(base))
            old, self._file = self._file, file
            os.close(old)
            gone, self.base = self._path(self.base), base
        gone.unlink()

    def close(self) -> None:
        """Let go of it. What it keeps stays for the next daemon."""
        os.close(self._file)
        os.close(self._lock_file)

    def remove(self) -> None:
        """Delete it, because the archive has everything."""
        self._path(self.base).unlink(missing_ok=True)  # first: what is left then is no spool
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def _path(self, base: int) -> Path:
        return self.folder / f"{base:020}"


def left(archive: Archive) -> Iterator[tuple[Spool, str]]:
    """The spools that daemons which were killed have left, and a sentence about each."""
    archive.storage.local.plain(f"{STREAMS}/x")
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted((archive.root / STREAMS).iterdir()):
            if folder.name.startswith("."):
                continue
            try:
                spool = _taken_over(folder)
            except OSError as error:
                raise cannot_write(error, folder) from None
            if spool is not None:
                yield spool, _about_left(archive, spool)


def _taken_over(folder: Path) -> Spool | None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        _take(lock)
    except BlockingIOError:  # its daemon is alive
        os.close(lock)
        return None
    kept = sorted(path for path in folder.iterdir() if path.name.isdigit())
    if not kept:
        shutil.rmtree(folder)
        os.close(lock)
        return None
    for path in kept[:-1]:
        path.unlink()
    about = json.loads((folder / _ABOUT).read_text())
    return Spool(folder, lock, about)


def _about_left(archive: Archive, spool: Spool) -> str:
    record = archive.snapshot().sources.get(spool.record)
    lines = spool.lines(record.end.bytes if record is not None else 0)
    last = datetime.fromtimestamp(spool._path(spool.base).stat().st_mtime, UTC)
    return (
        f"{spool.name}: the daemon before this one was killed. {lines:,} lines that it had taken in and not committed "
        f"are added now; what arrived after its last one, of {last:%Y-%m-%dT%H:%M:%SZ}, and before it ended, is lost"
    )


class Stream:
    """Takes in what arrives at a source, until it ends or `finish` is called. Without a source, nothing follows."""

    def __init__(self, source: Arriving | None, spool: Spool, say: Callable[[str], None]) -> None:
        self.spool = spool
        self.settled = 0  # up to this offset everything is in the archive
        self.final = False  # whether its end was seen, so that nothing is missing from its last line
        self._seen = -1  # the size when it was last added
        self._source, self._say = source, say
        self._stopping = threading.Event()
        self._room = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logstats-stream", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes that arrived and are not in the archive yet."""
        return self.spool.size - self.settled

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more is taken in."""
        return self.waiting >= MOST

    @property
    def dropped(self) -> int:
        """Messages that the system dropped because they came faster than they were taken."""
        return self._source.dropped if self._source is not None else 0

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return not self._thread.is_alive()

    @property
    def done(self) -> bool:
        """Whether nothing follows, and everything is in the archive but for a line whose end did not come."""
        return self.over and not (self.waiting and (self.final or self.spool.lines(self.settled)))

    def due(self) -> tuple[Source, bool] | None:
        """What is to be added, and whether nothing follows it; None if it has been."""
        over = self.over
        source = self.spool.source()
        if source.stop == self._seen and not (over and self.final and self.waiting):
            return None
        return source, over and self.final

    def added(self, source: Source, outcome: Outcome) -> None:
        """Note that so much was added, or was in the archive already."""
        assert source.stop is not None
        self._seen = source.stop
        if outcome.problem is None:
            self.settled = source.stop - outcome.left
        if outcome.record:
            with contextlib.suppress(OSError):  # then it keeps more than it needs, until the next time
                self.spool.settle(outcome.record, outcome.tail)
        self._room.set()

    def finish(self) -> None:
        """Take in what has arrived, and nothing more."""
        self._stopping.set()
        self._room.set()
        self._thread.join()

    def close(self) -> None:
        """Let go of the source, and of the spool if everything of it is in the archive."""
        self.finish()
        if not self.done:
            self._say(f"{self.spool.name}: {shown_size(self.waiting)} wait in {self.spool.folder} for the next start")
            self.spool.close()
            return
        if self.waiting:
            self._say(f"{self.spool.name}: {self.waiting:,} bytes of a last line, whose end did not come, are left out")
        self.spool.remove()

    # -- the thread that takes in

    def _run(self) -> None:
        if self._source is None:
            return
        try:
            self._take_in(self._source)
        finally:
            self._source.close()

    def _take_in(self, source: Arriving) -> None:
        synced, dirty = time.monotonic(), False
        while not source.ended:
            stopping = self._stopping.is_set()
            taken = source.take(_MOMENT)
            if stopping and not source.ended:
                source.close()
                taken += source.take(0)
            data = b"".join(taken)
            if data:
                self._keep(data)
                dirty = True
            if dirty and (stopping or source.ended or time.monotonic() - synced >= _AGAIN):
                with contextlib.suppress(OSError):
                    self.spool.sync()
                synced, dirty = time.monotonic(), False
            if stopping:
                break
            if self.full:
                self._wait_for_room()
        self.final = source.ended

    def _keep(self, data: bytes) -> None:
        """Append, again and again if that fails: what was taken is in memory only."""
        said = False
        while True:
            try:
                self.spool.append(data)
            except OSError as error:
                if not said:
                    self._say(f"{self.spool.name}: what arrives cannot be kept: {error.strerror}; nothing is taken in")
                said = True
                if self._stopping.wait(_AGAIN):
                    self._say(f"{self.spool.name}: {data.count(bytes([10])):,} lines are lost, which were in memory")
                    return
            else:
                if said:
                    self._say(f"{self.spool.name}: what arrives is kept again; nothing that was taken in was lost")
                return

    def _wait_for_room(self) -> None:
        name, waiting = self.spool.name, shown_size(self.waiting)
        self._say(f"{name}: {waiting} wait to be committed, and nothing more is taken in before they are")
        while self.full and not self._stopping.is_set():
            self._room.clear()
            self._room.wait(_AGAIN)


def _take(lock: int) -> None:
    """Raises BlockingIOError if another process has it."""
    import fcntl

    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
