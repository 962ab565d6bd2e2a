"""When to look at the sources: several times an interval, last shortly before it ends, and when it ends.

What is shown at the end of an interval was looked for at that moment, so that a line is shown an interval after it was
written at the latest, and what looking and showing take. The look before leaves little to it. A loop that is `prompt`
makes its intervals shorter by what they take, so that a line is shown an interval after it was written.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

POLL: Final = 0.25  # seconds at the most between two looks
LEAD: Final = 0.15  # seconds before the end of an interval, when what has come until then is read
_MOST: Final = 0.25  # of an interval, by which it is made shorter
_LAST: Final = 5  # times that were shown, the longest of which says what showing takes

Look = Literal["take", "read", "show"]
"""Of what has come, bytes are taken; or all is read; or it is shown, too."""


class Pace:
    """For a loop that looks, and shows what was found once an interval (in seconds)."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic, *, prompt: bool = False) -> None:
        self._interval, self._clock, self._prompt = interval, clock, prompt
        self._lead = min(LEAD, interval / 4)
        self._begun: float | None = None  # what is shown, until there is nothing to do but to wait
        self._took = deque([interval * _MOST], maxlen=_LAST)  # at first, as much as it may: formats are found out
        self._end = clock()  # of the interval; the first ends at once
        self._is_read = False  # whether all was read shortly before its end

    def look(self) -> Look:
        """What to do now. Then ask how long to `wait`, unless there is more to do already."""
        now = self._clock()
        if now >= self._end:
            # Intervals that ended meanwhile are not made up for.
            self._end += self._interval * (1 + (now - self._end) // self._interval)
            self._begun, self._is_read = now, False
            return "show"
        if self._is_read or now < self._end - self._lead:
            return "take"
        self._is_read = True
        return "read"

    def wait(self, more: float = 0.0) -> float:
        """Seconds until the next look. What is shown takes so many seconds `more` elsewhere until somebody sees it."""
        now = self._clock()
        if self._prompt and self._begun is not None:
            self._took.append(now - self._begun + more)
            self._end = self._begun + self._interval - min(max(self._took), self._interval * _MOST)
        self._begun = None
        left = max(0.0, self._end - now)
        if left <= self._lead:
            return left if self._is_read else 0.0
        left -= self._lead
        poll = (self._interval - self._lead) / max(1, -(-(self._interval - self._lead) // POLL))
        return left % poll or min(left, poll)
