"""Copies of what was read: an old log that was copied before it was truncated, or compressed after it was renamed.

A copy is known by its content, whatever its name. What it holds beyond the place up to which the original was read are
the lines that were written between the last look at the original and the copy.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from logstats.dataclass import dataclass
from logstats.inputs.compression import Damaged, compression, pieces
from logstats.inputs.followed_file import PIECE, Mark


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was found: where, which file that is, and what it has beyond the mark that was looked for."""

    path: str
    key: tuple[int, int]
    rest: Iterator[bytes]


def find_copy(path: str, mark: Mark) -> Copy | None:
    """A copy of what `path` held up to a mark, among the files beside it that are named after it."""
    own = Path(path).resolve()
    stem = own.name.split(".")[0] or own.name
    found = []
    with contextlib.suppress(OSError), os.scandir(own.parent) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.startswith(stem) and entry.name != own.name and entry.is_file():
                    found.append((entry.stat().st_mtime_ns, entry.path))
    for _, other in sorted(found, reverse=True):
        with contextlib.suppress(OSError, Damaged):
            if (copy := as_copy(other, mark)) is not None:
                return copy
    return None


def as_copy(path: str, mark: Mark) -> Copy | None:
    """A file, compressed or not, as a copy of a content up to a mark; None if it is not one.

    Raises OSError if it cannot be read, and Damaged if it is compressed and not whole.
    """
    rest = _after(path, mark)
    key = next(rest, None)  # the first step compares what comes before the mark
    return Copy(path, key, cast("Iterator[bytes]", rest)) if isinstance(key, tuple) else None


def _after(path: str, mark: Mark) -> Iterator[tuple[int, int] | bytes]:
    """Of a copy, which file it is, and then what follows the mark; nothing of another file."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not mark.offset:
            return
        key = (status.st_dev, status.st_ino)
        if compression(os.pread(file.fileno(), 6, 0)) is None:
            if mark.is_in(file.fileno()):
                yield key
                file.seek(mark.offset)
                yield from iter(lambda: file.read(PIECE), b"")
            return
        content = pieces(lambda size: file.read(size) or b"")
        head, tail, position, rest = b"", b"", 0, b""
        for piece in content:
            head = head if len(head) >= len(mark.head) else head + piece
            part = piece[: mark.offset - position]
            tail = (tail + part)[-len(mark.tail) :]
            position += len(part)
            if position == mark.offset:
                rest = piece[len(part) :]
                break
        if position != mark.offset or head[: len(mark.head)] != mark.head or tail != mark.tail:
            return
        yield key
        if rest:
            yield rest
        yield from content
