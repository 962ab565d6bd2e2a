"""The folder of a running writer: its lock shows that the writer lives, its journal names the files that it has begun.

`sweep` deletes a file that no commit names once its writer is dead. So it never deletes a file that a live writer is
about to commit, and need not search the archive for the files of dead ones.

A writer may lend its folder to a worker, another process that writes files for it: these are entered in the same
journal, and the worker shares the lock while it is at work. So the writer's end is not taken for the end of both.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
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
_FILES: Final = 10_000_000  # more than one attempt of a worker makes: each attempt numbers its files from a multiple on


class Workspace:
    """Makes data files for one commit at a time. A context manager, which deletes files that were not committed.

    In a worker (`archive.owner` is the id of the workspace that was lent to it), files stay when it ends well: they are
    the owner's. On a machine where that folder is not, which only an archive on a store allows, it has one of its own.
    """

    def __init__(self, archive: CommitLog) -> None:
        self.archive = archive
        self.id = self.folder = ""
        self._works_for = archive.owner
        self._joined = self._lent = False
        self._kept: set[str] = set()  # files made by workers that were committed
        self._names = ""  # what names of files begin with, if not the id: they sort in the order of commits
        self._begun: list[str] = []
        self._made = 0
        self._naming = threading.Lock()
        self._lock: IO[bytes] | None = None
        self._journal: IO[str] | None = None

    def __enter__(self) -> Self:
        self.archive.prepare()
        try:
            self._lock = (self._works_for and self._shared()) or self._locked()
            if not self._joined:
                self.path.mkdir()
            folder = self.path.parent if self._joined else self.path
            self._journal = (folder / _JOURNAL).open("a", encoding="utf-8")
        except OSError as error:
            raise cannot_write(error, self.path) from None
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._lock is not None
        assert self._journal is not None
        if self._works_for and kind is None:
            self._begun.clear()
        if not self._lent or self._alone():
            self.discard()
        with contextlib.suppress(OSError):  # of a full disk: a line of it that could not be written
            self._journal.close()
        if not self._begun and not self._joined:  # else a sweep, or the owner, deletes what could not be deleted now
            with contextlib.suppress(OSError):
                shutil.rmtree(self.path)
                lock_of(self.path).unlink()
        self._lock.close()

    def lend(self) -> str:
        """The id by which a worker finds this workspace. From then on its journal says what was begun."""
        self._lent = True
        return self.id

    def _alone(self) -> bool:
        """Whether no worker is at work here any more. If one is, its files are left to a sweep."""
        assert self._lock is not None
        try:
            _lock(self._lock)
        except BlockingIOError:
            self._begun = self._lent_files()
            return False
        return True

    def _lent_files(self) -> list[str]:
        return [path for path in journal(self.archive, self.path) if path not in self._kept]

    def _shared(self) -> IO[bytes] | None:
        """Share the lock of the workspace that this one works for; None if it is not on this machine."""
        owner = f"{paths.WORK}/{self._works_for}"
        place = lock_of(self.archive.root / owner)
        try:
            file = os.fdopen(os.open(place, os.O_RDWR | os.O_NOFOLLOW), "r+b", buffering=0)
            _lock(file, shared=True)
            if place.stat().st_ino != os.fstat(file.fileno()).st_ino:
                raise FileNotFoundError
        except (BlockingIOError, FileNotFoundError):
            if self.archive.storage.shared:
                return None
            raise ArchiveError(
                f"{self.archive.name}: a worker does not find the folder {owner} of the process that commits",
                "that process has ended, or the worker is on a machine that has another archive there",
            ) from None
        self._joined = True
        self.id = paths.writer_id()
        attempt = 0
        while True:
            self.folder = f"{owner}/{attempt}"
            try:
                self.path.mkdir()
            except FileExistsError:  # of a worker that was killed, or that is not at work for this owner any more
                attempt += 1
            else:
                break
        self._names, self._made = self._works_for, attempt * _FILES
        return file

    def _locked(self) -> IO[bytes]:
        """Choose a name and take its lock. The lock is created first, so that a writer that dies at any time can be
        found by it."""
        self.archive.storage.local.plain(f"{paths.WORK}/x")
        (self.archive.root / paths.WORK).mkdir(parents=self.archive.storage.shared, exist_ok=True)
        while True:
            self.id = paths.writer_id()
            self.folder = f"{paths.WORK}/{self.id}"
            place = lock_of(self.path)
            file = place.open("xb")
            try:
                _lock(file, shared=True)
                if place.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    return file
            except (BlockingIOError, FileNotFoundError):
                pass  # a sweep took the lock meanwhile, as if the writer were dead
            file.close()

    @property
    def path(self) -> Path:
        """The writer's folder, for its temporary files."""
        return self.archive.root / self.folder

    def new_path(self, table: str, tier: str, partition: paths.Partition, base: str = "") -> str:
        """A path for a new data file, which is entered in the journal; any thread may ask. `base` is a tier's folder
        outside the archive.

        Raises ForeignPath for a folder that lifecycle.toml does not name.
        """
        assert self._journal is not None
        folder = paths.folder(table, tier, partition)
        with self._naming:
            name = f"{self._names or self.id}-{self._made}.parquet"
            self._made += 1
            path = self.archive.places.checked("/".join([*([base] if base else []), folder, name]), table, tier)
            try:
                print(path, file=self._journal, flush=True)
            except OSError as error:
                raise cannot_write(error, self.path) from None
            self._begun.append(path)
        return path

    def keep(self, files: Iterable[DataFile], check: Callable[[list[DataFile]], None] | None = None) -> None:
        """Make files durable and give them their final names, so that a commit can name them.

        `check` gets the files under their temporary names, before other programs may see them.
        """
        files = list(files)
        temporary = [replace(file, path=file.path + paths.TEMPORARY) for file in files]
        self.archive.begin()
        self.archive.storage.keep([file.path for file in files], (lambda: check(temporary)) if check else None)

    def committed(self, lent: Iterable[DataFile] = ()) -> None:
        """Record that the files made so far are part of the archive; of those that workers made, these."""
        self._begun.clear()
        self._kept.update(file.path for file in lent)

    def discard(self) -> None:
        """Delete the files that were not committed. (After a commit that went through, there are none.)

        If it is unknown whether a commit will appear that names them, they stay until a sweep.
        """
        if self._lent:
            self._begun = self._lent_files()
        begun = list(self._begun)
        if begun:
            if not self.archive.storage.settled:
                return
            try:
                snapshot = self.archive.snapshot()
            except (LogstatsError, OSError):
                return  # whether they were committed is unknown; a sweep will find out
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
    """Whether the writer of a folder is dead. If so, its lock is held within the context."""
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
    """The data files that a writer began. Raises ArchiveError for a path that is not one of this archive."""
    inner = f"{paths.WORK}/{place.name}/{_JOURNAL}"
    try:
        text = (archive.storage.local.read(inner) or b"").decode("utf-8", "replace")
        return [archive.places.checked(line) for line in text.split("\n")[:-1] if line]
    except paths.ForeignPath as error:
        raise ArchiveError(
            f"{inner}: {error.what}", f"no writer of this archive said that: delete {paths.WORK}/{place.name}"
        ) from None
    except OSError as error:
        raise ArchiveError(f"{inner}: {(error.strerror or str(error)).lower()}") from None


def folders(archive: CommitLog) -> list[Path]:
    """The folders of all writers of this machine, running or dead."""
    archive.storage.local.plain(f"{paths.WORK}/x")
    aside = Path(paths.REPLACED).name
    found = sorted((archive.root / paths.WORK).glob("*.lock"))
    return [lock.with_suffix("") for lock in found if lock.name != f"{aside}.lock"]


def writers(archive: CommitLog) -> Iterator[tuple[bool, list[str]]]:
    """For each writer: whether it is running, and the data files that it began."""
    for place in folders(archive):
        with abandoned(place) as dead:
            found = journal(archive, place)
        yield not dead, found


def _lock(file: IO[bytes], *, shared: bool = False) -> None:
    """Take the lock: alone, or `shared` by those who write. Raises BlockingIOError if others hold it otherwise."""
    import fcntl

    fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
