"""When to look at the sources: several times an interval, and always when it ends.

What is shown at the end of an interval was looked for at that moment, so that a line is shown an interval after it was
written at the latest, and what looking and showing take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

POLL: Final = 0.25  # seconds at the most between two looks


class Pace:
    """For a loop that looks, and shows what was found once an interval (in seconds)."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval, self._clock = interval, clock
        self._poll = interval / max(1, -(-interval // POLL))
        self._end = clock()  # of the interval; the first ends at once

    def due(self) -> bool:
        """Whether an interval has ended. Ask before looking, and show what was found if it has."""
        now = self._clock()
        if now < self._end:
            return False
        # Intervals that ended meanwhile are not made up for.
        self._end += self._interval * (1 + (now - self._end) // self._interval)
        return True

    def wait(self) -> float:
        """Seconds until the next look: the end of an interval is one."""
        left = max(0.0, self._end - self._clock())
        return left % self._poll or min(left, self._poll)
