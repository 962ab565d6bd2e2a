"""Iceberg tables (format version 2) over the Parquet files of an archive, for Spark, Trino, Athena, ClickHouse, …

Nothing is copied: the metadata below `iceberg/TABLE/metadata` names the archive's own files, which carry field ids. It
is a function of the commits, like `catalog.sql`: it is written after each commit, and `archive publish` makes it again.
An archive's commits remain what is true; a table that was not written is behind, never wrong.

    v42.metadata.json               the table after commit 42; version-hint.text holds the last number
    snap-00000042-1a2b3c4d.avro     the manifest list of that snapshot
    m-00000042-1a2b3c4d.avro        the manifest of the files that commit 42 added; of the first snapshot in the
                                    metadata, of all files up to it

A snapshot is in the metadata while all of its files are in the archive: back to the last commit that removed files of
the table, at most `BACK` commits. Days are told apart by the range of times of each file, which readers prune by; there
is no partition spec, since a file may hold an hour or a day.

Other tools must not maintain these tables. What removes orphans looks below the table's location, which holds nothing
but metadata, so it cannot meet an archive's file; what expires snapshots or rewrites data would, and is refused by the
property `gc.enabled = false`. Paths are absolute: an archive that was moved is published again.

Source: https://iceberg.apache.org/spec/ (version 2). Needs the extra `logstats[iceberg]`.
"""

from __future__ import annotations

import io
import json
import struct
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from logstats.archive.log import paths, tables
from logstats.archive.log.commit import ArchiveError, Commit, CorruptCommit, DataFile

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

    from logstats.archive.log.log import CommitLog
    from logstats.archive.log.snapshot import Snapshot

ROOT: Final = "iceberg"
BACK: Final = 32  # commits
KEPT: Final = 16  # versions of the metadata that stay, for readers that hold one
HINT: Final = "version-hint.text"
_TYPES: Final = {
    "String": "string",
    "Binary": "binary",
    "Float64": "double",
    "Int64": "long",
    "Int32": "int",
    "UInt16": "int",
    "UInt8": "int",
    "Decimal": "decimal(38, 0)",
    "Datetime": "timestamptz",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SUMMARY: Final = {"operation": "append"}
PUBLISHED: Final = (tables.LOGS, *tables.ROLLUPS)


def check() -> None:
    """Raise ArchiveError if the library that writes the tables is not installed."""
    try:
        import pyiceberg.manifest  # noqa: F401
    except ImportError:
        raise ArchiveError(
            'lifecycle.toml says publish = ["iceberg"], and pyiceberg is not installed',
            "pip install 'logstats[iceberg]', or take it out of lifecycle.toml",
        ) from None


def metadata(table: str) -> str:
    """The folder of a table's metadata, relative to the archive."""
    return f"{ROOT}/{table}/metadata"


def published(archive: CommitLog, table: str = tables.LOGS) -> int | None:
    """The commit after which a table was written; None if there is no table."""
    text = archive.storage.read(f"{metadata(table)}/{HINT}", 20)
    return int(text) if text and text.strip().isdigit() else None


def publish(archive: CommitLog, snapshot: Snapshot, within: str) -> None:
    """Write the tables as they are after a commit. Raises ArchiveError."""
    check()
    if snapshot.number == 0:
        return
    first = archive.read_commit(1)
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"logstats:{first.digest if first else archive.name}")
    for table in PUBLISHED:
        if (published(archive, table) or 0) > snapshot.number:
            continue  # another writer was faster
        try:
            _Table(archive, table, uuid.uuid5(identity, table), within).write(snapshot)
        except (OSError, ValueError, TypeError, AttributeError) as error:  # of pyiceberg
            raise ArchiveError(
                f"the Iceberg table {table} of commit {snapshot.number} could not be written: {error}",
                "the commit is there; logstats archive publish writes the tables again",
            ) from error


