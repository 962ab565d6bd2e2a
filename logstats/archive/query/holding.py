"""Rows of an archive that hold something, found without reading the others.

A row group of which a file says that it has none of them is not read (`pruning`). Of the others, first only the columns
are read that tell. What texts hold is looked for in the dictionaries of Parquet, which have each text of a row group
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.commit import DataFile
from logstats.archive.query.pruning import Wanted
from logstats.archive.query.ranges import check as check_ranges
from logstats.archive.query.rows import unreadable
from logstats.frames import pl

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

Found = Callable[["pa.Table"], "NDArray[np.bool_]"]  # which rows of a row group are looked for, by some columns
TARGET: Final = "target"  # among texts: the path with its query
_TARGET: Final = ("path", "query")


def rows_holding(
    archive: Archive,
    file: DataFile,
    columns: Sequence[str],
    wanted: Wanted,
    texts: Sequence[str],
    holds: Callable[[pl.Series], pl.Series],
    may_be_in: Callable[[bytes], bool],
) -> Iterator[pl.DataFrame]:
    """The rows of a file, a frame for each row group that has some, of which one of `texts` holds what is looked for:
    `holds` says of distinct texts which do, `may_be_in` of the bytes of many whether any can. `target`, among the
    texts, is the path with its query.

    Frames have `columns`, as far as the file has them, and rows of any time. Raises ArchiveError.
    """
    there = [name for name in columns if name in file.held]
    looked_at = [name for name in texts if name in there or (name == TARGET and set(_TARGET) <= set(there))]
    stored = [name for name in there if name in looked_at or (TARGET in looked_at and name in _TARGET)]
    if stored:
        yield from _rows(
            archive, file, there, wanted, stored, lambda table: _found(table, looked_at, holds, may_be_in), stored
        )


def rows_passing(
    archive: Archive,
    file: DataFile,
    columns: Sequence[str],
    wanted: Wanted,
    needs: Sequence[str],
    passes: Callable[[pl.DataFrame], pl.Series],
) -> Iterator[pl.DataFrame]:
    """The rows of a file, a frame for each row group that has some, that pass: `passes` says which do, by the columns
    of `needs`. Frames have `columns`, as far as the file has them. Raises ArchiveError."""
    there = [name for name in columns if name in file.held]
    kinds = tables.columns(tables.LOGS)
    nulls = [pl.lit(None, kinds[name]).alias(name) for name in needs if name not in there]

    def found(table: pa.Table) -> NDArray[np.bool_]:
        return passes(_plain(table).with_columns(nulls)).to_numpy()

    stored = [name for name in needs if name in there] or ["timestamp"]
    yield from _rows(archive, file, there, wanted, stored, found)


def _rows(
    archive: Archive,
    file: DataFile,
    columns: list[str],
    wanted: Wanted,
    first: list[str],
    found: Found,
    dictionaries: list[str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read the columns `first`, and if rows are found by them all columns of the row group. `dictionaries` are read as
    such."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (place,) = archive.integrity.paths([file])
    try:
        with pq.ParquetFile(
            place, filesystem=archive.storage.filesystem, page_checksum_verification=True, read_dictionary=dictionaries
        ) as parquet:
            for group, possible in wanted.groups(parquet, place, file):
                if not possible:
                    continue
                which = found(parquet.read_row_group(group, columns=first))
                if not which.any():
                    continue
                rows = _plain(parquet.read_row_group(group, columns=columns)).filter(pl.Series(which))
                check_ranges(rows, file)
                yield rows
    except (OSError, pa.ArrowException) as error:
        raise unreadable(error, file.path) from None


def _found(
    table: pa.Table,
    texts: Sequence[str],
    holds: Callable[[pl.Series], pl.Series],
    may_be_in: Callable[[bytes], bool],
) -> NDArray[np.bool_]:
    found = np.zeros(table.num_rows, bool)
    for name in texts:
        if name == TARGET:
            rows = _plain(table.select(_TARGET))
            target = rows.select(pl.concat_str(_TARGET, separator="?")).to_series()
            found |= holds(target).fill_null(value=False).to_numpy()
            continue
        start = 0
        for chunk in table[name].chunks:
            content = chunk.dictionary.buffers()[2]
            if content is not None and may_be_in(content.to_pybytes()):
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
