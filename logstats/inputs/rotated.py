"""Files that were made and rotated away between two looks: they never lay under the name that is followed when that was
looked at, so only their new names tell of them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence

from logstats.inputs.followed_file import FollowedFile, Key

_ROTATED = re.compile(r"[.\-_]?\d.*", re.DOTALL)  # what rotation adds to a name: `.1`, `-20250117`, `.2025-01-17-10`


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
    folder, name = os.path.split(last.path)
    found = []
    try:
        since = os.fstat(last.descriptor).st_mtime_ns
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                if not (entry.name.startswith(name) and _ROTATED.fullmatch(entry.name[len(name) :])):
                    continue
                status = entry.stat()
                key = (status.st_dev, status.st_ino)
                is_between = stat.S_ISREG(status.st_mode) and status.st_mtime_ns >= since and status.st_size
                if is_between and key != now and key not in opened and not _begins_alike(entry.path, last):
                    found.append((key, (entry.path, status)))
    except OSError:  # it is not known, then
        return
    yield from sorted(found, key=lambda one: one[1][1].st_mtime_ns)


def _begins_alike(path: str, file: FollowedFile) -> bool:
    """Whether a file begins as another does. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        head = os.pread(descriptor, len(file.mark.head), 0)
    finally:
        os.close(descriptor)
    return file.mark.head.startswith(head)