class _Table:
    def __init__(self, archive: CommitLog, table: str, identity: uuid.UUID, within: str) -> None:
        self._archive, self._table, self._uuid, self._within = archive, table, identity, within
        self._storage, self._folder = archive.storage, metadata(table)
        self._place = self._uri(f"{ROOT}/{table}")

    def write(self, snapshot: Snapshot) -> None:
        files = {file.path: file for file in snapshot.files.values() if file.table == self._table}
        base, later = self._history(snapshot)
        added = {file.path for commit in later for file in commit.added}
        steps = [(base, [file for path, file in files.items() if path not in added])]
        steps += [(commit, [file for file in commit.added if file.path in files]) for commit in later]
        manifests: list[Any] = []
        made: list[dict[str, Any]] = []
        for commit, new in steps:
            if new:
                manifests.append(self._manifest(commit, new))
                made.append(self._snapshot(commit, made[-1] if made else None, manifests))
        document = self._document(snapshot, made)
        data = (json.dumps(document, indent=1) + "\n").encode()
        self._put(f"v{snapshot.number}.metadata.json", data)
        self._put(HINT, str(snapshot.number).encode())
        self._tidy(snapshot.number)

    def _history(self, snapshot: Snapshot) -> tuple[Commit, list[Commit]]:
        """The commit of the first snapshot, and those after it, which only added files."""
        later: list[Commit] = []
        number = snapshot.number
        while True:
            commit = self._archive.read_commit(number)
            if commit is None:
                raise CorruptCommit(number, "the commit is missing")
            removes = any(_table_of(path) == self._table for path in commit.removed)
            if removes or number == 1 or number % BACK == 0:
                return commit, later[::-1]
            later.append(commit)
            number -= 1

    def _name(self, kind: str, commit: Commit) -> str:
        return f"{kind}-{commit.number:08}-{commit.digest[:8]}.avro"

    def _put(self, name: str, data: bytes) -> str:
        path = f"{self._folder}/{name}"
        self._storage.replace(path, data, self._within)
        return f"{self._place}/metadata/{name}"

    def _manifest(self, commit: Commit, files: Sequence[DataFile]) -> Any:
        """The manifest of some files, as the manifest list has it."""
        from pyiceberg.manifest import DataFile as Entry
        from pyiceberg.manifest import DataFileContent, FileFormat, ManifestEntry, ManifestEntryStatus, write_manifest
        from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
        from pyiceberg.typedef import Record

        name = self._name("m", commit)
        output = _memory(f"{self._place}/metadata/{name}")
        time = tables.field_id(self._table, tables.time_column(self._table))
        with write_manifest(
            2, UNPARTITIONED_PARTITION_SPEC, self._schema(), output, commit.number, "deflate"
        ) as writer:
            for file in sorted(files, key=lambda file: (file.first, file.path)):
                data = Entry.from_args(
                    _table_format_version=2,
                    content=DataFileContent.DATA,
                    file_path=self._uri(file.path),
                    file_format=FileFormat.PARQUET,
                    partition=Record(),
                    record_count=file.rows,
                    file_size_in_bytes=file.bytes,
                    column_sizes={},
                    value_counts={},
                    null_value_counts={},
                    nan_value_counts={},
                    lower_bounds={time: _bound(file.first)},
                    upper_bounds={time: _bound(file.last)},
                    key_metadata=None,
                    split_offsets=None,
                    equality_ids=None,
                    sort_order_id=None,
                )
                data.spec_id = 0
                entry = ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED,
                    snapshot_id=commit.number,
                    sequence_number=commit.number,
                    file_sequence_number=commit.number,
                    data_file=data,
                )
                writer.add_entry(entry)
        manifest = writer.to_manifest_file()
        manifest.sequence_number = manifest.min_sequence_number = commit.number
        self._put(name, output.data())
        return manifest

    def _snapshot(self, commit: Commit, parent: dict[str, Any] | None, manifests: Iterable[Any]) -> dict[str, Any]:
        from pyiceberg.manifest import write_manifest_list

        name = self._name("snap", commit)
        output = _memory(f"{self._place}/metadata/{name}")
        before = parent["snapshot-id"] if parent else None
        with write_manifest_list(2, output, commit.number, before, commit.number, "deflate") as writer:
            writer.add_manifests(list(manifests))
        snapshot = {
            "snapshot-id": commit.number,
            "sequence-number": commit.number,
            "timestamp-ms": _milliseconds(commit.at),
            "manifest-list": self._put(name, output.data()),
            "summary": _SUMMARY,
            "schema-id": 0,
        }
        return snapshot if before is None else {**snapshot, "parent-snapshot-id": before}

    def _uri(self, path: str) -> str:
        place = self._storage.uri(path)
        return f"file://{place}" if place.startswith("/") else place

    def _fields(self) -> list[dict[str, Any]]:
        kinds = tables.columns(self._table)
        return [
            {
                "id": tables.field_id(self._table, name),
                "name": name,
                "required": False,
                "type": _TYPES[str(kind.base_type())],
            }
            for name, kind in kinds.items()
        ]

    def _schema(self) -> Schema:
        from pyiceberg.schema import Schema

        return Schema.model_validate({"type": "struct", "schema-id": 0, "fields": self._fields()})

    def _document(self, snapshot: Snapshot, snapshots: list[dict[str, Any]]) -> dict[str, Any]:
        fields = self._fields()
        last = snapshots[-1] if snapshots else None
        current: dict[str, Any] = {"current-snapshot-id": last["snapshot-id"] if last else -1}
        if last is not None:
            current["refs"] = {"main": {"snapshot-id": last["snapshot-id"], "type": "branch"}}
        return {
            "format-version": 2,
            "table-uuid": str(self._uuid),
            "location": self._place,
            "last-sequence-number": last["sequence-number"] if last else 0,
            "last-updated-ms": _milliseconds(snapshot.at),
            "last-column-id": max(field["id"] for field in fields),
            "schemas": [{"type": "struct", "schema-id": 0, "fields": fields}],
            "current-schema-id": 0,
            "partition-specs": [{"spec-id": 0, "fields": []}],
            "default-spec-id": 0,
            "last-partition-id": 999,
            "sort-orders": [{"order-id": 0, "fields": []}],
            "default-sort-order-id": 0,
            "properties": {"gc.enabled": "false", "owner": "logstats", "logstats.commit": str(snapshot.number)},
            **current,
            "snapshots": snapshots,
            "snapshot-log": [
                {"snapshot-id": each["snapshot-id"], "timestamp-ms": each["timestamp-ms"]} for each in snapshots
            ],
            "metadata-log": [],
        }

    def _tidy(self, number: int) -> None:
        """Delete what only metadata before the last `KEPT` versions refers to."""
        for name in self._storage.names(self._folder) or ():
            if name.endswith(".metadata.json"):
                old = name[1:].partition(".")[0]
                gone = old.isdigit() and int(old) <= number - KEPT
            else:
                of = name.split("-")[1] if name.endswith(".avro") and name.count("-") == 2 else ""
                gone = of.isdigit() and int(of) <= number - KEPT - BACK
            if gone:
                self._storage.delete(f"{self._folder}/{name}")


