"""An external sort: frames in any order → frames in order of time. Rows that exceed the memory are kept in a temporary
folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from logstats.critical import uninterrupted
from logstats.frames import pl

LIMIT: Final = 64 << 20  # bytes of frames in memory
BATCH: Final = 1 << 16  # rows of a frame that is yielded
MEMORY: Final = "256MB"  # for sorting what is in the folder


class Ordered:
    """Collects frames with the same columns. `frames` yields all rows ordered by `keys`, nulls first; rows with equal
    keys are in no particular order."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self._held: list[pl.DataFrame] = []
        self._size = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runs: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, frame: pl.DataFrame) -> None:
        """Keep the rows of a frame."""
        if not frame.height:
            return
        self._held.append(frame)
        self._size += int(frame.estimated_size())
        if self._size > LIMIT:
            self._spill()

    def frames(self) -> Iterator[pl.DataFrame]:
        """All rows in order. Call this once, when all is added."""
        if not self._runs:
            if self._held:
                whole = pl.concat(self._held).sort(self._keys)
                yield from whole.iter_slices(BATCH)
            return
        self._spill()
        import duckdb

        assert self._folder is not None
        with duckdb.connect() as connection:
            connection.execute("SET temp_directory = $folder", {"folder": self._folder.name})
            connection.execute(f"SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC'")
            order = ", ".join(f'"{key}" NULLS FIRST' for key in self._keys)
            runs = [str(run) for run in self._runs]
            rows = connection.sql(f"FROM read_parquet($runs) ORDER BY {order}", params={"runs": runs})
            for batch in rows.to_arrow_reader(BATCH):
                yield pl.DataFrame(pl.from_arrow(batch))

    def _spill(self) -> None:
        if not self._held:
            return
        if self._folder is None:
            with uninterrupted():
                self._folder = tempfile.TemporaryDirectory(prefix="logstats-order-", ignore_cleanup_errors=True)
        run = Path(self._folder.name) / f"{len(self._runs)}.parquet"
        pl.concat(self._held).sort(self._keys).write_parquet(run, compression="zstd", compression_level=1)
        self._runs.append(run)
        self._held, self._size = [], 0
