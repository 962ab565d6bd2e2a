"""The result of a query, for people and for programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Final

import polars as pl

from logstats.reports import rows
from logstats.reports.printable import printable, shortened

MAX_ROWS: Final = 1_000  # of a table for people
_NARROWEST: Final = 12  # columns of text are cut down to, before rows become blocks

Write = Callable[[pl.DataFrame], None]


def table(frames: Iterable[pl.DataFrame], *, width: int | None, unicode: bool = True) -> tuple[str, int]:
    """Text for people, and how many rows are in it: `MAX_ROWS` at the most.

    Without a `width` a line is as long as it has to be. With one, texts are shortened in their middle; if that is not
    enough, each row becomes a block of lines, one for each column.
    """
    held: pl.DataFrame | None = None
    for frame in frames:
        held = frame if held is None else held.vstack(frame)
        if held.height > MAX_ROWS:
            held = held.head(MAX_ROWS + 1)
            break
    assert held is not None
    shown = held.head(MAX_ROWS)
    cells = [[_cell(value) for value in column.to_list()] for column in shown.get_columns()]
    right = [kind.is_numeric() for kind in shown.dtypes]
    names = [printable(name) for name in shown.columns]
    widths = [max([len(name), *map(len, column)]) for name, column in zip(names, cells, strict=True)]
    if width is not None:
        widths = _fitted(widths, right, width)
        if sum(widths) + 2 * (len(widths) - 1) > width:
            return _blocks(names, cells, width, unicode=unicode), held.height
    lines = [_line(names, widths, right), "  ".join(("─" if unicode else "-") * w for w in widths)]
    lines += [_line(list(row), widths, right) for row in zip(*cells, strict=True)]
    return "\n".join(line.rstrip() for line in lines) + "\n", held.height


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e15 and value != int(value) else f"{value:,.1f}"
    return printable(str(value))
