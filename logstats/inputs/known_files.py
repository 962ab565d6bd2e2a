"""Files that were read before: whether a file that is new under a name is one of them, a copy of one, or another.

A file that was closed is known by its inode, confirmed by its content. A copy is known by its content alone: the old
log that `cp` or `gzip` leaves in a folder that is followed, or a file that an editor wrote anew.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from logstats.dataclass import dataclass
from logstats.inputs.copies import Copy, as_copy
from logstats.inputs.followed_file import Key, Mark

KNOWN: Final = 4096  # files that are remembered after they were closed
GONE: Final = 256  # contents that are remembered after their files were truncated


@dataclass(frozen=True, slots=True)
class Known:
    """A content that was read up to a mark; `line` is the number of the line that follows.

    `seen` are the size and the time of modification of its file when it was closed. `live` says that the file is still
    there under its name, and goes on being read itself.
    """

    name: str
    mark: Mark
    line: int
    seen: tuple[int, int] = (0, 0)
    live: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """What a new file is a copy of."""

    known: Known
    copy: Copy


class KnownFiles:
    """What is remembered of files that are not open any more, and of contents that are gone."""

    def __init__(self) -> None:
        self._closed: OrderedDict[Key, Known] = OrderedDict()
        self._gone: deque[Known] = deque(maxlen=GONE)
        self._waiting: dict[Key, int] = {}  # what may be a copy of a live file: its size when it was last looked at

    def remember(self, key: Key, known: Known, status: os.stat_result) -> None:
        """A file was read up to a mark, and closed."""
        before = self._closed.pop(key, None)
        if before is not None and not known.mark.head.startswith(before.mark.head):
            self.gone(before)  # it was deleted, and another got its inode
        self._closed[key] = replace(known, seen=(status.st_size, status.st_mtime_ns))
        if len(self._closed) > KNOWN:
            self._closed.popitem(last=False)

    def gone(self, known: Known) -> None:
        """A content is gone, and a copy of it may turn up that has more."""
        self._gone.append(known)

    def is_unchanged(self, key: Key, status: os.stat_result) -> bool:
        """Whether a file that was closed is as it was then."""
        return key in self._closed and self._closed[key].seen == (status.st_size, status.st_mtime_ns)

    def grown(self, key: Key, descriptor: int) -> Known | None:
        """What is known of a file that was closed, if it still begins with that."""
        known = self._closed.get(key)
        return known if known is not None and known.mark.is_in(descriptor) else None

    def origin(self, path: str, opened: Iterable[Known]) -> Origin | None:
        """What a file is a copy of: of one that is open, that was closed or truncated. Raises OSError and Damaged."""
        candidates = [*self._gone, *opened, *self._closed.values()]
        for known in sorted(candidates, key=lambda known: -known.mark.offset):  # one may go on where another ends
            copy = as_copy(path, known.mark)
            if copy is not None:
                if known in self._gone:
                    self._gone.remove(known)
                return Origin(known, copy)
        return None

    def may_become_copy(self, key: Key, size: int, live: Iterable[tuple[int, Mark]], descriptor: int) -> bool:
        """Whether a new file has nothing yet that live files (descriptor and mark) do not have: it may be a copy of one
        that is under way, to be looked at again.

        A copy cannot hold more than the original had when it was looked at after it.
        """
        before = self._waiting.get(key, 0)
        self._waiting[key] = size
        if not size:
            return True
        for original, mark in live:
            if before <= mark.offset > 0 and Mark.at(descriptor, min(size, mark.offset)).is_in(original):
                return True
        del self._waiting[key]
        return False

    def forget_others(self, present: set[Key]) -> None:
        """Files that were waited for are gone."""
        for key in self._waiting.keys() - present:
            del self._waiting[key]
