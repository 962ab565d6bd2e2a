"""The table of a ranking for one chunk, in which each key stands once, and its figures say it by its number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.kernels.interning import Interned
from logstats.kernels.tallies import Counts


@dataclass(frozen=True, slots=True, eq=False)
class Numbered:
    """Figures of the requests of a chunk.

    `names` are the keys by number, the texts of their columns with a space in between
    (nothing before it for a first one that is null); `first` is a line of each.
    `counts` is (key, status_class, requests, bytes, timed, ns, ns_min, ns_max), as `kernels.counting.KEY_CELL` has it,
    where `key` is a number. The histogram has, in parts of the same length, the numbers of `keys`, their `buckets`, and
    `durations`, how many there are. `others` is the table of other requests of the chunk, as `ranking.summarise` makes
    it.
    """

    names: Interned
    first: NDArray[np.uint32]
    counts: NDArray[Any]
    keys: NDArray[np.int64]
    buckets: NDArray[np.int64]
    durations: Counts
    others: pl.DataFrame | None = None

    @property
    def height(self) -> int:
        """The number of its rows."""
        return len(self.keys) + len(self.counts) + (0 if self.others is None else self.others.height)
