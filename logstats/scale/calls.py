"""Calls that are done apart, in processes of this machine or on a cluster; their results come back in order.

What crosses is data: a function that can be imported by its name, and arguments that can be pickled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from logstats.dataclass import dataclass

AHEAD: Final = 2  # calls for each worker that are given out before the result of the first is taken
ROUNDS: Final = 4  # pieces of work for each worker, so that none waits long for the last one


@dataclass(frozen=True, slots=True)
class Call:
    """Work to be given out: `name` is what it is about, for errors. The function must not return None."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Executor(Protocol):
    """Does calls somewhere. `result` waits, and gives None if `until` says so first; `close` ends what is still at
    work."""

    workers: int

    def submit(self, call: Call) -> Any: ...
    def result(self, ticket: Any, until: Callable[[], bool]) -> Any: ...
    def close(self) -> None: ...


def in_order(calls: Iterable[Call], executor: Executor, until: Callable[[], bool] = lambda: False) -> Iterator[Any]:
    """The results of some calls, in their order, up to the first for which `until` says so. Raises what they raise."""
    coming = iter(calls)
    waiting: deque[Any] = deque()
    while not until():
        while len(waiting) < AHEAD * executor.workers and (call := next(coming, None)) is not None:
            waiting.append(executor.submit(call))
        if not waiting:
            return
        result = executor.result(waiting.popleft(), until)
        if result is None:
            return
        yield result


class Here:
    """An executor that works in this process, one call after another: for tests, and to measure what shards cost."""

    workers = 1

    def submit(self, call: Call) -> Any:
        """Remember the call."""
        return call

    def result(self, ticket: Any, until: Callable[[], bool]) -> Any:
        """Do it."""
        return None if until() else ticket.function(*ticket.arguments)

    def close(self) -> None:
        """Do nothing."""
