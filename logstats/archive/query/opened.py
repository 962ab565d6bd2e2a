"""Checks the files that DuckDB opens for a query, before any row that was read from them is returned.

DuckDB does not verify the checksums of Parquet pages. The files that a query needs are only known while it runs (a
condition on `day` excludes others), so DuckDB logs the files that it opens, and a batch of rows is held back until the
files opened so far have been compared with their digests. A file of a store comes here whole, and is compared before
DuckDB gets any of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from logstats.archive.log.commit import ArchiveError
from logstats.archive.log.integrity import Integrity
from logstats.errors import LogstatsError

if TYPE_CHECKING:
    import duckdb

    from logstats.archive.log.snapshot import Snapshot
    from logstats.archive.log.storage import Storage

LOGGED: Final = "CALL enable_logging('FileSystem')"
_OPENED: Final = """
    SELECT message, max(timestamp) FROM duckdb_logs
    WHERE type = 'FileSystem' AND timestamp >= ? AND contains(message, '"op":"OPEN"') GROUP BY message
"""
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATE: Final = timedelta(seconds=10)  # by which a thread's log entry may be late


class Opened:
    """The files that one connection opens: those of a local disk by its log, if `LOGGED` was run on it."""

    def __init__(self, storage: Storage, snapshot: Snapshot) -> None:
        self._log: duckdb.DuckDBPyConnection | None = None
        self._integrity = Integrity(storage)
        self._snapshot = snapshot
        places = {storage.scanned(file.path): file for file in snapshot.files.values()}
        self._files = {place: file for place, file in places.items() if place.startswith("/")}  # of a local disk
        self._failed: LogstatsError | None = None
        self._since = _BEGINNING
        self._checked: set[str] = set()

    def read_log(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read the log of this connection from now on."""
        self._log = connection.cursor()

    def fetched(self, path: str) -> None:
        """Check a file that comes from a store, before DuckDB reads it. Raises DamagedFile, SourceError."""
        try:
            self._integrity.paths([self._snapshot.files[path]])
        except LogstatsError as error:
            self._failed = error
            raise

    def check(self, *, last: bool = False) -> None:
        """Raise DamagedFile if a file that was opened since the last call is damaged. `last` reads the whole log once
        more."""
        assert self._log is not None
        found = self._log.execute(_OPENED, [_BEGINNING if last else self._since]).fetchall()
        new: set[str] = set()
        for message, _ in found:
            path = message.partition('"path":"')[2].rpartition('","op":"OPEN"')[0]
            if path in self._files:
                new.add(path)
            elif path.endswith(".parquet"):  # a name that the log spells in another way: it may be any file
                new.update(self._files)
        new -= self._checked
        self._integrity.paths(self._files[path] for path in new)
        self._checked.update(new)
        self._since = max((at - _LATE for _, at in found), default=self._since)

    def failed(self) -> LogstatsError | None:
        """The damage that may be the cause of a DuckDB error, if there is any."""
        if self._failed is not None:
            return self._failed
        try:
            self.check(last=True)
        except ArchiveError as damage:
            return damage
        except Exception:  # after some errors DuckDB answers no more: then it may be any file
            try:
                self._integrity.paths(self._files.values())
            except ArchiveError as damage:
                return damage
        return None
