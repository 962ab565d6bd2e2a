"""Figures by key and class of status that grow by adding: the cells of a chunk have places, and need no grouping."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers

CLASSES: Final = 10  # of statuses
_MOST: Final = 2**63 - 1
_NONE: Final = (0, 0, 0, 0, _MOST, -_MOST - 1)  # requests, bytes, timed, ns, ns_min, ns_max


class Cells:
    """(id, status_class, requests, bytes, timed, ns, ns_min, ns_max), of ids from -1."""

    def __init__(self) -> None:
        self._places = np.full(0, -1, np.int64)  # of a cell among the figures, by (id + 1) * CLASSES + status_class
        self._held = np.empty(0, np.int64)  # the reverse, and
        self._figures = np.empty((0, len(_NONE)), np.int64)  # the figures of each cell, with room for more
        self._known = 0  # how many cells there are
        self._totals = np.zeros(4, np.int64)  # the sums of all cells

    def __len__(self) -> int:
        return self._known

    def add(self, ids: NDArray[np.int64], cells: NDArray[Any]) -> bool:
        """Add cells (`kernels.counting.KEY_CELL`), whose keys have these ids, several of them perhaps the same. Nothing
        is added, and False returned, if a sum could then be too great for 64 bits."""
        self._make_room((int(ids.max(initial=-1)) + 2) * CLASSES, self._known + len(cells))
        numbers, room = cells.view(np.int64).reshape(-1, 8), (self._places, self._held, self._figures)
        known = kernels.add_cells(numbers, ids, CLASSES, *room, self._known, self._totals)
        self._known = self._known if known is None else known
        return known is not None

    def table(self) -> pl.DataFrame:
        """The table; the minimum and maximum of a cell without durations are null."""
        held = self._held[: self._known]
        requests, size, timed, ns, least, greatest = self._figures[: self._known].T.copy()
        some = timed > 0
        columns = {
            "id": as_numbers((held // CLASSES - 1).astype(np.int32)),
            "status_class": as_numbers((held % CLASSES).astype(np.uint8)),
            "requests": as_numbers(requests),
            "bytes": as_numbers(size).cast(pl.Int128),
            "timed": as_numbers(timed),
            "ns": as_numbers(ns).cast(pl.Int128),
            "ns_min": as_numbers(least, some),
            "ns_max": as_numbers(greatest, some),
        }
        return pl.DataFrame([column.alias(name) for name, column in columns.items()])

    def _make_room(self, places: int, cells: int) -> None:
        if places > len(self._places):
            room = np.full(max(places, 2 * len(self._places)), -1, np.int64)
            room[: len(self._places)] = self._places
            self._places = room
        if cells > len(self._held):
            room, figures = np.empty(2 * cells, np.int64), np.empty((2 * cells, len(_NONE)), np.int64)
            figures[:] = _NONE
            room[: self._known], figures[: self._known] = self._held[: self._known], self._figures[: self._known]
            self._held, self._figures = room, figures
