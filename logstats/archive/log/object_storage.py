"""An archive in a bucket of an object store, below a prefix.

A commit is one conditional put (`If-None-Match: *`), without locks, leases or clocks. Data files are written on a local
disk, in a cache folder of the user, and uploaded under their final names before the commit that names them. Objects
cannot be renamed, so a replaced file stays where it is until a sweep deletes it, and a glob over the prefix matches it
as long.

Files are read by way of local copies. Each file is compared with its SHA-256 before a figure comes from it, so its
bytes have to pass here anyway; and a copy is what DuckDB, Polars and PyArrow read fastest.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logstats import home
from logstats.archive.log import faults, paths
from logstats.archive.log.commit import ArchiveError
from logstats.archive.log.copies import Copies
from logstats.archive.log.local_storage import LocalStorage
from logstats.archive.log.storage import LONGEST, Hashing, Storage
from logstats.errors import UsageError
from logstats.inputs import object_store
from logstats.inputs.object_store import NoSuchObject

if TYPE_CHECKING:
    import duckdb

AT_ONCE: Final = 32  # requests
ROUNDS: Final = 16  # of a probe: OpenStack Swift lets two win in about half of them;
RIVALS: Final = 8  # in each, so many create the same object at once,
WEIGHT: Final = 64 << 10  # of so many bytes: they take a while to arrive after the store has looked
PROTOCOL: Final = "logstats"  # of the names by which DuckDB opens files


class ObjectStorage(Storage):
    """The objects below a URL: s3://BUCKET/PREFIX, gs://…, az://…."""

    local: LocalStorage
    shared = True
    at_once = AT_ONCE

    def __init__(self, url: str) -> None:
        scheme, bucket, key = object_store.split(url)
        if scheme in ("http", "https"):
            raise UsageError(f"{url}: an archive cannot lie on a web server", "s3://, gs:// and az:// can hold one")
        prefix = key.strip("/")
        if prefix and any(part in ("", ".", "..") for part in prefix.split("/")):
            raise UsageError(f"{url}: a part of this path is empty or dots", "write s3://BUCKET/FOLDER")
        address = object_store.endpoint() if scheme == "s3" else None
        self.name = f"{scheme}://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._bucket = object_store.connect(scheme, bucket, address)
        self.local = LocalStorage(_workplace(f"{address or ''} {self.name}"), workplace=True)
        self._copies = Copies()

    def _key(self, path: str) -> str:
        return self._prefix + path

    def uri(self, path: str) -> str:
        """The URL of a file."""
        return f"{self.name}/{path}"

    def prepare(self) -> None:
        """Raise ArchiveError if of several writers that create the same object at once two are told that they did."""
        first = f"{paths.WORK}/probe-{paths.writer_id()}"
        self._bucket.create(self._key(first), b"", self.uri(first))  # says what is wrong with bucket or access
        self.delete(first)
        with ThreadPoolExecutor(RIVALS, "logstats-probe") as pool:
            for number in range(ROUNDS):
                self._rival(f"{first}-{number}", pool)

    def _rival(self, path: str, pool: ThreadPoolExecutor) -> None:
        """One round of a probe. A request without an answer proves nothing."""
        key = self._key(path)
        try:
            said = list(pool.map(lambda rival: self._bucket.create_once(key, b"%d" % rival * WEIGHT), range(RIVALS)))
            again = self._bucket.create_once(key, b"again")
        finally:
            self.delete(path)
        won = said.count(True)
        if won > 1 or again:
            what = f"{won} of {RIVALS} writers at once" if won > 1 else "two writers, one after the other,"
            raise ArchiveError(
                f"{self.name}: {what} were told that they had created the same object, so commits could be lost here",
                "an archive needs a store with exclusive conditional puts (If-None-Match: *), or a folder on a disk",
            )

    # -- reading

    def at(self, path: str) -> str:
        """The place of a local copy, which is made if there is none."""
        path = path.removesuffix(paths.TEMPORARY)  # an object has its final name from the beginning
        with contextlib.suppress(NoSuchObject):
            return str(self._copied(path))
        return str(self._copies.place(path))

    def scanned(self, path: str) -> str:
        """A name that the file system of `mount` knows."""
        return f"{PROTOCOL}://{path}"

    def mount(self, connection: duckdb.DuckDBPyConnection, check: Callable[[str], None]) -> None:
        """Register a file system with DuckDB that copies a file when it is opened, checks the copy, and hands it on.

        DuckDB leaves out files by the partitions in their names before it opens any.
        """
        connection.register_filesystem(file_system(self, check))

    def hold(self, paths: Iterable[tuple[str, int]]) -> None:
        """Make room for copies of these files, and keep them until the next call."""
        self._copies.hold(paths)

    def _copied(self, path: str) -> Path:
        """A local copy. Raises NoSuchObject, SourceError, OSError."""
        return self._copies.get(path, lambda: self._bucket.pieces(self._key(path), self.uri(path)))

    @property
    def fetched(self) -> int:
        """The bytes of all copies that were made."""
        return self._copies.fetched

    def read(self, path: str, limit: int = LONGEST) -> bytes | None:
        """The content of a small file, or its first `limit` bytes; None if it does not exist. Raises SourceError."""
        try:
            return self._bucket.read(self._key(path), self.uri(path), limit if limit < LONGEST else None)
        except NoSuchObject:
            return None

    def size(self, path: str) -> int | None:
        """The size of a file in bytes; None if it does not exist. Raises SourceError."""
        try:
            return int(self._bucket.head(self._key(path), self.uri(path))["size"])
        except NoSuchObject:
            return None

    def exists(self, path: str) -> bool:
        """Whether a file exists. Raises SourceError."""
        return self.size(path) is not None

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Return nothing: to ask for each takes longer than most queries do. One that needs a missing file says so."""
        del paths
        return []

    def names(self, folder: str) -> list[str]:
        """The names of what lies right below a prefix, in order. Raises SourceError."""
        return sorted(self._bucket.names(self._key(folder), self.uri(folder)))

    def listing(self, folder: str) -> Iterator[str]:
        """The paths of all files below a folder, in order. Raises SourceError."""
        yield from sorted(self._path(found) for found in self._listed(folder))

    def older(self, folder: str, than: datetime) -> Iterator[str]:
        """The paths of the files below a folder that were written before a time, by the store's clock."""
        yield from (self._path(found) for found in self._listed(folder) if found["last_modified"] < than)

    def _listed(self, folder: str) -> list[dict[str, Any]]:
        return self._bucket.list_all(self._key(folder), self.uri(folder))

    def _path(self, found: dict[str, Any]) -> str:
        return str(found["path"]).removeprefix(self._prefix)

    def digest(self, path: str) -> tuple[int, str] | None:
        """(bytes, SHA-256) of a file as the store gives it out, of which a copy is kept; None if it does not exist."""
        path = path.removesuffix(paths.TEMPORARY)
        try:
            self._copied(path)
        except NoSuchObject:
            return None
        return self._copies.digest(path)

    def signature(self, path: str) -> tuple[int, ...]:
        """The number of the copy, if there is one."""
        return self._copies.number(path.removesuffix(paths.TEMPORARY))

    # -- writing

    def replace(self, path: str, data: bytes, within: str, *, step: str = "") -> None:
        """Write a small file: a reader sees the old content or the new. Raises SourceError."""
        if step:
            faults.reach(step)
        self._bucket.put(self._key(path), data, self.uri(path))

    def create(self, path: str, data: bytes, within: str, *, step: str = "") -> bool:
        """Create a small file by a conditional put. Returns False if another writer's is there.

        Raises SourceError if the store does not say: then the file may appear, now or later (see `settled`).
        """
        if step:
            faults.reach(step)
        self.settled = False
        made = self._bucket.create(self._key(path), data, self.uri(path))
        self.settled = True
        return made

    def writing(self, path: str) -> AbstractContextManager[Hashing]:
        """Open a new data file on the local disk; `keep` uploads it."""
        return self.local.writing(path)

    def keep(self, paths: Iterable[str], check: Callable[[], None] | None = None) -> None:
        """Upload data files; `check` reads back what the store then holds. Raises SourceError."""
        paths = list(paths)
        faults.reach("write.synced")
        if paths:
            with ThreadPoolExecutor(min(AT_ONCE, len(paths)), "logstats-upload") as pool:
                for _ in pool.map(self._upload, paths):
                    faults.reach("write.renamed")
        if check is not None:
            check()

    def _upload(self, path: str) -> None:
        temporary = path + paths.TEMPORARY
        self._bucket.put(self._key(path), self.local.plain(temporary), self.uri(path))
        self.local.delete(temporary)

    def set_aside(self, paths: Iterable[str]) -> None:
        """Do nothing: objects cannot be moved."""

    def bring_back(self, path: str) -> bool:
        """Return False: objects are not moved."""
        return False

    def delete(self, path: str) -> bool:
        """Delete a file, uploaded or not. Returns whether it existed. Raises OSError, SourceError."""
        found = self.local.delete(path)
        if path.endswith(paths.TEMPORARY) or not self.exists(path):
            return found
        self._bucket.delete(self._key(path), self.uri(path))
        return True


