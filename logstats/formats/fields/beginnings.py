"""Requests that take two lines: one when a request begins, and one when it is answered, with the same id.

    10:30:00.123 request_id=F8a [info] GET /a
    10:30:00.128 request_id=F8a [info] Sent 200 in 5ms

The second line is the request: it takes its method, target, client and, if it has none, its time from the first, which
is a part of it and no row of its own (`PART`). Between them there may be any lines of other requests, and the end of a
chunk: the end of the chunk before is at hand (`Context.before`), as far as its last `BEFORE` bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from logstats.formats.model import Field
from logstats.frames import pl

PART: Final = "part"  # the kind of a row that is the beginning of a request only
BEFORE: Final = 256 << 10
_TAKEN: Final = ("method", "target", "client_ip", "timestamp")


def completed(texts: pl.DataFrame, before: pl.DataFrame | None, fields: Mapping[str, Field]) -> pl.DataFrame:
    """The texts of lines (`line`, in order), of which those that have a status take what they lack from the last line
    before them that has the same id and no status. `before` has the texts of lines of the chunk before."""
    name = {field.role: column for column, field in fields.items() if column in texts.columns}
    if not {"trace_id", "status", "method"} <= name.keys():
        return texts
    key, taken = name["trace_id"], [name[role] for role in _TAKEN if role in name]
    begins = pl.col(key).is_not_null() & pl.col(name["method"]).is_not_null() & pl.col(name["status"]).is_null()
    numbered = texts.with_columns(_at=pl.col("line").cast(pl.Int64))
    begun = [numbered.filter(begins).select("_at", key, *taken)]
    if before is not None and before.height:
        earlier = before.with_columns(_at=pl.col("line").cast(pl.Int64) - (1 << 40))
        begun.insert(0, earlier.filter(begins).select("_at", key, *taken))
    first = pl.concat(begun)
    if first.is_empty():
        return texts
    joined = numbered.join_asof(first, on="_at", by=key, suffix="_begun", check_sortedness=False)
    ends = pl.col(name["status"]).is_not_null()
    filled = [pl.coalesce(column, pl.when(ends).then(f"{column}_begun")).alias(column) for column in taken]
    return joined.with_columns(filled).select(texts.columns)
