"""Lines by minute, also those that have no time: they count with the line before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from logstats.frames import pl
from logstats.summaries.traffic import minute as minute_of

READ: Final = {"minute": pl.Int64(), "lines": pl.Int64(), "rejected": pl.Int64()}


def line_minutes(rows: pl.DataFrame, lines: int, rejected: Sequence[int], unplaced: int, current: int) -> pl.DataFrame:
    """READ of the next `lines` lines of a source: (minute, lines, rejected).

    `rows` are those that have a time, in the order of `line`, and `rejected` the lines that could not be read, both
    from 0; of `unplaced` further ones the place is not known. Lines before the first row count with it; without rows,
    all count in the minute `current`.
    """
    if rows.height:
        places = rows["line"].cast(pl.Int64).to_numpy()
        minutes = rows.select(minute_of()).to_series().to_numpy()
    else:
        places, minutes = np.zeros(1, np.int64), np.full(1, current)
    ends = np.append(places[1:], lines)
    starts = np.append([0], places[1:])
    bad = np.zeros(len(places), np.int64)
    at = np.searchsorted(places, np.asarray(rejected, np.int64), side="right") - 1
    np.add.at(bad, np.maximum(at, 0), 1)
    bad[-1] += unplaced
    table = pl.DataFrame({"minute": minutes, "lines": ends - starts, "rejected": bad}, schema=READ)
    return table.group_by("minute").agg(pl.col("lines", "rejected").sum())
