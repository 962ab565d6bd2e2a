"""The contents of an archive, and the steps that its policy has due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.commit import Counts, DataFile, Source
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.tiers.policy import Policy, Step, plan
from logstats.dataclass import dataclass
from logstats.formats.wrappers.stack import shown


@dataclass(frozen=True, slots=True)
class Held:
    """The files of a tier, of all rollups, or of the rejects. `ratio` is their bytes, divided by the bytes of the log
    lines that their rows came from (for rollups: of all lines); None if there were no lines."""

    name: str
    days: int
    files: int
    rows: int
    bytes: int
    ratio: float | None
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """An archive after commit `number`: the `counts` of all lines ever added, the files `held` by tier, the files that
    wait to be deleted, the sources in the order in which they were added, and the steps that are `due` (None if there
    is no policy)."""

    root: str
    number: int
    at: datetime
    counts: Counts
    held: tuple[Held, ...]
    waiting_files: int
    waiting_bytes: int
    sources: tuple[Source, ...]
    due: tuple[Step, ...] | None

    @property
    def bytes(self) -> int:
        """The size of all files that are held."""
        return sum(one.bytes for one in self.held)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "archive": self.root,
            "commit": self.number,
            "at": _iso(self.at),
            **{name: value for name, value in asdict(self.counts).items() if name != "reasons"},
            "held": [
                {**asdict(one), "oldest": one.oldest and _iso(one.oldest), "newest": one.newest and _iso(one.newest)}
                for one in self.held
            ],
            "waiting": {"files": self.waiting_files, "bytes": self.waiting_bytes},
            "sources": [
                {
                    "name": source.name,
                    "source_name": source.label,
                    "format": source.format,
                    "lines": source.end.lines,
                    "bytes": source.end.bytes,
                }
                for source in self.sources
            ],
            "due": None if self.due is None else [step.describe() for step in self.due],
        }


def status(archive: Archive, snapshot: Snapshot, policy: Policy | None, now: datetime) -> Status:
    """The status at a given time; a pure function, which reads no files."""
    total = Counts()
    for source in snapshot.sources.values():
        total += source.counts
    parts = [(tier, snapshot.select(tables.LOGS, tier=tier)) for tier in tables.TIERS]
    parts.append(("rollups", [file for table in tables.ROLLUPS for file in snapshot.select(table)]))
    parts.append((tables.REJECTS, snapshot.select(tables.REJECTS)))
    return Status(
        archive.name,
        snapshot.number,
        snapshot.at,
        total,
        tuple(_held(name, files, total) for name, files in parts),
        len(snapshot.removed),
        sum(waits.file.bytes for waits in snapshot.removed.values()),
        tuple(replace(source, format=shown(source.format)) for source in snapshot.sources.values()),
        None if policy is None else tuple(plan(snapshot, policy, now)),
    )


def _held(name: str, files: Iterable[DataFile], total: Counts) -> Held:
    files = list(files)
    rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
    # The length of the line that a row came from is not stored, so the average length is used.
    lines = total.lines if name == "rollups" else rows
    raw = total.bytes * lines / total.lines if total.lines else 0
    return Held(
        name,
        len({file.partition[:3] for file in files}),
        len(files),
        rows,
        size,
        size / raw if raw and files else None,
        min((file.first for file in files), default=None),
        max((file.last for file in files), default=None),
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
