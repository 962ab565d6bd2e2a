"""The time of every line of a chunk, including lines that are not rows, so that a report of a day counts the lines of
that day.

A row has its own time. A rejected line gets the first time in its text, if that is between the times of the rows around
it, or less than a day outside (a client can write any time into a path). Every other line, like a blank one or a
directive, gets the time of the row before it, or of the first row after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from logstats.archive.log import tables
from logstats.frames import pl
from logstats.kernels.columns import as_numbers

Times = NDArray[np.int64]  # microseconds since 1970

_NONE: Final = np.iinfo(np.int64).min
_DAY_US: Final = 86_400_000_000
_MINUTE_US: Final = 60_000_000
# (`\d` is every digit of Unicode, which takes 10 ms to prepare.)
_COMMON: Final = "([0-9]{1,2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4})"
_ISO: Final = "([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,][0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?"


def of_lines(
    number: int, lines: NDArray[Any], times: Times, before: int | None, now: int
) -> tuple[Times, Times, Times]:
    """(time, earliest, latest) for each of `number` lines, of which `lines` (in order) are rows with these `times`.

    `before` is the time of the last row of the chunk before, `now` the time if there is no row at all.
    """
    known = np.full(number, _NONE, np.int64)
    known[lines] = times
    place = np.where(known != _NONE, np.arange(number), -1)
    last = np.maximum.accumulate(place)
    following = np.minimum.accumulate(np.where(place < 0, number, place)[::-1])[::-1]
    padded = np.append(known, _NONE)
    earlier = np.where(last >= 0, padded[last], before if before is not None else _NONE)
    later = padded[following]
    found = np.where(earlier != _NONE, earlier, np.where(later != _NONE, later, now))
    forever = np.iinfo(np.int64).max
    low = np.where(earlier == _NONE, _NONE + _DAY_US, np.where(later == _NONE, earlier, np.minimum(earlier, later)))
    high = np.where(later == _NONE, forever - _DAY_US, np.where(earlier == _NONE, later, np.maximum(earlier, later)))
    return found, low - _DAY_US, high + _DAY_US


def shown(raw: Sequence[bytes], zone: str) -> pl.Series:
    """The first time in the text of each line (µs since 1970); null if none can be read. A time without an offset is in
    `zone`."""
    text = pl.Series("text", [line[:4096].decode("latin-1") for line in raw], pl.String)
    both = pl.DataFrame({"common": text.str.extract(_COMMON), "iso": text.str.extract(_ISO, 1)}).with_columns(
        offset=text.str.extract(_ISO, 2).str.replace("Z", "+0000").str.replace(":", ""),
        iso=pl.col("iso").str.replace(" ", "T"),
    )
    utc = pl.Datetime("us", "UTC")
    read = both.select(
        pl.coalesce(
            pl.col("common").str.to_datetime("%d/%b/%Y:%H:%M:%S %z", time_unit="us", strict=False).cast(utc),
            (pl.col("iso") + pl.col("offset"))
            .str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us", strict=False)
            .cast(utc),
            pl.col("iso")
            .str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
            .dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            .dt.convert_time_zone("UTC")
            .cast(utc),
        )
    )
    return read.to_series().to_physical()


def of_rejects(lines: NDArray[Any], raw: Sequence[bytes], around: tuple[Times, Times, Times], zone: str) -> Times:
    """The times of the rejected lines, given the result of `of_lines`."""
    neighbour, low, high = (column[lines] for column in around)
    own = shown(raw, zone)
    has = own.is_not_null().to_numpy()
    value = own.fill_null(0).to_numpy()
    result: Times = np.where(has & (value >= low) & (value <= high), value, neighbour)
    return result


def by_minute(
    times: Times, sizes: NDArray[Any], rejected: NDArray[Any], ignored: NDArray[Any], source: str, form: str | None
) -> pl.DataFrame:
    """Lines → (minute, source, format, lines, bytes, rejected, ignored). `rejected` and `ignored` are masks."""
    kinds = tables.columns(tables.LINES)
    minutes = times // _MINUTE_US * _MINUTE_US
    begins = np.flatnonzero(np.append(True, minutes[1:] != minutes[:-1]))  # of lines of one minute in a row
    figures = {"lines": np.diff(begins, append=len(minutes))}
    for name, values in (("bytes", sizes), ("rejected", rejected), ("ignored", ignored)):
        figures[name] = np.add.reduceat(values.astype(np.int64), begins)
    columns = {"minute": minutes[begins], **figures}
    stretches = pl.DataFrame([as_numbers(values).alias(name) for name, values in columns.items()])
    counted = stretches.group_by("minute").agg(pl.col(*figures).sum())
    named = counted.with_columns(
        pl.col("minute").cast(kinds["minute"]), pl.lit(source).alias("source"), pl.lit(form, pl.String).alias("format")
    )
    return named.select(pl.col(name).cast(kind) for name, kind in kinds.items()).sort("minute")
