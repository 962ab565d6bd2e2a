"""An archive of which tiers lie on stores: each path goes to the storage that it names.

The archive itself is a folder or a prefix on a store. `lifecycle.toml` names a URL for a tier; the paths of its files
begin with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING

from logstats.archive.log import paths as archive_paths
from logstats.archive.log.object_storage import AT_ONCE, PROTOCOL, ObjectStorage, file_system
from logstats.archive.log.storage import LONGEST, Hashing, Local, Storage

if TYPE_CHECKING:
    import duckdb


class RoutedStorage(Storage):
    """A storage, and those of the tiers that lie on stores."""

    def __init__(self, main: Storage) -> None:
        self._main = main
        self._tiers: dict[str, ObjectStorage] = {}  # by URL, those that were needed
        self.name, self.shared = main.name, main.shared
        self.local: Local = main.local

    def _of(self, path: str) -> tuple[Storage, str]:
        """The storage of a path, and the path within it."""
        if not archive_paths.is_url(path):
            return self._main, path
        base, inner = archive_paths.split(path)
        return self._tier(base), inner

    def _tier(self, base: str) -> ObjectStorage:
        if base not in self._tiers:
            self._tiers[base] = ObjectStorage(base)
        return self._tiers[base]

    def _grouped(self, paths: Iterable[str]) -> Iterator[tuple[Storage, list[str], str]]:
        """(storage, paths within it, what they begin with outside of it) of all paths; the main storage comes last."""
        groups: dict[str, list[str]] = {}
        for path in paths:
            base, inner = archive_paths.split(path) if archive_paths.is_url(path) else ("", path)
            groups.setdefault(base, []).append(inner)
        for base in sorted(groups, key=lambda base: not base):
            yield (self._tier(base), groups[base], f"{base}/") if base else (self._main, groups[base], "")

    @property
    def at_once(self) -> int:  # type: ignore[override]
        """As many requests as a store takes, if one is in use."""
        return AT_ONCE if self._tiers else self._main.at_once

    @property
    def settled(self) -> bool:  # type: ignore[override]
        """As of the main storage, which has the commits."""
        return self._main.settled

    @property
    def fetched(self) -> int:
        """The bytes that came from all stores."""
        return self._main.fetched + sum(tier.fetched for tier in self._tiers.values())

    def prepare(self) -> None:
        """Make the place for a new archive; its tiers are made with their first files."""
        self._main.prepare()

    def uri(self, path: str) -> str:
        """The name of a file for other programs."""
        storage, inner = self._of(path)
        return storage.uri(inner)

    def at(self, path: str) -> str:
        """The place of a file, or of a copy."""
        storage, inner = self._of(path)
        return storage.at(inner)

    def scanned(self, path: str) -> str:
        """The name of a file for DuckDB."""
        storage, _ = self._of(path)
        return f"{PROTOCOL}://{path}" if isinstance(storage, ObjectStorage) else storage.scanned(path)

    def mount(self, connection: duckdb.DuckDBPyConnection, check: Callable[[str], None]) -> None:
        """Register a file system for the files of stores, if there are any."""
        if self._tiers or isinstance(self._main, ObjectStorage):
            connection.register_filesystem(file_system(self, check))

    def hold(self, paths: Iterable[tuple[str, int]]) -> None:
        """Make room for copies of files."""
        sizes = dict(paths)
        for storage, inner, base in self._grouped(sizes):
            storage.hold((path, sizes[base + path]) for path in inner)

    def read(self, path: str, limit: int = LONGEST) -> bytes | None:
        """The content of a small file."""
        return self._main.read(path, limit)

    def size(self, path: str) -> int | None:
        """The size of a file."""
        storage, inner = self._of(path)
        return storage.size(inner)

    def exists(self, path: str) -> bool:
        """Whether a file exists at its own place."""
        storage, inner = self._of(path)
        return storage.exists(inner)

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of some data files that do not exist, as far as a local disk shows."""
        return [base + path for storage, inner, base in self._grouped(paths) for path in storage.missing(inner)]

    def names(self, folder: str) -> list[str] | None:
        """The names of what lies in a folder of the archive itself."""
        return self._main.names(folder)

    def listing(self, folder: str) -> Iterator[str]:
        """The paths of all files below a folder: of the archive, or `URL/TIER`."""
        if not archive_paths.is_url(folder):
            yield from self._main.listing(folder)
            return
        base, _, tier = folder.rpartition("/")
        yield from (f"{base}/{path}" for path in self._tier(base).listing(tier))

    def older(self, folder: str, than: datetime) -> Iterator[str]:
        """Files of the archive itself that were written before a time, if it lies on a store."""
        return self._main.older(folder, than)

    def digest(self, path: str) -> tuple[int, str] | None:
        """(bytes, SHA-256) of a file's content."""
        storage, inner = self._of(path)
        return storage.digest(inner)

    def signature(self, path: str) -> tuple[int, ...]:
        """What differs if a file was changed."""
        storage, inner = self._of(path)
        return storage.signature(inner)

    def replace(self, path: str, data: bytes, within: str, *, step: str = "") -> None:
        """Replace a small file of the archive itself."""
        self._main.replace(path, data, within, step=step)

    def create(self, path: str, data: bytes, within: str, *, step: str = "") -> bool:
        """Create a small file of the archive itself."""
        return self._main.create(path, data, within, step=step)

    def writing(self, path: str) -> AbstractContextManager[Hashing]:
        """Open a new data file."""
        storage, inner = self._of(path)
        return storage.writing(inner)

    def keep(self, paths: Iterable[str], check: Callable[[], None] | None = None) -> None:
        """Give data files their final names. (Files of stores are there before `check` reads them back, so they come
        first; those of a disk are renamed after it.)"""
        groups = list(self._grouped(paths))
        for storage, inner, _ in groups[:-1]:
            storage.keep(inner)
        storage, inner, _ = groups[-1] if groups else (self._main, [], "")
        storage.keep(inner, check)

    def set_aside(self, paths: Iterable[str]) -> None:
        """Move data files aside, where files can be moved."""
        for storage, inner, _ in self._grouped(paths):
            storage.set_aside(inner)

    def bring_back(self, path: str) -> bool:
        """The inverse of `set_aside`."""
        storage, inner = self._of(path)
        return storage.bring_back(inner)

    def delete(self, path: str) -> bool:
        """Delete a file."""
        storage, inner = self._of(path)
        return storage.delete(inner)
