"""Writes a summary file: one Parquet file, a row group for each piece.

The last of its metadata, under `logstats_sha256`, is the SHA-256 of the whole file as it is with zeros in place of
that: a flipped bit is found wherever it is, and any program that reads Parquet can read the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import replace
from typing import BinaryIO, Final

from logstats.critical import uninterrupted
from logstats.frames import pl
from logstats.scale import stored
from logstats.scale.description import Description
from logstats.scale.tables import Piece
from logstats.summaries.spec import ReportSpec

ABOUT: Final = b"logstats"
DIGEST: Final = b"logstats_sha256"
NO_DIGEST: Final = b"0" * 64
_LEVEL: Final = 9  # of zstd: a summary is written once and sent far
_BLOCK: Final = 1 << 20
_DELTA: Final = ("register",)  # columns of numbers that rise within a minute


class Writer:
    """One summary file; what is written goes to `file` when it is closed, whole. `file` may be a pipe."""

    def __init__(self, file: BinaryIO, spec: ReportSpec) -> None:
        import pyarrow.parquet as pq

        self._file = file
        self._layout = stored.Layout(spec)
        with uninterrupted():
            self._work = tempfile.TemporaryFile(prefix="logstats-")  # noqa: SIM115 (closed in `close`)
        self._pieces: list[tuple[str, str | None, int]] = []
        self._writer = pq.ParquetWriter(
            self._work,
            self._layout.arrow_schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=[name for name in self._layout.columns if name not in _DELTA],
            column_encoding=dict.fromkeys(_DELTA, "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
            store_schema=False,
        )

    def add(self, piece: Piece) -> None:
        """Write a piece by minute."""
        self._write(self._layout.to_stored(piece))
        self._pieces.append((piece.table, piece.of, piece.frame.height))

    def close(self, description: Description) -> None:
        """Write what it is, and copy the file to where it goes."""
        counts = description.counts
        if counts.reasons:
            reasons = pl.DataFrame({"reason": list(counts.reasons), "count": list(counts.reasons.values())})
            self._write(
                self._layout.whole(
                    reasons, {"table": pl.lit("rejects"), "reason": pl.col("reason"), "count": pl.col("count")}
                )
            )
        about = replace(description, pieces=tuple(self._pieces), others=tuple(self._layout.others)).to_json()
        self._writer.add_key_value_metadata({ABOUT: about.encode(), DIGEST: NO_DIGEST})
        self._writer.close()
        with self._work as work:
            place = digest_place(work, work.seek(0, os.SEEK_END))
            digest = digest_of(work, place)
            work.seek(place)
            work.write(digest.encode())
            work.seek(0)
            shutil.copyfileobj(work, self._file, _BLOCK)

    def discard(self) -> None:
        """Leave it: nothing is written."""
        self._work.close()

    def _write(self, frame: pl.DataFrame) -> None:
        arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(self._layout.arrow_schema)
        self._writer.write_table(arrow, row_group_size=max(arrow.num_rows, 1))


def footer_start(file: BinaryIO, size: int) -> int:
    """Where the footer of a Parquet file begins. Raises ValueError if it has none."""
    file.seek(max(0, size - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or not 0 < length <= size - 12:
        raise ValueError("it has no end")
    return size - 8 - length


def digest_place(file: BinaryIO, size: int) -> int:
    """Where in a file its digest stands. Raises ValueError if it has none."""
    start = footer_start(file, size)
    file.seek(start)
    found = list(re.finditer(re.escape(DIGEST) + rb"\x18\x40([0-9a-f]{64})", file.read(size - start)))
    if not found:
        raise ValueError("it has no digest")
    return start + found[-1].start(1)


def digest_of(file: BinaryIO, place: int) -> str:
    """The SHA-256 of a file with zeros in place of the 64 characters at `place`."""
    digest = hashlib.sha256()
    file.seek(0)
    left = place
    while left and (data := file.read(min(left, _BLOCK))):
        digest.update(data)
        left -= len(data)
    digest.update(NO_DIGEST)
    file.seek(place + len(NO_DIGEST))
    while data := file.read(_BLOCK):
        digest.update(data)
    return digest.hexdigest()
