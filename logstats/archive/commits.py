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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from logstats import __version__
from logstats.archive import faults, layout
from logstats.archive.files import Files
from logstats.archive.layout import Partition
from logstats.errors import LogstatsError

VERSION: Final = 1  # of what the commits say
_CHECKPOINT_EVERY: Final = 32  # commits


class ArchiveError(LogstatsError):
    """An archive that is not there, or not as its commits say."""


class Torn(ArchiveError):
    """A commit file that is cut off or was changed."""

    def __init__(self, number: int, what: str) -> None:
        path = layout.commit_path(number)
        super().__init__(
            f"{path}: {what}", "bring this file back from a backup; `logstats archive verify` says what is left"
        )
        self.number = number


class Conflict(Exception):
    """What was made for a commit is no longer right: somebody else's came first. Look again, make it anew."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file. `path` is relative to the archive, or absolute in a tier that lies elsewhere.

    `first` and `last` are the least and greatest value of the table's time column (`layout.time_column`). `columns`
    are those that the policy kept of a row in the cold tier; None is all of the table's.
    """

    path: str
    table: str
    tier: str
    rows: int
    bytes: int
    sha256: str
    first: datetime
    last: datetime
    columns: tuple[str, ...] | None = None

    @property
    def partition(self) -> Partition:
        """(year, month, day), or with the hour."""
        return layout.partition_in(self.path)

    def to_json(self) -> dict[str, Any]:
        """As in a commit."""
        value = {name: getattr(self, name) for name in self.__slots__ if name != "columns" or self.columns is not None}
        return {**value, **_times(first=self.first, last=self.last)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As in a commit."""
        columns = tuple(value["columns"]) if "columns" in value else None
        return cls(**{**value, "first": _time(value["first"]), "last": _time(value["last"]), "columns": columns})


@dataclass(frozen=True, slots=True)
class End:
    """How far a source was once read: so many decompressed bytes and lines, the digest of what follows the last whole
    block before it (see `sources`), and the W3C directives in force there."""

    bytes: int
    lines: int
    tail: str
    directives: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines, accounted for: lines = requests + events + rejected + ignored."""

    lines: int = 0
    bytes: int = 0
    requests: int = 0
    events: int = 0
    rejected: int = 0
    ignored: int = 0
    invalid_durations: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        numbers = {n: getattr(self, n) + getattr(other, n) for n in self.__slots__ if n != "reasons"}
        names = sorted({*self.reasons, *other.reasons})
        return Counts(**numbers, reasons={n: self.reasons.get(n, 0) + other.reasons.get(n, 0) for n in names})


@dataclass(frozen=True, slots=True)
class Source:
    """A log that was read, known by its content.

    `blocks` are the digests of its whole blocks up to the last end, `heads` those of its first lines, `ends` where
    earlier commits and the last one stopped, `places` the files that hold it: `device:inode` to (size, digest of the
    last bytes), a shortcut that spares reading it again. `label` is its --source-name: sources of different labels are
    never taken for one another. `counts` is what this archive took of it.
    """

    id: str
    name: str
    label: str | None
    format: str | None
    blocks: tuple[str, ...]
    ends: tuple[End, ...]
    counts: Counts
    heads: tuple[str, ...] = ()
    places: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def end(self) -> End:
        """How far it was read."""
        return self.ends[-1]

    def to_json(self) -> dict[str, Any]:
        """As in a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As in a checkpoint."""
        return cls(
            **{
                **value,
                "blocks": tuple(value["blocks"]),
                "heads": tuple(value["heads"]),
                "ends": tuple(End(**end) for end in value["ends"]),
                "counts": Counts(**value["counts"]),
                "places": {place: (size, tail) for place, (size, tail) in value["places"].items()},
            }
        )


@dataclass(frozen=True, slots=True)
class Advance:
    """A source, read further, in one commit: `blocks` are those after the known ones, `counts` what was added.

    `start` is the end that it went on from: the number of blocks known there, and its bytes and lines. A source that
    is new has started at 0, or at an end of another (`parent`) that begins alike.
    """

    id: str
    name: str
    label: str | None
    format: str | None
    parent: str | None
    start: tuple[int, int, int]  # blocks, bytes, lines
    blocks: tuple[str, ...]
    end: End
    counts: Counts
    heads: tuple[str, ...] = ()
    places: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    to_json = asdict

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As in a commit."""
        return cls(
            **{
                **value,
                "start": tuple(value["start"]),
                "blocks": tuple(value["blocks"]),
                "heads": tuple(value["heads"]),
                "end": End(**value["end"]),
                "counts": Counts(**value["counts"]),
                "places": {place: (size, tail) for place, (size, tail) in value["places"].items()},
            }
        )

    def applied(self, sources: Mapping[str, Source]) -> Source:
        """The source as it is after this commit."""
        before = sources.get(self.id)
        if before is None:
            origin = sources[self.parent] if self.parent else None
            known = origin.blocks[: self.start[0]] if origin else ()
            ends = tuple(end for end in origin.ends if end.bytes <= self.start[1]) if origin else ()
            before = Source(self.id, self.name, self.label, self.format, known, ends, Counts())
        moved = before.ends if before.ends and before.end.bytes == self.end.bytes else (*before.ends, self.end)
        return replace(
            before,
            name=self.name,
            format=self.format or before.format,
            blocks=before.blocks[: self.start[0]] + self.blocks,
            ends=moved,
            counts=before.counts + self.counts,
            heads=self.heads or before.heads,
            places={**before.places, **self.places},
        )


@dataclass(frozen=True, slots=True)
class Removed:
    """A file that is no part of the archive any more and waits to be deleted."""

    file: DataFile
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One change. `what` ran: `init`, `add`, `compact`, `tier`, `sweep`; `note` says more about it to people.

    `removed` are paths that stop being part of the archive, `deleted` removed ones whose files are gone by now.
    """

    what: str
    number: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    version: int = VERSION
    by: str = f"logstats {__version__}"
    note: Mapping[str, Any] = field(default_factory=dict)
    added: tuple[DataFile, ...] = ()
    removed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    sources: tuple[Advance, ...] = ()

    @property
    def counts(self) -> Counts:
        """What it added of all sources."""
        total = Counts()
        for source in self.sources:
            total += source.counts
        return total

    def to_json(self) -> dict[str, Any]:
        """As in its file."""
        return {
            "number": self.number,
            "version": self.version,
            "at": _text(self.at),
            "what": self.what,
            "by": self.by,
            "note": dict(self.note),
            "counts": asdict(self.counts),
            "added": [file.to_json() for file in self.added],
            "removed": list(self.removed),
            "deleted": list(self.deleted),
            "sources": [source.to_json() for source in self.sources],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As in its file."""
        if value["version"] > VERSION:
            raise ArchiveError(
                f"commit {value['number']} was written by {value['by']}, which is newer than this program",
                "use that version, or a newer one",
            )
        return cls(
            what=value["what"],
            number=value["number"],
            at=_time(value["at"]),
            version=value["version"],
            by=value["by"],
            note=value["note"],
            added=tuple(DataFile.from_json(file) for file in value["added"]),
            removed=tuple(value["removed"]),
            deleted=tuple(value["deleted"]),
            sources=tuple(Advance.from_json(source) for source in value["sources"]),
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The archive after commit `number`, made `at`: its files by path, its sources by id, and the files that wait to
    be deleted, by path. `torn` are commits that could not be read and are left out (never without being asked for)."""

    number: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    files: Mapping[str, DataFile] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    removed: Mapping[str, Removed] = field(default_factory=dict)
    torn: tuple[Torn, ...] = ()

    def after(self, commits: Iterable[Commit]) -> Snapshot:
        """The snapshot after some more commits, in order."""
        files, sources, removed = dict(self.files), dict(self.sources), dict(self.removed)
        number, at = self.number, self.at
        for commit in commits:
            for path in commit.removed:
                if path in files:  # it may not be there if the commit that added it is torn
                    removed[path] = Removed(files.pop(path), commit.at)
            for file in commit.added:
                files[file.path] = file
            for path in commit.deleted:
                removed.pop(path, None)
            for advance in commit.sources:
                sources[advance.id] = advance.applied(sources)
            number, at = commit.number, commit.at
        return Snapshot(number, at, files, sources, removed, self.torn)

    def select(
        self,
        table: str,
        *,
        tier: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[DataFile]:
        """The files of a table that may hold rows of since ≤ t < until, by partition and then by age."""
        found = [
            file
            for file in self.files.values()
            if file.table == table
            and (tier is None or file.tier == tier)
            and (since is None or file.last >= since)
            and (until is None or file.first < until)
        ]
        return sorted(found, key=lambda file: (file.partition, layout.age(file.path)))

    def to_json(self) -> dict[str, Any]:
        """As in a checkpoint."""
        return {
            "number": self.number,
            "version": VERSION,
            "at": _text(self.at),
            "files": [file.to_json() for file in self.files.values()],
            "sources": [source.to_json() for source in self.sources.values()],
            "removed": [{"file": gone.file.to_json(), "at": _text(gone.at)} for gone in self.removed.values()],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As in a checkpoint."""
        if value["version"] != VERSION:
            raise ValueError("another version")
        files = [DataFile.from_json(file) for file in value["files"]]
        sources = [Source.from_json(source) for source in value["sources"]]
        removed = [Removed(DataFile.from_json(gone["file"]), _time(gone["at"])) for gone in value["removed"]]
        return cls(
            value["number"],
            _time(value["at"]),
            {file.path: file for file in files},
            {source.id: source for source in sources},
            {gone.file.path: gone for gone in removed},
        )


class Archive:
    """An archive on disk."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self.files = Files(self.root)

    @classmethod
    def open(cls, root: str | Path) -> Self:
        """The archive in a folder. Raises ArchiveError if there is none."""
        archive = cls(root)
        if not (archive.root / layout.COMMITS).is_dir():
            raise ArchiveError(f"{root}: there is no archive", f"make one: logstats archive init {root}")
        return archive

    def snapshot(self, number: int | None = None, *, lenient: bool = False) -> Snapshot:
        """The archive as it is, or as it was after commit `number`.

        Raises Torn for a commit that cannot be read; if `lenient`, the snapshot goes on without it and names it.
        """
        start = self.checkpoint() or Snapshot()
        if number is not None and start.number > number:
            start = Snapshot()
        torn: list[Torn] = []
        snapshot = start.after(self._commits(start.number + 1, number, torn if lenient else None))
        if number is not None and snapshot.number < number and not torn:
            raise ArchiveError(f"{self.root}: there is no commit {number}", f"the last one is {snapshot.number}")
        return replace(snapshot, torn=tuple(torn))

    def commits(self, first: int = 1, torn: list[Torn] | None = None) -> Iterator[Commit]:
        """The commits from a number on, in order. Raises Torn, or adds it to `torn` and goes on."""
        return self._commits(first, None, torn)

    def read_commit(self, number: int) -> Commit | None:
        """One commit; None if there is none of this number. Raises Torn."""
        data = self.files.read(layout.commit_path(number))
        if data is None:
            return None
        try:
            commit = Commit.from_json(_unsealed(data))
        except ArchiveError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Torn(number, f"the commit is damaged: {error}") from None
        if commit.number != number:
            raise Torn(number, f"this is commit {commit.number}")
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
            if self.files.create(layout.commit_path(commit.number), data, within, step="commit.written"):
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
        self.files.replace(layout.CHECKPOINT, _sealed(snapshot.to_json()), within, step="checkpoint.written")

    def publish(self, snapshot: Snapshot, within: str) -> None:
        """Write what is derived from a snapshot: now and then the checkpoint, and views for DuckDB's own shell. All of
        it can be made again. Raises LogstatsError."""
        from logstats.archive import catalog

        if snapshot.number % _CHECKPOINT_EVERY == 0:
            self.write_checkpoint(snapshot, within)
        self.files.replace(layout.CATALOG, catalog.script(self.files, snapshot).encode(), within)

    def checkpoint(self) -> Snapshot | None:
        """The fold that is written; None if there is none, or none that can be read (the commits say it all, only
        slower; `verify` names it)."""
        data = self.files.read(layout.CHECKPOINT)
        try:
            return Snapshot.from_json(_unsealed(data)) if data is not None else None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _commits(self, first: int, last: int | None, torn: list[Torn] | None) -> Iterator[Commit]:
        number = first
        while last is None or number <= last:
            try:
                commit = self.read_commit(number)
            except Torn as error:
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


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _times(**moments: datetime) -> dict[str, str]:
    return {name: _text(moment) for name, moment in moments.items()}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
