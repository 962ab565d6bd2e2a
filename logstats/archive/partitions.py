"""Rows and rollups of any spread of times → a file or a few for each partition, in bounded memory.

What comes is buffered. When the buffer is full, partitions that have enough for a row group are written to their
files, and what is left, if it is much, goes to disk as a *run*: sorted by partition, so that all runs can be read
side by side in the end, a partition at a time. Lines in the order of time never need one; a log whose lines jump
over thousands of hours takes as many runs as it has buffers, and still one file for each hour.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from logstats.archive import layout, rollups
from logstats.archive.commits import DataFile
from logstats.archive.files import cannot_write
from logstats.archive.workspace import Workspace, Writer

KEY: Final = "_partition"  # hours or days since 1970
OPEN: Final = 24  # files being written at any time
GROUP: Final = 16_384  # rows worth a row group, when memory is short
_HEAVY: Final = 8 << 20  # bytes worth one
_RUN_ROWS: Final = 4_096  # of a piece of a run, of which one of each run is in memory
_HOUR_US: Final = 3_600_000_000


class Partitions:
    """The rows of one table for one commit. Rollups are merged on the way."""

    def __init__(self, workspace: Workspace, table: str, budget: int) -> None:
        self.table = table
        self._workspace, self._budget = workspace, budget
        self._unit = _HOUR_US if table == layout.LOGS else 24 * _HOUR_US
        self._merges = table in layout.ROLLUPS
        self._waiting: list[pl.DataFrame] = []
        self._bytes = 0
        self._open: OrderedDict[int, Writer] = OrderedDict()
        self._done: list[DataFile] = []
        self._runs: list[Path] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows, which have the columns of the table."""
        if not rows.height:
            return
        self._waiting.append(rows)
        self._bytes += int(rows.estimated_size())
        if self._bytes > self._budget:
            self._make_room()

    def finish(self) -> list[DataFile]:
        """Everything as files, under their temporary names still."""
        runs = [_pieces(path) for path in self._runs]
        for key, rows in self._gathered(_side_by_side([*runs, iter([self._sorted()])])):
            self._write(key, rows)
        for key in list(self._open):
            self._close(key)
        for run in self._runs:
            run.unlink()
        self._runs.clear()
        done, self._done = self._done, []
        return done

    def abandon(self) -> None:
        """Forget everything."""
        for writer in self._open.values():
            writer.abandon()
        for run in self._runs:
            run.unlink(missing_ok=True)
        self.__init__(self._workspace, self.table, self._budget)  # type: ignore[misc]

    def _sorted(self) -> pl.DataFrame:
        """What waits, taken out, by partition and within one in the order in which it came."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if not waiting:
            waiting = [pl.DataFrame(schema=layout.columns(self.table))]
        rows = pl.concat(waiting)
        if self._merges:
            rows = rollups.shape(self.table).merge([rows, rows.clear()])
        time = pl.col(layout.time_column(self.table)).to_physical()
        rows = rows.with_columns((time // self._unit).alias(KEY))
        return rows if rows[KEY].is_sorted() else rows.sort(KEY, maintain_order=True)

    def _make_room(self) -> None:
        rows = self._sorted()
        if not self._merges:
            small: list[pl.DataFrame] = []
            for key, part in _by_partition([rows]):
                if part.height >= GROUP or part.estimated_size() >= _HEAVY:
                    self._write(key, part)
                else:
                    small.append(part)
            rows = pl.concat(small, rechunk=True) if small else rows.clear()
        size = int(rows.estimated_size())
        if size > self._budget // 2:
            self._spill(rows)
        elif rows.height:
            self._waiting, self._bytes = [rows.drop(KEY)], size

    def _spill(self, rows: pl.DataFrame) -> None:
        path = self._workspace.path / f"{self.table}-{len(self._runs)}.run"
        self._runs.append(path)
        try:
            rows.write_ipc(path, compression="lz4", record_batch_size=_RUN_ROWS, compat_level=pl.CompatLevel.oldest())
        except OSError as error:
            raise cannot_write(error, path) from None

    def _gathered(self, pieces: Iterator[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
        """Rows of one partition after another: rollups whole, rows a row group at a time."""
        held: list[pl.DataFrame] = []
        current, count = 0, 0
        for key, part in _by_partition(pieces):
            if held and (key != current or (not self._merges and count >= layout.ROW_GROUP)):
                yield current, self._together(held)
                held, count = [], 0
            current = key
            held.append(part)
            count += part.height
        if held:
            yield current, self._together(held)

    def _together(self, parts: list[pl.DataFrame]) -> pl.DataFrame:
        return rollups.merged(parts, self.table) if self._merges else pl.concat(parts)

    def _write(self, key: int, rows: pl.DataFrame) -> None:
        writer = self._open.get(key)
        if writer is None:
            if len(self._open) >= OPEN:
                self._close(next(iter(self._open)))
            writer = Writer(self._workspace, self.table, self._partition(key))
            self._open[key] = writer
        self._open.move_to_end(key)
        writer.write(rows)

    def _close(self, key: int) -> None:
        self._done.append(self._open.pop(key).close())

    def _partition(self, key: int) -> layout.Partition:
        moment = pl.Series([key * self._unit]).cast(pl.Datetime("us", "UTC")).item()
        return layout.partition_of(moment, self.table)


def _by_partition(pieces: Iterable[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Pieces that are sorted by partition → (partition, its rows), without KEY; a partition may come again."""
    for piece in pieces:
        start = 0
        bare = piece.drop(KEY)
        for run in piece[KEY].rle().to_list():
            yield run["value"], bare.slice(start, run["len"])
            start += run["len"]


def _side_by_side(runs: Sequence[Iterator[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
    """Runs, each sorted by partition → pieces that follow one another in that order; of one partition, run by run."""
    heads = [(piece, run) for run in runs if (piece := next(run, None)) is not None and piece.height]
    while heads:
        bound = min(piece[KEY][-1] for piece, _ in heads)
        taken: list[pl.DataFrame] = []
        left: list[tuple[pl.DataFrame, Iterator[pl.DataFrame]]] = []
        for piece, run in heads:
            cut = int(piece[KEY].search_sorted(bound, side="right"))
            taken.append(piece.slice(0, cut))
            rest = piece.slice(cut) if cut < piece.height else next(run, None)
            if rest is not None:
                left.append((rest, run))
        heads = left
        yield taken[0] if len(taken) == 1 else pl.concat(taken).sort(KEY, maintain_order=True)


def _pieces(path: Path) -> Iterator[pl.DataFrame]:
    """A run, a piece at a time."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as run:
        for number in range(run.num_record_batches):
            piece = pl.from_arrow(run.get_batch(number))
            assert isinstance(piece, pl.DataFrame)
            yield piece
