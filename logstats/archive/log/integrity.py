"""Checks data files before they are read, so that no figure comes from a damaged one.

The checksums of Parquet pages cover neither the footer nor the headers of pages, and Polars and DuckDB do not verify
them. So each file that a question needs is first compared with the SHA-256 in its commit, once per process. That reads
about 1 GB/s on each core, and leaves the file in the page cache for its reader.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from logstats.archive.log.commit import ArchiveError

if TYPE_CHECKING:
    from logstats.archive.log.commit import DataFile
    from logstats.archive.log.storage import Storage

_THREADS: Final = max(1, min(4, os.cpu_count() or 1))
HINT: Final = (
    "logstats archive verify names all that is damaged; --repair makes rollups anew from rows; "
    "rows come back from a backup"
)


class DamagedFile(ArchiveError):
    """A data file whose content has changed since it was written."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}", HINT)
        self.path, self.damage = path, what


class Integrity:
    """Checks each data file once, unless it has changed since."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._good: dict[str, tuple[str, tuple[int, ...]]] = {}  # path → SHA-256, and inode, size and times of the file

    def paths(self, files: Iterable[DataFile]) -> list[str]:
        """The places of the files, for a reader. Raises DamagedFile for the first one that is damaged or missing."""
        files = list(files)
        self._storage.hold((file.path, file.bytes) for file in files)
        unsure = [
            file for file in files if self._good.get(file.path) != (file.sha256, self._storage.signature(file.path))
        ]
        if len(unsure) > 1:
            with ThreadPoolExecutor(max(_THREADS, self._storage.at_once)) as pool:
                found = list(pool.map(self.damage, unsure))
        else:
            found = [self.damage(file) for file in unsure]
        for file, damage in zip(unsure, found, strict=True):
            if damage is not None:
                raise DamagedFile(file.path, damage)
        return [self._storage.at(file.path) for file in files]

    def damage(self, file: DataFile) -> str | None:
        """Describe the damage of a file; None if its bytes are those that were written."""
        try:
            before = self._storage.signature(file.path)
            found = self._storage.digest(file.path)
            if found is None:
                return "the file is missing"
            size, sha256 = found
            if size != file.bytes:
                return f"it has {size:,} bytes, and had {file.bytes:,}"
            if sha256 != file.sha256:
                return "its content was changed (another SHA-256 than when it was written)"
        except OSError as error:
            return f"it cannot be read: {error.strerror or error}"
        self._good[file.path] = file.sha256, before or self._storage.signature(file.path)
        return None
