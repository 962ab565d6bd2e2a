"""Some of the newest rows, which do not change: what is ranked of them is ranked once, and kept if that is small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Final

from logstats import schema
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.summaries import breakdowns
from logstats.summaries.groups import Groups

_SMALL: Final = 1 / 8  # of the rows: a table with so few is kept


@dataclass(slots=True)
class Piece:
    """Rows that follow each other. It belongs to any thread: two may make the same table, and one of both is kept."""

    rows: pl.DataFrame
    _tables: dict[str, pl.DataFrame | None] = field(default_factory=dict)  # None if it is not small

    def within(self, since: int, until: int) -> Piece:
        """The rows of `since` ≤ time < `until`, in µs since 1970: this piece, if those are all."""
        inside = self.rows["timestamp"].to_physical().is_between(since, until, closed="left")
        return self if inside.all() else Piece(self.rows.filter(inside))

    def counts(self, by: str) -> pl.DataFrame:
        """(value, requests): how many requests have which value of a column; a value may be there twice."""
        if (table := self._table(by)) is not None:
            return table[[breakdowns.KEY, "requests"]]
        groups = Groups([_values(self._named(by), by)])
        return pl.DataFrame([groups.keys[0], as_numbers(groups.counts).alias("requests")])

    def ranked(self, by: str, only: pl.Series | None = None) -> pl.DataFrame:
        """What `breakdowns.summarise` makes of the requests that have a value of a column, or one of `only` these."""
        if (table := self._table(by)) is not None:
            return table if only is None else table.filter(pl.col(breakdowns.KEY).is_in(only.implode()))
        named = self._named(by)
        if only is not None:
            named = named.filter(_values(named, by).is_in(only.implode()))
        return breakdowns.summarise(named, by)

    def _named(self, by: str) -> pl.DataFrame:
        # Whoever is not named is in no ranking: most logs name no host.
        is_named = pl.col(by).is_not_null() & (pl.col("kind") == "request")
        return self.rows.with_row_index("line").filter(is_named)

    def _table(self, by: str) -> pl.DataFrame | None:
        if by not in self._tables:
            named, most = self._named(by), self.rows.height * _SMALL
            few = named[by].n_unique() <= most
            made = breakdowns.summarise(named, by) if few else None
            self._tables[by] = made if made is not None and made.height <= most else None
        return self._tables[by]


def first_of(pieces: Sequence[Piece], by: str, top: int) -> tuple[pl.Series | None, int]:
    """(the `top` values of a column that most requests have, of equals the first by name, or None if those are all; how
    many values there are).

    Of a million clients, only those are ranked that are shown.
    """
    counted = pl.concat([piece.counts(by) for piece in pieces])
    groups = Groups([counted[breakdowns.KEY]])
    requests = as_numbers(groups.totals(counted["requests"].to_numpy())).alias("requests")
    held = pl.DataFrame([groups.keys[0], requests])
    if held.height <= top:
        return None, held.height
    most = held.top_k(top, by=["requests", breakdowns.KEY], reverse=[False, True])
    return most[breakdowns.KEY], held.height


def _values(rows: pl.DataFrame, by: str) -> pl.Series:
    return rows.select(schema.as_key(by).cast(pl.String).alias(breakdowns.KEY)).to_series()
