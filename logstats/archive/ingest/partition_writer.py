"""Rows and rollups, in any order of time → one file or a few for each partition, in bounded memory.

Rows are buffered. When the buffer is full, partitions that have enough rows for a row group are written to their files.
The rest, if it is large, goes to disk as a *run* that is sorted by partition, so that in the end all runs are read side
by side, one partition at a time (an external sort). Lines in order of time need no run. A log whose lines jump over
thousands of hours needs a run for each full buffer, and still gives one file for each hour, or for each day if its
hours have few rows: what a file costs, to write, to sync and to open, does not depend on how little it holds.

An hour of a rollup has to be whole to be written. As long as rows come in order of time, hours are whole once a later
one is well begun. Rows that come for such an hour afterwards go to a second file of its day, as those of a later commit
would.

All tables here are Arrow tables: a Polars frame made from a chunk would keep the whole chunk in memory.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from logstats.archive.ingest import rollups
from logstats.archive.log import paths, tables
from logstats.archive.log.commit import DataFile
from logstats.archive.log.parquet_writer import Writer
from logstats.archive.log.storage import cannot_write
from logstats.archive.log.writer import Workspace
from logstats.frames import pl
from logstats.pipeline import WORKERS

OPEN: Final = 24  # files that are written at the same time
GROUP: Final = 16_384  # rows from which on a row group is written when memory is short …
_HEAVY: Final = 8 << 20  # … or bytes
SPARSE: Final = 4_096  # hours with fewer rows share a file …
_LIGHT: Final = 1 << 20  # … if they have fewer bytes, too, …
SHARING: Final = 4  # … and a day has at least so many of them in one commit
_RUN_ROWS: Final = 4_096  # bytes of a piece of a run; one piece of each run is in memory
_LATE: Final = 1  # hours by which rows may be late in a log that is in order of time
_STRETCH: Final = 128  # rows of an hour in a row, on average, from which on they are not copied to sort them
_WORTH: Final = 0.8  # of the rows may be left by a merge, for another one before the end to pay
_HOUR_US: Final = 3_600_000_000
_EPOCH: Final = datetime(1970, 1, 1)

Hours = NDArray[np.int64]


class Partitions:
    """Writes the rows of one table for one commit. Rollups are merged on the way."""

    def __init__(self, workspace: Workspace, table: str, budget: int) -> None:
        self.table = table
        self._workspace, self._budget = workspace, budget
        self._merges = table in tables.ROLLUPS
        self._repeats = True  # whether keys came so often that merging before the end pays
        self._additions = 0
        self._in_order = True  # whether no row of a rollup was late so far, …
        self._newest: int | None = None  # … the latest of their hours, …
        self._whole: int | None = None  # … and the last one that is written
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._open: OrderedDict[paths.Partition, Writer] = OrderedDict()
        self._done: list[DataFile] = []
        self._runs: list[Path] = []

    def add(self, rows: pa.Table) -> None:
        """Add rows, which have the schema of the table."""
        if not rows.num_rows:
            return
        if self._merges:
            self._note_order(self._hours(rows))
        self._waiting.append(rows)
        self._bytes += rows.nbytes
        if self._bytes > self._budget:
            self._make_room()

    def finish(self) -> list[DataFile]:
        """Write everything; the files keep their temporary names until the workspace keeps them."""
        if self._whole is not None and not self._in_order:  # what was late goes to files of its own
            self._close_all()
        runs = [_pieces(path) for path in self._runs]
        self._finished(self._gathered(_side_by_side([*runs, iter([self._sorted()])], self._hours)))
        self._close_all()
        for run in self._runs:
            run.unlink()
        self._runs.clear()
        self._forget_order()
        done, self._done = self._done, []
        return done

    def abandon(self) -> None:
        """Drop everything that was added."""
        for writer in self._open.values():
            writer.abandon()
        for run in self._runs:
            run.unlink(missing_ok=True)
        self._waiting, self._bytes, self._done, self._runs = [], 0, [], []
        self._open.clear()
        self._forget_order()

    def _note_order(self, hours: Hours) -> None:
        self._additions += 1
        if self._newest is not None and int(hours.min()) < self._newest - _LATE:
            self._in_order = False
        latest = int(hours.max())
        self._newest = latest if self._newest is None else max(latest, self._newest)

    def _forget_order(self) -> None:
        self._additions, self._in_order, self._newest, self._whole = 0, True, None, None

    def _hours(self, rows: pa.Table) -> Hours:
        """The hour of each row, since 1970."""
        times = rows[tables.time_column(self.table)].cast(pa.int64()).to_numpy()
        hours: Hours = times // _HOUR_US
        return hours

    def _sorted(self) -> pa.Table:
        """Take out the buffered rows, ordered by partition and, within one, as they were added."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        rows = pa.concat_tables(waiting) if waiting else tables.arrow_schema(self.table).empty_table()
        if self._merges and self._repeats and rows.num_rows:
            merged = to_arrow(rollups.united([_frame(rows)], self.table), self.table)
            self._repeats = merged.num_rows < _WORTH * rows.num_rows
            rows = merged
        return _by_hour(rows, self._hours(rows))

    def _make_room(self) -> None:
        rows = self._sorted()
        if not self._merges:
            small: list[pa.Table] = []
            for hour, part in _each_hour([rows], self._hours):
                if part.num_rows >= GROUP or part.nbytes >= _HEAVY:
                    self._write(self._partition(hour), part)
                else:
                    small.append(part)
            rows = pa.concat_tables(small).combine_chunks() if small else rows.slice(0, 0)
        elif self._additions > 1 and self._in_order and not self._runs:
            rows = self._without_whole(rows)
        size = rows.nbytes
        if size > self._budget // 2:
            self._spill(rows)
        elif rows.num_rows:
            self._waiting, self._bytes = [rows], size

    def _without_whole(self, rows: pa.Table) -> pa.Table:
        """Write the hours of a rollup that are whole, and return the rows of the others."""
        assert self._newest is not None
        hours = self._hours(rows)
        whole = int(np.searchsorted(hours, self._newest - _LATE))
        if whole:
            self._finished(self._gathered(iter([rows.slice(0, whole)])))
            self._whole = int(hours[whole - 1])
        return rows.slice(whole)

    def _spill(self, rows: pa.Table) -> None:
        path = self._workspace.path / f"{self.table}-{len(self._runs)}.run"
        self._runs.append(path)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        try:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema, options=options) as run:
                run.write_table(rows.combine_chunks(), max_chunksize=_RUN_ROWS)
        except OSError as error:
            raise cannot_write(error, path) from None

    def _gathered(self, pieces: Iterator[pa.Table]) -> Iterator[tuple[int, pa.Table]]:
        """The rows, hour by hour, at most about a row group at a time; of rollups, each hour whole and merged.

        Hours of a rollup with few rows are merged together, which gives the same: too few keys to be folded.
        """
        groups = self._groups(pieces)
        if not self._merges:
            for group in groups:
                whole = pa.concat_tables(group)
                yield int(self._hours(whole.slice(0, 1))[0]), whole
            return
        with ThreadPoolExecutor(WORKERS, f"logstats-{self.table}") as pool:
            for merged in _ahead(pool, self._merged, groups):
                yield from (
                    (day * 24, rows) for day, rows in _each_hour([merged], lambda rows: self._hours(rows) // 24)
                )

    def _groups(self, pieces: Iterator[pa.Table]) -> Iterator[list[pa.Table]]:
        held: list[pa.Table] = []
        current, count = 0, 0
        for hour, part in _each_hour(pieces, self._hours):
            full = count + part.num_rows > rollups.HELD_VALUES if self._merges else True
            if held and ((hour != current and full) or (not self._merges and count >= tables.ROW_GROUP)):
                yield held
                held, count = [], 0
            current = hour
            held.append(part)
            count += part.num_rows
        if held:
            yield held

    def _merged(self, parts: list[pa.Table]) -> pa.Table:
        return to_arrow(rollups.merged([_frame(part) for part in parts], self.table), self.table)

    def _finished(self, hours: Iterator[tuple[int, pa.Table]]) -> None:
        """Write the rows of all hours, in order. Hours with few rows share a file if their day has several of them."""
        few: list[tuple[int, pa.Table]] = []
        for hour, rows in hours:
            if few and hour // 24 != few[0][0] // 24:
                self._share(few)
                few = []
            small = rows.num_rows < SPARSE and rows.nbytes < _LIGHT
            if self.table == tables.LOGS and small and self._partition(hour) not in self._open:
                few.append((hour, rows))
            else:
                self._write(self._partition(hour), rows)
        self._share(few)

    def _share(self, few: Sequence[tuple[int, pa.Table]]) -> None:
        for hour, rows in few:
            partition = self._partition(hour)
            self._write(partition[:3] if len(few) >= SHARING else partition, rows)

    def _partition(self, hour: int) -> paths.Partition:
        moment = _EPOCH + timedelta(hours=hour)
        day = (moment.year, moment.month, moment.day)
        return (*day, moment.hour) if self.table == tables.LOGS else day

    def _write(self, partition: paths.Partition, rows: pa.Table) -> None:
        writer = self._open.get(partition)
        if writer is None:
            if len(self._open) >= OPEN:
                self._close(next(iter(self._open)))
            writer = Writer(self._workspace, self.table, partition)
            self._open[partition] = writer
        self._open.move_to_end(partition)
        writer.write(rows)

    def _close_all(self) -> None:
        for partition in list(self._open):
            self._close(partition)

    def _close(self, partition: paths.Partition) -> None:
        self._done.append(self._open.pop(partition).close())


def _ahead(
    pool: ThreadPoolExecutor, merged: Callable[[list[pa.Table]], pa.Table], groups: Iterable[list[pa.Table]]
) -> Iterator[pa.Table]:
    """What becomes of each group, in order; some are at work at a time."""
    working: deque[Future[pa.Table]] = deque()
    for group in groups:
        working.append(pool.submit(merged, group))
        if len(working) > WORKERS:
            yield working.popleft().result()
    while working:
        yield working.popleft().result()


def to_arrow(rows: pl.DataFrame, table: str) -> pa.Table:
    """Rows of a table as Arrow, in memory of their own, so that the frame's can be freed."""
    schema = tables.arrow_schema(table)
    return rows.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)


