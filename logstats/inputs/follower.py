"""Follows files as they grow, are rotated, truncated, deleted and made anew: no line is lost, none comes twice.

Call `look` again and again. Each look reads the bytes that have arrived in open files, then finds the files that the
arguments name by now. Time comes from the `clock` argument, so that a test can have its own.

Decision: polling. The system can report changes (inotify, kqueue, FSEvents), but each in its own way, not for files on
NFS or in a mounted container volume, and with a queue that overflows (inotify: 16,384 events), after which every file
has to be looked at as well. So looking has to be right anyway, and would be tested least if it were the exception.
Looking is cheap: of one file it takes 30 µs of CPU, of 500 quiet files under a glob 3.7 ms, which is 1.5 % of a core at
four looks a second. The price is a delay of up to the time between two looks.

What becomes of a file                 What a look does
-------------------------------------  -----------------------------------------------------------------------------
renamed, deleted, a link is switched   it stays open, and is read until it has been quiet for ten minutes
made anew under its name               it is another file, and read from its beginning
truncated (copytruncate)               that is noticed by its content; what was not read yet is looked for in the copy
copied or compressed under a glob      the copy is known by its content, and not read again
not there yet                          it is waited for
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from logstats.dataclass import dataclass
from logstats.inputs.chunks import MAX_LINE, Chunk, Lines
from logstats.inputs.compression import Damaged, compression, pieces
from logstats.inputs.copies import find_copy
from logstats.inputs.discover import age, is_leftover, shown
from logstats.inputs.followed_file import NOTHING, PIECE, FollowedFile, Key, Replaced
from logstats.inputs.known_files import Known, KnownFiles
from logstats.inputs.rotated import rotated_between
from logstats.inputs.source import Start

MOST: Final = 8 << 20  # bytes of one file in one look
QUIET: Final = 600.0  # seconds without a byte, after which a file is closed that no name leads to any more
ROTATED: Final = 16  # such files of one name that are kept open
OPEN: Final = 512  # files that are open; those that are quiet are opened again when they have changed

Begin = Callable[[str, int, int], int]  # a name, its open file and the size → the offset where reading begins


@dataclass(frozen=True, slots=True)
class Arrived:
    """Lines that have come: of which source, of which of its files (they are numbered), and whether that has ended."""

    name: str
    file: int
    chunk: Chunk | None
    ended: bool = False


@dataclass(slots=True)
class Content:
    """What is read from its beginning to its end: a file until it is truncated. `line` is the number of the next."""

    name: str
    number: int
    lines: Lines
    line: int = 1

    def feed(self, pieces: Sequence[bytes]) -> Iterator[Arrived]:
        """The lines that are whole with these bytes."""
        yield from self._arrived(self.lines.feed(pieces))

    def finish(self) -> Iterator[Arrived]:
        """A last line without its newline, if there is one."""
        yield from self._arrived(self.lines.finish())

    def end(self) -> Iterator[Arrived]:
        """Nothing follows."""
        yield from self.finish()
        yield Arrived(self.name, self.number, None, ended=True)

    def _arrived(self, chunks: Iterator[Chunk]) -> Iterator[Arrived]:
        for chunk in chunks:
            self.line = chunk.first_line + chunk.lines
            yield Arrived(self.name, self.number, chunk)


@dataclass(slots=True)
class _Open:
    content: Content
    file: FollowedFile

    def known(self, *, live: bool = False) -> Known:
        return Known(self.content.name, self.file.mark, self.content.line, live=live)


class Follower:
    """Follows files, globs and folders.

    `begin` says where to begin in files that are there at the first look; without it, and in those that come later,
    that is their beginning. `partial_timeout` is how many seconds a last line waits for its newline; without it, for
    ever. `say` is told what a user should know.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        begin: Begin | None = None,
        partial_timeout: float | None = None,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST,
    ) -> None:
        self.truncated = 0  # how often a file was truncated while it was read, so that lines may be lost
        self.behind = False  # whether the last look left bytes unread
        self.ended = False  # more may always come
        self.stuck = 0  # names that lead to nothing, and files that cannot be read
        self._arguments, self._begin, self._say, self._clock = list(arguments), begin, say, clock
        self._partial_timeout, self._most = partial_timeout, most
        self._open: dict[Key, _Open] = {}
        self._finite: list[tuple[Content, Iterator[bytes]]] = []  # compressed files that are being read
        self._known = KnownFiles()
        self._present: set[Key] = set()  # files that the names led to when they were last looked at
        self._settling: dict[Key, tuple[int, int]] = {}  # compressed files that may still be written
        self._between: dict[Key, str] = {}  # files that were rotated away before they were seen: what they were then
        self._said: set[str] = set()
        self._failing: set[Key] = set()  # open files that could not be read when they were last looked at
        self._number = 0
        self._last: float | None = None

    def look(self) -> Iterator[Arrived]:
        """What has come since the last look. Use all of it before the next one."""
        now = self._clock()
        self.behind = False
        for one in list(self._open.values()):
            yield from self._read(one, now)
        for one in self._discover(now):
            yield from self._read(one, now)
        for content, rest in list(self._finite):
            yield from self._read_finite(content, rest)
        yield from self._let_go(now)
        self._last = now

    def close(self) -> None:
        """Close all files."""
        for one in self._open.values():
            one.file.close()
        self._open.clear()

    @property
    def unfinished(self) -> int:
        """Bytes of last lines that wait for their newline."""
        return sum(one.content.lines.unfinished for one in self._open.values())

    # -- reading

    def _read(self, one: _Open, now: float) -> Iterator[Arrived]:
        content, file = one.content, one.file
        try:
            data = file.read(self._most, now=now)
            if not data and self._partial_timeout is not None and now - file.changed >= self._partial_timeout:
                yield from content.finish()
            yield from content.feed(data)
            self.behind = self.behind or sum(map(len, data)) >= self._most
        except Replaced:
            yield from self._truncated(one, now)
            with contextlib.suppress(Replaced):  # the next look sees it
                yield from one.content.feed(file.read(self._most, now=now))
            self._failing.discard(file.key)
        except OSError as error:
            yield from self._unreadable(one, error)
        else:
            self._failing.discard(file.key)

    def _unreadable(self, one: _Open, error: OSError) -> Iterator[Arrived]:
        """A disk that fails, a server of NFS that is away: it is tried again. On NFS, a file that was deleted elsewhere
        cannot be read to its end."""
        content, file = one.content, one.file
        words = f"{content.name}: cannot be read%s: {error.strerror or error}"
        there = True
        with contextlib.suppress(OSError):
            try:
                there = file.reopen()
            except FileNotFoundError:
                there = False
        if there:
            if file.key not in self._failing:
                self._say(f"{words % ''}; it is tried again")
                self._failing.add(file.key)
            return
        self._say(f"{words % ' any more'}; lines that were written to it last may be lost")
        yield from content.end()
        self._failing.discard(file.key)
        del self._open[file.key]
        file.close()

    def _truncated(self, one: _Open, now: float) -> Iterator[Arrived]:
        """The rest of the content that the file had, if there is a copy of it; then the file begins again."""
        content, file = one.content, one.file
        line, since = content.line, now - (self._last if self._last is not None else now)
        copy = find_copy(file.path, file.mark)
        if copy is None:
            self._known.gone(one.known())
        else:
            with contextlib.suppress(OSError, Damaged):
                for piece in copy.rest:
                    file.mark = file.mark.moved(piece)
                    yield from content.feed([piece])
            with contextlib.suppress(OSError):
                self._known.remember(copy.key, one.known(), Path(copy.path).stat())
        yield from content.end()
        self.truncated += 1
        what = f"{content.name}: was truncated, as copytruncate does it; "
        if copy is None:
            self._say(f"{what}lines that were written in the {since:.1f} s before, and not read yet, may be lost")
        else:
            found = f"{content.line - line:,} lines that had not been read yet"
            self._say(f"{what}{found} are read from the copy {shown(copy.path)}")
        file.restart()
        one.content = self._content(content.name, file.mark.offset)

    def _read_finite(self, content: Content, rest: Iterator[bytes]) -> Iterator[Arrived]:
        size = 0
        try:
            while size < self._most and (piece := next(rest, b"")):
                yield from content.feed([piece])
                size += len(piece)
        except (Damaged, OSError) as error:
            self._say(f"{content.name}: {error}; what was readable is counted")
        self.behind = self.behind or size >= self._most
        if size < self._most:
            yield from content.end()
            self._finite = [one for one in self._finite if one[0] is not content]

    def _content(self, name: str, offset: int = 0, line: int = 1) -> Content:
        self._number += 1
        return Content(name, self._number, Lines(MAX_LINE, Start(offset=offset, line=line)), line)

    # -- which files there are

    def _discover(self, now: float) -> Iterator[_Open]:
        """Look what lies under the names by now, and open what is new."""
        found: dict[Key, tuple[str, os.stat_result]] = {}
        self.stuck = 0
        for argument in self._arguments:
            paths = files_under(argument)
            if not paths:
                self.stuck += 1
                if self._last is None:
                    self._say(f"{shown(argument)}: is not there yet; it is waited for")
            there = {(status.st_dev, status.st_ino) for _, status in paths}
            for path, status in paths:
                key = (status.st_dev, status.st_ino)
                if key not in self._open and key not in found:
                    before = [one.file for one in self._open.values() if one.file.path == path]
                    for between, at in rotated_between(before, key, there | self._open.keys()):
                        found.setdefault(between, at)
                        self._between.setdefault(between, shown(path))
                found.setdefault(key, (path, status))
        self._present = set(found)
        for key, (path, status) in found.items():
            if key in self._open:
                self._open[key].file.path = path
                continue
            try:
                if (opened := self._take(path, key, status, now)) is not None:
                    self._open[key] = opened
                    yield opened
                if path in self._said:
                    self._say(f"{shown(path)}: can be read again")
                    self._said.discard(path)
            except FileNotFoundError:  # it went between two system calls
                continue
            except OSError as error:
                self.stuck += 1
                if path not in self._said:
                    self._say(f"{shown(path)}: cannot be read: {error.strerror or error}; it is tried again")
                    self._said.add(path)
        self.stuck += len(self._failing)
        self._known.forget_others(self._present)

    def _take(self, path: str, key: Key, status: os.stat_result, now: float) -> _Open | None:
        """What to read of a file that is not open; None if that is nothing, or not known yet."""
        if self._known.is_unchanged(key, status):
            return None
        file = FollowedFile(path, now=now)
        opened = None
        try:
            if file.key == key:  # else it was replaced between two system calls: the next look sees that
                opened = self._position(path, file, status)
        finally:
            if opened is None:
                file.close()
        return opened

    def _position(self, path: str, file: FollowedFile, status: os.stat_result) -> _Open | None:
        name = self._between.pop(file.key, None) or shown(path)
        if not file.regular:
            return _Open(self._content(name), file)
        if compression(os.pread(file.descriptor, 6, 0)) is not None:
            self._take_compressed(path, file.key, status)
            return None
        if (known := self._known.grown(file.key, file.descriptor)) is not None:
            return self._going_on(file, known)
        if self._last is None:
            if self._begin is None:
                return _Open(self._content(name), file)
            file.start_at(self._begin(name, file.descriptor, status.st_size))
            return _Open(self._content(name, file.mark.offset, 1 + _newlines(file)), file)
        if path not in self._arguments:
            live = [(one.file.descriptor, one.file.mark) for key, one in self._open.items() if key in self._present]
            if self._known.may_become_copy(file.key, status.st_size, live, file.descriptor):
                return None
        # A file that was renamed goes on being read itself, and what begins alike is another.
        gone = [one.known() for one in self._open.values() if one.file.regular and one.file.deleted]
        origin = self._known.origin(path, gone)
        return self._going_on(file, origin.known) if origin else _Open(self._content(name), file)

    def _going_on(self, file: FollowedFile, known: Known) -> _Open:
        file.start_at(known.mark.offset)
        return _Open(self._content(known.name, known.mark.offset, known.line), file)

    def _take_compressed(self, path: str, key: Key, status: os.stat_result) -> None:
        """Read the part of a compressed file that was not read before it was compressed, once the file is whole."""
        seen, name = (status.st_size, status.st_mtime_ns), shown(path)
        if self._last is None and self._begin is not None:
            self._say(f"{name}: compressed (or UTF-16) files are not followed (--from-start reads all of it)")
            self._known.remember(key, Known(name, NOTHING, 1), status)
            return
        if self._last is not None and self._settling.get(key) != seen:
            self._settling[key] = seen
            return
        opened = [one.known(live=one.file.key in self._present) for one in self._open.values()]
        try:
            origin = self._known.origin(path, opened)
        except Damaged:
            return  # it is still being written, or never will be whole: then it is not what was read
        self._settling.pop(key, None)
        self._known.remember(key, Known(name, NOTHING, 1), status)
        if origin is None:
            self._finite.append((self._content(name), _plain(path)))
        elif not origin.known.live:
            content = self._content(origin.known.name, origin.known.mark.offset, origin.known.line)
            self._finite.append((content, origin.copy.rest))

    def _let_go(self, now: float) -> Iterator[Arrived]:
        """Close what was rotated away and is quiet, and, of too many open files, those that are quiet."""
        away = [one for key, one in self._open.items() if key not in self._present]
        quiet = [one for one in away if now - one.file.changed >= QUIET]
        names: dict[str, list[_Open]] = {}
        for one in away:
            names.setdefault(one.content.name, []).append(one)
        for same in names.values():
            quiet += [one for one in same[:-ROTATED] if one not in quiet]
        for one in quiet:
            yield from one.content.end()
            self._close(one)
        if len(self._open) > OPEN:
            ordered = sorted(self._open.values(), key=lambda one: one.file.changed)
            for one in ordered[: len(self._open) - OPEN]:
                if one.file.regular and not one.content.lines.unfinished:
                    yield from one.content.end()
                    self._close(one)

    def _close(self, one: _Open) -> None:
        with contextlib.suppress(OSError):
            self._known.remember(one.file.key, one.known(), os.fstat(one.file.descriptor))
        del self._open[one.file.key]
        one.file.close()


