"""The archive's file system: what it needs beyond `pyarrow.fs`, which is durability and one file appearing.

Paths are `/`-separated. A relative one lies in the archive's folder, an absolute one in a tier that was put elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from logstats.archive.log import faults
from logstats.archive.log.paths import TEMPORARY
from logstats.errors import LogstatsError

if TYPE_CHECKING:
    import pyarrow.fs as pafs

_MANY: Final = 64  # files, above which one sync of everything is quicker than one for each


class LocalStorage:
    """The files below a root. `filesystem` is what data is read and written through."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    @property
    def filesystem(self) -> pafs.FileSystem:
        """For readers of Parquet: `pyarrow.parquet.ParquetFile(files.at(path), filesystem=files.filesystem)`."""
        import pyarrow.fs as pafs

        return pafs.LocalFileSystem()

    def at(self, path: str) -> str:
        """The absolute path, as `filesystem` and DuckDB want it."""
        return str(self.root / path)

    def read(self, path: str) -> bytes | None:
        """All of a file; None if it is not there."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        try:
            return (self.root / path).stat().st_size
        except FileNotFoundError:
            return None

    def sha256(self, path: str) -> str:
        """The digest of a file's content."""
        with (self.root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def replace(self, path: str, data: bytes, within: str, *, step: str = "") -> None:
        """Write a small file so that whoever reads it sees the old content or the new.

        `within` is the writer's own folder, where the file is until it is whole.
        """
        temporary = self._small(path, data, within, step)
        try:
            temporary.replace(self.root / path)
            self.sync_folder((self.root / path).parent)
        except OSError as error:
            raise cannot_write(error, self.root / path) from None

    def create(self, path: str, data: bytes, within: str, *, step: str = "") -> bool:
        """Let a small file appear, whole and durable, unless there is one of this name already; whether it did."""
        temporary = self._small(path, data, within, step)
        try:
            os.link(temporary, self.root / path)  # atomic, and never over another file
            temporary.unlink()
            self.sync_folder((self.root / path).parent)
        except FileExistsError:
            return False
        except OSError as error:
            raise cannot_write(error, self.root / path) from None
        return True

    def _small(self, path: str, data: bytes, within: str, step: str) -> Path:
        place = self.root / within / Path(path).name
        try:
            with place.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(error, place) from None
        if step:
            faults.reach(step)
        return place

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[Hashing]:
        """A new data file under its temporary name, to be given its own by `keep`."""
        place = self.root / (path + TEMPORARY)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            faults.reach("write.begin")
            with place.open("wb", buffering=1 << 18) as file:
                yield Hashing(file)
        except OSError as error:
            raise cannot_write(error, place) from None
        faults.reach("write.written")

    def keep(self, paths: Iterable[str]) -> None:
        """Make data files durable and give them their names."""
        paths = list(paths)
        try:
            if len(paths) > _MANY and sys.platform == "linux":
                os.sync()  # waits until everything is written
            else:
                for path in paths:
                    _sync(self.root / (path + TEMPORARY))
            faults.reach("write.synced")
            for path in paths:
                (self.root / (path + TEMPORARY)).replace(self.root / path)
                faults.reach("write.renamed")
            if len(paths) > _MANY and sys.platform == "linux":
                os.sync()
            else:
                for folder in self._folders(paths):
                    self.sync_folder(folder)
        except OSError as error:
            raise cannot_write(error, self.root) from None

    def _folders(self, paths: Iterable[str]) -> set[Path]:
        """The folders whose entries may be new: those of the files, and of each other up to the root."""
        folders: set[Path] = set()
        for path in paths:
            folder = (self.root / path).parent
            while folder not in folders and folder != folder.parent:
                folders.add(folder)
                if folder == self.root or not folder.is_relative_to(self.root):
                    break
                folder = folder.parent
        return folders

    def delete(self, path: str) -> bool:
        """Delete a file, and the folders of partitions that it leaves empty; whether there was one."""
        place = self.root / path
        try:
            place.unlink()
            there = True
        except FileNotFoundError:
            there = False
        folder = place.parent
        while "=" in folder.name:
            try:
                folder.rmdir()
            except OSError:
                break
            folder = folder.parent
        return there

    def listing(self, folder: str) -> Iterator[str]:
        """All files below a folder, in the form of path that `folder` has."""
        for place, _, names in os.walk(self.root / folder):
            below = Path(place).relative_to(self.root / folder).as_posix()
            for name in sorted(names):
                yield "/".join([folder, name] if below == "." else [folder, below, name])

    def sync_folder(self, folder: Path) -> None:
        """Make the entries of a folder durable."""
        if sys.platform != "win32":
            _sync(folder)


class Hashing:
    """A file to write to, that knows its length and digest so far; pyarrow takes it as one."""

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
        """Closing does it."""

    def close(self) -> None:
        """Whoever opened the file closes it."""

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    def readable(self) -> bool:
        """It is not."""
        return False

    @property
    def sha256(self) -> str:
        """The digest of what was written."""
        return self._digest.hexdigest()


def cannot_write(error: OSError, place: Path) -> LogstatsError:
    """What a failed write means to people."""
    import errno

    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LogstatsError(
            f"{place}: {reason}",
            "the archive is as it was before, and what was added earlier is safe: make room and run it again",
        )
    return LogstatsError(f"{place}: {reason}", "the archive is as it was before: see to the cause and run it again")


def _sync(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
