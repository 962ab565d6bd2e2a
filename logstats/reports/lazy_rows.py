"""Rows that are stored as columns.

A ranking has 10,000 rows, a month 43,200 minutes, and most outputs show a few of them or none: a row is made when
somebody reads it, and the JSON of all of them is written from the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Self, TypeVar, overload

Row = TypeVar("Row")


class LazyRows(Sequence[Row]):
    """Rows that are made on access. They never change, and equal a list of the same rows."""

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        raise NotImplementedError

    def _made(self) -> list[Row]:
        """All rows."""
        raise NotImplementedError

    @property
    def json(self) -> str:
        """As `json.dumps` writes a list of the rows as the JSON report has them."""
        raise NotImplementedError

    @cached_property
    def _rows(self) -> list[Row]:
        return self._made()

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        return self._part(place) if isinstance(place, slice) else self._rows[place]

    def _part(self, place: slice) -> list[Row]:
        """Some rows."""
        return self._rows[place]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return self._rows == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        return repr(self._rows)

    def __deepcopy__(self, _: Any) -> Self:
        return self
