"""The archive after some commit: the fold of its commits up to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from logstats.archive.log import paths
from logstats.archive.log.commit import VERSION, Commit, CorruptCommit, DataFile, Source, _text, _time


@dataclass(frozen=True, slots=True)
class Removed:
    """A file that is no part of the archive any more and waits to be deleted."""

    file: DataFile
    at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The archive after commit `number`, made `at`: its files by path, its sources by id, and the files that wait to
    be deleted, by path. `torn` are commits that could not be read and are left out (never without being asked for)."""

    number: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    files: Mapping[str, DataFile] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    removed: Mapping[str, Removed] = field(default_factory=dict)
    torn: tuple[CorruptCommit, ...] = ()

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
        return sorted(found, key=lambda file: (file.partition, paths.age(file.path)))

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
