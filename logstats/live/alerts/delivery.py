"""Hands changes of alerts to those who are told, each in a thread of its own: reading waits for nobody."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

WAITING: Final = 100  # messages that wait for one of them


class Target(Protocol):
    """Where messages go."""

    @property
    def name(self) -> str:
        """As it is called in messages."""
        ...

    def send(self, body: bytes, stop: threading.Event) -> str:
        """Hand a message over, until `stop`: "", or what went wrong."""
        ...


class Delivery:
    """One after the other, in order, to one target. `say` is told what went wrong, in any thread."""

    def __init__(self, target: Target, say: Callable[[str], None]) -> None:
        self._target, self._say = target, say
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue(WAITING + 1)  # and the end
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._full = False

    def hand(self, what: str, body: bytes) -> None:
        """Take a message; `what` names it. Of too many that wait, the newest is dropped, which is said."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="logstats alerts", daemon=True)
            self._thread.start()
        if self._queue.qsize() >= WAITING:
            if not self._full:
                self._say(f"{self._target.name}: {WAITING} alerts wait already; until there is room, none is handed on")
            self._full = True
            return
        self._full = False
        self._queue.put_nowait((what, body))

    def close(self, seconds: float) -> None:
        """Wait so long for what is on its way, then end it, and say what was not handed on."""
        if self._thread is None:
            return
        self._queue.put(None)
        end = time.monotonic() + seconds
        try:
            while self._thread.is_alive() and time.monotonic() < end:
                self._thread.join(0.1)  # in short pieces, so that Ctrl-C counts
        finally:
            self._stop.set()
        self._thread.join(2.0)
        left = 0
        while not self._queue.empty():
            left += self._queue.get_nowait() is not None
        if left:
            self._say(f"{self._target.name}: logstats ends, and {left} alerts were not handed on")

    def _run(self) -> None:
        while not self._stop.is_set() and (message := self._queue.get()) is not None:
            what, body = message
            if problem := self._target.send(body, self._stop):
                self._say(f"{self._target.name}: {what} was not handed on: {problem}")
