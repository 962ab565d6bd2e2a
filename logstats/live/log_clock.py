"""The clock of a source: the times in its lines, of which some are wrong.

The clock stands at the newest time that was logged, and goes on with the clock of this machine while nothing is. Lines
that are more than `lateness` older are late, lines that are more than `lateness` in the future are ahead: neither moves
it. A clock that really was set (or a log whose zone was read wrong) shows in that there are no other lines any more:
when that has lasted for `lateness`, the clock follows. So one odd line changes nothing, and nothing stands still.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass

Times = NDArray[np.int64]  # µs since 1970
MANY: Final = 1_000  # lines, of which more than half are off, that tell as much as time does
_LAST: Final = 101  # lines at the end that tell where the clock stands
_NEAR: Final = 3600 * 1_000_000  # µs from the middle one, within which the newest of them is taken for right
_NEVER: Final = -(2**62)
SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Judged:
    """Which lines are on time; how many are late, and ahead; and by how many µs the clock was set, 0 if it was not."""

    on_time: NDArray[np.bool_]
    late: int
    ahead: int
    moved: int = 0


class LogClock:
    """The clock of one source; all times in µs since 1970, those of this machine's own clock in seconds."""

    def __init__(self, lateness: int) -> None:
        self.lateness = lateness
        self.newest: int | None = None
        self.arrived = 0.0  # when that came, by this machine's monotonic clock
        self._shift = 0  # how far it is ahead of this machine
        self._off_since: float | None = None

    def at(self, now: float) -> int | None:
        """What the clock shows."""
        return None if self.newest is None else self.newest + round((now - self.arrived) * SECOND)

    def saved(self, now: float) -> list[float]:
        """What `restore` takes."""
        return [self.newest or 0, now - self.arrived, self._shift]

    def restore(self, saved: list[float], then: float) -> None:
        """Go on from what `saved` gave at the time `then`."""
        newest, age, shift = saved
        self.newest, self.arrived, self._shift = int(newest), then - float(age), int(shift)

    def judge(self, times: Times, wall: int, now: float) -> Judged:
        """Which of the next lines are on time, which moves the clock; `wall` and `now` are this machine's clocks."""
        if not len(times):
            return Judged(np.zeros(0, bool), 0, 0)
        before = self.newest
        late, ahead, newest = self._compared(times, wall, before)
        off = int(late.sum() + ahead.sum())
        if before is not None and 2 * off <= len(times):
            self._off_since = None
        elif before is not None and off < len(times) and len(times) < MANY:
            self._off_since = None  # some still say that the clock is right
        elif before is None and 2 * off <= len(times):
            pass
        else:
            since = now if self._off_since is None else self._off_since
            self._off_since = since
            if before is None or len(times) >= MANY or (now - since) * SECOND >= self.lateness:
                return self._set(times, wall, now)
        if newest > (_NEVER if before is None else before):
            self.newest, self.arrived = newest, now
        if self.newest is not None and self.newest <= wall + self.lateness:
            self._shift = 0
        return Judged(~(late | ahead), int(late.sum()), int(ahead.sum()))

    def _compared(
        self, times: Times, wall: int, newest: int | None
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
        ahead = times > wall + self.lateness + self._shift
        running = np.maximum.accumulate(np.where(ahead, _NEVER, times))
        running = np.maximum(running, _NEVER if newest is None else newest)
        return ~ahead & (times < running - self.lateness), ahead, int(running[-1])

    def _set(self, times: Times, wall: int, now: float) -> Judged:
        """Set the clock by these lines alone: by the middle one of the last."""
        before = self.at(now)
        middle = int(np.median(times[-_LAST:]))
        self._shift = max(0, middle - wall)
        self._off_since = None
        limit = middle + max(self.lateness, _NEAR)
        ahead = times > limit
        running = np.maximum.accumulate(np.where(ahead, _NEVER, times))
        late = ~ahead & (times < running - self.lateness)
        self.newest, self.arrived = int(running[-1]), now
        moved = self._shift if before is None else self.newest - before
        return Judged(~(late | ahead), int(late.sum()), int(ahead.sum()), moved)
