"""Commits that a worker prepares, and that one writer makes.

A worker opens the archive as a `Staging`. Data files are written, made durable and named as always, but a commit is
only put on top of the snapshot that the worker knows, and handed back as data: it is short, and names the files. The
process that gave out the work makes these commits in the order of the work (`adopt`). It owns the workspace in which
its worker's files are entered, so what a worker that died has begun is deleted with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from logstats.archive.archive import Archive
from logstats.archive.ingest.known_sources import clashes
from logstats.archive.log.commit import Commit, Conflict
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Staged:
    """What a worker hands back: its result, and the commits for it, made from the archive as it was after commit
    `since`."""

    result: Any
    commits: tuple[Commit, ...]
    since: int


class Staging(Archive):
    """An archive whose commits are kept, to be made by another process."""

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._commits: list[Commit] = []
        self._first: int | None = None  # the number of the first snapshot that was read
        self._snapshot: Snapshot | None = None  # the last one, if commits were put on top of it

    @classmethod
    def of(cls, place: str, owner: str) -> Self:
        """The archive at a place; files are entered in the workspace `owner`. Raises ArchiveError."""
        made = cls.open(place)
        made.owner = owner
        return made

    def staged(self, result: Any) -> Staged:
        """What is handed back."""
        return Staged(result, tuple(self._commits), self._first or 0)

    def assume(self, commit: Commit) -> None:
        """Go on from the archive as it will be when another worker's commit is made, too."""
        snapshot = self.snapshot()
        self._snapshot = snapshot.after([replace(commit, number=snapshot.number + 1)])

    def snapshot(self, number: int | None = None, *, lenient: bool = False) -> Snapshot:
        """The archive as it is, with the commits that are prepared."""
        if self._snapshot is not None and number is None:
            return self._snapshot
        found = super().snapshot(number, lenient=lenient)
        if self._first is None:
            self._first = found.number
        return found

    def commit(self, make: Callable[[Snapshot], Commit | None], within: str) -> Snapshot:
        """Prepare a commit. Raises what `make` raises."""
        snapshot = self.snapshot()
        commit = make(snapshot)
        if commit is not None:
            self._commits.append(commit)
            snapshot = self._snapshot = snapshot.after([replace(commit, number=snapshot.number + 1)])
        return snapshot


def adopt(
    archive: Archive,
    staged: Staged,
    workspace: Workspace,
    made: list[int],
    *,
    known: bool = True,
    assumed: Collection[int] = (),
) -> None:
    """Make the commits that a worker prepared; `made` gets their numbers. If `known`, sources are compared with those
    that were added since, but by the commits that the worker `assumed`. Raises Conflict if one no longer applies; those
    before it are made by then."""
    for commit in staged.commits:

        def checked(snapshot: Snapshot, commit: Commit = commit) -> Commit:
            if any(path not in snapshot.files for path in commit.removed):
                raise Conflict
            if known and commit.sources and snapshot.number > staged.since:
                theirs = _advanced(archive, staged.since, snapshot, {*made, *assumed})
                if clashes(commit.sources, theirs, snapshot.sources):
                    raise Conflict
            return commit

        archive.begin(staged.since)
        made.append(archive.commit(checked, workspace.folder).number)
        workspace.committed(commit.added)


def _advanced(archive: Archive, since: int, snapshot: Snapshot, own: Collection[int]) -> set[str]:
    """The ids of the sources that others have read further since a commit."""
    return {
        advance.id
        for commit in archive.between(since, snapshot.number)
        if commit.number not in own
        for advance in commit.sources
        if advance.end.bytes > advance.start[1]
    }
