"""The interface through which an archive's files are read and written, wherever they lie.

Paths are `/`-separated and relative to the archive, or absolute in a tier's folder outside it. `local_storage` is a
folder on a disk, `object_storage` a bucket.
"""

from __future__ import annotations

import errno
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from logstats.errors import LogstatsError

if TYPE_CHECKING:
    import duckdb
    import pyarrow.fs as pafs

LONGEST: Final = 1 << 30  # bytes of a commit, a checkpoint or a journal


class Local(Protocol):
    """A folder on this machine's disk."""

    root: Path

    def plain(self, path: str) -> Path:
        """The place of a path. Raises ForeignPath if it, or a folder above it, is a link or of another odd kind."""

    def read(self, path: str) -> bytes | None:
        """The content of a small file; None if it does not exist. Raises ForeignPath, OSError."""


class Storage(ABC):
    """The files of one archive.

    `name` is the archive's folder or URL. `local` is a folder on this machine's disk, which holds a folder for each
    running writer of this machine; `shared` says that others, which it does not show, may write at the same time.
    `at_once` is the number of requests that are worth making at the same time. `settled` is false while
    it is unknown whether a file that `create` was to make will appear.
    """

    name: str
    local: Local
    shared: bool = False
    at_once: int = 1
    settled: bool = True

    @property
    def fetched(self) -> int:
        """The number of bytes of data files that came from a store."""
        return 0

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The file system for readers of Parquet: `ParquetFile(storage.at(path), filesystem=storage.filesystem)`."""
        import pyarrow.fs as pafs

        return pafs.LocalFileSystem()

    @abstractmethod
    def uri(self, path: str) -> str:
        """The name of a file for other programs and for people: an absolute path, or a URL. Raises ForeignPath."""

    @abstractmethod
    def at(self, path: str) -> str:
        """The place of a file's content on a local disk. A file that does not exist has a place, too.

        Raises ForeignPath, and SourceError if a store does not answer.
        """

    @abstractmethod
    def scanned(self, path: str) -> str:
        """The name of a file for a DuckDB connection on which `mount` was called."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the place for a new archive, which has none yet. Raises LogstatsError if it is not fit for one."""

    def older(self, folder: str, than: datetime) -> Iterator[str]:
        """The paths of the files below a folder that were written before a time, if the storage is `shared`: nothing
        else tells the files of a writer that died on another machine."""
        del folder, than
        return iter(())

    def mount(self, connection: duckdb.DuckDBPyConnection, check: Callable[[str], None]) -> None:
        """Let a DuckDB connection open files by the names that `scanned` gives them. `check` is called with the path of
        a file that comes from a store, before its content is given away."""
        del connection, check

    def hold(self, paths: Iterable[tuple[str, int]]) -> None:
        """Make room for these files, of so many bytes each, which are read next: others may leave the local disk."""
        del paths

    @abstractmethod
    def read(self, path: str, limit: int = LONGEST) -> bytes | None:
        """The content of a small file, or its first `limit` bytes; None if it does not exist. Raises ForeignPath,
        OSError, SourceError."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """The size of a file in bytes; None if it does not exist. Raises ForeignPath, SourceError."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a file exists at its own place, not moved. Raises ForeignPath, SourceError."""

    @abstractmethod
    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of some data files that do not exist, moved or not, as far as a disk shows. Raises ForeignPath."""

    @abstractmethod
    def names(self, folder: str) -> list[str] | None:
        """The names of what lies in a folder, in order; None if there is no such folder. Raises ForeignPath, OSError,
        SourceError."""

    @abstractmethod
    def listing(self, folder: str) -> Iterator[str]:
        """The paths of all files below a folder, including links, which are not followed."""

    @abstractmethod
    def digest(self, path: str) -> tuple[int, str] | None:
        """(bytes, SHA-256) of a file's content; None if it does not exist. Raises ForeignPath, OSError, SourceError."""

    @abstractmethod
    def signature(self, path: str) -> tuple[int, ...]:
        """What differs if a file was changed since its digest was taken; empty if that has to be taken anew."""

    @abstractmethod
    def replace(self, path: str, data: bytes, within: str, *, step: str = "") -> None:
        """Replace a small file atomically: a reader sees the old content or the new.

        `within` is the writer's own folder, for temporary files.
        """

    @abstractmethod
    def create(self, path: str, data: bytes, within: str, *, step: str = "") -> bool:
        """Create a small file, whole and durable. Returns False if the name is taken."""

    @abstractmethod
    def writing(self, path: str) -> AbstractContextManager[Hashing]:
        """Open a new data file, on a local disk and under its temporary name; `keep` gives it its final name."""

    @abstractmethod
    def keep(self, paths: Iterable[str], check: Callable[[], None] | None = None) -> None:
        """Make data files durable and give them their final names.

        `check` is called as soon as they can be read back under their temporary names as they will stay. Raises
        LogstatsError if one of them could not be made durable.
        """

    @abstractmethod
    def set_aside(self, paths: Iterable[str]) -> None:
        """Move data files that are no longer part of the archive to where no glob over its tables matches them, if
        files can be moved. `at` still finds them, for readers of older snapshots. Raises OSError, ForeignPath."""

    @abstractmethod
    def bring_back(self, path: str) -> bool:
        """The inverse of `set_aside`, for a file that is part of the archive (as in a copy that was made during a
        move). Returns whether it was moved."""

    @abstractmethod
    def delete(self, path: str) -> bool:
        """Delete a file, moved aside or not, and the folders that this leaves empty. Returns whether it existed.

        Raises OSError, ForeignPath, SourceError.
        """


class Hashing:
    """A file-like object for pyarrow that counts and hashes what is written."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: Any) -> int:
        """Append."""
        view = memoryview(data)
        self._digest.update(view)
        self.bytes += view.nbytes
        return self._file.write(view)

    def tell(self) -> int:
        """Bytes written."""
        return self.bytes

    def flush(self) -> None:
        """Do nothing: closing flushes."""

    def close(self) -> None:
        """Do nothing: the context of `writing` closes the file."""

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """No."""
        return False

    def readable(self) -> bool:
        """No."""
        return False

    @property
    def sha256(self) -> str:
        """The digest of what was written."""
        return self._digest.hexdigest()


def cannot_write(error: OSError, place: object) -> LogstatsError:
    """The error for people about a failed write."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LogstatsError(
            f"{place}: {reason}",
            "the archive is as it was before, and what was added earlier is safe: make room and run it again",
        )
    return LogstatsError(f"{place}: {reason}", "the archive is as it was before: see to the cause and run it again")
