"""A writer at work: its folder, whose lock says that it lives and whose journal names the files that it began.

A file that no commit names and whose writer is dead is left over, and `sweep` deletes it. So nothing that a live
writer is about to commit is ever taken from it, and nobody has to search the archive for what a dead one left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Final, Self

from logstats.archive.log import paths
from logstats.archive.log.commit import ArchiveError, DataFile
from logstats.archive.log.log import CommitLog
from logstats.archive.log.storage import cannot_write
from logstats.errors import LogstatsError

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
        self.archive.storage.plain(f"{paths.WORK}/x")
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
        """The path of a new data file; `base` is the folder of a tier that lies elsewhere. It is in the journal now.

        Raises ForeignPath for a folder that lifecycle.toml does not name.
        """
        name = f"{self.id}-{self._made}.parquet"
        self._made += 1
        folder = paths.folder(table, tier, partition)
        path = self.archive.places.checked("/".join([*([base] if base else []), folder, name]), table, tier)
        assert self._journal is not None
        try:
            print(path, file=self._journal, flush=True)
        except OSError as error:
            raise cannot_write(error, self.path) from None
        self._begun.append(path)
        return path

    def keep(self, files: Iterable[DataFile], check: Callable[[list[DataFile]], None] | None = None) -> None:
        """Make files durable, under their names, so that a commit can name them.

        Before they get their names (and other programs may see them), `check` is given the files as they lie there.
        """
        files = list(files)
        temporary = [replace(file, path=file.path + paths.TEMPORARY) for file in files]
        self.archive.storage.keep([file.path for file in files], (lambda: check(temporary)) if check else None)

    def committed(self) -> None:
        """What was made is part of the archive."""
        self._begun.clear()

    def discard(self) -> None:
        """Delete what was made and not committed. (What failed after the commit appeared is part of the archive.)"""
        begun = list(self._begun)
        if begun:
            try:
                snapshot = self.archive.snapshot()
            except (LogstatsError, OSError):
                return  # nobody knows: a sweep will
            begun = [path for path in begun if path not in snapshot.files and path not in snapshot.removed]
        for path in begun:
            with contextlib.suppress(OSError, LogstatsError):
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
        handle = os.open(lock_of(place), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        yield False
        return
    except OSError as error:
        raise ArchiveError(
            f"{lock_of(place)}: {(error.strerror or str(error)).lower()}", "no writer leaves such a lock: delete it"
        ) from None
    with os.fdopen(handle, "r+b", buffering=0) as file:
        try:
            _lock(file)
        except BlockingIOError:
            yield False
        else:
            yield True


def journal(archive: CommitLog, place: Path) -> list[str]:
    """The data files that a writer began. Raises ArchiveError for what is none of this archive's."""
    inner = f"{paths.WORK}/{place.name}/{_JOURNAL}"
    try:
        text = (archive.storage.read(inner) or b"").decode("utf-8", "replace")
        return [archive.places.checked(line) for line in text.split("\n")[:-1] if line]
    except paths.ForeignPath as error:
        raise ArchiveError(
            f"{inner}: {error.what}", f"no writer of this archive said that: delete {paths.WORK}/{place.name}"
        ) from None
    except OSError as error:
        raise ArchiveError(f"{inner}: {(error.strerror or str(error)).lower()}") from None


def folders(archive: CommitLog) -> list[Path]:
    """The folders of writers that are at work or have died."""
    archive.storage.plain(f"{paths.WORK}/x")
    aside = Path(paths.REPLACED).name
    found = sorted((archive.root / paths.WORK).glob("*.lock"))
    return [lock.with_suffix("") for lock in found if lock.name != f"{aside}.lock"]


def writers(archive: CommitLog) -> Iterator[tuple[bool, list[str]]]:
    """For each writer that is at work or has died: whether it lives, and the data files that it began."""
    for place in folders(archive):
        with abandoned(place) as dead:
            found = journal(archive, place)
        yield not dead, found


def _lock(file: IO[bytes]) -> None:
    """Raises OSError if somebody holds it."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
