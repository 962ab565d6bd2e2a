"""A log that is written and followed, for the tests of `inputs.follower`: one clock, and every line with its number."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from logstats.inputs import Follower


@dataclass
class Clock:
    """Time that goes on when it is told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Log:
    """A log and its follower: lines are written by number, and read by number."""

    path: Path
    arguments: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    written: int = 0

    def __post_init__(self) -> None:
        named = self.arguments or [str(self.path)]
        self.follower = Follower(named, clock=self.clock, say=self.said.append, **self.options)

    def write(self, count: int = 1, path: Path | None = None) -> None:
        """Append lines. They are longer than the beginning by which a file is known, so that one alone tells."""
        with (path or self.path).open("ab") as file:
            for number in range(self.written, self.written + count):
                file.write(b"%d %s\n" % (number, b"x" * (50 + number % 100)))
        self.written += count

    def rotate(self, to: Path) -> None:
        """Rename it, and make a new one."""
        self.path.rename(to)
        self.path.touch()

    def look(self, seconds: float = 1.0) -> list[int]:
        """The numbers of the lines that a look finds."""
        self.clock.now += seconds
        chunks = [arrived.chunk for arrived in self.follower.look()]
        lines = [line for chunk in chunks if chunk is not None for line in chunk.data.splitlines()]
        assert all(line.endswith(b"x") for line in lines), "whole lines"
        return [int(line.split()[0]) for line in lines]

    def all(self) -> list[int]:
        """The numbers of all lines."""
        return list(range(self.written))


def copy_and_truncate(path: Path, to: Path) -> None:
    """What logrotate's copytruncate does."""
    to.write_bytes(path.read_bytes())
    os.truncate(path, 0)
