"""Rows of an archive whose texts hold something, found without reading the others.

Parquet keeps each text of a row group once, in a dictionary. What is looked for is looked for in these; a row group
without it is not read any further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from logstats.archive.archive import Archive
from logstats.archive.log.commit import DataFile
from logstats.archive.query.ranges import check as check_ranges
from logstats.archive.query.rows import overlaps, unreadable

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

Holds = Callable[[pl.Series], pl.Series]
TARGET: Final = "target"  # among texts: the path with its query
_TARGET: Final = ("path", "query")


def rows_holding(
    archive: Archive,
    file: DataFile,
    columns: Sequence[str],
    texts: Sequence[str],
    holds: Holds,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[pl.DataFrame]:
    """The rows of a file, a frame for each row group that has some, of which one of `texts` holds what is looked for:
    `holds` says of distinct texts which do. `target`, among the texts, is the path with its query.

    Frames have `columns`, as far as the file has them. Row groups without a row in since ≤ t < until are left out;
    rows are not. Raises ArchiveError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    (place,) = archive.integrity.paths([file])
    there = [name for name in columns if name in file.held]
    looked_at = [name for name in texts if name in there or (name == TARGET and set(_TARGET) <= set(there))]
    stored = [name for name in there if name in looked_at or (TARGET in looked_at and name in _TARGET)]
    if not stored:
        return
    try:
        with pq.ParquetFile(
            place, filesystem=archive.storage.filesystem, page_checksum_verification=True, read_dictionary=stored
        ) as parquet:
            for group in range(parquet.num_row_groups):
                if not overlaps(parquet, group, file, since, until):
                    continue
                table = parquet.read_row_group(group, columns=stored)
                found = _found(table, looked_at, holds)
                if not found.any():
                    continue
                rows = _plain(parquet.read_row_group(group, columns=there)).filter(pl.Series(found))
                check_ranges(rows, file)
                yield rows
    except (OSError, pa.ArrowException) as error:
        raise unreadable(error, file.path) from None


def _found(table: pa.Table, texts: Sequence[str], holds: Holds) -> NDArray[np.bool_]:
    found = np.zeros(table.num_rows, bool)
    for name in texts:
        if name == TARGET:
            rows = _plain(table.select(_TARGET))
            target = rows.select(pl.concat_str(_TARGET, separator="?")).to_series()
            found |= holds(target).fill_null(value=False).to_numpy()
            continue
        start = 0
        for chunk in table[name].chunks:
            held = holds(pl.Series(chunk.dictionary, dtype=pl.String)).fill_null(value=False).to_numpy()
            if held.any():
                keys = chunk.indices.fill_null(len(held)).to_numpy(zero_copy_only=False)
                found[start : start + len(chunk)] |= np.append(held, [False])[keys]
            start += len(chunk)
    return found


def _plain(table: pa.Table) -> pl.DataFrame:
    """A table whose dictionaries are texts again."""
    frame = pl.DataFrame(pl.from_arrow(table))
    coded = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Categorical)]
    return frame.with_columns(pl.col(coded).cast(pl.String))
