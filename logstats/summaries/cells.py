"""Figures by key and class of status that grow by adding: the cells of a chunk have places, and need no grouping."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels.columns import as_numbers

CLASSES: Final = 10  # of statuses
SUMS: Final = ("requests", "bytes", "timed", "ns")
_MOST: Final = 2**63 - 1


class Cells:
    """(id, status_class, requests, bytes, timed, ns, ns_min, ns_max), of ids from -1."""

    def __init__(self) -> None:
        self._places = np.full(0, -1, np.int64)  # of a cell among the figures, by (id + 1) * CLASSES + status_class
        self._cells = np.empty(0, np.int64)  # the reverse
        self._sums = np.zeros((len(SUMS), 0), np.int64)
        self._least, self._greatest = np.empty(0, np.int64), np.empty(0, np.int64)
        self._total = 0  # what any sum may be, at most

    def __len__(self) -> int:
        return len(self._cells)

    def add(self, ids: NDArray[np.int64], cells: NDArray[Any]) -> bool:
        """Add cells (`kernels.counting.KEY_CELL`), of which several may have one id. Nothing is added, and False
        returned, if a sum could then be too great for 64 bits."""
        rows = np.ascontiguousarray(cells.view(np.int64).reshape(len(cells), -1).T)
        figures = dict(zip(cells.dtype.names or (), rows, strict=True))
        most = max(int(figures[name].sum()) for name in SUMS)
        if self._total + most > _MOST:
            return False
        self._total += most
        places = self._place((ids + 1) * CLASSES + figures["status_class"])
        for sums, name in zip(self._sums, SUMS, strict=True):
            np.add.at(sums, places, figures[name])
        np.minimum.at(self._least, places, figures["ns_min"])
        np.maximum.at(self._greatest, places, figures["ns_max"])
        return True

    def table(self) -> pl.DataFrame:
        """The table; the minimum and maximum of a cell without durations are null."""
        requests, size, timed, ns = self._sums
        some = timed > 0
        columns = {
            "id": as_numbers((self._cells // CLASSES - 1).astype(np.int32)),
            "status_class": as_numbers((self._cells % CLASSES).astype(np.uint8)),
            "requests": as_numbers(requests),
            "bytes": as_numbers(size).cast(pl.Int128),
            "timed": as_numbers(timed),
            "ns": as_numbers(ns).cast(pl.Int128),
            "ns_min": as_numbers(self._least, some),
            "ns_max": as_numbers(self._greatest, some),
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
            self._sums = np.concatenate([self._sums, np.zeros((len(SUMS), len(new)), np.int64)], axis=1)
            nothing = np.full(len(new), _MOST)
            self._least = np.concatenate([self._least, nothing])
            self._greatest = np.concatenate([self._greatest, -nothing - 1])
        return self._places[cells]
