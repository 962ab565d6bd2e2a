"""Many small pieces → few: rows of the same keys are added up, and what lies beyond a bound is folded.

A summary holds `HELD` times as many keys as a report does. Which ones a report keeps is only known when all summaries
are merged, so one that passed this bound may lack figures of a key that is kept; `folded` counts what it folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from logstats import schema
from logstats.frames import pl
from logstats.scale import tables
from logstats.scale.tables import Piece
from logstats.summaries.aggregate import MAX_KEYS
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Accumulator, Keys

HELD: Final = 10
HELD_VALUES: Final = 10_000  # methods, hosts and apps, each, that traffic tells apart
ROWS: Final = 1_000_000  # held at the most, until they are handed on

Sink = Callable[[Piece], None]
Name = tuple[str, str | None]


class _Bound:
    """Folds the keys of a table beyond a number of them into `(other)`."""

    def __init__(self, columns: tuple[str, ...], cap: int) -> None:
        self._keys = Keys(columns, cap)
        self._columns = columns

    def fold(self, table: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """The table, and which of its rows were folded now."""
        over = self._keys.number(table.select(*self._columns, "first"))["id"] == Keys.OTHER
        *emptied, last = self._columns
        new = over & ~table[last].eq_missing(pl.Series([schema.OTHER]))
        if not new.any():
            return table, new
        folded = table.with_columns(
            *(pl.when(~over).then(name).alias(name) for name in emptied),
            pl.when(over).then(pl.lit(schema.OTHER)).otherwise(pl.col(last)).alias(last),
        )
        return folded, new


class Condenser:
    """Takes pieces in the order of the lines and hands on few, in the same order, whenever there are many rows: memory
    is bounded for an input of any length."""

    def __init__(self, spec: ReportSpec, sink: Sink, *, bounded: bool = True) -> None:
        self.folded: dict[str, int] = {}  # requests (or events) beyond the bound: by table, or column
        self._spec, self._sink, self._bounded = spec, sink, bounded
        self._held: dict[Name, Accumulator] = {}
        self._bounds: dict[Name, list[_Bound]] = {}
        self._whole: dict[Name, list[pl.DataFrame]] = {}  # of tables whose shape is not known: as they came
        self._rows = self._place = 0

    def add(self, pieces: Iterable[Piece]) -> None:
        """Add the pieces of the next chunk or summary."""
        for piece in pieces:
            frame = piece.frame
            if "first" in frame.columns:
                frame = frame.with_columns(pl.col("first").cast(pl.Int64) + (self._place << 32))
            name = piece.table, piece.of
            if piece.table not in tables.TABLES:
                self._whole.setdefault(name, []).append(frame)
            elif name not in self._held:
                self._held[name] = Accumulator(tables.shape(piece.table, exact_users=self._spec.exact_users))
                self._bounds[name] = self._bounds_of(piece.table)
            if name in self._held:
                self._held[name].add(frame.select(list(self._held[name].shape.schema)))
            self._rows += frame.height
        self._place += 1
        if self._rows > ROWS:
            # Chunks have the same keys again and again: only what remains counts.
            self._rows = sum(held.table().height for held in self._held.values())
            self._rows += sum(frame.height for frames in self._whole.values() for frame in frames)
            if self._rows > ROWS // 2:
                self.close()

    def _bounds_of(self, table: str) -> list[_Bound]:
        if not self._bounded:
            return []
        if table == tables.TRAFFIC:
            return [_Bound((name,), HELD_VALUES) for name in tables.TOLD_APART]
        if table == tables.LEVELS:
            return [_Bound(("level",), HELD * MAX_KEYS)]
        if table in (tables.ENDPOINTS, tables.BREAKDOWN):
            return [_Bound(tables.keys(table), HELD * self._spec.max_endpoints)]
        return []

    def close(self) -> None:
        """Hand on what is held."""
        self._rows = 0
        for name in sorted(self._held, key=lambda one: (tables.TABLES.index(one[0]), one[1] or "")):
            held = self._held[name]
            table = self._table(name, held)
            held.replace(held.shape.empty())
            if not table.height:
                continue
            if "first" in table.columns:
                table = table.sort("first").with_columns(first=pl.int_range(pl.len(), dtype=pl.Int64))
            else:
                table = table.sort(*table.columns[:2])
            self._sink(Piece(*name, table))
        for name, frames in self._whole.items():
            self._sink(Piece(*name, pl.concat(frames)))
        self._whole = {}

    def _table(self, name: Name, held: Accumulator) -> pl.DataFrame:
        table = held.table()
        folded = False
        for bound in self._bounds[name] if table.height else ():
            table, new = bound.fold(table)
            over = int(table.filter(new)["events" if name[0] == tables.LEVELS else "requests"].sum())
            if over:
                of, folded = name[1] or name[0], True
                self.folded[of] = self.folded.get(of, 0) + over
        return held.shape.merge([held.shape.empty(), table]) if folded else table
