"""Sources that never end, by what the arguments of a command name: files, globs and folders that are followed, standard
input, and `syslog://HOST:PORT`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from logstats.dataclass import dataclass
from logstats.errors import SourceError, UsageError
from logstats.inputs.discover import discover
from logstats.inputs.follower import Arrived, Begin, Follower
from logstats.inputs.standard_input import StandardInput
from logstats.inputs.syslog import SCHEME, Syslog


class Endless(Protocol):
    """What is asked again and again for what has arrived."""

    @property
    def behind(self) -> bool:
        """Whether more is there than the last look took."""

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""

    @property
    def truncated(self) -> int:
        """How often a file was truncated while it was read."""

    @property
    def stuck(self) -> int:
        """How many of its names lead to nothing, or to what cannot be read."""

    @property
    def unfinished(self) -> int:
        """Bytes of last lines that wait for their newline."""

    def look(self) -> Iterator[Arrived]:
        """What has arrived since the last look. Use all of it before the next one."""

    def close(self) -> None:
        """Let go of files and ports."""


class Arriving(Protocol):
    """What arrives once, and cannot be read again: standard input, and what is sent to a port."""

    @property
    def name(self) -> str:
        """As it was named."""

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""

    @property
    def dropped(self) -> int:
        """Messages that the system dropped because they came faster than they were taken."""

    def take(self, seconds: float) -> list[bytes]:
        """The bytes that have arrived, after waiting for some for so long at the most."""

    def close(self) -> None:
        """Take in nothing more. What has arrived can still be taken."""


@dataclass(frozen=True, kw_only=True)
class Following:
    """How sources are followed: see `Follower`. `allow` are the networks that syslog is taken from."""

    begin: Begin | None = None
    partial_timeout: float | None = None
    allow: Sequence[str] = ()
    say: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic


def follow(arguments: Sequence[str], how: Following) -> list[Endless]:
    """The sources that arguments name; no arguments mean standard input.

    Raises UsageError for an argument that means nothing, and SourceError for a port that cannot be had.
    """
    files = files_of(arguments)
    sources: list[Endless] = [*streams(arguments, how)]
    if files:
        sources.append(
            Follower(files, begin=how.begin, partial_timeout=how.partial_timeout, say=how.say, clock=how.clock)
        )
    return sources


def files_of(arguments: Sequence[str]) -> list[str]:
    """The files, globs and folders among arguments. Raises UsageError for what is neither that nor a stream."""
    files = [one for one in arguments if one != "-" and not one.startswith(SCHEME)]
    if stored := next((one for one in files if "://" in one), None):
        raise UsageError(f"{stored}: only files, standard input and syslog:// go on", "name what lies on this machine")
    if any(not one for one in files):
        raise UsageError("an empty name names no file", "is a shell variable unset?")
    return files


def streams(arguments: Sequence[str], how: Following) -> list[StandardInput | Syslog]:
    """Standard input and ports among arguments. Raises what `follow` raises."""
    named = list(arguments) or ["-"]
    ports = [one for one in named if one.startswith(SCHEME)]
    if how.allow and not ports:
        raise UsageError("--allow is about syslog://", "name a port, too: syslog://:5514")
    sources: list[StandardInput | Syslog] = []
    try:
        if "-" in named:
            discover([one for one in named if one == "-"])  # raises UsageError if it is there twice
            if not arguments:
                discover([])  # … or a terminal
            if sys.stdin is None:
                raise SourceError("-", "standard input is closed", "pipe a log in, or name files")
            sources.append(StandardInput(partial_timeout=how.partial_timeout, say=how.say, clock=how.clock))
        for one in ports:
            sources.append(Syslog(one, how.allow, say=how.say))
    except BaseException:
        for source in sources:
            source.close()
        raise
    return sources
