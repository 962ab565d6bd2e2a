"""Rows of the request schema as JSON lines, CSV and Parquet, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Final

from logstats import schema
from logstats.frames import pl
from logstats.reports.printable import harmless

Write = Callable[[pl.DataFrame], None]

_CONTROL: Final = {chr(code): f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_FORMULA: Final = r"^[=+\-@\t\r]"


def _iso(frame: pl.DataFrame) -> pl.DataFrame:
    """Times as ISO 8601 with a Z, microseconds where there are any."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(_as_text(pl.col(name)) for name in times)


def _as_text(time: pl.Expr) -> pl.Expr:
    whole = time.dt.microsecond() == 0
    plain, exact = time.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), time.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return pl.when(whole).then(plain).otherwise(exact)


@contextmanager
def jsonl(file: BinaryIO) -> Iterator[Write]:
    """One object a line, all columns in each."""

    def write(frame: pl.DataFrame) -> None:
        file.write(harmless(_iso(frame).write_ndjson()).encode())
        file.flush()

    yield write


@contextmanager
def csv(file: BinaryIO) -> Iterator[Write]:
    """RFC 4180 with a header; control characters as `\\xNN`, an apostrophe before what would be a formula."""
    first = True

    def write(frame: pl.DataFrame) -> None:
        nonlocal first
        frame = _iso(frame)
        frame = frame.with_columns(_cell(name) for name, kind in frame.schema.items() if kind == pl.String)
        file.write(frame.write_csv(include_header=first, line_terminator="\r\n").encode())
        file.flush()
        first = False

    yield write
    if first:
        file.write((",".join((*schema.COLUMNS, "source", "line")) + "\r\n").encode())


def _cell(name: str) -> pl.Expr:
    text = pl.col(name)
    safe = text.str.replace_many(_CONTROL)
    return pl.when(text.str.contains(_FORMULA)).then("'" + safe).otherwise(safe).alias(name)


@contextmanager
def parquet(file: BinaryIO) -> Iterator[Write]:
    """Parquet, zstd; a row group for each frame or more of about 128 Ki rows."""
    import pyarrow.parquet

    columns = {**schema.dtypes(), "source": pl.String(), "line": pl.Int64()}
    empty = pl.DataFrame(schema=columns).to_arrow(compat_level=pl.CompatLevel.oldest())
    writer = pyarrow.parquet.ParquetWriter(file, empty.schema, compression="zstd")

    def write(frame: pl.DataFrame) -> None:
        table = frame.cast(pl.Schema(columns)).to_arrow(compat_level=pl.CompatLevel.oldest())
        writer.write_table(table.cast(empty.schema), row_group_size=1 << 17)

    try:
        yield write
    finally:
        writer.close()


WRITERS: Final[dict[str, Callable[[BinaryIO], AbstractContextManager[Write]]]] = {
    "jsonl": jsonl,
    "csv": csv,
    "parquet": parquet,
}
