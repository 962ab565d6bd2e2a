"""Ctrl-C during a run."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self


class Interrupt:
    """Turns the first Ctrl-C into a request to finish with the lines read so far (`asked`); the second one raises
    KeyboardInterrupt as always.

    Use it as a context manager in the main thread. Outside of the context, Ctrl-C is not changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            if callable(self._before):
                self._before(number, frame)
            raise KeyboardInterrupt
        self.asked = True
