"""The partitions of all tables, each written by a thread of its own while the next chunk is read.

Merging, encoding and compressing hardly hold the interpreter, so tables are written side by side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, Self

import pyarrow as pa

from logstats.archive.ingest.partition_writer import Partitions
from logstats.archive.log import tables
from logstats.archive.log.commit import DataFile
from logstats.archive.log.writer import Workspace

_BUDGETS: Final = {  # bytes in memory: of rollups, three hours of a log in which few keys repeat
    tables.LOGS: 40 << 20,
    tables.REJECTS: 8 << 20,
    tables.ENDPOINTS: 48 << 20,
    tables.USERS: 4 << 20,
}
_BUDGET: Final = 2 << 20  # … of every other
_AHEAD: Final = 1  # additions that wait for a thread


class TableWriters:
    """Writes the rows of one commit at a time. A context manager, which ends the threads."""

    def __init__(self, workspace: Workspace) -> None:
        self._tables = {name: _TableWriter(workspace, name) for name in tables.TABLES}

    def add(self, rows: Mapping[str, pa.Table]) -> None:
        """Add rows, by table. Waits for a table that is late. Raises what failed of earlier additions."""
        for name, some in rows.items():
            self._tables[name].add(some)

    def finish(self) -> list[DataFile]:
        """Write everything; the files keep their temporary names until the workspace keeps them."""
        done = [table.finish() for table in self._tables.values()]
        return [file for future in done for file in future.result()]

    def abandon(self) -> None:
        """Drop everything that was added."""
        for table in self._tables.values():
            table.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for table in self._tables.values():
            table.close()


class _TableWriter:
    """Calls the `Partitions` of a table in a thread, in order."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._partitions = Partitions(workspace, name, _BUDGETS.get(name, _BUDGET))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"logstats-{name}")
        self._calls: deque[Future[Any]] = deque()

    def add(self, rows: pa.Table) -> None:
        while len(self._calls) > _AHEAD:
            self._calls.popleft().result()
        if rows.num_rows:
            self._calls.append(self._thread.submit(self._partitions.add, rows))

    def finish(self) -> Future[list[DataFile]]:
        finished = self._thread.submit(self._finish, [*self._calls])
        self._calls = deque([finished])
        return finished

    def _finish(self, calls: Sequence[Future[Any]]) -> list[DataFile]:
        for call in calls:
            call.result()
        return self._partitions.finish()

    def abandon(self) -> None:
        self._settle()
        self._partitions.abandon()

    def close(self) -> None:
        self._settle()
        self._thread.shutdown()

    def _settle(self) -> None:
        """Wait until the thread is idle, whatever became of its calls."""
        wait(self._calls)
        self._calls.clear()
