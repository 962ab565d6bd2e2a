"""Charts made of characters: sparklines over time, and a bar of several parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from logstats.reports.over_time import step_for

Numbers = NDArray[np.int64]


class Columns:
    """The columns of a chart over time: each stands for so many `minutes`, and their `count` fits into the room."""

    def __init__(self, first: int, last: int, room: int) -> None:
        """Both are minutes since 1970."""
        self.first = first
        span = last - first + 1
        self.minutes = step_for(span, max(room, 10))
        self.count = (span + self.minutes - 1) // self.minutes

    def sum(self, minutes: Numbers, values: Numbers) -> list[int | None]:
        """The sum of the values in each column; None for a column without any."""
        return self._cells(np.add, 0, minutes, values)

    def max(self, minutes: Numbers, values: Numbers) -> list[int | None]:
        """The greatest value in each column. (Unique users of several minutes cannot be added.)"""
        return self._cells(np.maximum, -1, minutes, values)

    def _cells(self, merge: np.ufunc, begin: int, minutes: Numbers, values: Numbers) -> list[int | None]:
        places = (minutes - self.first) // self.minutes
        inside = (places >= 0) & (places < self.count)
        cells, held = np.full(self.count, begin), np.zeros(self.count, np.bool_)
        merge.at(cells, places[inside], values[inside])
        held[places[inside]] = True
        return [value if any_ else None for value, any_ in zip(cells.tolist(), held.tolist(), strict=True)]


def sparkline(values: list[int | None], bars: str) -> str:
    """A text of one bar for each value, scaled to the greatest; a space for 0 and None."""
    peak = max((value for value in values if value), default=0)
    text = ""
    for value in values:
        if not value:
            text += " "
        else:
            text += bars[min(len(bars) - 1, (value * len(bars) - 1) // peak)]
    return text


def apportion(parts: list[int], width: int) -> list[int]:
    """Divide `width` cells among parts by the largest remainder; every part above 0 gets at least one."""
    total = sum(parts)
    exact = [part * width / total for part in parts]
    cells = [max(1, int(value)) if part else 0 for part, value in zip(parts, exact, strict=True)]
    by_rest = sorted(range(len(parts)), key=lambda i: int(exact[i]) - exact[i])
    for i in by_rest:
        if sum(cells) < width:
            cells[i] += 1
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    return cells
