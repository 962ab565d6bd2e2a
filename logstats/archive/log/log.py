"""The state of an archive: the fold of its commits.

A commit is one file, `commits/00000042.json`, that appears whole and under a number that was free: that instant is
the change. What it says was added is in place and durable before; what it says was removed stays until a sweep, a day
later. So a reader needs nothing but a number, and a crash leaves the archive as before a commit or as after it.
`checkpoint.json` is the fold up to some number, to spare reading them all; it can be made anew at any time.

The commits are listed, never guessed, and a commit that is missing is an error, never an end: every number from 1 up
to the last is there, each commit holds the digest of the one before, and neither the checkpoint nor `catalog.sql`
was written after a commit that is not there. Anything else is damage, which whoever asks for a snapshot is told, and
nothing is added to such a log.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from logstats.archive.log import faults, paths
from logstats.archive.log.commit import VERSION, ArchiveError, Commit, CorruptCommit, Damaged
from logstats.archive.log.integrity import Integrity
from logstats.archive.log.paths import ForeignPath
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.storage import LocalStorage
from logstats.errors import LogstatsError

_CHECKPOINT_EVERY: Final = 32  # commits
_CATALOG: Final = re.compile(rb"-- logstats \S{1,40}: after commit (\d{1,15})\.")  # how catalog.sql begins
_ODD: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)  # of a document


class CommitLog:
    """The commits of an archive on disk: reading them, folding them, appending one."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self.storage = LocalStorage(self.root)
        self.integrity = Integrity(self.storage)
        self.places = paths.Places(self.root)

    @classmethod
    def open(cls, root: str | Path) -> Self:
        """The archive in a folder. Raises ArchiveError if there is none."""
        archive = cls(root)
        place = archive.root / paths.COMMITS
        if not place.is_dir() or (not any(place.iterdir()) and not (archive.root / paths.CATALOG).exists()):
            raise ArchiveError(f"{root}: there is no archive", f"make one: logstats archive init {root}")
        return archive

    # -- reading

    def snapshot(self, number: int | None = None, *, lenient: bool = False) -> Snapshot:
        """The archive as it is, or as it was after commit `number`.

        Raises Damaged if the log is. If `lenient`, the snapshot is the archive up to where its log is whole, and names
        the damage.
        """
        torn: list[Damaged] | None = [] if lenient else None
        # In this order: what these two say was written after commits that are there by now.
        written = self._written(torn)
        start = self._start(torn)
        last = self._last({paths.CHECKPOINT: start.number, paths.CATALOG: written}, torn)
        if number is not None:
            if number > last and not torn:
                raise ArchiveError(f"{self.root}: there is no commit {number}", f"the last one is {last}")
            if start.number > number:
                start = Snapshot()
            last = min(number, last)
        following = map(self._present, range(start.number + 1, last + 1))
        if torn is None:
            return start.after(following)
        whole: list[Commit] = []
        try:
            for commit in following:
                whole.append(commit)
        except Damaged as error:
            torn.append(error)
        try:
            snapshot = start.after(whole)
        except CorruptCommit as error:
            torn.append(error)
            snapshot = start.after(commit for commit in whole if commit.number < error.number)
        return replace(snapshot, torn=tuple(torn))

    def commits(self, torn: list[Damaged] | None = None) -> Iterator[Commit]:
        """All commits, in order. Raises Damaged, or adds it to `torn` and goes on with those that are there."""
        numbers = self._listed()
        last = self._last({}, torn, numbers)
        for number in (*range(1, last + 1), *(number for number in numbers if number > last)):
            try:
                yield self._present(number)
            except Damaged as error:
                if torn is None:
                    raise
                torn.append(error)

    def read_commit(self, number: int) -> Commit | None:
        """One commit; None if there is none of this number. Raises CorruptCommit."""
        try:
            data = self.storage.read(paths.commit_path(number))
            if data is None:
                return None
            commit = Commit.from_json(_unsealed(data), self.places, hashlib.sha256(data).hexdigest())
        except ForeignPath as error:
            raise CorruptCommit(number, error.what, error.hint) from None
        except ArchiveError:
            raise
        except OSError as error:
            raise CorruptCommit(number, f"it cannot be read: {error.strerror or error}") from None
        except _ODD as error:
            raise CorruptCommit(number, f"the commit is damaged: {error}") from None
        if commit.number != number:
            raise CorruptCommit(number, f"this is commit {commit.number}")
        return commit

    def checkpoint(self) -> Snapshot | None:
        """The fold that is written; None if there is none (or one of another version). Raises Damaged."""
        hint = f"delete {paths.CHECKPOINT}: the commits say it all, and it is made anew"
        try:
            data = self.storage.read(paths.CHECKPOINT)
            if data is None:
                return None
            value = _unsealed(data)
            return Snapshot.from_json(value, self.places) if value["version"] == VERSION else None
        except ForeignPath as error:
            raise Damaged(paths.CHECKPOINT, error.what, error.hint) from None
        except OSError as error:
            raise Damaged(paths.CHECKPOINT, f"it cannot be read: {error.strerror or error}", hint) from None
        except _ODD as error:
            raise Damaged(paths.CHECKPOINT, f"the checkpoint is damaged: {error}", hint) from None

    def _present(self, number: int) -> Commit:
        commit = self.read_commit(number)
        if commit is None:
            raise CorruptCommit(number, "the commit is missing")
        return commit

    def _listed(self) -> list[int]:
        """The numbers of all commits that are there, in order."""
        self.storage.plain(f"{paths.COMMITS}/x")  # a link to the commits of another archive is none
        try:
            names = [place.name for place in (self.root / paths.COMMITS).iterdir()]
        except OSError as error:
            raise ArchiveError(f"{self.root / paths.COMMITS}: {(error.strerror or str(error)).lower()}") from None
        found = (paths.commit_number(f"{paths.COMMITS}/{name}") for name in names)
        return sorted(number for number in found if number)

    def _last(
        self, written: dict[str, int], torn: list[Damaged] | None = None, numbers: list[int] | None = None
    ) -> int:
        """The last commit before any gap. Raises CorruptCommit, or adds it to `torn`, if there is a gap, or if some
        file (given with a number) was written after a commit that is not there."""
        numbers = self._listed() if numbers is None else numbers
        last = 0
        missing: CorruptCommit | None = None
        for number in numbers:
            while last + 1 < number and missing is None:
                if (self.root / paths.commit_path(last + 1)).exists():
                    last += 1  # it appeared while the folder was listed, as did the one after it
                else:
                    missing = CorruptCommit(last + 1, f"the commit is missing, and {number} is there", _LOST)
            if missing is not None:
                break
            last = number
        for path, after in written.items():
            if missing is None and after > last:
                wrong = f"the commit is missing: {path} was written after commit {after}"
                missing = CorruptCommit(last + 1, wrong, _LOST if path != paths.CATALOG else f"{_LOST}; {_COPIED}")
        if missing is not None:
            if torn is None:
                raise missing
            torn.append(missing)
        return last

    def _written(self, torn: list[Damaged] | None) -> int:
        """The commit after which `catalog.sql` was written, as its first line says; 0 if it says none."""
        try:
            found = _CATALOG.match(self.storage.read(paths.CATALOG, 100) or b"")
        except (OSError, ForeignPath) as error:
            damage = Damaged(paths.CATALOG, f"it cannot be read: {error}", f"delete {paths.CATALOG}: it is made anew")
            if torn is None:
                raise damage from None
            torn.append(damage)
            return 0
        return int(found[1]) if found else 0

    def _start(self, torn: list[Damaged] | None) -> Snapshot:
        """The checkpoint, if it is one of the commits that are there; else the archive before its first commit."""
        try:
            checkpoint = self.checkpoint()
            if checkpoint is None or checkpoint.number == 0:
                return Snapshot()
            commit = self.read_commit(checkpoint.number)
            if commit is not None and checkpoint.digest not in ("", commit.digest):
                raise Damaged(
                    paths.CHECKPOINT,
                    f"it was written after another commit {commit.number} than the one that is here",
                    f"one of both is of another archive: bring {paths.commit_path(commit.number)} back from a backup",
                )
        except Damaged as error:
            if torn is None:
                raise
            torn.append(error)
            return Snapshot()
        return replace(checkpoint, digest=commit.digest if commit else checkpoint.digest)

    # -- appending

    def commit(self, make: Callable[[Snapshot], Commit | None], within: str) -> Snapshot:
        """Let a commit appear: `make` is given the latest snapshot, and again after every lost race.

        It returns None for nothing to do and raises Conflict if what it was to commit is no longer right. `within` is
        the writer's folder. Returns the snapshot with the commit in it. Raises Damaged if the log is.
        """
        snapshot = self.snapshot()
        while True:
            commit = make(snapshot)
            if commit is None:
                return snapshot
            commit = replace(
                commit,
                number=snapshot.number + 1,
                at=datetime.now(UTC),
                writer=within.rpartition("/")[2],
                previous=snapshot.digest,
            )
            faults.reach("commit.ready")
            data = _sealed(commit.to_json())
            path = paths.commit_path(commit.number)
            # Listed again: a number is free for the next commit only if all before it are taken, and none after it is.
            if self._last({}) == snapshot.number and self.storage.create(path, data, within, step="commit.written"):
                break
            snapshot = self._newer(snapshot)
        faults.reach("commit.appeared")
        snapshot = snapshot.after([replace(commit, digest=hashlib.sha256(data).hexdigest())])
        with contextlib.suppress(LogstatsError):  # the commit stands, whether or not this can be written now
            self.publish(snapshot, within)
        with contextlib.suppress(LogstatsError, OSError):  # a sweep does what cannot be done now
            self.storage.set_aside(commit.removed)
        faults.reach("commit.done")
        return snapshot

    def _newer(self, snapshot: Snapshot) -> Snapshot:
        """A snapshot with the commits that have come since."""
        last = self._last({})
        if last <= snapshot.number:
            raise CorruptCommit(snapshot.number + 1, "it was there, and is gone", _LOST)
        return snapshot.after(map(self._present, range(snapshot.number + 1, last + 1)))

    def write_checkpoint(self, snapshot: Snapshot, within: str) -> None:
        """Spare readers the commits up to a snapshot."""
        self.storage.replace(paths.CHECKPOINT, _sealed(snapshot.to_json()), within, step="checkpoint.written")

    def publish(self, snapshot: Snapshot, within: str) -> None:
        """Write what is derived from a snapshot, all of which can be made again: now and then the checkpoint. Raises
        LogstatsError."""
        if snapshot.number % _CHECKPOINT_EVERY == 0:
            self.write_checkpoint(snapshot, within)


_LOST: Final = "bring the commit back from a backup: without it, what the later ones say is not what the archive holds"
_COPIED: Final = (
    "if this is a copy that was made while the archive was written, copy it once more, or delete "
    f"{paths.CATALOG} to go on without what came after (adding the logs again adds the rest)"
)


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
