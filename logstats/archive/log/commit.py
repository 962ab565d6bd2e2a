"""One change of an archive: the files that it adds and removes, and how far each source was read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from logstats import __version__
from logstats.archive.log import paths, tables
from logstats.archive.log.paths import Partition
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError

VERSION: Final = 1  # of the format of commits


class ArchiveError(LogstatsError):
    """There is no archive, or it does not match its commits."""


class Damaged(ArchiveError):
    """A commit, checkpoint or catalog that is damaged: its `path`, and what is `wrong` with it."""

    def __init__(self, path: str, wrong: str, hint: str) -> None:
        super().__init__(f"{path}: {wrong}", hint)
        self.path, self.wrong = path, wrong


class CorruptCommit(Damaged):
    """A commit that is missing, truncated, changed, or taken from another archive."""

    def __init__(self, number: int, what: str, hint: str = "") -> None:
        super().__init__(
            paths.commit_path(number),
            what,
            hint or "bring this file back from a backup; `logstats archive verify` says what is left",
        )
        self.number = number


class Conflict(Exception):
    """A commit that was prepared no longer applies, because another writer's commit came first. Prepare it again from
    the latest snapshot."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file. `path` is relative to the archive, or absolute in a tier folder outside it.

    `first` and `last` are the minimum and maximum of the table's time column (`tables.time_column`). `columns` are the
    columns that the policy keeps in the cold tier; None means all columns of the table. `schema` is how many of
    `tables.growing` there were when the file was written, None if all that there are; in it, later ones are null.
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
    schema: int | None = None

    @property
    def held(self) -> tuple[str, ...]:
        """The columns in the file, in order."""
        if self.columns is not None:
            return self.columns
        later = self._later
        return tuple(name for name in tables.kinds(self.table) if name not in later)

    @property
    def _later(self) -> tuple[str, ...]:
        """The columns that the table did not have when the file was written."""
        return () if self.schema is None else tables.growing(self.table)[self.schema :]

    def dropped(self, names: Iterable[str]) -> list[str]:
        """Which of these columns the policy did not keep."""
        kept = () if self.columns is None else (*self.columns, *self._later)
        return [] if self.columns is None else [name for name in names if name not in kept]

    @property
    def partition(self) -> Partition:
        """(year, month, day), or with the hour."""
        return paths.partition_in(self.path)

    def to_json(self) -> dict[str, Any]:
        """The JSON form, as in a commit."""
        value = {name: getattr(self, name) for name in self.__slots__ if name not in ("columns", "schema")}
        if self.columns is not None:
            value["columns"] = self.columns
        known = len(tables.growing(self.table)) if self.schema is None else self.schema
        if known > tables.began(self.table):
            value["schema"] = known
        return {**value, **_times(first=self.first, last=self.last)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], places: paths.Places) -> Self:
        """The inverse of `to_json`. Raises ValueError for values that no archive contains."""
        columns = tuple(value["columns"]) if "columns" in value else None
        path = places.checked(value["path"], value["table"], value["tier"])
        if columns is not None and not set(columns) <= set(tables.kinds(value["table"])):
            raise ValueError(f"{path} has columns that nobody knows")
        first, most = tables.began(value["table"]), len(tables.growing(value["table"]))
        known = value.get("schema", first)
        if not isinstance(known, int) or not first <= known <= most:
            raise ValueError(f"{path} has columns that nobody knows")
        for number in (value["rows"], value["bytes"]):
            if not isinstance(number, int) or number < 0:
                raise ValueError(f"{path} has {number!r} rows or bytes")
        times = {"first": _time(value["first"]), "last": _time(value["last"])}
        return cls(**{**value, **times, "path": path, "columns": columns, "schema": known if known < most else None})


@dataclass(frozen=True, slots=True)
class End:
    """A position up to which a source was read: decompressed bytes and lines, the digest of the bytes after the last
    whole block before it (see `ingest.known_sources`), and the W3C directives in force there."""

    bytes: int
    lines: int
    tail: str
    directives: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of lines: lines = requests + events + rejected + ignored. `invalid` counts meaningless values by field.
    Commits of older versions only have `invalid_durations`."""

    lines: int = 0
    bytes: int = 0
    requests: int = 0
    events: int = 0
    rejected: int = 0
    ignored: int = 0
    invalid_durations: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    invalid: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        numbers = {n: getattr(self, n) + getattr(other, n) for n in self.__slots__ if n not in ("reasons", "invalid")}
        reasons, invalid = _added(self.reasons, other.reasons), _added(self.invalid, other.invalid)
        return Counts(**numbers, reasons=reasons, invalid=invalid)


def _added(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + two.get(name, 0) for name in sorted({*one, *two})}


@dataclass(frozen=True, slots=True)
class Source:
    """A log that was read. It is recognised by its content.

    `blocks` are the digests of its whole blocks up to the last end, `heads` the digests of its first lines, and `ends`
    the positions at which commits stopped. `places` maps files that hold it (`device:inode`) to (size, digest of the
    last bytes), so that an unchanged file need not be read again. `label` is its --source-name: sources of different
    labels are never matched. `counts` are its lines in this archive.
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
        """The position up to which it was read."""
        return self.ends[-1]

    def to_json(self) -> dict[str, Any]:
        """The JSON form, as in a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of the JSON form in a checkpoint."""
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
    """The progress of one source in one commit: `blocks` follow those already known, `counts` are the lines added.

    `start` is the position that reading continued from, as blocks, bytes and lines. A new source starts at 0, or at an
    end of the source (`parent`) with which it shares its beginning.
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
        """The inverse of the JSON form in a commit."""
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
        """The source after this commit."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One change. `what` is the command that made it: `init`, `add`, `compact`, `tier`, `erase`, `sweep`, `repair`;
    `note` adds details for people.

    `removed` are paths that stop being part of the archive, `deleted` are paths removed by earlier commits whose files
    were deleted since. `writer` is the id of the writer, `previous` the SHA-256 of the preceding commit's file (both
    are empty in commits of the first versions), and `digest` the SHA-256 of its own file, once it is written.
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
    writer: str = ""
    previous: str = ""
    digest: str = ""

    @property
    def counts(self) -> Counts:
        """The lines that it added, of all sources."""
        total = Counts()
        for source in self.sources:
            total += source.counts
        return total

    def to_json(self) -> dict[str, Any]:
        """The JSON form, as in the commit's file."""
        return {
            "number": self.number,
            "version": self.version,
            "at": _text(self.at),
            "what": self.what,
            "by": self.by,
            "writer": self.writer,
            "previous": self.previous,
            "note": dict(self.note),
            "counts": asdict(self.counts),
            "added": [file.to_json() for file in self.added],
            "removed": list(self.removed),
            "deleted": list(self.deleted),
            "sources": [source.to_json() for source in self.sources],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], places: paths.Places, digest: str = "") -> Self:
        """The inverse of `to_json`; `digest` is that of the file. Raises ArchiveError, ValueError, KeyError, TypeError
        or AttributeError."""
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
            added=tuple(DataFile.from_json(file, places) for file in value["added"]),
            removed=tuple(map(places.checked, value["removed"])),
            deleted=tuple(map(places.checked, value["deleted"])),
            sources=tuple(Advance.from_json(source) for source in value["sources"]),
            writer=str(value.get("writer", "")),
            previous=str(value.get("previous", "")),
            digest=digest,
        )


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _times(**moments: datetime) -> dict[str, str]:
    return {name: _text(moment) for name, moment in moments.items()}


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} is in no zone")
    return moment
