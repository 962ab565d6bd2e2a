"""Work on an archive, piece by piece: in this process, or by workers that open the archive themselves.

The results come in the order of the pieces, whoever made them. Of work that changes the archive, workers write the data
files, and this process makes the commits (`each_committed`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, Protocol, Self, TypeVar

from logstats import __version__
from logstats.archive.archive import Archive
from logstats.archive.log.commit import Commit, Conflict
from logstats.archive.log.writer import Workspace
from logstats.archive.staging import Staged, Staging, adopt
from logstats.dataclass import dataclass
from logstats.inputs import object_store
from logstats.scale.calls import ROUNDS, Call, Executor, in_order
from logstats.scale.work import check_version

Thing = TypeVar("Thing")
Pieces = Iterable[tuple[str, tuple[Any, ...]]]
LARGEST: Final = 64 << 20  # bytes of the files of a piece, unless one file is larger


def each(
    archive: Archive,
    function: Callable[..., Any],
    pieces: Pieces,
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
    place = _Place.of(archive)
    calls = (Call(name, _opened, (place, function, *arguments)) for name, arguments in pieces)
    yield from in_order(calls, executor, until)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a worker finds the archive: its place, the address of the store if it is not AWS, and the version of
    logstats that works on it."""

    archive: str
    address: str | None
    version: str = __version__

    @classmethod
    def of(cls, archive: Archive) -> Self:
        place = archive.name if archive.storage.shared else str(archive.root.absolute())
        return cls(place, object_store.endpoint())

    def found(self) -> str:
        """The place, in a worker. Raises LogstatsError in one of another version."""
        check_version(self.version)
        object_store.use(self.address)
        return self.archive


def _opened(place: _Place, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a worker does with a piece."""
    return function(Archive.open(place.found()), *arguments)


class Link(Protocol):
    """A piece that goes on from the one before: its result may not fit, and then one call does all that is left."""

    @property
    def chain(self) -> Chain: ...
    def fits(self, staged: Staged) -> bool: ...


class Chain(Protocol):
    """Pieces that go on from each other: what is known since which commit, the numbers of their commits, and whether
    all that is left is done at once."""

    since: int
    numbers: list[int]
    broken: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Work for a worker: a name for errors, and arguments. Of a link, `rest` are those of the call that does all that
    is left."""

    name: str
    arguments: tuple[Any, ...]
    link: Link | None = None
    rest: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """The result of a piece that a worker did, and the numbers of its commits. `before` are commits of an earlier
    attempt, of which a part no longer applied. The result is None if it was done with a piece before."""

    piece: Piece
    result: Any
    commits: list[int]
    before: list[Commit]


def each_committed(
    archive: Archive,
    function: Callable[..., Any],
    pieces: Iterable[Piece],
    executor: Executor,
    until: Callable[[], bool] = lambda: False,
    *,
    known: bool = True,
) -> Iterator[Made]:
    """`function(archive, *arguments)` for each piece, by workers, whose commits are made here in the order of the
    pieces. What no longer applies, because of commits that came first, is done again. `known` is that of `adopt`."""
    place = _Place.of(archive)
    waiting: deque[tuple[Workspace, Piece]] = deque()

    def call(workspace: Workspace, name: str, arguments: tuple[Any, ...]) -> Call:
        return Call(name, _staged, (place, workspace.lend(), function, *arguments))

    def calls() -> Iterator[Call]:
        for piece in pieces:
            workspace = Workspace(archive).__enter__()
            waiting.append((workspace, piece))
            yield call(workspace, piece.name, piece.arguments)

    try:
        for staged in in_order(calls(), executor, until):
            workspace, piece = waiting[0]
            link, arguments = piece.link, piece.arguments
            made = Made(piece, None, [], [])
            if link is not None and link.chain.broken:
                staged, link = None, None
            elif link is not None:
                staged = replace(staged, since=min(staged.since, link.chain.since))
            while staged is not None:
                begun = len(made.commits)
                try:
                    if link is not None and not link.fits(staged):
                        raise Conflict
                    own = link.chain.numbers if link is not None else ()
                    adopt(archive, staged, workspace, made.commits, known=known, assumed=own)
                    break
                except Conflict:
                    made.before.extend(staged.commits[: len(made.commits) - begun])
                    workspace.discard()
                    if link is not None:
                        link.chain.broken = True
                        link, arguments = None, piece.rest
                    staged = executor.result(executor.submit(call(workspace, piece.name, arguments)), until)
                    if staged is None:
                        return
            waiting.popleft()
            workspace.__exit__(None)
            if link is not None:
                link.chain.numbers += made.commits
            yield made if staged is None else replace(made, result=staged.result)
    finally:
        if waiting:
            executor.close()  # workers write no more
            for workspace, _ in waiting:
                workspace.__exit__(None)


def _staged(place: _Place, owner: str, function: Callable[..., Any], *arguments: Any) -> Staged:
    """What a worker does with a piece."""
    archive = Staging.of(place.found(), owner)
    return archive.staged(function(archive, *arguments))


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
