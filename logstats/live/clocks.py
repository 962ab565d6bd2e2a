"""The clocks of all sources together: which lines are on time, what time it is, and which minutes are closed.

A minute is closed when every source that is not silent has come `lateness` past its end, so that its figures do not
change any more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import field
from typing import Final

from logstats.dataclass import dataclass
from logstats.live.log_clock import SECOND, Judged, LogClock, Times

MINUTE: Final = 60 * SECOND
SILENT: Final = 60.0  # seconds after which a source that says nothing is not waited for


@dataclass(slots=True)
class Clocks:
    """`lateness` is in seconds. `said` are sentences about clocks that were set, to be taken from there; `set` counts
    them."""

    lateness: float
    said: deque[str] = field(default_factory=lambda: deque(maxlen=100))
    set: int = 0
    _clocks: dict[str, LogClock] = field(default_factory=dict)

    def judge(self, times: Times, source: str, wall: int, now: float) -> Judged:
        """Which of the next lines of a source are on time, by a time of this machine: in µs since 1970, and by its
        monotonic clock."""
        clock = self._clocks.setdefault(source, LogClock(round(self.lateness * SECOND)))
        judged = clock.judge(times, wall, now)
        if abs(judged.moved) > max(clock.lateness, 5 * SECOND):
            self.set += 1
            self.said.append(_moved(source, judged.moved))
        return judged

    def saved(self, now: float) -> dict[str, list[float]]:
        """What each clock shows, as JSON has it."""
        return {source: clock.saved(now) for source, clock in self._clocks.items() if clock.newest is not None}

    def restore(self, saved: dict[str, list[float]], then: float) -> None:
        """Go on from what `saved` gave, `then` by the monotonic clock of this machine."""
        for source, kept in saved.items():
            self._clocks[source] = LogClock(round(self.lateness * SECOND))
            self._clocks[source].restore(kept, then)

    def latest(self, now: float) -> int | None:
        """What the clocks show, in µs since 1970: the one that is furthest. None before the first line."""
        shown = [at for clock in self._clocks.values() if (at := clock.at(now)) is not None]
        return max(shown, default=None)

    def newest(self) -> int | None:
        """The newest time that was logged, in µs since 1970."""
        return max((clock.newest for clock in self._clocks.values() if clock.newest is not None), default=None)

    def closed(self, now: float) -> int | None:
        """The first minute that is not closed. None before the first line."""
        clocks = [clock for clock in self._clocks.values() if clock.newest is not None]
        talking = [clock for clock in clocks if now - clock.arrived < SILENT]
        shown = [at for clock in talking if (at := clock.at(now)) is not None]
        if not shown:
            latest = self.latest(now)
            return None if latest is None else (latest - round(self.lateness * SECOND)) // MINUTE
        return (min(shown) - round(self.lateness * SECOND)) // MINUTE


def _moved(source: str, by: int) -> str:
    seconds = abs(by) / SECOND
    amount = f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} min" if seconds < 7200 else ""
    amount = amount or f"{seconds / 3600:,.1f} h"
    return f"{source}: its times went {'forward' if by > 0 else 'back'} by {amount}, and are followed"
