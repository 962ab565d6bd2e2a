"""A writer at work: its folder, whose lock says that it lives and whose journal names the files that it began.

A file that no commit names and whose writer is dead is left over, and `sweep` deletes it. So nothing that a live
writer is about to commit is ever taken from it, and nobody has to search the archive for what a dead one left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from logstats.archive.log import paths
from logstats.archive.log.commit import DataFile
from logstats.archive.log.log import CommitLog
from logstats.archive.log.storage import cannot_write
from logstats.errors import LogstatsError

if TYPE_CHECKING:
    pass

_JOURNAL: Final = "journal"


class Workspace:
    """Makes data files for one commit at a time. A context manager: at the end, what was not committed is deleted."""

    def __init__(self, archive: CommitLog) -> None:
        self.archive = archive
        self.id = self.folder = ""
        self._begun: list[str] = []
        self._made = 0
        self._lock: IO[bytes] | None = None
        self._journal: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._lock = self._locked()
            (self.archive.root / self.folder).mkdir()
            self._journal = (self.archive.root / self.folder / _JOURNAL).open("a", encoding="utf-8")
        except OSError as error:
            raise cannot_write(error, self.path) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()
        assert self._lock is not None
        assert self._journal is not None
        self._journal.close()
        if not self._begun:  # else a sweep finishes what could not be finished now
            with contextlib.suppress(OSError):
                shutil.rmtree(self.path)
                lock_of(self.path).unlink()
        self._lock.close()

    def _locked(self) -> IO[bytes]:
        """Take a name. The lock comes first, so that a writer who dies at any instant leaves one to be found by."""
        (self.archive.root / paths.WORK).mkdir(exist_ok=True)
        while True:
            self.id = paths.writer_id()
            self.folder = f"{paths.WORK}/{self.id}"
            place = lock_of(self.path)
            file = place.open("xb")
            try:
                _lock(file)
                if place.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    return file
            except (BlockingIOError, FileNotFoundError):
                pass  # a sweep took the lock for a dead writer's in this very instant
            file.close()

    @property
    def path(self) -> Path:
        """The writer's folder, for what it spills."""
        return self.archive.root / self.folder

    def new_path(self, table: str, tier: str, partition: paths.Partition, base: str = "") -> str:
        """The path of a new data file; `base` is the folder of a tier that lies elsewhere. It is in the journal now."""
        name = f"{self.id}-{self._made}.parquet"
        self._made += 1
        path = "/".join([*([base] if base else []), paths.folder(table, tier, partition), name])
        assert self._journal is not None
        try:
            print(path, file=self._journal, flush=True)
        except OSError as error:
            raise cannot_write(error, self.path) from None
        self._begun.append(path)
        return path

    def keep(self, files: Iterable[DataFile]) -> None:
        """Make files durable, under their names, so that a commit can name them."""
        self.archive.storage.keep([file.path for file in files])

    def committed(self) -> None:
        """What was made is part of the archive."""
        self._begun.clear()

    def discard(self) -> None:
        """Delete what was made and not committed. (What failed after the commit appeared is part of the archive.)"""
        begun = list(self._begun)
        if begun:
            try:
                snapshot = self.archive.snapshot(lenient=True)
            except (LogstatsError, OSError):
                return  # nobody knows: a sweep will
            begun = [path for path in begun if path not in snapshot.files and path not in snapshot.removed]
        for path in begun:
            with contextlib.suppress(OSError):
                self.archive.storage.delete(path + paths.TEMPORARY)
                self.archive.storage.delete(path)
        self._begun.clear()


def lock_of(place: Path) -> Path:
    """The lock of a writer's folder."""
    return place.with_name(f"{place.name}.lock")


@contextlib.contextmanager
def abandoned(place: Path) -> Iterator[bool]:
    """Whether the writer of a folder is dead; if so it stays ours within the context."""
    try:
        with lock_of(place).open("r+b") as file:
            try:
                _lock(file)
            except BlockingIOError:
                yield False
            else:
                yield True
    except FileNotFoundError:
        yield False


def journal(place: Path) -> list[str]:
    """The data files that a writer began."""
    with contextlib.suppress(FileNotFoundError):
        text = (place / _JOURNAL).read_text(encoding="utf-8", errors="replace")
        return [line for line in text.split("\n")[:-1] if line]
    return []


def writers(archive: CommitLog) -> Iterator[tuple[bool, list[str]]]:
    """For each writer that is at work or has died: whether it lives, and the data files that it began."""
    for lock in sorted((archive.root / paths.WORK).glob("*.lock")):
        place = lock.with_suffix("")
        with abandoned(place) as dead:
            found = journal(place)
        yield not dead, found


def _lock(file: IO[bytes]) -> None:
    """Raises OSError if somebody holds it."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
