"""A writer at work: its folder, whose lock says that it lives and whose journal names the files that it began.

A file that no commit names and whose writer is dead is left over, and `sweep` deletes it. So nothing that a live
writer is about to commit is ever taken from it, and nobody has to search the archive for what a dead one left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from logstats.archive import layout
from logstats.archive.commits import Archive, DataFile
from logstats.archive.files import cannot_write
from logstats.errors import LogstatsError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

LEVEL: Final = 1  # of zstd: 3 would be no smaller, 6 would be 4 % smaller, at the cost of 0.2 µs a row
_JOURNAL: Final = "journal"
_HEAVY: Final = 8 << 20  # bytes that are worth a row group
_RUNS: Final = ("timestamp", "line", "minute", "register")  # columns that grow by a little: deltas are small


class Workspace:
    """Makes data files for one commit at a time. A context manager: at the end, what was not committed is deleted."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.id = self.folder = ""
        self._begun: list[str] = []
        self._made = 0
        self._lock: IO[bytes] | None = None
        self._journal: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._lock = self._locked()
            (self.archive.root / self.folder).mkdir()
            self._journal = (self.archive.root / self.folder / _JOURNAL).open("a", encoding="utf-8")
        except OSError as error:
            raise cannot_write(error, self.path) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()
        assert self._lock is not None
        assert self._journal is not None
        self._journal.close()
        if not self._begun:  # else a sweep finishes what could not be finished now
            with contextlib.suppress(OSError):
                shutil.rmtree(self.path)
                lock_of(self.path).unlink()
        self._lock.close()

    def _locked(self) -> IO[bytes]:
        """Take a name. The lock comes first, so that a writer who dies at any instant leaves one to be found by."""
        (self.archive.root / layout.WORK).mkdir(exist_ok=True)
        while True:
            self.id = layout.writer_id()
            self.folder = f"{layout.WORK}/{self.id}"
            place = lock_of(self.path)
            file = place.open("xb")
            try:
                _lock(file)
                if place.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    return file
            except (BlockingIOError, FileNotFoundError):
                pass  # a sweep took the lock for a dead writer's in this very instant
            file.close()

    @property
    def path(self) -> Path:
        """The writer's folder, for what it spills."""
        return self.archive.root / self.folder

    def new_path(self, table: str, tier: str, partition: layout.Partition, base: str = "") -> str:
        """The path of a new data file; `base` is the folder of a tier that lies elsewhere. It is in the journal now."""
        name = f"{self.id}-{self._made}.parquet"
        self._made += 1
        path = "/".join([*([base] if base else []), layout.folder(table, tier, partition), name])
        assert self._journal is not None
        try:
            print(path, file=self._journal, flush=True)
        except OSError as error:
            raise cannot_write(error, self.path) from None
        self._begun.append(path)
        return path

    def keep(self, files: Iterable[DataFile]) -> None:
        """Make files durable, under their names, so that a commit can name them."""
        self.archive.files.keep([file.path for file in files])

    def committed(self) -> None:
        """What was made is part of the archive."""
        self._begun.clear()

    def discard(self) -> None:
        """Delete what was made and not committed. (What failed after the commit appeared is part of the archive.)"""
        begun = list(self._begun)
        if begun:
            try:
                snapshot = self.archive.snapshot(lenient=True)
            except (LogstatsError, OSError):
                return  # nobody knows: a sweep will
            begun = [path for path in begun if path not in snapshot.files and path not in snapshot.removed]
        for path in begun:
            with contextlib.suppress(OSError):
                self.archive.files.delete(path + layout.TEMPORARY)
                self.archive.files.delete(path)
        self._begun.clear()


def lock_of(place: Path) -> Path:
    """The lock of a writer's folder."""
    return place.with_name(f"{place.name}.lock")


@contextlib.contextmanager
def abandoned(place: Path) -> Iterator[bool]:
    """Whether the writer of a folder is dead; if so it stays ours within the context."""
    try:
        with lock_of(place).open("r+b") as file:
            try:
                _lock(file)
            except BlockingIOError:
                yield False
            else:
                yield True
    except FileNotFoundError:
        yield False


