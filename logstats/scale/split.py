"""A report for each value of a column (`--split-by`): the statistics of each value apart, in bounded memory.

A chunk tells `TOLD` values apart, half of them its most frequent ones, and adds up the others. A value that was among
the others of any chunk would lack these, so it counts as `(other)` everywhere. Which values those are is remembered by
a hash of `SLOTS` places, so another value may share their fate, but no report lacks a request of its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from logstats import schema
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.scale.work import beyond, moved, wide
from logstats.summaries import statistics
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, Summaries

MOST: Final = 100  # reports
TOLD: Final = 200  # values of a chunk
HELD: Final = 1_000  # values at a time, until all lines are read
SLOTS: Final = 1 << 20
_KEY: Final = "_value"


@dataclass(frozen=True, slots=True)
class Part:
    """What a chunk, or several, holds of one value."""

    value: str | None
    requests: int
    events: int
    summaries: list[Summaries]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of some lines; `folded` are the slots of values that are only in the part `(other)`."""

    parts: list[Part]
    folded: Any


@dataclass(frozen=True, slots=True)
class SplitWork:
    """The parts of lines by a column; see `work.Work`."""

    spec: ReportSpec
    column: str

    @property
    def needs(self) -> frozenset[str]:
        """The columns that are read."""
        return statistics.needs(self.spec) | {self.column}

    def work(self, rows: pl.DataFrame, _source: str, _first_line: int) -> Parts:
        """The parts of a chunk."""
        keys = rows.select(schema.as_key(self.column).cast(pl.String).alias(_KEY)).to_series()
        folded = np.zeros(0, np.uint32)
        counts = keys.drop_nulls().value_counts().sort("count", _KEY, descending=[True, False])
        if counts.height > TOLD:
            # The most frequent, and of the others always the same ones: where none is frequent, these are complete.
            often = counts[_KEY].head(TOLD // 2)
            others = counts[_KEY].slice(TOLD // 2)
            others = others.gather(others.hash(seed=7).arg_sort())
            kept = pl.concat([often, others.head(TOLD - len(often))])
            folded = _slots(others.slice(TOLD - len(often)))
            keys = keys.zip_with(keys.is_in(kept.implode()) | keys.is_null(), pl.Series([schema.OTHER]))
        parts = []
        split = rows.with_columns(keys.alias(_KEY)).partition_by(
            _KEY, maintain_order=True, include_key=False, as_dict=True
        )
        for (value,), some in split.items():
            events = int((some["kind"] == "event").sum()) if "kind" in some.columns else 0
            parts.append(Part(value, some.height - events, events, [statistics.summarise(some, self.spec)]))
        return Parts(parts, folded)

    def condense(self, results: list[Parts]) -> tuple[list[Parts], list[str]]:
        """The parts of all chunks together, and what has to be said of them."""
        held = Split(wide(self.spec))
        for result in results:
            held.add(result)
        condensed = held.parts()
        said = [
            f"{self.column} {'(none)' if value is None else value}: {text}"
            for value, one in held.held.items()
            for text in beyond(one.statistics)
        ]
        return [condensed], said

    def moved(self, result: Parts, lines: int) -> Parts:
        """The parts, with their single requests so many lines further down."""
        parts = [replace(part, summaries=[moved(one, lines) for one in part.summaries]) for part in result.parts]
        return replace(result, parts=parts)


def _slots(values: pl.Series) -> Any:
    return (values.hash(seed=7) % SLOTS).cast(pl.UInt32).unique().to_numpy()


class Held:
    """The statistics of one value."""

    def __init__(self, spec: ReportSpec) -> None:
        self.statistics, self.requests, self.events = Statistics(spec), 0, 0

    def add(self, part: Part) -> None:
        """Add a part of the same value, or of one that is folded into it."""
        self.requests += part.requests
        self.events += part.events
        for summaries in part.summaries:
            self.statistics.add(summaries)


class Split:
    """The merged statistics of each value. `(other)` adds up those that are not held."""

    def __init__(self, spec: ReportSpec) -> None:
        self._spec = spec
        self.held: dict[str | None, Held] = {}
        self._folded = np.zeros(SLOTS, np.bool_)

    def add(self, result: Parts) -> None:
        """Add the parts of the next chunk, or of several."""
        if len(result.folded):
            self._folded[result.folded] = True
            self._fold([value for value in self.held if self._is_folded(value)])
        for part in result.parts:
            self._of(schema.OTHER if self._is_folded(part.value) else part.value).add(part)
        if len(self.held) > HELD:
            self.keep(HELD // 2)

    def keep(self, most: int) -> None:
        """Hold only so many values, those with the most lines, and what was not logged."""
        order = sorted(
            (value for value in self.held if value not in (None, schema.OTHER)),
            key=lambda value: (-self.held[value].requests - self.held[value].events, value or ""),
        )
        self._fold(order[most:])

    def parts(self) -> Parts:
        """Everything that is held."""
        parts = [
            Part(value, one.requests, one.events, list(one.statistics.condense())) for value, one in self.held.items()
        ]
        return Parts(parts, np.flatnonzero(self._folded).astype(np.uint32))

    def _of(self, value: str | None) -> Held:
        return self.held.setdefault(value, Held(self._spec))

    def _is_folded(self, value: str | None) -> bool:
        return value is not None and value != schema.OTHER and bool(self._folded[_slots(pl.Series([value]))[0]])

    def _fold(self, values: Sequence[str | None]) -> None:
        for value in values:
            one = self.held.pop(value)
            self._folded[_slots(pl.Series([value]))] = True
            whole = Part(schema.OTHER, one.requests, one.events, list(one.statistics.condense()))
            self._of(schema.OTHER).add(whole)
