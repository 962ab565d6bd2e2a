"""Decides request by request which are refused: in C, or by its twin in Python, which says the same."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.kernels import library
from logstats.rate_limits.limit import ALGORITHMS, FIXED_WINDOW, SLIDING_LOG, TOKEN_BUCKET, Limit

Times = NDArray[np.int64]


class Limiter:
    """Replays one limit. Requests come in order of key and time; a key may go on in the next call."""

    def __init__(self, algorithm: str, limit: Limit) -> None:
        self._algorithm, self._limit = algorithm, limit
        self._state: Final = np.zeros(3, np.int64)
        self._admitted: Final = np.zeros(limit.most if algorithm == SLIDING_LOG else 1, np.int64)

    def waits(self, times: Times, begins: NDArray[np.bool_]) -> Times:
        """The microseconds until each request could be repeated, 0 if it is allowed. `begins` marks the first request
        of each key, `times` are microseconds."""
        waits = np.zeros(len(times), np.int64)
        if library.AVAILABLE:
            self._run(times, begins, waits)
        else:
            _in_python(self._algorithm, self._limit, times, begins, self._state, self._admitted, waits)
        return waits

    def refused(self, times: Times, begins: NDArray[np.bool_]) -> int:
        """How many are refused."""
        if library.AVAILABLE:
            return self._run(times, begins, None)
        return int(np.count_nonzero(self.waits(times, begins)))

    def _run(self, times: Times, begins: NDArray[np.bool_], waits: Times | None) -> int:
        number, limit = ALGORITHMS.index(self._algorithm), self._limit
        return library.limit(
            times, begins, number, limit.most, limit.period, limit.room, self._state, self._admitted, waits
        )


def _in_python(
    algorithm: str,
    limit: Limit,
    times: Times,
    begins: NDArray[np.bool_],
    state: Times,
    admitted: Times,
    waits: Times,
) -> None:
    """The same as kernels/limits.c."""
    most, period, whole = limit.most, limit.period, limit.room * limit.period
    a, b, c = state.tolist()
    for row, (now, fresh) in enumerate(zip(times.tolist(), begins.tolist(), strict=True)):
        wait = 0
        if algorithm == TOKEN_BUCKET:
            a = whole if fresh else min(whole, a + (now - b) * most)
            b = now
            if a >= period:
                a -= period
            else:
                wait = -((a - period) // most)
        elif algorithm == SLIDING_LOG:
            a = 0 if fresh else a
            oldest = int(admitted[a % most])
            if a >= most and oldest > now - period:
                wait = oldest + period - now
            else:
                admitted[a % most] = now
                a += 1
        else:
            window, gone = divmod(now, period)
            if fresh or window != a:
                a, b, c = window, 0, b if not fresh and window == a + 1 else 0
            if algorithm == FIXED_WINDOW:
                allowed, until = b < most, period
            else:
                allowed = c * (period - gone) <= (most - b - 1) * period
                until = period - (most - b - 1) * period // c if b < most and c else period
                if until >= period:
                    until = period + max(0, period - (most - 1) * period // b if b else 0)
            wait = 0 if allowed else until - gone
            b += allowed
        waits[row] = wait
    state[:] = a, b, c