def _frame(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _by_hour(rows: pa.Table, hours: Hours) -> pa.Table:
    """The rows ordered by hour and, within one, as they are. Nothing is copied if they are nearly in order."""
    if bool(np.all(hours[1:] >= hours[:-1])):
        return rows
    starts = np.concatenate([[0], np.flatnonzero(hours[1:] != hours[:-1]) + 1])
    if len(starts) * _STRETCH > len(hours):
        return rows.combine_chunks().take(np.argsort(hours, kind="stable"))
    sizes = np.diff(starts, append=len(hours))
    order = np.argsort(hours[starts], kind="stable").tolist()
    return pa.concat_tables([rows.slice(int(starts[place]), int(sizes[place])) for place in order])


def _each_hour(pieces: Iterable[pa.Table], hours_of: Any) -> Iterator[tuple[int, pa.Table]]:
    """Pieces sorted by hour → (hour, its rows). An hour may be yielded several times."""
    for piece in pieces:
        hours = hours_of(piece)
        if not len(hours):
            continue
        starts = [0, *(np.flatnonzero(hours[1:] != hours[:-1]) + 1).tolist(), len(hours)]
        for start, end in zip(starts, starts[1:], strict=False):
            yield int(hours[start]), piece.slice(start, end - start)


def _side_by_side(runs: Sequence[Iterator[pa.Table]], hours_of: Any) -> Iterator[pa.Table]:
    """Merge runs, each sorted by hour, into one sequence of pieces sorted by hour, and within an hour by run."""
    heads = [(piece, run) for run in runs if (piece := next(run, None)) is not None and piece.num_rows]
    while heads:
        hours = [hours_of(piece) for piece, _ in heads]
        bound = min(of_piece[-1] for of_piece in hours)
        taken: list[pa.Table] = []
        left: list[tuple[pa.Table, Iterator[pa.Table]]] = []
        for (piece, run), of_piece in zip(heads, hours, strict=True):
            cut = int(np.searchsorted(of_piece, bound, side="right"))
            taken.append(piece.slice(0, cut))
            rest = piece.slice(cut) if cut < piece.num_rows else next(run, None)
            if rest is not None:
                left.append((rest, run))
        heads = left
        together = pa.concat_tables(taken)
        yield _by_hour(together, hours_of(together))


def _pieces(path: Path) -> Iterator[pa.Table]:
    """The pieces of a run."""
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as run:
        for number in range(run.num_record_batches):
            yield pa.Table.from_batches([run.get_batch(number)])
