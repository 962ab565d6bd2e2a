"""The table of a chunk as arrays. A column of a frame takes 20 µs to make, in which no other thread runs Python: it is
made once for all chunks that are merged together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.schema import dtype


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Columns of numbers by name, all of the same length. `kinds` are the types (`schema.dtype`) of those that have
    another one than their array, and `nulls` the number that stands for null."""

    columns: Mapping[str, NDArray[Any]]
    kinds: Mapping[str, str] = field(default_factory=dict)
    nulls: Mapping[str, int] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """The number of its rows."""
        return len(next(iter(self.columns.values())))

    def frame(self) -> pl.DataFrame:
        """The table as a frame."""
        return pl.DataFrame([self._column(name, values) for name, values in self.columns.items()])

    def _column(self, name: str, values: NDArray[Any]) -> pl.Series:
        column = as_numbers(values, values != self.nulls[name] if name in self.nulls else None).alias(name)
        return column.cast(dtype(self.kinds[name])) if name in self.kinds else column


def together(tables: Sequence[tuple[int, Arrays]], bits: int) -> Arrays:
    """One table of those of several chunks; `first`, if they have it, gets the number of the chunk above its `bits`."""
    made = {}
    for name in tables[0][1].columns:
        parts = [(number, table.columns[name]) for number, table in tables]
        if name == "first":
            made[name] = np.concatenate([part.astype(np.int64) + (number << bits) for number, part in parts])
        else:
            made[name] = np.concatenate([part for _, part in parts])
    return Arrays(made, tables[0][1].kinds, tables[0][1].nulls)