def _table_of(path: str) -> str:
    """The table of a data file, by its path."""
    tier, table, *_ = paths.split(path)[1].split("/")
    return table if tier == "rollups" else tables.REJECTS if tier == tables.REJECTS else tables.LOGS


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH).days * 86_400_000 + (time - _EPOCH).seconds * 1000 + time.microsecond // 1000


def _bound(time: datetime) -> bytes:
    """A timestamptz as Iceberg serialises a single value: microseconds since 1970, 8 bytes, little-endian."""
    since = time - _EPOCH
    return struct.pack("<q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _memory(location: str) -> Any:
    """A file that pyiceberg writes, in memory."""
    from pyiceberg.io import OutputFile

    class Memory(OutputFile):
        def __init__(self) -> None:
            super().__init__(location)
            self._bytes = io.BytesIO()
            self._final = b""

        def __len__(self) -> int:
            return len(self.data())

        def exists(self) -> bool:
            return bool(self._final)

        def to_input_file(self) -> Any:
            raise NotImplementedError

        def create(self, overwrite: bool = False) -> Any:
            del overwrite
            return _Stream(self._bytes)

        def data(self) -> bytes:
            return self._bytes.getvalue()

    return Memory()


class _Stream:
    """Keeps what was written when pyiceberg closes it."""

    def __init__(self, target: io.BytesIO) -> None:
        self._target = target

    def write(self, data: bytes) -> int:
        return self._target.write(data)

    def close(self) -> None:
        """What was written stays."""

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
