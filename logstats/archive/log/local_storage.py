"""An archive in a folder on a disk: durability, atomic creation, and protection from links.

Paths are `/`-separated. A relative path is in the archive's folder, an absolute one in a tier folder outside it. Only
plain files in plain folders are read, written or deleted. Symbolic links below the root or a tier's folder are refused,
so an archive from an untrusted party reaches no file outside itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from logstats.archive.log import faults
from logstats.archive.log.paths import COMMITS, REPLACED, TEMPORARY, WORK, ForeignPath, replaced, split
from logstats.archive.log.storage import LONGEST, Hashing, Storage, cannot_write

_THREADS: Final = 8  # for syncing: a disk is faster when several requests wait
_TRIES: Final = 5  # to create a folder that another writer removes meanwhile because it is empty


class LocalStorage(Storage):
    """The files below a root folder. Commits are there, too, unless it is the `workplace` of an archive elsewhere."""

    def __init__(self, root: str | Path, *, workplace: bool = False) -> None:
        self.root = Path(root).absolute()
        self._workplace = workplace
        self.name = str(self.root)
        self.local = self
        self._above = self.root.as_posix().rstrip("/")
        self._plain: set[str] = set()  # folders that were checked, with `/` as separator

    def prepare(self) -> None:
        """Make the folder, if there is none."""
        try:
            (self.root / COMMITS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(error, self.root) from None

    def _make_folder(self, folder: Path) -> None:
        """Make a folder, but not the archive's own: that may be away (a disk that is not mounted, a folder that was
        moved), and what was written in its place would be in its way when it comes back. Raises OSError."""
        if not self._workplace and folder.is_relative_to(self.root):
            os.stat(self.root / COMMITS)  # noqa: PTH116
        folder.mkdir(parents=True, exist_ok=True)

    def uri(self, path: str) -> str:
        """The absolute path of a file, where it lies now."""
        return self.at(path)

    def at(self, path: str) -> str:
        """The place of a file. A replaced data file is found where it was moved to.

        Raises ForeignPath if it is not a plain file in plain folders. A file that does not exist has a place, too.
        """
        place, there = self._look(path)
        if not there and path.endswith(".parquet"):
            moved, there = self._look(replaced(path))
            if there:
                return moved
        return place

    scanned = at

    def plain(self, path: str) -> Path:
        """The place of a path. Raises ForeignPath if it, or a folder above it, is a link or of another odd kind."""
        return Path(self._look(path)[0])

    def _look(self, path: str) -> tuple[str, bool]:
        """(the place of a path, as `plain` gives it; whether it exists). An archive has thousands of files, so folders
        are checked once, and no `Path` is made."""
        base, inner = split(path)
        if base.endswith(f"/{REPLACED}"):
            base, inner = base.removesuffix(f"/{REPLACED}"), f"{REPLACED}/{inner}"
        above = Path(base).as_posix() if base else self._above
        whole = path if base else f"{above}/{path}"
        whole = whole if os.sep == "/" else whole.replace("/", os.sep)
        folder, _, name = f"{above}/{inner}".rpartition("/")
        if folder not in self._plain and folder != above:
            place = above
            for one in inner.split("/")[:-1]:
                place = f"{place}/{one}"
                if place not in self._plain:
                    if not _is(place, stat.S_ISDIR):
                        return whole, False
                    self._plain.add(place)
        return whole, _is(f"{folder}/{name}", lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode))

    def read(self, path: str, limit: int = LONGEST) -> bytes | None:
        """The content of a small file, or its first `limit` bytes; None if it does not exist. Raises ForeignPath,
        OSError."""
        place = self.plain(path)
        try:
            handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            return file.read(limit)

    def size(self, path: str) -> int | None:
        """The size of a file in bytes; None if it does not exist. Raises ForeignPath."""
        try:
            return os.lstat(self.at(path)).st_size
        except FileNotFoundError:
            return None

    def exists(self, path: str) -> bool:
        """Whether a file exists at its own place, not moved. Raises ForeignPath."""
        return self.plain(path).exists()

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of some data files that do not exist, moved or not. Raises ForeignPath."""
        return [path for path in paths if self.size(path) is None]

    def names(self, folder: str) -> list[str] | None:
        """The names of what lies in a folder, in order; None if there is none. Raises ForeignPath, OSError."""
        place = self.plain(f"{folder}/x").parent if folder else self.root
        return sorted(found.name for found in place.iterdir()) if place.is_dir() else None

    def digest(self, path: str) -> tuple[int, str] | None:
        """(bytes, SHA-256) of a file's content; None if it does not exist. Raises ForeignPath, OSError."""
        try:
            with Path(self.at(path)).open("rb") as file:
                return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None

    def signature(self, path: str) -> tuple[int, ...]:
        """Inode, size and times of a file."""
        try:
            status = os.lstat(self.at(path))
        except OSError:
            return ()
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def replace(self, path: str, data: bytes, within: str, *, step: str = "") -> None:
        """Replace a small file atomically: a reader sees the old content or the new.

        `within` is the writer's own folder, in which the file is written first.
        """
        temporary = self._small(path, data, within, step)
        place = self.plain(path)
        try:
            self._make_folder(place.parent)
            temporary.replace(place)
            self.sync_folder(place.parent)
        except OSError as error:
            raise cannot_write(error, place) from None

    def create(self, path: str, data: bytes, within: str, *, step: str = "") -> bool:
        """Create a small file, whole and durable. Returns False if the name is taken."""
        temporary = self._small(path, data, within, step)
        place = self.plain(path)
        try:
            try:
                os.link(temporary, place)  # atomic, and never replaces another file
            except FileExistsError:
                # A network file system (NFS) that lost the reply tries again, and then finds our own file.
                if not (_is(place, stat.S_ISREG) and place.samefile(temporary)):
                    return False
            temporary.unlink()
            self.sync_folder(place.parent)
        except OSError as error:
            raise cannot_write(error, place) from None
        return True

    def _small(self, path: str, data: bytes, within: str, step: str) -> Path:
        place = self.plain(f"{within}/{Path(path).name}")
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
        """Open a new data file under its temporary name; `keep` gives it its final name."""
        place = self.plain(path + TEMPORARY)
        try:
            for tries in range(_TRIES):
                self._make_folder(place.parent)
                faults.reach("write.begin")
                try:
                    opened = place.open("wb", buffering=1 << 18)
                    break
                except FileNotFoundError:  # another writer removed the empty folder meanwhile
                    if tries == _TRIES - 1:
                        raise
            with opened as file:
                yield Hashing(file)
        except OSError as error:
            raise cannot_write(error, place) from None
        faults.reach("write.written")

    def keep(self, paths: Iterable[str], check: Callable[[], None] | None = None) -> None:
        """Make data files durable and give them their final names; `check` is called before the renaming.

        Raises LogstatsError if one of them, or a folder, could not be made durable.
        """
        paths = list(paths)
        try:
            _each(paths, lambda path: sync(self.plain(path + TEMPORARY)))
            faults.reach("write.synced")
            if check is not None:
                check()
            for path in paths:
                self.plain(path + TEMPORARY).replace(self.plain(path))
                faults.reach("write.renamed")
            _each(self._folders(paths), self.sync_folder)
        except OSError as error:
            raise cannot_write(error, self.root) from None

    def _folders(self, paths: Iterable[str]) -> set[Path]:
        """The folders whose entries may be new: those of the files, and their parents up to the root."""
        folders: set[Path] = set()
        for path in paths:
            folder = (self.root / path).parent
            while folder not in folders and folder != folder.parent:
                folders.add(folder)
                if folder == self.root or not folder.is_relative_to(self.root):
                    break
                folder = folder.parent
        return folders

    def set_aside(self, paths: Iterable[str]) -> None:
        """Move data files that are no longer part of the archive to where no glob over its tables matches them.

        `at` still finds them, for readers of older snapshots. Raises OSError, ForeignPath.
        """
        for path in paths:
            self._rename(path, replaced(path))
            faults.reach("replaced.moved")

    def bring_back(self, path: str) -> bool:
        """The inverse of `set_aside`, for a file that is part of the archive (as in a copy that was made during a
        move). Returns whether it was moved."""
        there = self.plain(replaced(path)).exists() and not self.plain(path).exists()
        if there:
            self._rename(replaced(path), path)
        return there

    def _rename(self, path: str, to: str) -> None:
        old, new = self.plain(path), self.plain(to)
        for _ in range(_TRIES):
            if not old.exists():
                return
            self._make_folder(new.parent)
            with contextlib.suppress(FileNotFoundError):  # another writer was faster, or removed the empty folder
                old.rename(new)
        self._prune(old)

    def delete(self, path: str) -> bool:
        """Delete a file, moved aside or not, and the folders that this leaves empty. Returns whether it existed.

        Raises OSError, ForeignPath.
        """
        found = False
        for one in (path, replaced(path)):
            place = self.plain(one)
            with contextlib.suppress(FileNotFoundError):
                place.unlink()
                found = True
            self._prune(place)
        return found

    def _prune(self, place: Path) -> None:
        """Delete the empty folders above a file: those of partitions and of replaced files."""
        for folder in place.parents:
            if "=" not in folder.name and f"/{REPLACED}/" not in f"{folder}/":
                break
            try:
                folder.rmdir()
            except OSError:
                break
            self._plain.discard(folder.as_posix())
            if folder.name == Path(REPLACED).name and folder.parent.name == WORK:
                break

    def listing(self, folder: str) -> Iterator[str]:
        """The paths of all files below a folder, including links, which are not followed."""
        for place, folders, names in os.walk(self.root / folder):
            below = Path(place).relative_to(self.root / folder).as_posix()
            links = [name for name in folders if Path(place, name).is_symlink()]
            for name in sorted([*names, *links]):
                yield "/".join([folder, name] if below == "." else [folder, below, name])

    def sync_folder(self, folder: Path) -> None:
        """Make the entries of a folder durable."""
        if sys.platform != "win32":
            sync(folder)


def _is(place: str | Path, right: Callable[[int], bool]) -> bool:
    """Whether the place exists. Raises ForeignPath if it is a link, or of another kind than is `right`."""
    try:
        mode = os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise ForeignPath(f"{place}: {error}") from None
    if not right(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "neither a plain file nor a plain folder, as it should be"
        raise ForeignPath(f"{place}: this is {what}, and nothing behind it is read or changed", _PLAIN)
    return True


_PLAIN: Final = "an archive is of plain files and folders: put the file here, or name a tier's folder in lifecycle.toml"


def _each(things: Iterable[Any], work: Callable[[Any], None]) -> None:
    """Call `work` for each thing, in several threads. Raises what a call raises."""
    things = list(things)
    if len(things) <= 1:
        for thing in things:
            work(thing)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_THREADS, len(things)), "logstats-sync") as threads:
        for _ in threads.map(work, things):
            pass


def sync(place: Path) -> None:
    """Have the disk hold a file, or which files a folder has."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
