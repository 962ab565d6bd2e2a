"""A rule, what one minute says of it, and what counts the figures for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from logstats.dataclass import dataclass
from logstats.frames import pl


@dataclass(frozen=True, slots=True)
class Rule:
    """`text` is the rule as it is shown, and its name. It fires when it has held for `hold` minutes.

    `limit` and the values that are held against it are in `unit`: `ms`, `ratio` (a part of 1) or nothing for plain
    numbers. `severity` is that of a burn rate: page or ticket.
    """

    text: str
    hold: int
    limit: float
    unit: str
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a rule holds of a minute (None if there was nothing to measure), its value, and both in words."""

    holds: bool | None
    value: float | None
    words: str


class Measure(Protocol):
    """Counts what some rules need, and judges one minute after the other. Minutes are whole, since 1970."""

    @property
    def rules(self) -> Sequence[Rule]: ...

    @property
    def notes(self) -> Sequence[str]:
        """What a user should know about the rules."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that are read."""
        ...

    @property
    def longest(self) -> int:
        """After so many minutes without a request, all further ones are alike."""
        ...

    def add(self, requests: pl.DataFrame) -> None:
        """Count requests, all of which have a time."""
        ...

    def read(self, lines: pl.DataFrame) -> None:
        """Count lines, whatever they are: (minute, lines, rejected)."""
        ...

    def load(self, until: int) -> Iterable[int]:
        """The minutes before `until` of which something is counted. They are judged next."""
        ...

    def judge(self, minute: int, *, partial: bool) -> Sequence[Verdict]:
        """What a minute says of each rule. Of a minute that is held in part, less can be said."""
        ...

    def forget(self, before: int) -> None:
        """Drop what is counted of minutes that were judged."""
        ...

    def saved(self) -> dict[str, list[tuple[int, int, int]]]:
        """What minutes that were judged have left behind, as JSON has it."""
        ...

    def restore(self, saved: dict[str, list[tuple[int, int, int]]]) -> None:
        """Go on from what `saved` gave."""
        ...
