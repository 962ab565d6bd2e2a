"""A cache from distinct texts to the values computed from them.

Logs repeat themselves: costly work is done once for each distinct text. Clients choose the texts, so the cache is
bounded in bytes; when it is full, it is emptied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.kernels.interning import Dictionary
from logstats.kernels.library import Numbers

BYTES: Final = 20 << 20
_FIRST: Final = 1 << 10


class BoundedCache:
    """Texts → rows of columns, which `make` computes for distinct texts. Threads may share it.

    `make` is not called for null, whose row holds nulls.
    """

    def __init__(self, make: Callable[[pl.Series], pl.DataFrame]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._known: Dictionary | None = None
        self._columns: dict[str, _Column] = {}

    def lookup(self, texts: pl.Series) -> pl.DataFrame:
        """The rows of these texts (String), in the same order."""
        with self._lock:
            try:
                known = self._known = Dictionary() if self._known is None else self._known
                before = len(known)
                numbers = known.numbers(texts)
                if len(known) > before or not self._columns:
                    self._learn(known.texts(before))
            except BaseException:
                self._forget()  # some numbers have no row yet
                raise
            columns = self._columns
            if known.nbytes + sum(column.nbytes for column in columns.values()) > BYTES:
                self._forget()
        return pl.DataFrame([column.take(numbers).alias(name) for name, column in columns.items()])

    def _learn(self, new: pl.Series) -> None:
        for made in self._make(new):
            if made.name not in self._columns:
                self._columns[made.name] = _Texts() if made.dtype == pl.String else _Values(made)
            self._columns[made.name].append(made)


class _Grown:
    """An append-only array. Its elements never move or change, so other threads may read while it grows."""

    def __init__(self, kind: Any) -> None:
        self.array = np.zeros(_FIRST, kind)
        self._size = 1  # the first row is for null

    def append(self, values: NDArray[Any]) -> None:
        end = self._size + len(values)
        if end > len(self.array):
            grown = np.zeros(max(end, 2 * len(self.array)), self.array.dtype)
            grown[: self._size] = self.array[: self._size]
            self.array = grown
        self.array[self._size : end] = values
        self._size = end


class _Texts:
    """A column of texts that stores each distinct text once, which makes grouping faster."""

    def __init__(self) -> None:
        self._texts, self._rows = Dictionary(), _Grown(np.uint32)

    def append(self, made: pl.Series) -> None:
        self._rows.append(self._texts.numbers(made))

    def take(self, numbers: Numbers) -> pl.Series:
        return self._texts.column(self._rows.array.take(numbers))

    @property
    def nbytes(self) -> int:
        return self._texts.nbytes + self._rows.array.nbytes


class _Values:
    """A column of numbers."""

    def __init__(self, made: pl.Series) -> None:
        self._rows, self._present = _Grown(made.to_numpy().dtype), _Grown(np.bool_)

    def append(self, made: pl.Series) -> None:
        self._rows.append(made.fill_null(0).to_numpy() if made.null_count() else made.to_numpy())
        self._present.append(made.is_not_null().to_numpy())

    def take(self, numbers: Numbers) -> pl.Series:
        return as_numbers(self._rows.array.take(numbers), self._present.array.take(numbers))

    @property
    def nbytes(self) -> int:
        return self._rows.array.nbytes + self._present.array.nbytes


_Column = _Texts | _Values
