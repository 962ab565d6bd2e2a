"""Some minutes together: taken at one instant, and merged later, while whoever reads lines goes on.

A closed minute is taken as it is held, since it does not change any more; of one that is not closed, its tables are.
What was merged of closed minutes is kept: hours and tens of minutes, and whole stretches, which grow by a minute each
minute. So merging a stretch that is asked for again and again takes about as long as merging one minute.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, Summaries, summarise

FEW: Final = 2_000  # rows of a minute that is over, from which on it is summarised
_BLOCKS: Final = (60, 10)  # minutes that are also held merged, once a longer stretch was asked for
_MOST: Final = 100  # blocks that are kept,
_CACHED: Final = 16  # and whole stretches
Names = tuple[str, ...] | None  # of aggregates; None is all
_Key = tuple[int, int, Names]  # since, until, of which aggregates
_Version = tuple[int, int]  # the newest change of any minute, and how many minutes there are


@dataclass(frozen=True, slots=True)
class ClosedMinute:
    """What is held of a minute that does not change any more. `version` is another number after each change."""

    version: int
    held: Statistics | None
    rows: Sequence[pl.DataFrame]


class Merged:
    """Stretches that were merged. Any thread may use it; what it gives is only to be read."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[_Key, tuple[_Version, Statistics]] = {}
        self._lock = threading.Lock()

    def get(self, key: _Key, version: _Version) -> Statistics | None:
        """What was merged, if that is still what there is."""
        with self._lock:
            found = self._held.pop(key, None)
            if found is None:
                return None
            self._held[key] = found  # the newest
            return found[1] if found[0] == version else None

    def put(self, key: _Key, version: _Version, made: Statistics) -> None:
        """Keep it, and let go of what was not asked for the longest."""
        with self._lock:
            self._held.pop(key, None)
            self._held[key] = version, made
            for old in [*self._held][: -self._most]:
                del self._held[old]

    def forget(self, before: int) -> None:
        """Let go of what begins before a minute."""
        with self._lock:
            for key in [key for key in self._held if key[0] < before]:
                del self._held[key]

    def __len__(self) -> int:
        return len(self._held)


@dataclass(slots=True)
class Cache:
    """What is kept for the next stretches."""

    stretches: Merged = field(default_factory=lambda: Merged(_CACHED))
    blocks: Merged = field(default_factory=lambda: Merged(_MOST))

    def forget(self, before: int) -> None:
        """Let go of what begins before a minute."""
        self.stretches.forget(before)
        self.blocks.forget(before)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The closed minutes `since` ≤ minute < `closed`, as far as they are held, and what there is of later ones: rows,
    and tables, in their order. With `only`, it is about no more than these aggregates, and tells no minutes apart."""

    spec: ReportSpec
    only: Names
    since: int
    closed: int
    minutes: Mapping[int, ClosedMinute]
    later: Sequence[Summaries | pl.DataFrame]
    cache: Cache

    def merged(self) -> Statistics:
        """All of it."""
        made = Statistics(self.spec, self.only)
        if self.closed > self.since:
            for table in self._closed(self.since, self.closed, self.cache.stretches).condense():
                made.add(table)
        rows: list[pl.DataFrame] = []
        for one in self.later:
            if isinstance(one, pl.DataFrame):
                rows.append(one)
            else:
                self._add_rows(made, rows)
                made.add(one)
        self._add_rows(made, rows)
        made.merge()
        return made

    def prepare(self) -> None:
        """Merge the closed minutes, for whoever asks next."""
        if self.closed > self.since:
            self._closed(self.since, self.closed, self.cache.stretches)

    def _version(self, since: int, until: int) -> _Version:
        versions = [one.version for minute, one in self.minutes.items() if since <= minute < until]
        return max(versions, default=0), len(versions)

    def _closed(self, since: int, until: int, cache: Merged) -> Statistics:
        key, version = (since, until, self.only), self._version(since, until)
        if (found := cache.get(key, version)) is not None:
            return found
        made = Statistics(self.spec, self.only)
        shorter = cache.get((since, until - 1, self.only), self._version(since, until - 1))
        if shorter is not None:
            for table in shorter.condense():
                made.add(table)
            self._add_minutes(made, range(until - 1, until))
        else:
            self._merge_blocks(made, since, until)
        made.merge()
        if self.only is not None:
            made.forget(until)
        cache.put(key, version, made)
        return made

    def _merge_blocks(self, made: Statistics, since: int, until: int) -> None:
        summarised = sum(since <= minute < until and one.held is not None for minute, one in self.minutes.items())
        rows = sum(
            frame.height for minute, one in self.minutes.items() if since <= minute < until for frame in one.rows
        )
        if summarised + rows // FEW < _BLOCKS[0] // 2:
            self._add_minutes(made, range(since, until))
            return
        while since < until:
            length = next((n for n in _BLOCKS if since % n == 0 and since + n <= until and until - since > n), 1)
            if length == 1:
                self._add_minutes(made, range(since, since + 1))
            else:
                for table in self._closed(since, since + length, self.cache.blocks).condense():
                    made.add(table)
            since += length

    def _add_minutes(self, made: Statistics, minutes: range) -> None:
        rows: list[pl.DataFrame] = []
        for minute in minutes:
            if (one := self.minutes.get(minute)) is None:
                continue
            if one.held is not None:
                self._add_rows(made, rows)
                for table in one.held.condense(self.only):
                    made.add(table)
            rows += one.rows
        self._add_rows(made, rows)

    def _add_rows(self, made: Statistics, rows: list[pl.DataFrame]) -> None:
        if rows:
            made.add(summarise(numbered(rows), self.spec, self.only))
            rows.clear()


def numbered(rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of some chunks, with `line` as a number that grows."""
    return pl.concat(rows, how="diagonal").with_row_index("line")
