"""The latency histograms of the keys of a ranking, merged as sorted tallies.

A table (id Int32, bucket Int32, count Int64). If there are many keys, it has nearly as many rows as the log has lines,
so each part is sorted by itself, and parts of similar size are merged: a row is moved a few times only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.kernels.tallies import Codes, Counts, Tally, merged, tally
from logstats.summaries.tables import Shape

HISTOGRAM: Final = Shape({"id": "Int32", "bucket": "Int32"}, {"count": "Int64"}, {}, {})

_BITS: Final = 33  # of a bucket in a code
_BUCKET: Final = (1 << _BITS) - 1
_LOWEST: Final = 2**31  # is added to buckets, so that none is negative
_EMPTY: Final = np.empty(0, np.uint64), np.empty(0, np.int64)


def code(ids: NDArray[np.int64], buckets: NDArray[np.int64]) -> Codes:
    """One number for each id (from -1) and bucket, in the same order."""
    return ((ids + 1) << _BITS | (buckets + _LOWEST)).astype(np.uint64)


class Histogram:
    """A table of this shape that grows by merging."""

    def __init__(self) -> None:
        self._parts: list[Tally] = []  # the greatest first

    def add(self, table: pl.DataFrame) -> None:
        """Add the rows of a table; its keys may repeat."""
        ids, buckets = (table[name].cast(pl.Int64).to_numpy() for name in ("id", "bucket"))
        self.add_codes(code(ids, buckets), table["count"].cast(pl.Int64).to_numpy())

    def add_codes(self, codes: Codes, counts: Counts) -> None:
        """Add the rows of these codes, which may repeat."""
        if not len(codes):
            return
        parts = self._parts
        parts.append(tally(codes, counts))
        while len(parts) > 1 and len(parts[-2][0]) < 2 * len(parts[-1][0]):
            parts[-2:] = [merged(*parts[-2:])]

    def replace(self, table: pl.DataFrame) -> None:
        """Replace the content by another table, whose keys may repeat."""
        self._parts = []
        self.add(table)

    def of_all(self) -> tuple[list[int], list[int]]:
        """The buckets of all ids together, in order, and their counts."""
        codes, counts = self._merged()
        distinct, sums = tally(codes & np.uint64(_BUCKET), counts)
        return (distinct.astype(np.int64) - _LOWEST).tolist(), sums.tolist()

    def table(self) -> pl.DataFrame:
        """The merged table, ordered by id and bucket."""
        codes, counts = self._merged()
        numbers = codes.astype(np.int64)
        ids = ((numbers >> _BITS) - 1).astype(np.int32)
        buckets = ((numbers & _BUCKET) - _LOWEST).astype(np.int32)
        columns = as_numbers(ids), as_numbers(buckets), as_numbers(counts)
        return pl.DataFrame([column.alias(name) for name, column in zip(HISTOGRAM.schema, columns, strict=True)])

    def _merged(self) -> Tally:
        parts = self._parts
        while len(parts) > 1:
            parts[-2:] = [merged(*parts[-2:])]
        return parts[0] if parts else _EMPTY
