"""The histograms of many keys, stored as two columns of which each key has a slice.

A ranking of 10,000 endpoints has a million buckets. Making tuples of them would take longer than the rest of a report,
and most outputs show none: `Buckets` makes them on access.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.reports import json_text

_AT_ONCE: Final = 10_000  # histograms whose JSON is written at once

Bucket = tuple[int | None, int]  # as in `sketches.loghist`: None is exactly 0 ms


class Histograms:
    """The histograms of keys: (key, bucket Int32, count Int64), the keys whole numbers; in order, nulls first."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table

    @cached_property
    def _parts(self) -> dict[int, tuple[int, int]]:
        runs = self._table["key"].rle().struct.unnest()
        ends = runs["len"].cum_sum().to_list()
        return {key: (start, end) for key, start, end in zip(runs["value"].to_list(), [0, *ends], ends, strict=False)}

    def of(self, key: int) -> Buckets:
        """The buckets of a key; empty if it has none."""
        return Buckets(self, *self._parts.get(key, (0, 0)))

    def part(self, start: int, end: int) -> Iterator[Bucket]:
        """The buckets of a slice."""
        some = self._table.slice(start, end - start)
        return zip(some["bucket"].to_list(), some["count"].to_list(), strict=True)

    def as_json(self, keys: int) -> pl.Series:
        """The histogram of each key below this number as `json.dumps` writes a list of pairs (String)."""
        table = self._table
        ends = np.searchsorted(table["key"].to_numpy(), np.arange(keys), side="right")
        parts = []
        for first in range(0, keys, _AT_ONCE):
            start, some = ends[first - 1] if first else 0, ends[first : first + _AT_ONCE]
            part = table.slice(start, some[-1] - start)
            parts.append(written(part["bucket"], part["count"], some - start))
        return pl.concat(parts) if parts else pl.Series(dtype=pl.String)


def written(buckets: pl.Series, counts: pl.Series, ends: NDArray[np.int64]) -> pl.Series:
    """Histograms as JSON (String). The pairs of histogram i end at `ends[i]`."""
    if kernels.AVAILABLE:
        return kernels.histograms(buckets, counts, ends)
    pairs = zip(buckets.to_list(), counts.to_list(), strict=True)
    some = (islice(pairs, size) for size in np.diff(ends, prepend=0).tolist())
    return pl.Series([json_text.encode([*map(list, each)]) for each in some], dtype=pl.String)


class Buckets(Sequence[Bucket]):
    """The (bucket, count) of one histogram, in order. It never changes, and equals a list of the same pairs."""

    __slots__ = ("_all", "_end", "_start")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, histograms: Histograms, start: int, end: int) -> None:
        self._all, self._start, self._end = histograms, start, end

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[Bucket]:
        return self._all.part(self._start, self._end)

    @overload
    def __getitem__(self, place: int) -> Bucket: ...
    @overload
    def __getitem__(self, place: slice) -> list[Bucket]: ...
    def __getitem__(self, place: int | slice) -> Bucket | list[Bucket]:
        return list(self)[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        return repr(list(self))

    def __deepcopy__(self, _: Any) -> Buckets:
        return self
