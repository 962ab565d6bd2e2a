"""Files that rotation has made of one that is followed, told by their names: of files that were made and rotated away
between two looks, or while nothing looked, only their new names tell."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Sequence

from logstats.dataclass import dataclass
from logstats.inputs.followed_file import FollowedFile, Key

__all__ = ["Beside", "Files", "Key", "beside", "is_rotated", "regular_files", "rotated_between"]

_ADDED = re.compile(r"[.\-_]?\d.*", re.DOTALL)  # what rotation adds to a name: `.1`, `-20250117`, `.2025-01-17-10`
_INSERTED = re.compile(r"[.\-_]\d{4}-?\d\d-?\d\d[\d.\-_T]*$")  # what it adds before the suffix: `a-20250117.log`

Files = list[tuple[str, str, os.stat_result]]


@dataclass(frozen=True, slots=True)
class Beside:
    """A file in the folder of one that is followed, and whether it has the name of a rotated one."""

    path: str
    status: os.stat_result
    rotated: bool

    @property
    def key(self) -> Key:
        """Its device and inode."""
        return self.status.st_dev, self.status.st_ino


def regular_files(folder: str) -> Files:
    """The regular files of a folder: (name, path, status). Raises OSError."""
    found = []
    with os.scandir(folder or ".") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # it went, or is a link to nothing
                if stat.S_ISREG((status := entry.stat()).st_mode):
                    found.append((entry.name, entry.path if folder else entry.name, status))
    return found


def beside(path: str, files_of: Callable[[str], Files] = regular_files) -> Iterator[Beside]:
    """The other files in the folder of a file, and in that of the file that a link leads to. Raises OSError."""
    places = [os.path.split(path)]
    if os.path.islink(path):  # noqa: PTH114
        places.append(os.path.split(os.path.realpath(path)))
    for folder, name in dict.fromkeys(places):
        for other, where, status in files_of(folder):
            if other != name:
                yield Beside(where, status, is_rotated(other, name))


def is_rotated(name: str, original: str) -> bool:
    """Whether rotation may have made a name of another: `a.log.1`, `a.log-20250117.gz`, `a-20250117.log` of `a.log`."""
    if name.startswith(original):
        return bool(_ADDED.fullmatch(name[len(original) :]))
    stem, suffix = os.path.splitext(original)  # noqa: PTH122
    before, found, after = name.rpartition(suffix) if suffix else ("", "", "")
    packed = after in ("", ".gz", ".zst", ".bz2", ".xz")
    return bool(found and packed and before.startswith(stem) and _INSERTED.fullmatch(before[len(stem) :]))


def rotated_between(
    before: Sequence[FollowedFile], now: Key, opened: Collection[Key]
) -> Iterator[tuple[Key, tuple[str, os.stat_result]]]:
    """Of the files that lay under a name `before`, and the one that does `now`: those in between, oldest first.

    Each has the name of a rotated one, was written to after the newest of those before, and begins with something else,
    so that it is no copy of that. Those that are `opened` are known.
    """
    if not before:
        return
    last = max(before, key=lambda file: file.changed)
    found = []
    try:
        since = os.fstat(last.descriptor).st_mtime_ns
        for one in beside(last.path):
            is_between = one.rotated and one.status.st_mtime_ns >= since and one.status.st_size
            if is_between and one.key != now and one.key not in opened and not _begins_alike(one.path, last):
                found.append((one.key, (one.path, one.status)))
    except OSError:  # the folder cannot be read
        return
    yield from sorted(found, key=lambda one: one[1][1].st_mtime_ns)


def _begins_alike(path: str, file: FollowedFile) -> bool:
    """Whether a file begins as another does. If it cannot be read, that is said where it is opened."""
    head = b""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            head = os.pread(descriptor, len(file.mark.head), 0)
        finally:
            os.close(descriptor)
    return bool(head) and file.mark.head.startswith(head)
