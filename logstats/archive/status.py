"""What an archive holds, and what is due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.commit import Counts, DataFile, Source
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.tiers.policy import Policy, Step, plan


@dataclass(frozen=True, slots=True)
class Held:
    """The files of a tier, of all rollups, or of the rejects. `ratio` is their bytes to those of the lines that their
    rows were (of rollups: of all lines), None if that is nothing."""

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
    """An archive after commit `number`: `counts` of all lines that were ever added, what is `held` by tier, files that
    wait to be deleted, sources in the order in which they came, and the steps that are `due` (None: no policy)."""

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
        """Bytes of all files that are held."""
        return sum(one.bytes for one in self.held)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
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
    """A pure function of snapshot, policy and time."""
    total = Counts()
    for source in snapshot.sources.values():
        total += source.counts
    parts = [(tier, snapshot.select(tables.LOGS, tier=tier)) for tier in tables.TIERS]
    parts.append(("rollups", [file for table in tables.ROLLUPS for file in snapshot.select(table)]))
    parts.append((tables.REJECTS, snapshot.select(tables.REJECTS)))
    return Status(
        str(archive.root),
        snapshot.number,
        snapshot.at,
        total,
        tuple(_held(name, files, total) for name, files in parts),
        len(snapshot.removed),
        sum(waits.file.bytes for waits in snapshot.removed.values()),
        tuple(snapshot.sources.values()),
        None if policy is None else tuple(plan(snapshot, policy, now)),
    )


def _held(name: str, files: Iterable[DataFile], total: Counts) -> Held:
    files = list(files)
    rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
    # A line has the average length: what each row took is not known any more.
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
