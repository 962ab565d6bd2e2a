"""The state of an archive after some commit: the fold of all commits up to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from logstats.archive.log import paths, tables
from logstats.archive.log.commit import VERSION, Commit, CorruptCommit, Damaged, DataFile, Source, _text, _time
from logstats.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Removed:
    """A file that is no longer part of the archive and waits to be deleted."""

    file: DataFile
    at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The archive after commit `number`, made at time `at`: its files by path, its sources by id, and the files that
    wait to be deleted, by path. `digest` is the SHA-256 of the commit's file. `torn` lists damage, only in a lenient
    snapshot."""

    number: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    files: Mapping[str, DataFile] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    removed: Mapping[str, Removed] = field(default_factory=dict)
    digest: str = ""
    torn: tuple[Damaged, ...] = ()

    def after(self, commits: Iterable[Commit], torn: list[Damaged] | None = None) -> Snapshot:
        """The snapshot after these further commits, in order.

        Raises CorruptCommit for a commit that does not follow from the state before, which means that a commit was
        lost, exchanged or written twice. With `torn`, the error is appended to it, and the commit is applied as far as
        possible.
        """
        files, sources, removed = dict(self.files), dict(self.sources), dict(self.removed)
        number, at, digest = self.number, self.at, self.digest
        for commit in commits:
            if (wrong := _wrong(commit, number, digest, files, sources, removed)) is not None:
                if torn is None:
                    raise CorruptCommit(commit.number, wrong)
                if commit.number == number + 1:  # else the missing commit was reported
                    torn.append(CorruptCommit(commit.number, wrong))
            for path in commit.removed:
                if path in files:
                    removed[path] = Removed(files.pop(path), commit.at)
            for file in commit.added:
                files[file.path] = file
            for path in commit.deleted:
                removed.pop(path, None)
            for advance in commit.sources:
                if advance.id in sources or not advance.parent or advance.parent in sources:
                    sources[advance.id] = advance.applied(sources)
            number, at, digest = commit.number, commit.at, commit.digest
        return Snapshot(number, at, files, sources, removed, digest, self.torn)

    def span(self) -> tuple[datetime, datetime] | None:
        """The first and last time of all rows that were added; to the minute where they were deleted. None without
        any."""
        counted = [file.first for file in self.files.values() if file.table == tables.TRAFFIC]
        held = [file for file in self.files.values() if file.table == tables.LOGS]
        if not counted:
            return None
        first, last = min(counted), max([max(counted), *(file.last for file in held)])
        row = min((file.first for file in held), default=first)
        return (row if row - first < timedelta(minutes=1) else first), last

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
        return sorted(found, key=lambda file: (file.partition, paths.age(file.path)))

    def to_json(self) -> dict[str, Any]:
        """As in a checkpoint."""
        return {
            "number": self.number,
            "version": VERSION,
            "at": _text(self.at),
            "digest": self.digest,
            "files": [file.to_json() for file in self.files.values()],
            "sources": [source.to_json() for source in self.sources.values()],
            "removed": [{"file": gone.file.to_json(), "at": _text(gone.at)} for gone in self.removed.values()],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], places: paths.Places) -> Self:
        """As in a checkpoint. Raises ValueError, KeyError, TypeError, AttributeError."""
        files = [DataFile.from_json(file, places) for file in value["files"]]
        sources = [Source.from_json(source) for source in value["sources"]]
        removed = [Removed(DataFile.from_json(gone["file"], places), _time(gone["at"])) for gone in value["removed"]]
        return cls(
            value["number"],
            _time(value["at"]),
            {file.path: file for file in files},
            {source.id: source for source in sources},
            {gone.file.path: gone for gone in removed},
            str(value.get("digest", "")),
        )


def _wrong(
    commit: Commit,
    number: int,
    digest: str,
    files: Mapping[str, DataFile],
    sources: Mapping[str, Source],
    removed: Mapping[str, Removed],
) -> str | None:
    """Why a commit cannot follow this state; None if it can."""
    if commit.number != number + 1:
        return f"it follows commit {number}, and {commit.number - 1} is missing"
    if commit.previous and digest and commit.previous != digest:
        return f"it was written after another commit {number} than the one that is here: one of both was exchanged"
    for file in commit.added:
        if file.path in files or file.path in removed:
            return f"it adds {file.path}, which an earlier commit has added: it was written twice"
    for path in commit.removed:
        if path not in files:
            return f"it removes {path}, which is not there: a commit was lost, or written twice"
    for path in commit.deleted:
        if path not in removed:
            return f"it deletes {path}, which was not removed: a commit was lost, or written twice"
    for advance in commit.sources:
        if advance.parent and advance.id not in sources and advance.parent not in sources:
            return f"{advance.name} goes on from a source that is not there: a commit was lost"
    return None
