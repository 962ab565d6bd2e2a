"""Ctrl-C during a run, and what ends a daemon."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Final, Self

_MOMENT: Final = 0.1  # seconds


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


class Stop(Interrupt):
    """SIGTERM and Ctrl-C end a daemon when what is under way is done; a second one ends it at once. `number` is the
    signal that came."""

    def __init__(self) -> None:
        super().__init__()
        self.number: int | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self.ask()
        signal.signal(number, self._handlers[number])

    def ask(self) -> None:
        """End as soon as what is under way is done."""
        self.asked = True

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it is asked for, a moment more at the most. (A lock, as in threading.Event, could be
        held by the very code that the signal cut.)"""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _MOMENT))
