"""The possible ranges of values in an archive's tables. A value outside is damage, not data.

A file that was changed is refused before, by its digest (`log.integrity`). This check is for files that were written
wrong, by a computer with faulty memory or by another program, and so have the right digest.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final

from logstats import durations
from logstats.archive.log import tables
from logstats.archive.log.integrity import DamagedFile
from logstats.frames import pl
from logstats.sketches import hll, loghist

if TYPE_CHECKING:
    from logstats.archive.log.commit import DataFile

_BUCKETS: Final = (loghist.bucket_of(math.ulp(0.0)) - 1, loghist.bucket_of(sys.float_info.max) + 1)
_WITHIN: Final = {"register": (0, hll.REGISTERS - 1), "rank": (1, hll.MAX_RANK), "bucket": _BUCKETS, **durations.LIMITS}
_COUNTS: Final = frozenset(
    {"requests", "events", "count", "timed", "line", "lines", "rejected", "ignored", "invalid_durations"}
)


def check(rows: pl.DataFrame, file: DataFile) -> None:
    """Raise DamagedFile if a time is outside the range of the file, a count is negative, or a register, rank or bucket
    is impossible in a sketch."""
    time = tables.time_column(file.table)
    for name in rows.columns:
        low: object
        high: object
        if name == time:
            low, high = file.first, file.last
        elif name in _WITHIN and file.table in tables.ROLLUPS:
            low, high = _WITHIN[name]
        elif name in _COUNTS:
            low, high = 0, None
        else:
            continue
        column = rows[name]
        least, most = column.min(), column.max()
        if (least is not None and least < low) or (high is not None and most is not None and most > high):  # type: ignore[operator]
            limit = "any" if high is None else high
            raise DamagedFile(file.path, f"{name} is {least!s} to {most!s}, and can be {low!s} to {limit!s}")
