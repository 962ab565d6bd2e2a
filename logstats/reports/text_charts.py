"""Charts made of characters: sparklines over time, and a bar of several parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from logstats.reports.over_time import step_for


class Columns:
    """The columns of a chart over time: each stands for so many `minutes`, and their `count` fits into the room."""

    def __init__(self, first: datetime, last: datetime, room: int) -> None:
        self.first = first
        span = int((last - first) / timedelta(minutes=1)) + 1
        self.minutes = step_for(span, max(room, 10))
        self.count = (span + self.minutes - 1) // self.minutes
        self._step = timedelta(minutes=self.minutes)

    def sum(self, values: Iterable[tuple[datetime, int]]) -> list[int | None]:
        """The sum of the values in each column; None for a column without any."""
        cells: list[int | None] = [None] * self.count
        first, step = self.first, self._step
        for minute, value in values:
            place = (minute - first) // step
            cells[place] = (cells[place] or 0) + value
        return cells

    def max(self, values: Iterable[tuple[datetime, int]]) -> list[int | None]:
        """The greatest value in each column. (Unique users of several minutes cannot be added.)"""
        cells: list[int | None] = [None] * self.count
        first, step = self.first, self._step
        for minute, value in values:
            place = (minute - first) // step
            if 0 <= place < self.count and value > (cells[place] or -1):
                cells[place] = value
        return cells


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
