"""Interning: distinct texts are numbered 1, 2, 3 in order of first appearance; 0 is null."""

from __future__ import annotations

import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import Texts, Views, address, as_texts, strings
from logstats.kernels.library import Numbers

_SEGMENT: Final = 1 << 20
_FIRST: Final = 1 << 10
_ENTRY: Final = 150  # bytes that a short text takes in a dict
_SLOT: Final = np.dtype([("number", np.uint32), ("hash", np.uint32)])


@dataclass(frozen=True, slots=True, eq=False)
class Interned:
    """Texts of a dictionary, none of which is null."""

    views: Views
    segments: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return len(self.views)

    def column(self) -> pl.Series:
        """As a column (String)."""
        return as_texts(self.views, self.segments)

    def strings(self) -> list[str]:
        """As Python's."""
        return strings(self.views, self.segments)


class Dictionary:
    """A growing dictionary of texts. Threads must not use it at the same time."""

    def __init__(self, expected: int = 0, long: int = 0) -> None:
        """Make a dictionary in which so many texts have room at once, and so many bytes of long ones."""
        first = max(_FIRST, 1 << (expected + 1).bit_length())
        self._compiled = kernels.AVAILABLE
        self._texts = np.zeros((first, 2), np.uint64)  # Arrow's string views, by number
        self._slots = np.zeros(2 * first, _SLOT)
        self._segments: list[NDArray[np.uint8]] = [np.empty(long, np.uint8)]  # the bytes of long texts
        self._table = kernels.Table(seed=int.from_bytes(os.urandom(8), "little"))
        self._by_text: dict[str | None, int] = {None: 0}  # used without the kernels,
        self._long = 0  # with the number of its characters
        self._point()

    def _point(self) -> None:
        """Set the pointers of the C table."""
        addresses = np.array([address(segment) for segment in self._segments], np.uintp)
        self._addresses = addresses  # kept alive as long as the table points to it
        table = self._table
        table.slots, table.mask = address(self._slots), len(self._slots) - 1
        table.texts, table.most = address(self._texts), len(self._texts) - 1
        table.segments, table.segment = address(addresses), len(self._segments) - 1
        table.room = len(self._segments[-1])

    @property
    def table(self) -> kernels.Table:
        """The table of `intern.h`, for other functions that number texts."""
        return self._table

    def grow_if_short(self, size: int) -> None:
        """Make room for long texts of this size, and for many others, if there is little. Call this after a function
        found too little."""
        while 2 * self._table.count > self._table.most:
            self._double()
        if self._table.used + size // 2 > self._table.room:
            self._extend(size)

    def __len__(self) -> int:
        return len(self._by_text) - 1 if not self._compiled else int(self._table.count)

    @property
    def nbytes(self) -> int:
        """The approximate memory that it takes, in bytes."""
        if not self._compiled:
            return self._long + _ENTRY * len(self._by_text)
        return self._texts.nbytes + self._slots.nbytes + sum(segment.nbytes for segment in self._segments)

    def numbers(self, texts: pl.Series) -> Numbers:
        """The number of each text (String), in their order."""
        if not self._compiled:
            known = self._by_text
            for text in texts.drop_nulls():
                if text not in known:
                    known[text] = len(known)
                    self._long += len(text)
            return np.array([known[text] for text in texts.to_list()], np.uint32)
        column, numbers, row = Texts(texts), np.empty(len(texts), np.uint32), 0
        while (row := kernels.intern(self._table, column, row, numbers)) < len(texts):
            self._grow(len(texts[row].encode()))
        return numbers

    def _grow(self, size: int) -> None:
        """Make room for another text of this size."""
        if self._table.count == self._table.most:
            self._double()
        else:
            self._extend(max(size, min(2 * len(self._segments[-1]), _SEGMENT), _FIRST))

    def _double(self) -> None:
        self._texts = np.concatenate([self._texts, np.empty_like(self._texts)])
        self._slots = np.zeros(2 * len(self._slots), _SLOT)
        self._point()
        kernels.place(self._table)

    def _extend(self, size: int) -> None:
        self._segments.append(np.empty(size, np.uint8))
        self._table.used = 0
        self._point()

    def column(self, numbers: Numbers) -> pl.Series:
        """The texts, ordered by number."""
        if not self._compiled:
            texts = [*self._by_text]
            return pl.Series([texts[number] for number in numbers.tolist()], dtype=pl.String)
        return as_texts(self._texts.take(numbers, axis=0), self._segments, numbers > 0)

    def held(self, numbers: Numbers) -> Interned:
        """The same, as they are in memory. Only with the kernels."""
        return Interned(self._texts.take(numbers, axis=0), tuple(self._segments))

    def strings(self, known: int = 0) -> list[str]:
        """The texts after the first `known`, ordered by number. Only with the kernels."""
        return strings(self._texts[known + 1 : len(self) + 1], self._segments)

    def texts(self, known: int = 0) -> pl.Series:
        """The texts after the first `known`, ordered by number."""
        if not self._compiled:
            return pl.Series([*self._by_text][known + 1 :], dtype=pl.String)
        return as_texts(self._texts[known + 1 : len(self) + 1].copy(), self._segments)


def once(texts: pl.Series) -> pl.Series:
    """A copy of a column in which each distinct text is in memory once, which makes grouping faster."""
    known = Dictionary()
    return known.column(known.numbers(texts)).alias(texts.name)
