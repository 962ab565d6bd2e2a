"""The files that DuckDB opens for a query, each checked before anything that was read of it is handed out.

DuckDB does not look at the checksums of Parquet pages. Which files a query needs is known when it runs (a condition on
`day` leaves the others out), so DuckDB logs what it opens, and a batch of rows waits until the files that were opened
for it are found to be as they were written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from logstats.archive.log.commit import ArchiveError
from logstats.archive.log.integrity import Integrity

if TYPE_CHECKING:
    import duckdb

    from logstats.archive.log.snapshot import Snapshot
    from logstats.archive.log.storage import LocalStorage

LOGGED: Final = "CALL enable_logging('FileSystem')"
_OPENED: Final = """
    SELECT message, max(timestamp) FROM duckdb_logs
    WHERE type = 'FileSystem' AND timestamp >= ? AND contains(message, '"op":"OPEN"') GROUP BY message
"""
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATE: Final = timedelta(seconds=10)  # by which a thread may be late to log


class Opened:
    """Looks at the log of one connection, which began with `LOGGED`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, storage: LocalStorage, snapshot: Snapshot) -> None:
        self._log = connection.cursor()
        self._integrity = Integrity(storage)
        self._files = {storage.at(file.path): file for file in snapshot.files.values()}
        self._since = _BEGINNING
        self._checked: set[str] = set()

    def check(self, *, last: bool = False) -> None:
        """Raise DamagedFile for a file that was opened since the last time and is not as it was written; `last` looks
        at the whole log once more."""
        found = self._log.execute(_OPENED, [_BEGINNING if last else self._since]).fetchall()
        new: set[str] = set()
        for message, _ in found:
            path = message.partition('"path":"')[2].rpartition('","op":"OPEN"')[0]
            if path in self._files:
                new.add(path)
            elif path.endswith(".parquet"):  # a name that the log writes in another way: any file may be it
                new.update(self._files)
        new -= self._checked
        self._integrity.paths(self._files[path] for path in new)
        self._checked.update(new)
        self._since = max((at - _LATE for _, at in found), default=self._since)

    def failed(self) -> ArchiveError | None:
        """After DuckDB has failed: the damage that may be why, if there is any."""
        try:
            self.check(last=True)
        except ArchiveError as damage:
            return damage
        except Exception:  # DuckDB gives up for good after some errors: then any file may be the one
            try:
                self._integrity.paths(self._files.values())
            except ArchiveError as damage:
                return damage
        return None
