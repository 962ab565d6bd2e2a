"""One Parquet file of a table, written a row group at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from logstats.archive.log import counted_users, paths, tables, totals
from logstats.archive.log.commit import DataFile
from logstats.archive.log.storage import cannot_write
from logstats.archive.log.writer import Workspace
from logstats.errors import LogstatsError
from logstats.frames import pl

if TYPE_CHECKING:
    import pyarrow as pa

LEVEL: Final = 1  # of zstd: 3 would be no smaller, 6 would be 4 % smaller, at the cost of 0.2 µs a row
_HEAVY: Final = 8 << 20  # bytes from which on rows are written at once
# Columns with many values, one of which is looked for: what a Bloom filter leaves out is not read. The filters take
# about a byte for each distinct value of a row group (5 % of the rows of generated logs), and 50 ns for each row.
_LOOKED_FOR: Final = ("path", "user_id", "client_ip", "trace_id")
_FALSE_POSITIVES: Final = 0.1
# What a file says of its own rows.
Saying = counted_users.Counting | totals.Adding
_SAID: Final[Mapping[str, Callable[[], Saying]]] = {
    tables.USERS: counted_users.Counting,
    **{table: partial(totals.Adding, table) for table in totals.SHAPES},
}
_RUNS: Final = ("timestamp", "line", "register")  # stored as deltas, which are small


class Writer:
    """Writes one Parquet file of a table, a row group at a time. `close` returns its DataFile."""

    def __init__(
        self,
        workspace: Workspace,
        table: str,
        partition: paths.Partition,
        schema: pa.Schema | None = None,
        *,
        tier: str | None = None,
        base: str = "",
        compression: str = "zstd",
        level: int | None = LEVEL,
        row_group: int = tables.ROW_GROUP,
    ) -> None:
        import pyarrow.parquet as pq

        self._row_group = row_group
        self._small: list[pa.Table] = []
        self.table, self.tier = table, tier or tables.tier_of(table)
        self.path = workspace.new_path(table, self.tier, partition, base)
        self.schema = schema or tables.arrow_schema(table)
        self._time = tables.time_column(table)
        whole = {*tables.columns(table)} <= {*self.schema.names}  # unlike a file as earlier versions wrote them
        self._said = _SAID[table]() if table in _SAID and whole else None
        self._rows = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._place = workspace.archive.root / self.path
        self._stack = contextlib.ExitStack()
        self._sink = self._stack.enter_context(workspace.archive.storage.writing(self.path))
        runs = [name for name in _RUNS if name in self.schema.names]
        blooms = {
            name: {"ndv": row_group, "fpp": _FALSE_POSITIVES}
            for name in _LOOKED_FOR
            if table == tables.LOGS and name in self.schema.names
        }
        self._writer = pq.ParquetWriter(
            self._sink,
            self.schema,
            compression=compression,
            compression_level=level,
            use_dictionary=[name for name in self.schema.names if name not in runs],
            column_encoding=dict.fromkeys(runs, "DELTA_BINARY_PACKED"),
            write_page_index=True,
            write_page_checksum=True,
            store_schema=False,
            bloom_filter_options=blooms or None,
        )

    def write(self, rows: pl.DataFrame | pa.Table) -> None:
        """Append rows. Less than a tenth of a row group is held back until more comes."""
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
        if self._said is not None:
            self._said.add(rows)
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
        """Bytes written so far, in whole row groups."""
        return self._sink.bytes

    def close(self) -> DataFile:
        """Finish the file; it keeps its temporary name until the workspace keeps it. Raises LogstatsError if it cannot
        be written."""
        try:
            with self._stack:
                self._flush()
                if self._said is not None and (text := self._said.text()) is not None:
                    self._writer.add_key_value_metadata({self._said.KEY: text})
                self._writer.close()
        finally:
            self._writer.is_open = False  # or the garbage collector would make it write again
        assert self._first is not None
        assert self._last is not None
        return DataFile(
            self.path, self.table, self.tier, self._rows, self._sink.bytes, self._sink.sha256, self._first, self._last
        )

    def abandon(self) -> None:
        """Close a file that will not be finished; the workspace deletes it."""
        self._writer.is_open = False
        with contextlib.suppress(LogstatsError, OSError):
            self._stack.close()
