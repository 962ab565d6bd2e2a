"""What was made of a text, remembered for when it comes again.

A log says the same few things over and over: what is costly is done once for each distinct text. A stranger chooses
the texts, so no more than so many bytes of them are remembered: then all of it is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import numpy as np
import polars as pl

BYTES: Final = 28 << 20
_EACH: Final = 64  # bytes that a text costs beside its own and those of its row


class Remembered:
    """Texts → rows of the columns that `make` gives for distinct ones; safe to use from several threads.

    `make` is not asked about null, whose row is of nulls.
    """

    def __init__(self, make: Callable[[pl.Series], pl.DataFrame]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        # The numbers that Polars gives to categories last as long as there is a column of the type.
        self._numbered: pl.Series | None = None
        self._table: pl.DataFrame | None = None
        self._bytes = 0

    def of(self, texts: pl.Series) -> pl.DataFrame:
        """The row of each text (String), in their order."""
        with self._lock:
            if self._numbered is None:
                self._numbered = pl.Series(dtype=pl.Categorical(pl.Categories.random()))
            numbered = texts.cast(self._numbered.dtype)
            numbers = numbered.to_physical()
            try:
                table = self._learn(numbered, numbers)
            except BaseException:
                self._forget()  # there are numbers now that the table has no row for
                raise
            if self._bytes > BYTES:
                self._forget()
        return table[numbers] if not numbers.null_count() else table.select(pl.all().gather(numbers))

    def _learn(self, numbered: pl.Series, numbers: pl.Series) -> pl.DataFrame:
        """Add what has not come before; the table of all, by number."""
        known = self._table.height if self._table is not None else 0
        places = (numbers >= known).arg_true()
        if self._table is not None and not places.len():
            return self._table
        found, first = np.unique(numbers.gather(places).to_numpy(), return_index=True)
        assert not len(found) or found[-1] == known + len(found) - 1, "numbers have gaps"
        new = numbered.gather(places.gather(first)).cast(pl.String)
        made = self._make(new)
        self._bytes += int(new.str.len_bytes().sum()) + new.len() * (_EACH + 16 * made.width)
        # In one piece, because that is how rows are gathered fast.
        self._table = made if self._table is None else pl.concat([self._table, made], rechunk=True)
        return self._table
