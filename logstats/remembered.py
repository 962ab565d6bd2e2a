"""What was made of a text, remembered for when it comes again.

A log says the same few things over and over: what is costly is done once for each distinct text. A stranger chooses
the texts, so no more than so many bytes of them are remembered: then all of it is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import polars as pl

from logstats.dictionary import Dictionary

BYTES: Final = 40 << 20
_CELL: Final = 16  # bytes of a row in a column


class Remembered:
    """Texts → rows of the columns that `make` gives for distinct ones; safe to use from several threads.

    `make` is not asked about null, whose row is of nulls.
    """

    def __init__(self, make: Callable[[pl.Series], pl.DataFrame]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._known = Dictionary()
        self._table: pl.DataFrame | None = None  # the rows by number, that of null first

    def of(self, texts: pl.Series) -> pl.DataFrame:
        """The row of each text (String), in their order."""
        with self._lock:
            try:
                known = len(self._known)
                numbers = self._known.numbers(texts)
                table = self._table
                if table is None or len(self._known) > known:
                    table = self._table = self._learn(self._known.texts(known), table)
            except BaseException:
                self._forget()  # there are numbers now that the table has no row for
                raise
            if self._known.nbytes + _CELL * table.height * table.width > BYTES:
                self._forget()
        return table[numbers]

    def _learn(self, new: pl.Series, table: pl.DataFrame | None) -> pl.DataFrame:
        """The table with the rows of new texts."""
        made = self._make(new)
        # In one piece, because that is how rows are gathered fast.
        return pl.concat([made.clear(1) if table is None else table, made], rechunk=True)
