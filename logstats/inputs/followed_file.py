"""One file that is followed: what of it was read, and whether it is still the file that it was.

A name is no identity (rotation gives it away), nor is an inode (a file that is made anew often gets the old one), nor
a size (a truncated file may have grown past the old size by the next look). What tells is content: the first bytes of
a file and the last bytes before the place up to which it was read. They are looked at after each read, so what was
read is known to have come from the file as it was before.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from logstats.dataclass import dataclass

HEAD: Final = 1024  # bytes at the beginning, …
TAIL: Final = 256  # … and before the place up to which it was read, by which a file is known again
PIECE: Final = 1 << 20

Key = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a content, by which the content is known again wherever it lies."""

    offset: int
    head: bytes
    tail: bytes

    def is_in(self, descriptor: int) -> bool:
        """Whether an open file has the same bytes there. Raises OSError."""
        return (
            os.pread(descriptor, len(self.head), 0) == self.head
            and os.pread(descriptor, len(self.tail), self.offset - len(self.tail)) == self.tail
        )

    @classmethod
    def at(cls, descriptor: int, offset: int) -> Mark:
        """The mark of a place in an open file. Raises OSError."""
        tail = min(offset, TAIL)
        return cls(offset, os.pread(descriptor, min(offset, HEAD), 0), os.pread(descriptor, tail, offset - tail))

    def moved(self, data: bytes) -> Mark:
        """The mark after the bytes that follow."""
        head = self.head if len(self.head) == HEAD else (self.head + data[:HEAD])[:HEAD]
        return Mark(self.offset + len(data), head, (self.tail + data[-TAIL:])[-TAIL:])


NOTHING: Final = Mark(0, b"", b"")


class Replaced(Exception):
    """The file has another content than the one that was being read: it was truncated."""


class FollowedFile:
    """An open file and how far it was read. It goes on being read after it was renamed or deleted."""

    def __init__(self, path: str, *, now: float) -> None:
        """Open a file. Raises OSError."""
        # Without O_NONBLOCK, opening a named pipe waits for a writer.
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        status = os.fstat(self.descriptor)
        self.regular = stat.S_ISREG(status.st_mode)
        self.key = (status.st_dev, status.st_ino)
        self.path = path
        self.mark = NOTHING
        self.changed = now  # when it was last seen to change, by the clock of the one who follows it

    def start_at(self, offset: int) -> None:
        """Begin at an offset. Raises OSError."""
        self.mark = Mark.at(self.descriptor, offset)

    def restart(self) -> None:
        """Begin again, with what the file holds by now. Raises OSError."""
        # What a writer left out that went on at its old place is a hole, and reads as NULs: perhaps gigabytes of them.
        try:
            start = os.lseek(self.descriptor, 0, os.SEEK_DATA)
        except (OSError, AttributeError):
            start = 0
        while piece := os.pread(self.descriptor, PIECE, start):
            rest = piece.lstrip(b"\0")
            start += len(piece) - len(rest)
            if rest:
                break
        self.start_at(start)

    @property
    def size(self) -> int:
        """Bytes that it has now. Raises OSError."""
        return os.fstat(self.descriptor).st_size

    @property
    def deleted(self) -> bool:
        """Whether no name is left for it. Raises OSError."""
        return os.fstat(self.descriptor).st_nlink == 0

    def read(self, most: int, *, now: float) -> list[bytes]:
        """The bytes that have come since the last time, at most so many. Raises Replaced, or OSError."""
        if not self.regular:
            return self._read_pipe(most, now)
        pieces: list[bytes] = []
        size = 0
        try:
            while size < most and (piece := os.pread(self.descriptor, min(PIECE, most - size), self.mark.offset)):
                if not self.mark.is_in(self.descriptor):
                    break
                self.mark = self.mark.moved(piece)
                pieces.append(piece)
                size += len(piece)
        except OSError:
            if not pieces:
                raise
        if pieces:
            self.changed = now
        elif not self.mark.is_in(self.descriptor):
            raise Replaced
        return pieces

    def reopen(self) -> bool:
        """Open it anew under its name, to go on where it was; whether that could be done.

        A handle of NFS may be of no use any more though the file is there. Raises OSError.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        same = False
        try:
            status = os.fstat(descriptor)
            same = (status.st_dev, status.st_ino) == self.key and self.mark.is_in(descriptor)
        finally:
            if not same:
                os.close(descriptor)
        if same:
            os.close(self.descriptor)
            self.descriptor = descriptor
        return same

    def _read_pipe(self, most: int, now: float) -> list[bytes]:
        try:
            data = os.read(self.descriptor, most)
        except BlockingIOError:
            return []
        self.changed = now if data else self.changed
        return [data] if data else []

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)