def files_under(argument: str) -> list[tuple[str, os.stat_result]]:
    """The files that a name leads to, oldest first: itself, those of a folder, or those that a glob matches."""
    names = [argument]
    if os.path.isdir(argument):  # noqa: PTH112
        with contextlib.suppress(OSError), os.scandir(argument) as entries:
            names = [entry.path for entry in entries if not is_leftover(entry.name)]
    elif glob.has_magic(argument) and not os.path.exists(argument):  # noqa: PTH110
        names = glob.glob(argument, recursive=True)  # noqa: PTH207
    found = []
    for name in names:
        with contextlib.suppress(OSError, ValueError):
            status = os.stat(name)  # noqa: PTH116
            if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode):
                found.append((name, status))
    return sorted(found, key=lambda item: age(*item))


def _plain(path: str) -> Iterator[bytes]:
    """What a compressed file holds. Raises Damaged and OSError."""
    with Path(path).open("rb", buffering=0) as file:
        yield from pieces(lambda size: file.read(size) or b"")


def _newlines(file: FollowedFile) -> int:
    """Lines before the place where reading begins."""
    count = 0
    for offset in range(0, file.mark.offset, PIECE):
        count += os.pread(file.descriptor, min(PIECE, file.mark.offset - offset), offset).count(b"\n")
    return count
