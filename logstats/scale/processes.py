"""Calls in processes of this machine. A worker that dies costs its calls: they are done again.

Nothing heavy is imported here: a new process sets the number of Polars' threads before it loads Polars.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.errors import LogstatsError
from logstats.scale.calls import Call
from logstats.scale.cores import cores

TRIES: Final = 3  # of a shard whose worker died
_POLL: Final = 0.1  # seconds after which a waiting caller looks whether it is interrupted


@dataclass(slots=True, eq=False)
class Ticket:
    """A call that was given out."""

    call: Call
    future: Future[Any]
    tries: int = 1


class Processes:
    """So many processes, started anew (no fork: threads and their locks would be copied)."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = max(1, cores() // workers)
        self._out: list[Ticket] = []
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(self._threads,)
        )

    def submit(self, call: Call) -> Ticket:
        """Give out a call."""
        ticket = Ticket(call, self._future(call))
        self._out.append(ticket)
        return ticket

    def _future(self, call: Call) -> Future[Any]:
        try:
            return self._pool.submit(call.function, *call.arguments)
        except BrokenProcessPool as error:
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken

    def result(self, ticket: Ticket, until: Callable[[], bool]) -> Any:
        """What a call gives; None if `until` says so first. Raises LogstatsError if its workers die."""
        while not until():
            with contextlib.suppress(TimeoutError):
                try:
                    outcome = ticket.future.result(_POLL)
                except BrokenProcessPool:
                    self._again()
                    continue
                self._out.remove(ticket)
                return outcome
        return None

    def _again(self) -> None:
        """Start other processes, and give out again what was not done; one that died takes the others with it."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._start()
        for ticket in self._out:
            if ticket.future.done() and ticket.future.exception() is None:
                continue
            if ticket.tries >= TRIES:
                raise LogstatsError(
                    f"{ticket.call.name}: the process that read it ended {TRIES} times before it was done",
                    "for want of memory? give fewer --workers (and a script needs `if __name__ == '__main__':`)",
                )
            ticket.tries += 1
            ticket.future = self._future(ticket.call)

    def close(self) -> None:
        """End the processes, at once if the results of some calls were not taken."""
        running = list((self._pool._processes or {}).values()) if self._out else []
        self._pool.shutdown(wait=not self._out, cancel_futures=True)
        for process in running:
            process.kill()
        for process in running:
            process.join()


def _begin(threads: int) -> None:
    """A new process: Ctrl-C is its parent's, whose end is its own."""
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
