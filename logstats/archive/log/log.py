"""The state of an archive: the fold of its commits.

A commit is one file, `commits/00000042.json`, that appears whole and under a number that was free: that instant is
the change. What it says was added is in place and durable before; what it says was removed stays until a sweep, a day
later. So a reader needs nothing but a number, and a crash leaves the archive as before a commit or as after it.
`checkpoint.json` is the fold up to some number, to spare reading them all; it can be made anew at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from logstats.archive.log import faults, paths
from logstats.archive.log.commit import ArchiveError, Commit, CorruptCommit
from logstats.archive.log.integrity import Integrity
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.storage import LocalStorage
from logstats.errors import LogstatsError

_CHECKPOINT_EVERY: Final = 32  # commits


class CommitLog:
    """The commits of an archive on disk: reading them, folding them, appending one."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self.storage = LocalStorage(self.root)
        self.integrity = Integrity(self.storage)

    @classmethod
    def open(cls, root: str | Path) -> Self:
        """The archive in a folder. Raises ArchiveError if there is none."""
        archive = cls(root)
        if not (archive.root / paths.COMMITS).is_dir():
            raise ArchiveError(f"{root}: there is no archive", f"make one: logstats archive init {root}")
        return archive

    def snapshot(self, number: int | None = None, *, lenient: bool = False) -> Snapshot:
        """The archive as it is, or as it was after commit `number`.

        Raises CorruptCommit for a commit that cannot be read; if `lenient`, the snapshot leaves it out and names it.
        """
        start = self.checkpoint() or Snapshot()
        if number is not None and start.number > number:
            start = Snapshot()
        torn: list[CorruptCommit] = []
        snapshot = start.after(self._commits(start.number + 1, number, torn if lenient else None))
        if number is not None and snapshot.number < number and not torn:
            raise ArchiveError(f"{self.root}: there is no commit {number}", f"the last one is {snapshot.number}")
        return replace(snapshot, torn=tuple(torn))

    def commits(self, first: int = 1, torn: list[CorruptCommit] | None = None) -> Iterator[Commit]:
        """The commits from a number on, in order. Raises CorruptCommit, or adds it to `torn` and goes on."""
        return self._commits(first, None, torn)

    def read_commit(self, number: int) -> Commit | None:
        """One commit; None if there is none of this number. Raises CorruptCommit."""
        data = self.storage.read(paths.commit_path(number))
        if data is None:
            return None
        try:
            commit = Commit.from_json(_unsealed(data))
        except ArchiveError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptCommit(number, f"the commit is damaged: {error}") from None
        if commit.number != number:
            raise CorruptCommit(number, f"this is commit {commit.number}")
        return commit

    def commit(self, make: Callable[[Snapshot], Commit | None], within: str) -> Snapshot:
        """Let a commit appear: `make` is given the latest snapshot, and again after every lost race.

        It returns None for nothing to do and raises Conflict if what it was to commit is no longer right. `within` is
        the writer's folder. Returns the snapshot with the commit in it.
        """
        snapshot = self.snapshot()
        while True:
            commit = make(snapshot)
            if commit is None:
                return snapshot
            commit = replace(commit, number=snapshot.number + 1, at=datetime.now(UTC))
            faults.reach("commit.ready")
            data = _sealed(commit.to_json())
            if self.storage.create(paths.commit_path(commit.number), data, within, step="commit.written"):
                break
            snapshot = snapshot.after(self.commits(snapshot.number + 1))
        faults.reach("commit.appeared")
        snapshot = snapshot.after([commit])
        with contextlib.suppress(LogstatsError):  # the commit stands, whether or not this can be written now
            self.publish(snapshot, within)
        faults.reach("commit.done")
        return snapshot

    def write_checkpoint(self, snapshot: Snapshot, within: str) -> None:
        """Spare readers the commits up to a snapshot."""
        self.storage.replace(paths.CHECKPOINT, _sealed(snapshot.to_json()), within, step="checkpoint.written")

    def publish(self, snapshot: Snapshot, within: str) -> None:
        """Write what is derived from a snapshot, all of which can be made again: now and then the checkpoint. Raises
        LogstatsError."""
        if snapshot.number % _CHECKPOINT_EVERY == 0:
            self.write_checkpoint(snapshot, within)

    def checkpoint(self) -> Snapshot | None:
        """The fold that is written; None if there is none, or none that can be read (the commits say it all, only
        slower; `verify` names it)."""
        data = self.storage.read(paths.CHECKPOINT)
        try:
            return Snapshot.from_json(_unsealed(data)) if data is not None else None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _commits(self, first: int, last: int | None, torn: list[CorruptCommit] | None) -> Iterator[Commit]:
        number = first
        while last is None or number <= last:
            try:
                commit = self.read_commit(number)
            except CorruptCommit as error:
                if torn is None:
                    raise
                torn.append(error)
            else:
                if commit is None:
                    return
                yield commit
            number += 1


def _sealed(value: Any) -> bytes:
    """A JSON document that holds a value and its digest."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    return b'{"sha256":"%s",\n"value":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


def _unsealed(data: bytes) -> Any:
    """The value. Raises ValueError if it is not what was written."""
    head, separator, rest = data.partition(b'",\n"value":')
    body = rest.removesuffix(b"}\n")
    if not separator or len(body) == len(rest):
        raise ValueError("it is cut off")
    if head != b'{"sha256":"' + hashlib.sha256(body).hexdigest().encode():
        raise ValueError("its content and its digest disagree")
    return json.loads(body)
