"""Work on an archive, piece by piece: in this process, or by workers that open the archive themselves.

The results come in the order of the pieces, whoever made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from logstats import __version__
from logstats.archive.archive import Archive
from logstats.scale.calls import ROUNDS, Call, Executor, in_order
from logstats.scale.work import check_version

Thing = TypeVar("Thing")
LARGEST: Final = 64 << 20  # bytes of the files of a piece, unless one file is larger


def each(
    archive: Archive,
    function: Callable[..., Any],
    pieces: Iterable[tuple[str, tuple[Any, ...]]],
    executor: Executor | None,
    until: Callable[[], bool] = lambda: False,
) -> Iterator[Any]:
    """`function(archive, *arguments)` for each piece: (a name for errors, arguments). Raises what it raises."""
    if executor is None:
        for _, arguments in pieces:
            if until():
                return
            yield function(archive, *arguments)
        return
    place = archive.name if archive.storage.shared else str(archive.root.absolute())
    calls = (Call(name, _opened, (__version__, place, function, *arguments)) for name, arguments in pieces)
    yield from in_order(calls, executor, until)


def _opened(version: str, place: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a worker does with a piece."""
    check_version(version)
    return function(Archive.open(place), *arguments)


def together(
    things: Iterable[Thing], size_of: Callable[[Thing], int], total: int, workers: int
) -> Iterator[list[Thing]]:
    """Some files at a time, in order: of a `total` of bytes, `ROUNDS` pieces for each worker or more."""
    aim = min(total // (workers * ROUNDS) + 1, LARGEST)
    held: list[Thing] = []
    size = 0
    for thing in things:
        held.append(thing)
        size += size_of(thing)
        if size >= aim:
            yield held
            held, size = [], 0
    if held:
        yield held
