"""The slowest single requests (`--slowest N`): exactly those with the longest durations.

Of equal durations those come first whose source is named first, then whose line is: the same whatever the order in
which chunks, shards and summaries are merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from logstats import schema
from logstats.frames import pl
from logstats.summaries.aggregate import Aggregate, State
from logstats.summaries.spec import ReportSpec

NAME: Final = "slowest"
MOST: Final = 10_000  # requests that can be asked for
LONGEST: Final = 2_000  # characters of a target that are kept
_NEEDS: Final = ("method", "path", "query", "status", "duration_ms", "timestamp", "trace_id", "source", schema.LINE)
_COLUMNS: Final = {
    "target": "String",
    "method": "String",
    "duration_ms": "Float64",
    "status": "UInt16",
    "time": "Datetime",
    "source": "String",
    "line": "Int64",
    "trace_id": "String",
}


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of a report that asks for it."""
    if spec.slowest:
        most = spec.slowest
        each = partial(summarise_minutes, most=most)
        yield Aggregate(NAME, frozenset(_NEEDS), partial(summarise, most=most), partial(Slowest, most), by_minute=each)


def summarise(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """Requests of one chunk → the slowest of them, in order."""
    return schema.owned(_ordered(_among(rows, most).select(_selected())).head(most))


def summarise_minutes(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """Requests of one chunk with their `minute` → the slowest of each minute."""
    timed = rows.filter(pl.col("duration_ms").is_not_null()).select(*_selected(), "minute")
    return schema.owned(_ordered(timed).group_by("minute", maintain_order=True).head(most).select(*_COLUMNS, "minute"))


def _selected() -> list[pl.Expr]:
    whole = pl.concat_str("path", pl.lit("?") + pl.col("query").fill_null(""))
    target = pl.when(pl.col("query").is_null()).then("path").otherwise(whole)
    cut = pl.when(target.str.len_chars() > LONGEST).then(target.str.slice(0, LONGEST) + "…").otherwise(target)
    named = {"target": cut, "time": pl.col("timestamp"), "line": pl.col(schema.LINE)}
    return [named.get(name, pl.col(name)).alias(name) for name in _COLUMNS]


def _among(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """The rows that can be among the slowest: no other is as slow as one of them."""
    timed = rows["duration_ms"].drop_nulls()
    least = timed.top_k(most).min() if len(timed) > most else None
    return rows.filter(pl.col("duration_ms").is_not_null() if least is None else pl.col("duration_ms") >= least)


def _ordered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("duration_ms", "source", "line", descending=[True, False, False])


class Slowest(State):
    """The slowest so far."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = pl.DataFrame(schema=schema.typed(_COLUMNS))

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk, or of another state."""
        self._held = _ordered(pl.concat([self._held, table.select(list(_COLUMNS))])).head(self._most)

    def condense(self) -> Iterator[pl.DataFrame]:
        """The slowest, in one piece."""
        yield self._held

    def result(self) -> pl.DataFrame:
        """The slowest, in order."""
        return self._held
