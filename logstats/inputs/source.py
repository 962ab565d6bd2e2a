"""A source of lines, and the place at which reading begins."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from logstats.dataclass import dataclass


@dataclass(frozen=True)
class Source:
    """A source of lines: a file, a named pipe, or standard input."""

    name: str
    """As the user gave it, `-` for standard input; always text that can be printed."""
    path: Path | None
    """None for standard input."""
    size: int | None = None
    """Bytes on disk (compressed, if it is); None for a pipe."""
    modified: float | None = None
    """Seconds since 1970; None for a pipe."""
    start: Start | None = None
    """Where to begin, if not at its beginning."""
    stop: int | None = None
    """Where to end, in bytes of a plain file, if not at its end."""
    url: str | None = None
    """Of an object in a store, which has no path; `version` is that which was listed, `endpoint` where the store is."""
    version: str | None = None
    endpoint: str | None = None
    record: str | None = None
    """What an archive knows a stream by, whose bytes were kept in this file as they arrived. It is never unpacked."""
    base: int = 0
    """Bytes of the stream that are not in the file any more: those before its beginning."""


class Digest(Protocol):
    """Receives the decompressed bytes of a source, in order."""

    def update(self, data: bytes | memoryview) -> None: ...
    def copy(self) -> Self: ...


class Opened(Protocol):
    """An open source: a file, or a replacement for one."""

    @property
    def pipe(self) -> bool: ...
    @property
    def read_bytes(self) -> int: ...
    def read(self, size: int) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Start:
    """Where reading begins: `offset` (in the decompressed source) is that of line number `line`.

    `digest` is that of everything before, and goes on; the last line is left if it lacks its newline, unless `final`.
    `format` is how the source is written, as `--format` takes it, if that is known, `directives` are the W3C directives
    in force. `opened` is read instead of opening the source, from its beginning.

    For one of several parts of a source, `certain` says that the format is known, also one that was asked for, and
    `looks` what was tried on lines of the parts before.
    """

    offset: int = 0
    line: int = 1
    digest: Digest | None = None
    final: bool = True
    format: str | None = None
    directives: str = ""
    opened: Opened | None = None
    certain: bool = False
    looks: object = None  # formats.detection.unread.Looks