def _workplace(name: str) -> Path:
    """The local folder of an archive. Raises UsageError."""
    cache = home.cache_folder()
    if cache is None:
        raise UsageError("there is no folder for temporary work", "name one in XDG_CACHE_HOME")
    return cache / "archives" / hashlib.sha256(name.encode()).hexdigest()[:24]


def file_system(storage: Storage, check: Callable[[str], None]) -> Any:
    """The storage as DuckDB takes a file system, for reading."""
    try:
        import fsspec
    except ImportError:
        raise UsageError("SQL over an archive on a store needs fsspec", "pip install 'logstats[cloud]'") from None

    class Files(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = PROTOCOL
        cachable = False

        def _open(self, path: str, mode: str = "rb", **_: object) -> Any:
            if mode != "rb":
                raise PermissionError("an archive is read-only")
            while True:
                check(path)
                with contextlib.suppress(FileNotFoundError):  # the copy had to make room for another
                    return Path(storage.at(path)).open("rb")

        def info(self, path: str, **_: object) -> dict[str, Any]:
            name = self._strip_protocol(path)
            found = storage.digest(name)
            if found is None:
                raise FileNotFoundError(path)
            return {"name": name, "size": found[0], "type": "file"}

        def glob(self, path: str, **_: object) -> list[str]:
            return [path]

        def modified(self, path: str) -> datetime:
            """A time that never changes, as the files do not."""
            return datetime(1970, 1, 1)

    return Files()
