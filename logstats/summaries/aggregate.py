"""The interface of an aggregate: a function that summarises a chunk, and a state that merges summaries.

An aggregate is a file of this folder with a function `aggregates(spec)`, and a line in `names.AGGREGATES`. Most need no
state of their own: `MergedTable` holds a table with few possible keys, `CappedTable` one whose keys clients can choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, Literal

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Accumulator, Keys, Shape

MAX_KEYS: Final = 1_000  # of a `CappedTable`


class State:
    """The merged summaries of one aggregate.

    States merge by their tables: `add` takes the table that `summarise` makes of a chunk, and also the tables that
    `condense` gives of another state. So a report over several processes, hosts or files is merged by the same calls.
    """

    in_parts: ClassVar[bool] = False  # whether to add the tables of chunks one by one, and not several as one table

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk, or of the state of later lines."""
        raise NotImplementedError

    def condense(self) -> Iterator[pl.DataFrame]:
        """Everything that is held, as one keyed table in pieces; `add` of them, in order, gives the same state."""
        raise NotImplementedError

    def fold(self, spec: ReportSpec) -> None:
        """Reduce a state that held more than was asked for to the caps of `spec`."""

    def beyond(self) -> tuple[int, int]:
        """How many lines have keys beyond a cap on these, and the cap."""
        return 0, 0

    def forget(self, before: int) -> None:
        """No longer tell apart the minutes before one (minutes since 1970): they count in the whole only."""

    def result(self) -> pl.DataFrame:
        """The table that a report shows. Only an aggregate that has a title in `names.AGGREGATES` needs it."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate: its name, the schema columns that it reads, and how it counts.

    `summarise` makes a table of the rows of one chunk, in any thread. The rows have the columns that it `needs` and
    `line`, the line within the chunk; they are requests, events or all rows. A column `first` in its result is a line
    as well, and says in which order keys came. `state` makes the state that such tables are added to. `by_minute`, if
    there is one, gives what `summarise` gives of the rows of each `minute` (Int64), with that column, all at once.
    """

    name: str
    needs: frozenset[str]
    summarise: Callable[[pl.DataFrame], pl.DataFrame]
    state: Callable[[], State]
    rows: Literal["requests", "events", "all"] = "requests"
    by_minute: Callable[[pl.DataFrame], pl.DataFrame] | None = None


class MergedTable(State):
    """A state that is just a merged table of one shape."""

    def __init__(self, shape: Shape) -> None:
        self._held = Accumulator(shape)

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk."""
        self._held.add(table.select(list(self._held.shape.schema)))

    def condense(self) -> Iterator[pl.DataFrame]:
        """The merged table, in one piece."""
        yield self._held.table()

    def result(self) -> pl.DataFrame:
        """The merged table, ordered by its keys."""
        return self._held.table().sort(*self._held.shape.keys, nulls_last=True)


class CappedTable(State):
    """Counts by keys that are texts, Int64 unless their types are given; each line counts in one of those that are
    Int64. The first `cap` keys are held; the others are counted as `(other)`.

    The tables are (key…, count…, first).
    """

    def __init__(self, keys: Sequence[str], counts: Sequence[str] | Mapping[str, str], cap: int = MAX_KEYS) -> None:
        kinds = counts if isinstance(counts, Mapping) else dict.fromkeys(counts, "Int64")
        self._keys = Keys(keys, cap)
        self._held = Accumulator(Shape({"id": "Int32"}, dict(kinds), {}, {}))

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk."""
        self._held.add(self._keys.number(table).select(list(self._held.shape.schema)))

    def condense(self) -> Iterator[pl.DataFrame]:
        """(key…, count…, first), in one piece."""
        yield self._keys.restore(self._held.table())

    def beyond(self) -> tuple[int, int]:
        """How many lines have keys beyond the cap, and the cap."""
        folded = self._held.table().filter(pl.col("id") == Keys.OTHER) if self._keys.full else self._held.shape.empty()
        lines = sum(folded[name].sum() for name, kind in self._held.shape.sums.items() if kind == "Int64")
        return int(lines), self._keys.cap

    def result(self) -> pl.DataFrame:
        """(key…, count…), the greatest first count first."""
        (count, *_), keys = self._held.shape.sums, self._keys.columns
        table = self._keys.restore(self._held.table()).drop("first")
        return table.sort(count, *keys, descending=[True, *(False for _ in keys)])
