"""Files that are added to an archive again and again: which there are by now, and which are on their way out.

A `Tracker` holds every file open that it has seen under the names, and reads none of them: whoever adds them knows by
their content how far each was read. So a file that was renamed or deleted between two commits is still added to its
end, and a file that was truncated is noticed when it is looked at, and its copy is added in its place.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path

from logstats.dataclass import dataclass
from logstats.inputs.copies import find_copy
from logstats.inputs.discover import shown
from logstats.inputs.followed_file import FollowedFile, Key, Mark
from logstats.inputs.follower import QUIET, files_under
from logstats.inputs.rotated import Beside, rotated_between
from logstats.inputs.source import Source

Seen = tuple[int, int]  # size and time of modification


@dataclass(slots=True)
class _Tracked:
    name: str
    file: FollowedFile
    seen: Seen  # when it was last looked at
    added: Seen | None = None  # when it was last added


@dataclass(frozen=True, slots=True)
class Due:
    """A source that has something new. If it is `final`, nothing follows any more, and a last line may lack its end."""

    source: Source
    key: Key
    seen: Seen
    final: bool = False


class Tracker:
    """Tracks files, globs and folders. `say` is told what a user should know, `clock` is in seconds."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.truncated = 0  # how often a file was truncated
        self.paths: list[str] = []  # what lay under the names when they were last looked at
        self._arguments, self._say, self._clock = list(arguments), say, clock
        self._files: dict[Key, _Tracked] = {}
        self._present: set[Key] = set()
        self._copies: dict[Key, Due] = {}
        self._said: set[str] = set()  # arguments that lead to nothing, …
        self._unreadable: set[str] = set()  # … and files that cannot be read, of which that was said

    def look(self) -> None:
        """See what lies under the names by now. Call this often: a truncation between two looks is noticed, but what
        was written since the last one can only be found in a copy."""
        now = self._clock()
        for one in self._files.values():
            with contextlib.suppress(OSError):
                self._check(one, now)
        present: dict[Key, str] = {}
        for argument in self._arguments:
            found = files_under(argument)
            if not found:
                if argument not in self._said:
                    self._say(f"{shown(argument)}: is not there yet; it is waited for")
                self._said.add(argument)
            there = {(status.st_dev, status.st_ino) for _, status in found}
            for path, status in found:
                key = (status.st_dev, status.st_ino)
                present[key] = path
                if key in self._files:
                    self._files[key].file.path = path
                    continue
                before = [one.file for one in self._files.values() if one.file.path == path]
                for between, (old, at) in rotated_between(before, key, there | self._files.keys()):
                    self._open(old, between, at, shown(path), now)
                self._open(path, key, status, shown(path), now)
        self._present = set(present)
        self.paths = [*present.values()]
        self._unreadable.intersection_update(self.paths)

    def hold(self, one: Beside, name: str) -> None:
        """Add a file that none of the names leads to, under one of them: it was rotated away."""
        if one.key not in self._files:
            self._open(one.path, one.key, one.status, name, self._clock())

    def _open(self, path: str, key: Key, status: os.stat_result, name: str, now: float) -> None:
        try:
            file = FollowedFile(path, now=now)
        except OSError as error:
            if path not in self._unreadable:
                self._say(f"{shown(path)}: cannot be read: {error.strerror or error}; it is tried again")
            self._unreadable.add(path)
            return
        if file.key != key or not file.regular:  # it was replaced meanwhile, or is a pipe
            file.close()
            return
        file.start_at(status.st_size)
        self._files[key] = _Tracked(name, file, (status.st_size, status.st_mtime_ns))
        if path in self._unreadable:
            self._say(f"{shown(path)}: can be read again")
            self._unreadable.discard(path)

    @property
    def unreadable(self) -> list[str]:
        """Files under the names that could not be opened, as people write them."""
        return sorted(map(shown, self._unreadable))

    @property
    def present(self) -> Set[Key]:
        """The files that the names lead to, or did when they were opened."""
        return self._present | self._files.keys()

    def due(self) -> list[Due]:
        """What has changed since it was last added: copies first, then files, oldest first."""
        now = self._clock()
        found = list(self._copies.values())
        for key, one in sorted(self._files.items(), key=lambda item: item[1].seen[1]):
            leaving = key not in self._present and now - one.file.changed >= QUIET
            if one.added != one.seen or leaving:
                path = Path(f"/dev/fd/{one.file.descriptor}")  # its name may lead to another file by now
                source = Source(one.name, path, one.seen[0], one.seen[1] / 1e9)
                found.append(Due(source, key, one.seen, final=leaving))
        return found

    def added(self, done: Iterable[Due]) -> None:
        """These were added: what is final is let go."""
        for due in done:
            self._copies.pop(due.key, None)
            one = self._files.get(due.key)
            if one is None:
                continue
            one.added = due.seen
            if due.final:
                one.file.close()
                del self._files[due.key]

    def close(self) -> None:
        """Close all files."""
        for one in self._files.values():
            one.file.close()
        self._files.clear()

    def _check(self, one: _Tracked, now: float) -> None:
        status = os.fstat(one.file.descriptor)
        if not one.file.mark.is_in(one.file.descriptor):
            self._truncated(one)
        seen = (status.st_size, status.st_mtime_ns)
        if seen != one.seen:
            one.seen, one.file.changed = seen, now
            one.file.mark = Mark.at(one.file.descriptor, status.st_size)

    def _truncated(self, one: _Tracked) -> None:
        self.truncated += 1
        copy = find_copy(one.file.path, one.file.mark)
        what = f"{one.name}: was truncated, as copytruncate does it; "
        if copy is None:
            self._say(f"{what}lines that came since they were last added may be lost")
            return
        with contextlib.suppress(OSError):
            status = Path(copy.path).stat()
            source = Source(one.name, Path(copy.path), status.st_size, status.st_mtime)
            self._copies[copy.key] = Due(source, copy.key, (status.st_size, status.st_mtime_ns))
            self._say(f"{what}what was not added yet is read from the copy {shown(copy.path)}")
