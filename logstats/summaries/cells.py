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
        self._cells = np.empty(0, np.int64)  # the reverse
        self._figures = np.empty((0, len(_NONE)), np.int64)  # of each cell
        self._total = 0  # what any sum may be, at most

    def __len__(self) -> int:
        return len(self._cells)

    def add(self, ids: NDArray[np.int64], cells: NDArray[Any]) -> bool:
        """Add cells (`kernels.counting.KEY_CELL`), of which several may have one id. Nothing is added, and False
        returned, if a sum could then be too great for 64 bits."""
        numbers = cells.view(np.int64).reshape(len(cells), -1)
        most = int(numbers[:, 2:6].sum(axis=0).max(initial=0))
        if self._total + most > _MOST:
            return False
        self._total += most
        kernels.add_cells(numbers, self._place((ids + 1) * CLASSES + numbers[:, 1]), self._figures)
        return True

    def table(self) -> pl.DataFrame:
        """The table; the minimum and maximum of a cell without durations are null."""
        requests, size, timed, ns, least, greatest = self._figures.T.copy()
        some = timed > 0
        columns = {
            "id": as_numbers((self._cells // CLASSES - 1).astype(np.int32)),
            "status_class": as_numbers((self._cells % CLASSES).astype(np.uint8)),
            "requests": as_numbers(requests),
            "bytes": as_numbers(size).cast(pl.Int128),
            "timed": as_numbers(timed),
            "ns": as_numbers(ns).cast(pl.Int128),
            "ns_min": as_numbers(least, some),
            "ns_max": as_numbers(greatest, some),
        }
        return pl.DataFrame([column.alias(name) for name, column in columns.items()])

    def _place(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of cells, which may be new."""
        beyond = int(cells.max(initial=-1)) + 1 - len(self._places)
        if beyond > 0:
            self._places = np.concatenate([self._places, np.full(max(beyond, len(self._places)), -1, np.int64)])
        new = np.sort(cells[self._places[cells] < 0])
        if len(new):
            new = new[np.append(True, new[1:] != new[:-1])]  # `np.unique` would load `numpy.ma`
            known = len(self._cells)
            self._places[new] = np.arange(known, known + len(new))
            self._cells = np.concatenate([self._cells, new])
            self._figures = np.concatenate([self._figures, np.tile(np.array(_NONE), (len(new), 1))])
        return self._places[cells]
