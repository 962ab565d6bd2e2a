"""The commit log: reading commits, folding them into a snapshot, appending one.

A commit is one file, `commits/00000042.json`, which is created whole and under a free number: that is the instant of
the change. The files that it adds are in place and durable before; the files that it removes are kept for a day, until
a sweep. So a snapshot is identified by a number, and a crash leaves the archive as it was before a commit or after it.
`checkpoint.json` is the snapshot after some commit, so that earlier ones need not be read; it can be rebuilt at any
time.

A missing commit is an error, not the end of the log. Every number from 1 to the last must be present, each commit holds
the digest of the one before, and neither the checkpoint nor `catalog.sql` may have been written after a commit that is
missing. Anything else is damage: `snapshot` raises it, and nothing is appended to such a log.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from logstats.archive.log import faults, paths
from logstats.archive.log.commit import VERSION, ArchiveError, Commit, Conflict, CorruptCommit, Damaged
from logstats.archive.log.integrity import Integrity
from logstats.archive.log.local_storage import LocalStorage
from logstats.archive.log.object_storage import ObjectStorage
from logstats.archive.log.paths import ForeignPath
from logstats.archive.log.routed_storage import RoutedStorage
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.storage import Storage
from logstats.errors import LogstatsError
from logstats.inputs import object_store

_CHECKPOINT_EVERY: Final = 32  # commits
_CATALOG: Final = re.compile(rb"-- logstats \S{1,40}: after commit (\d{1,15})\.")  # how catalog.sql begins
FORSAKEN: Final = "forsaken"  # in the note of a commit: files that no later commit may add
_ODD: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)  # a malformed document


class CommitLog:
    """The commits of an archive: reading them, folding them, appending one."""

    def __init__(self, root: str | Path) -> None:
        self.storage = storage_of(root)
        self.name = self.storage.name
        self.integrity = Integrity(self.storage)
        self.places = paths.Places(self.storage.read, shared=self.storage.shared)
        self._since: int | None = None  # a commit before the data files were written that the next commit adds
        self._latest = 0  # the last commit that was read
        self.unpublished: LogstatsError | None = None  # why files derived from the last commit could not be written
        self.owner = ""  # the id of the workspace of another process, which commits what is written here

    @property
    def root(self) -> Path:
        """The archive's folder on this machine's disk: all of it, or the temporary work if it lies on a store."""
        return self.storage.local.root

    @classmethod
    def open(cls, root: str | Path) -> Self:
        """The archive in a folder, or below a URL. Raises ArchiveError if there is none."""
        archive = cls(root)
        names = archive.storage.names(paths.COMMITS)
        if names is None or (not names and not archive.storage.exists(paths.CATALOG)):
            raise ArchiveError(f"{root}: there is no archive", f"make one: logstats archive init {root}")
        return archive

    # -- reading

    def snapshot(self, number: int | None = None, *, lenient: bool = False) -> Snapshot:
        """The archive as it is, or as it was after commit `number`.

        Raises Damaged if the log is damaged. If `lenient`, the snapshot ends before the damage, and `torn` names it.
        """
        torn: list[Damaged] | None = [] if lenient else None
        # The order matters: both files are written after the commits that they refer to, so those exist by now.
        written = self._written(torn)
        start = self._start(torn)
        last = self._last({paths.CHECKPOINT: start.number, paths.CATALOG: written}, torn)
        if number is not None:
            if number > last and not torn:
                raise ArchiveError(f"{self.name}: there is no commit {number}", f"the last one is {last}")
            if start.number > number:
                start = Snapshot()
            last = min(number, last)
        else:
            self._latest = last
        following = self._following(start.number + 1, last)
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
        """All commits, in order. Raises Damaged; or appends it to `torn`, if given, and continues with the commits that
        can be read."""
        numbers = self._listed()
        last = self._last({}, torn, numbers)
        for found in self._each((*range(1, last + 1), *(number for number in numbers if number > last))):
            if isinstance(found, Commit):
                yield found
            elif torn is None:
                raise found
            else:
                torn.append(found)

    def read_commit(self, number: int) -> Commit | None:
        """One commit; None if the number is free. Raises CorruptCommit."""
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
        """The snapshot in the checkpoint; None if there is no checkpoint of this version. Raises Damaged."""
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

    def _following(self, first: int, last: int) -> Iterator[Commit]:
        """The commits of these numbers. Raises Damaged at the first one that is."""
        for found in self._each(range(first, last + 1)):
            if isinstance(found, Damaged):
                raise found
            yield found

    def _each(self, numbers: Sequence[int]) -> Iterator[Commit | Damaged]:
        """The commits of these numbers, in order, or what is wrong with them."""

        def found(number: int) -> Commit | Damaged:
            try:
                return self._present(number)
            except Damaged as error:
                return error

        if self.storage.at_once == 1 or len(numbers) < 2:
            yield from map(found, numbers)
            return
        with ThreadPoolExecutor(self.storage.at_once, "logstats-commits") as pool:
            yield from pool.map(found, numbers)

    def _listed(self) -> list[int]:
        """The numbers of all commits in the folder, in order."""
        place = f"{self.name}/{paths.COMMITS}"
        try:
            names = self.storage.names(paths.COMMITS)
        except OSError as error:
            raise ArchiveError(f"{place}: {(error.strerror or str(error)).lower()}") from None
        if names is None:
            raise ArchiveError(f"{place}: no such file or directory")
        found = (paths.commit_number(f"{paths.COMMITS}/{name}") for name in names)
        return sorted(number for number in found if number)

    def _last(
        self, written: dict[str, int], torn: list[Damaged] | None = None, numbers: list[int] | None = None
    ) -> int:
        """The number of the last commit before any gap. Raises CorruptCommit, or appends it to `torn`, if there is a
        gap, or if a file in `written` was written after a commit that is missing."""
        numbers = self._listed() if numbers is None else numbers
        last = 0
        missing: CorruptCommit | None = None
        for number in numbers:
            while last + 1 < number and missing is None:
                if self.storage.exists(paths.commit_path(last + 1)):
                    last += 1  # created while the folder was listed, as was the one after it
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
        """The number of the commit after which `catalog.sql` was written, from its first line; 0 if there is none."""
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
        """The checkpoint, if it belongs to these commits; else the empty snapshot before the first commit."""
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
        """Append a commit. `make` gets the latest snapshot, and is called again whenever another writer was faster.

        It returns None if there is nothing to do, and raises Conflict if the commit no longer applies. `within` is the
        writer's folder. Returns the snapshot after the commit. Raises Damaged if the log is damaged.
        """
        since, self._since = self._since, None
        snapshot = self.snapshot()
        looked = snapshot.number if since is None else since
        while True:
            commit = make(snapshot)
            if commit is None:
                return snapshot
            if self._forsaken(commit, looked, snapshot.number):
                raise Conflict
            looked = snapshot.number
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
            # The folder is listed again: the next number is free only if all before it are taken and none after it is.
            if self._last({}) == snapshot.number and self.storage.create(path, data, within, step="commit.written"):
                break
            snapshot = self._newer(snapshot)
        self._latest = commit.number
        faults.reach("commit.appeared")
        snapshot = snapshot.after([replace(commit, digest=hashlib.sha256(data).hexdigest())])
        try:
            self.publish(snapshot, within)
        except LogstatsError as error:  # the commit is valid whether or not this can be written now
            self.unpublished = error
        with contextlib.suppress(LogstatsError, OSError):  # a sweep repeats what fails now
            self.storage.set_aside(commit.removed)
        faults.reach("commit.done")
        return snapshot

    def _newer(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot after the commits that were appended since."""
        last = self._last({})
        if last <= snapshot.number:
            raise CorruptCommit(snapshot.number + 1, "it was there, and is gone", _LOST)
        return snapshot.after(self._following(snapshot.number + 1, last))

    def begin(self, since: int | None = None) -> None:
        """Call this before data files are made that a commit is to add: they can be forsaken from now on, or were after
        the commit `since`."""
        if self._since is None:
            self._since = self._latest if since is None else since

    def between(self, since: int, last: int) -> Iterator[Commit]:
        """The commits after `since`, up to `last`. Raises Damaged."""
        return self._following(since + 1, last)

    def forsake(self, files: Iterable[str], within: str) -> list[str]:
        """Record in a commit that these data files, unless a commit names them, will never be part of the archive.
        Returns those: they can be deleted.

        On a disk, the lock of a writer shows that it will not commit any more. On a store nothing does: the writer may
        be slow, or its request still on its way. But commits are in order. Either its commit comes before this one,
        which is then made without its files, or it comes after, and sees that they are forsaken.
        """
        files = list(files)
        if not files:
            return []
        left: list[str] = []

        def made(latest: Snapshot) -> Commit | None:
            left[:] = [path for path in files if path not in latest.files and path not in latest.removed]
            return Commit(what="sweep", note={FORSAKEN: list(left)}) if left else None

        self.commit(made, within)
        return left

    def _forsaken(self, commit: Commit, since: int, last: int) -> bool:
        """Whether one of the commits after `since` says that a file which this commit adds was forsaken."""
        gone = {path for found in self._following(since + 1, last) for path in found.note.get(FORSAKEN, ())}
        return any(file.path in gone for file in commit.added)

    def write_checkpoint(self, snapshot: Snapshot, within: str) -> None:
        """Write a snapshot as the checkpoint, so that readers need not read the commits before it."""
        self.storage.replace(paths.CHECKPOINT, _sealed(snapshot.to_json()), within, step="checkpoint.written")

    def prepare(self) -> None:
        """Called when a writer begins."""
        self._since = None

    def publish(self, snapshot: Snapshot, within: str) -> None:
        """Write the files that are derived from a snapshot: here, the checkpoint after every 32nd commit. Raises
        LogstatsError."""
        if snapshot.number % _CHECKPOINT_EVERY == 0:
            self.write_checkpoint(snapshot, within)


def storage_of(root: str | Path) -> Storage:
    """The storage that a folder, or a URL of an object store, names. Raises UsageError."""
    return RoutedStorage(ObjectStorage(str(root)) if object_store.is_url(str(root)) else LocalStorage(root))


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
    """The value in such a document. Raises ValueError if the document was changed."""
    head, separator, rest = data.partition(b'",\n"value":')
    body = rest.removesuffix(b"}\n")
    if not separator or len(body) == len(rest):
        raise ValueError("it is cut off")
    if head != b'{"sha256":"' + hashlib.sha256(body).hexdigest().encode():
        raise ValueError("its content and its digest disagree")
    return json.loads(body)