def journal(place: Path) -> list[str]:
    """The data files that a writer began."""
    with contextlib.suppress(FileNotFoundError):
        text = (place / _JOURNAL).read_text(encoding="utf-8", errors="replace")
        return [line for line in text.split("\n")[:-1] if line]
    return []


def writers(archive: Archive) -> Iterator[tuple[bool, list[str]]]:
    """For each writer that is at work or has died: whether it lives, and the data files that it began."""
    for lock in sorted((archive.root / layout.WORK).glob("*.lock")):
        place = lock.with_suffix("")
        with abandoned(place) as dead:
            found = journal(place)
        yield not dead, found


def _lock(file: IO[bytes]) -> None:
    """Raises OSError if somebody holds it."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Writer:
    """One Parquet file of a table, written a row group at a time; `close` says what it is."""

    def __init__(
        self,
        workspace: Workspace,
        table: str,
        partition: layout.Partition,
        schema: pa.Schema | None = None,
        *,
        tier: str | None = None,
        base: str = "",
        compression: str = "zstd",
        level: int | None = LEVEL,
        row_group: int = layout.ROW_GROUP,
    ) -> None:
        import pyarrow.parquet as pq

        self._row_group = row_group
        self._small: list[pa.Table] = []
        self.table, self.tier = table, tier or layout.tier_of(table)
        self.path = workspace.new_path(table, self.tier, partition, base)
        self.schema = schema or layout.arrow_schema(table)
        self._time = layout.time_column(table)
        self._rows = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._place = workspace.archive.root / self.path
        self._stack = contextlib.ExitStack()
        self._sink = self._stack.enter_context(workspace.archive.files.writing(self.path))
        runs = [name for name in _RUNS if name in self.schema.names]
        self._writer = pq.ParquetWriter(
            self._sink,
            self.schema,
            compression=compression,
            compression_level=level,
            use_dictionary=[name for name in self.schema.names if name not in runs],
            column_encoding=dict.fromkeys(runs, "DELTA_BINARY_PACKED"),
            write_page_index=True,
            store_schema=False,
        )

    def write(self, rows: pl.DataFrame | pa.Table) -> None:
        """Append rows. What is less than a tenth of a row group waits for more."""
        import polars as pl
        import pyarrow.compute as pc

        if isinstance(rows, pl.DataFrame):
            rows = rows.select(self.schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
        if not rows.num_rows:
            return
        rows = rows if rows.schema == self.schema else rows.cast(self.schema)
        span = pc.min_max(rows[self._time]).as_py()
        self._first = min(self._first or span["min"], span["min"])
        self._last = max(self._last or span["max"], span["max"])
        self._rows += rows.num_rows
        self._small.append(rows)
        if sum(part.num_rows for part in self._small) >= self._row_group // 10 or rows.nbytes > _HEAVY:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._small:
            try:
                self._writer.write_table(pa.concat_tables(self._small), row_group_size=self._row_group)
            except OSError as error:
                raise cannot_write(error, self._place) from None
            self._small.clear()

    @property
    def bytes(self) -> int:
        """Written so far, whole row groups."""
        return self._sink.bytes

    def close(self) -> DataFile:
        """Finish the file, under its temporary name still. Raises LogstatsError if it cannot be written."""
        try:
            with self._stack:
                self._flush()
                self._writer.close()
        finally:
            self._writer.is_open = False  # or it would try once more when it is collected
        assert self._first is not None
        assert self._last is not None
        return DataFile(
            self.path, self.table, self.tier, self._rows, self._sink.bytes, self._sink.sha256, self._first, self._last
        )

    def abandon(self) -> None:
        """Close what cannot be finished; the workspace deletes it."""
        self._writer.is_open = False
        with contextlib.suppress(LogstatsError, OSError):
            self._stack.close()
