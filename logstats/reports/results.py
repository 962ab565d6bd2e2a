"""The result of a query, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Final, Literal

from logstats.frames import pl
from logstats.reports.printable import harmless, printable, shortened

MAX_ROWS: Final = 1_000  # of a table for people
_NARROWEST: Final = 12  # characters to which columns of text are shortened before rows become blocks

Write = Callable[["pl.DataFrame"], None]


def table(
    columns: Sequence[tuple[str, bool]],
    pieces: Iterable[Sequence[Sequence[object]]],
    *,
    width: int | None,
    unicode: bool = True,
) -> tuple[str, int]:
    """(a table as text, the number of its rows, which is at most `MAX_ROWS` + 1), of rows that come in pieces.

    `columns` says of each whether it is of numbers. Without a `width` a line is as long as it has to be. With one,
    texts are shortened in their middle; if that is not enough, each row becomes a block of lines, one for each column.
    """
    held: list[Sequence[object]] = []
    for piece in pieces:
        held += piece[: MAX_ROWS + 1 - len(held)]
        if len(held) > MAX_ROWS:
            break
    cells = [[_cell(row[place]) for row in held[:MAX_ROWS]] for place in range(len(columns))]
    right = [number for _, number in columns]
    names = [printable(name) for name, _ in columns]
    widths = [max([len(name), *map(len, column)]) for name, column in zip(names, cells, strict=True)]
    if width is not None:
        widths = _fitted(widths, right, width)
        if sum(widths) + 2 * (len(widths) - 1) > width:
            return _blocks(names, cells, width, unicode=unicode), len(held)
    lines = [_line(names, widths, right), "  ".join(("─" if unicode else "-") * w for w in widths)]
    lines += [_line(list(row), widths, right) for row in zip(*cells, strict=True)]
    return "\n".join(line.rstrip() for line in lines) + "\n", len(held)


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e15 and value != int(value) else f"{value:,.1f}"
    return printable(str(value))


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = [
        shortened(cell, w).rjust(w) if r else shortened(cell, w).ljust(w)
        for cell, w, r in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(padded)


def _fitted(widths: list[int], right: list[bool], width: int) -> list[int]:
    """Shorten the widest columns until a line fits, or none of them is wide."""
    widths = list(widths)
    over = sum(widths) + 2 * (len(widths) - 1) - width
    while over > 0:
        texts = [(w, place) for place, (w, r) in enumerate(zip(widths, right, strict=True)) if not r]
        widest, place = max(texts, default=(0, 0))
        if widest <= _NARROWEST:
            break
        second = max([w for w, _ in texts if w < widest], default=_NARROWEST)
        cut = min(over, widest - max(_NARROWEST, second) or 1)
        widths[place] -= cut
        over -= cut
    return widths


def _blocks(names: list[str], cells: list[list[str]], width: int, *, unicode: bool) -> str:
    label = min(max(map(len, names)), width // 2)
    lines = []
    for number, row in enumerate(zip(*cells, strict=True), 1):
        lines.append(f"{'──' if unicode else '--'} {number}")
        lines += [
            f"{shortened(name, label).ljust(label)}  {shortened(cell, max(20, width - label - 2))}"
            for name, cell in zip(names, row, strict=True)
        ]
    return "\n".join(lines) + "\n"


def jsonl(file: BinaryIO, pieces: Iterable[Sequence[Sequence[str]]]) -> None:
    """Write lines that are JSON objects already, one in each row."""
    for piece in pieces:
        if piece:
            file.write(harmless("\n".join(row[0] for row in piece) + "\n").encode())
            file.flush()


@contextmanager
def parquet(file: BinaryIO) -> Iterator[Write]:
    """Parquet with the columns of the first frame, zstd."""
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None

    def write(frame: pl.DataFrame) -> None:
        nonlocal writer
        arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if writer is None:
            writer = pq.ParquetWriter(file, arrow.schema, compression="zstd")
        if arrow.num_rows:
            writer.write_table(arrow)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def csv(file: BinaryIO) -> Iterator[Write]:
    """CSV, of numbers and texts; the names of columns are as harmless as what is in them."""
    from logstats.reports import rows

    with rows.csv(file) as write:
        yield lambda frame: write(frame.rename(printable))


WRITERS: Final[dict[str, Callable[[BinaryIO], AbstractContextManager[Write]]]] = {
    "csv": csv,
    "parquet": parquet,
}
FORMS: Final[dict[str, Literal["values", "text"]]] = {"csv": "text", "parquet": "values"}
