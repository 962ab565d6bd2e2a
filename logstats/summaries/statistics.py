"""All aggregates of a report together: the summaries of a chunk, and the merged state of everything read so far."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import Final, TypeVar

from logstats import allocators
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.summaries.aggregate import Aggregate, State
from logstats.summaries.arrays import Arrays, together
from logstats.summaries.names import AGGREGATES
from logstats.summaries.numbered import Numbered
from logstats.summaries.ranking import Ranking
from logstats.summaries.spec import ReportSpec

_CHUNKS_AT_ONCE: Final = 16
_ROWS_AT_ONCE: Final = 500_000

ORDER_BITS: Final = 32  # `first`, a line within a chunk, becomes a number that grows from chunk to chunk

Summaries = Mapping[str, "pl.DataFrame | Arrays | Numbered"]
"""A table for each aggregate, by its name; a table that is missing is empty. That of a ranking may be `Numbered`."""
Placed = tuple[int, "pl.DataFrame | Arrays | Numbered"]  # with the number of its chunk


@dataclass(frozen=True, slots=True)
class Several:
    """The summaries of some chunks in order, and those of lines that were `left` of all of them. There, `first` has the
    number of the chunk among these above its `ORDER_BITS`."""

    chunks: Sequence[Summaries]
    left: Summaries


Kind = TypeVar("Kind", bound=State)


def aggregates(spec: ReportSpec) -> list[Aggregate]:
    """The aggregates that make up this report, each with a name of its own."""
    files = (import_module(f"logstats.summaries.{name}") for name in AGGREGATES)
    return [aggregate for file in files for aggregate in file.aggregates(spec)]


def needs(spec: ReportSpec) -> frozenset[str]:
    """The schema columns that have to be read."""
    return frozenset[str]().union(*(aggregate.needs for aggregate in aggregates(spec)))


def summarise(rows: pl.DataFrame, spec: ReportSpec, only: Collection[str] | None = None) -> Summaries:
    """Rows of one chunk → a small table for each aggregate, or for those of these names `only`.

    The rows have `line`, the columns that the report `needs`, and `kind` and `level` where some may be events.
    """
    kinds = {"all": rows, "requests": rows}
    if {"kind", "level"} <= set(rows.columns):
        is_event = rows["kind"] == "event"
        kinds["events"], kinds["requests"] = rows.filter(is_event), rows.filter(~is_event)
    asked = [one for one in aggregates(spec) if one.rows in kinds and (only is None or one.name in only)]
    return {one.name: one.summarise(kinds[one.rows]) for one in asked}


def joined(one: Summaries, other: Summaries) -> Summaries:
    """The summaries of two parts of a chunk, of which the second has no `Numbered` tables."""
    found = {**other, **one}
    for name in one.keys() & other.keys():
        mine, more = one[name], other[name]
        assert isinstance(more, pl.DataFrame)
        if isinstance(mine, Numbered):
            found[name] = replace(mine, others=more)
        elif more.height:
            mine = mine.frame() if isinstance(mine, Arrays) else mine
            found[name] = pl.concat([mine, more.select(mine.columns).cast(mine.schema)])
    return found


class Statistics:
    """The merged summaries of everything read so far.

    Summaries are merged some chunks at a time: one merge of many small tables costs little more than one of two.
    With `only`, it holds the aggregates of these names, and ignores what it gets of others.
    """

    def __init__(self, spec: ReportSpec, only: Collection[str] | None = None) -> None:
        self.spec, self._only = spec, only
        self.kept_from: int | None = None  # the first minute that is told apart, if some are not any more
        self._pending: list[tuple[int, Summaries]] = []
        self._chunks = self._rows = 0
        self._merged = False  # anything

    @cached_property
    def _states(self) -> dict[str, State]:
        asked = aggregates(self.spec)
        return {one.name: one.state() for one in asked if self._only is None or one.name in self._only}

    @property
    def states(self) -> Mapping[str, State]:
        """The states of the aggregates, by their names, with everything merged."""
        self._merge()
        return self._states

    @property
    def unmerged(self) -> list[Summaries]:
        """The tables of all chunks, as they came, if none was merged yet; else nothing."""
        return [] if self._merged else [summaries for _, summaries in self._pending]

    def get(self, name: str, kind: type[Kind]) -> Kind:
        """The state of an aggregate, which is of this kind. Raises KeyError if it was not asked for."""
        state = self.states[name]
        assert isinstance(state, kind)
        return state

    def add(self, summaries: Summaries | Several) -> None:
        """Add the summaries of the next chunk or chunks, in the order of the lines; or tables that `condense` gave."""
        if isinstance(summaries, Several):
            new = [*enumerate(summaries.chunks, self._chunks)]
            if summaries.left or not new:
                new.append((self._chunks, summaries.left))
        else:
            new = [(self._chunks, summaries)]
        self._pending += new
        self._chunks = max(number for number, _ in new) + 1
        self._rows += sum(table.height for _, one in new for table in one.values())
        if self._chunks >= _CHUNKS_AT_ONCE or self._rows > _ROWS_AT_ONCE:
            self.merge()

    def merge(self) -> None:
        """Merge the pending summaries, before more are added."""
        if self._pending:
            # Otherwise the states would lie between freed memory of chunks, which could never be returned.
            allocators.trim()
            self._merge()

    def _merge(self) -> None:
        pending, self._pending, self._chunks, self._rows = self._pending, [], 0, 0
        if not pending:
            return
        self._merged = True

        def add(name: str) -> None:
            state = self._states[name]
            tables = [(number, summaries[name]) for number, summaries in pending if name in summaries]
            if any(isinstance(table, Numbered) for _, table in tables):
                assert isinstance(state, Ranking)
                state.add_numbered([(number, table) for number, table in tables if not isinstance(table, Arrays)])
            elif state.in_parts:
                for table in tables:
                    state.add(_concat([table]))
            elif tables:
                state.add(_concat(tables))

        with ThreadPoolExecutor(2, "logstats-merge") as both:
            list(both.map(add, self._states))

    def fold(self, spec: ReportSpec) -> None:
        """Reduce rankings that held more keys than was asked for: those with the most requests stay."""
        held, self.spec = self.states, spec
        for state in held.values():
            state.fold(spec)

    def forget(self, before: int) -> None:
        """No longer tell apart the minutes before one: they count in the whole only, and memory stays flat."""
        self.kept_from = before
        for state in self.states.values():
            state.forget(before)

    def condense(self, only: Collection[str] | None = None) -> Iterator[Summaries]:
        """Everything that is held, in pieces, or what is held for the aggregates of these names `only`. Added to other
        statistics in this order, they count as these do."""
        for name, state in self.states.items():
            if only is None or name in only:
                for table in state.condense():
                    yield {name: table}


def _concat(tables: Sequence[Placed]) -> pl.DataFrame:
    """One table."""
    frames = [(number, table) for number, table in tables if isinstance(table, pl.DataFrame)]
    if frames and "first" in frames[0][1].columns:
        ordered = pl.col("first").cast(pl.Int64)
        frames = [(0, table.with_columns(first=ordered + (number << ORDER_BITS))) for number, table in frames]
    arrays = [(number, table) for number, table in tables if isinstance(table, Arrays)]
    return pl.concat([*([together(arrays, ORDER_BITS).frame()] if arrays else []), *(table for _, table in frames)])
