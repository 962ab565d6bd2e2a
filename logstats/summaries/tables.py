"""Keyed tables that merge: the one mechanism under every summary.

A table has key columns and figures that are sums, minima or maxima. Merging is concatenation and one group-by,
so it is associative and commutative and the empty table is its identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from logstats import schema
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.summaries.groups import Groups

_PENDING_ROWS: Final = 200_000
_LARGEST: Final = 2**63 - 1

if TYPE_CHECKING:
    Kind = str | pl.DataType


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a table: its keys and its figures, each with its type or the name of that (`schema.dtype`)."""

    keys: Mapping[str, Kind]
    sums: Mapping[str, Kind]
    minima: Mapping[str, Kind]
    maxima: Mapping[str, Kind]

    @property
    def columns(self) -> list[str]:
        """The names of all columns, keys first."""
        return [*self.keys, *self.sums, *self.minima, *self.maxima]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """All columns, keys first."""
        return schema.typed({**self.keys, **self.sums, **self.minima, **self.maxima})

    def empty(self) -> pl.DataFrame:
        """The identity of merging."""
        return pl.DataFrame(schema=self.schema)

    def merge(self, tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One table of several; none of them is changed."""
        if len(tables) == 1:
            return tables[0]
        wanted = pl.Schema(self.schema)
        return self.united(
            pl.concat([one if one.schema == wanted else one.select(list(wanted)).cast(wanted) for one in tables])
        )

    def united(self, table: pl.DataFrame) -> pl.DataFrame:
        """The table without repetitions of its keys. (`Groups` takes half as long as Polars, or less.)"""
        if table.height and self.keys and all(_is_plain(table.schema[key]) for key in self.keys):
            table = table.rechunk()
            groups = Groups([table[key] for key in self.keys])
            figures = [self._figure(groups, table[name], name) for name in table.columns if name not in self.keys]
            if all(figure is not None for figure in figures):
                columns = [key.alias(name) for name, key in zip(self.keys, groups.keys, strict=True)]
                return pl.DataFrame([*columns, *figures]).select(list(self.schema))
        merged = (
            *(pl.col(c).sum() for c in self.sums),
            *(pl.col(c).min() for c in self.minima),
            *(pl.col(c).max() for c in self.maxima),
        )
        return table.group_by(*self.keys).agg(*merged) if self.keys else table.select(*merged)

    def _figure(self, groups: Groups, column: pl.Series, name: str) -> pl.Series | None:
        """The figure of each group; None if a value needs more than 64 bits, or is no whole number."""
        kind, nulls = column.dtype, column.null_count()
        values = column.to_physical() if kind.is_temporal() else column
        if not values.dtype.is_integer():
            return None
        values = values.cast(pl.Int64, strict=False)
        if values.null_count() > nulls:
            return None
        held = values.is_not_null().to_numpy() if nulls else None
        if name in self.sums:
            numbers = values.fill_null(0).to_numpy()
            found = groups.sums(numbers) if kind == pl.Int128 else as_numbers(groups.totals(numbers))
            return found.cast(kind).alias(name)
        least = name in self.minima
        numbers = (values.fill_null(_LARGEST if least else -_LARGEST) if nulls else values).to_numpy()
        ends = (groups.minima if least else groups.maxima)(numbers)
        present = None if held is None else groups.totals(held.astype(np.int64)) > 0
        return as_numbers(ends, present).cast(kind).alias(name)


def _is_plain(kind: pl.DataType) -> bool:
    return kind.is_integer() or kind.is_temporal() or kind == pl.String


class Accumulator:
    """A table that grows by merging. Parts are merged when they have more rows than the merged table, so that the work
    is proportional to the input."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._merged = shape.empty()
        self._parts: list[pl.DataFrame] = []
        self._pending = 0

    def add(self, table: pl.DataFrame) -> None:
        """Add the rows of a table with this shape; its keys may repeat."""
        if table.height:
            self._parts.append(table)
            self._pending += table.height
            if self._pending > max(_PENDING_ROWS, self._merged.height):
                self.table()

    def replace(self, table: pl.DataFrame) -> None:
        """Replace the content by another table, whose keys may repeat."""
        self._merged, self._parts, self._pending = self.shape.merge([self.shape.empty(), table]), [], 0

    def table(self) -> pl.DataFrame:
        """The merged table."""
        if self._parts:
            self._merged = self.shape.merge([self._merged, *self._parts])
            self._parts, self._pending = [], 0
        return self._merged


class Keys:
    """Numbers distinct keys in order of first appearance, up to a cap; further keys get `OTHER`.

    Which keys are kept depends on the order of the lines alone, not on how they were cut into chunks.
    """

    OTHER: Final = -1

    def __init__(self, columns: Sequence[str], cap: int) -> None:
        self.columns = list(columns)
        self.cap = cap
        self._known = pl.DataFrame(schema={**dict.fromkeys(self.columns, pl.String), "id": pl.Int32})

    def number(self, table: pl.DataFrame) -> pl.DataFrame:
        """Replace the key columns of a table by `id`; `first` (line of first appearance) says the order.

        A key whose last column is `(other)` was folded before, in a rollup or a summary.
        """
        folded = pl.col(self.columns[-1]).eq_missing(pl.lit(schema.OTHER))
        groups = Groups([table[column] for column in self.columns])  # most keys repeat
        first = as_numbers(groups.minima(table["first"].to_numpy())).alias("first")
        keys = pl.DataFrame([*(key.alias(name) for name, key in zip(self.columns, groups.keys, strict=True)), first])
        new = keys.filter(~folded).join(self._known, on=self.columns, how="anti", nulls_equal=True)
        if new.height and self._known.height < self.cap:
            new = new.sort("first", *self.columns).head(self.cap - self._known.height)
            start = self._known.height
            ids = pl.int_range(start, start + new.height, dtype=pl.Int32, eager=True).alias("id")
            self._known = pl.concat([self._known, new.select(self.columns).with_columns(ids)])
        numbered = keys.join(self._known, on=self.columns, how="left", nulls_equal=True, maintain_order="left")
        each = groups.spread(numbered["id"].fill_null(self.OTHER).to_numpy())
        return table.drop(*self.columns, "first").with_columns(as_numbers(each).alias("id"))

    @property
    def full(self) -> bool:
        """Whether the cap is reached."""
        return self._known.height >= self.cap

    def restore(self, table: pl.DataFrame) -> pl.DataFrame:
        """The inverse of `number`: the key columns, and `first` for the order in which the keys came, for `id`."""
        *_, last = self.columns
        folded = pl.when("folded").then(pl.lit(schema.OTHER)).otherwise(last).alias(last)
        named = self.name(table).with_columns(folded, first=pl.col("id").cast(pl.Int64))
        return named.select(*self.columns, pl.exclude(*self.columns, "id", "folded"))

    def name(self, table: pl.DataFrame) -> pl.DataFrame:
        """Add the key columns to `id`; all of them null for `OTHER`, told apart by `folded`."""
        named = table.join(self._known, on="id", how="left")
        return named.with_columns(folded=pl.col("id") == self.OTHER)


class Minutes:
    """Holds the first `cap` distinct minutes that come, in the order of the lines; no minute (null) is always held."""

    BEYOND: Final = -(2**62)  # stands for every further minute

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._known: dict[int, None] = {}  # in the order in which they came

    def fold(self, table: pl.DataFrame) -> pl.DataFrame:
        """Replace minutes beyond the cap by `BEYOND`; `first` (line of first appearance) says the order."""
        found = table.group_by("minute").agg(pl.col("first").min()).sort("first")["minute"].to_list()
        new = [minute for minute in found if minute not in (None, self.BEYOND) and minute not in self._known]
        room = self.cap - len(self._known)
        self._known.update(dict.fromkeys(new[:room]))
        if len(new) <= room:
            return table
        over = pl.Series(new[room:], dtype=pl.Int64)
        folded = pl.when(pl.col("minute").is_in(over.implode())).then(pl.lit(self.BEYOND, pl.Int64))
        return table.with_columns(minute=folded.otherwise("minute"))

    def forget(self, table: pl.DataFrame, before: int) -> pl.DataFrame:
        """Replace the minutes before one by `BEYOND`; others may take their place."""
        self._known = {minute: None for minute in self._known if minute >= before}
        return table.with_columns(minute=pl.when(pl.col("minute") < before).then(self.BEYOND).otherwise("minute"))

    def restore(self, table: pl.DataFrame) -> pl.DataFrame:
        """Add `first`, from which another `Minutes` learns the order in which these came."""
        order = pl.DataFrame({"minute": list(self._known)}, schema={"minute": pl.Int64}).with_row_index("first")
        joined = table.join(order, on="minute", how="left")
        return joined.with_columns(pl.col("first").cast(pl.Int64).fill_null(0))
