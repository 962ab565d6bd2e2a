"""Figures by the minute, by the clocks of the logs: any stretch of the last minutes is a merge of theirs.

Whatever a report says can be said of a minute, and of a window: each minute is held as its rows or, if there are many,
as the summaries that a report is made of; what is asked for is made of both. Minutes are dropped when the window has
moved on, so memory does not grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Final

import numpy as np

from logstats import schema
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.live.clocks import MINUTE, Clocks
from logstats.live.log_clock import SECOND
from logstats.live.stretch import FEW, Cache, ClosedMinute, Names, Stretch, numbered
from logstats.live.totals import Totals
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, Summaries, needs, summarise

_RATES: Final = 15 * 60 + 60  # seconds whose requests are counted one by one
_MANY: Final = 20_000  # rows of a minute that are summarised at once; `FEW` are, once it is over
_WHOLE: Final = 500  # rows that came at once, whose summaries are taken as they are
_NEVER: Final = -(2**62)


@dataclass(slots=True)
class Windows:
    """The last `keep` minutes, with what `spec` asks for.

    `late`, `ahead` and `untimed` are the rows that are in no minute: those that came too late, those with a time in the
    future, and those without one.
    """

    spec: ReportSpec
    clocks: Clocks
    keep: int
    late: int = 0
    ahead: int = 0
    untimed: int = 0
    _minutes: dict[int, Statistics] = field(default_factory=dict)  # those with many rows,
    _rows: dict[int, list[pl.DataFrame]] = field(default_factory=dict)  # and the rows of others
    _heights: dict[int, int] = field(default_factory=dict)  # how many those are
    _needed: frozenset[str] = field(init=False)
    _versions: dict[int, int] = field(default_factory=dict)  # of each minute, the number of its last change
    _changes: int = 0
    _shared: set[int] = field(default_factory=set)  # minutes that others may be reading
    _seconds: dict[int, int] = field(default_factory=dict)  # requests of each
    _cache: Cache = field(default_factory=Cache)
    _totals: dict[int, tuple[int, Totals]] = field(default_factory=dict)  # of minutes, with their versions,
    _closed_totals: tuple[tuple[int, ...], Totals] | None = None  # and of closed minutes together

    def __post_init__(self) -> None:
        self._needed = needs(self.spec) | {"kind", "level"}

    def add(
        self, rows: pl.DataFrame, source: str, wall: int, now: float, summaries: Summaries | None = None
    ) -> pl.DataFrame:
        """Rows of the next lines of a source, at a time of this machine: in µs since 1970, and by its monotonic clock;
        and the summaries of these rows, if they are made.

        Returns those that are on time, by the clock of their source, in the order of their lines.
        """
        height = rows.height
        if rows["timestamp"].null_count():
            timed = rows.filter(pl.col("timestamp").is_not_null())
            self.untimed += rows.height - timed.height
            rows = timed
        if not rows.height:
            return rows
        if not rows["line"].is_sorted():
            rows = rows.sort("line")
        times = rows["timestamp"].to_physical().to_numpy()
        latest = self.latest(now)
        gone = _NEVER if latest is None else latest // MINUTE - self.keep + 1
        judged = self.clocks.judge(times, source, wall, now)
        self.late += judged.late
        self.ahead += judged.ahead
        on_time = rows if judged.on_time.all() else rows.filter(pl.Series(judged.on_time))
        latest = self.latest(now)
        assert latest is not None
        first = latest // MINUTE - self.keep + 1
        minutes = times // MINUTE
        self.late += int((judged.on_time & (minutes < gone)).sum())  # of a source that is far behind the others
        held = judged.on_time & (minutes >= first)
        if not held.all():
            rows, times, minutes = rows.filter(pl.Series(held)), times[held], minutes[held]
        self._count_seconds(rows, times)
        for minute, some in _by_minute(rows, minutes):
            if summaries is not None and some.height == height >= _WHOLE:
                self._take(minute, summaries)
            else:
                self._rows.setdefault(minute, []).append(schema.owned(some.select(self._columns(some))))
                self._heights[minute] = self._heights.get(minute, 0) + some.height
                if self._heights[minute] >= _MANY:
                    self._summarise(minute)
            self._changes += 1
            self._versions[minute] = self._changes
        self._drop(first, latest)
        return on_time

    def _count_seconds(self, rows: pl.DataFrame, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        if "kind" in rows.columns:
            times = times[(rows["kind"] == "request").to_numpy()]
        for second, count in zip(*np.unique(times // SECOND, return_counts=True), strict=True):
            self._seconds[int(second)] = self._seconds.get(int(second), 0) + int(count)

    def _drop(self, first: int, latest: int) -> None:
        # What a clock logged that was ahead, until it was set back, would be joined with what is logged when its time
        # comes again.
        gone = [m for m in self._versions if m < first or m > latest // MINUTE]
        if gone:
            self._cache.forget(first)
        for minute in gone:
            del self._versions[minute]
            self._shared.discard(minute)
            for held in (self._minutes, self._rows, self._heights, self._totals):
                held.pop(minute, None)
        for minute in [m for m, rows in self._heights.items() if rows > FEW and m < latest // MINUTE - 1]:
            self._summarise(minute)
        now = latest // SECOND
        if len(self._seconds) > 2 * _RATES or max(self._seconds, default=now) > now:
            self._seconds = {s: count for s, count in self._seconds.items() if now - _RATES <= s <= now}

    def latest(self, now: float) -> int | None:
        """What the clocks show, in µs since 1970: the one that is furthest. None before the first line."""
        return self.clocks.latest(now)

    def minute(self, minute: int) -> Statistics | None:
        """A minute; None if nothing is held of it."""
        if minute in self._rows:
            self._summarise(minute)
        if (held := self._minutes.get(minute)) is not None:
            held.merge()
        return held

    def _columns(self, rows: pl.DataFrame) -> list[str]:
        return [name for name in rows.columns if name in self._needed]

    def _summarise(self, minute: int) -> None:
        """Hold the summaries of a minute, not its rows."""
        rows = numbered(self._rows.pop(minute))
        del self._heights[minute]
        self._take(minute, summarise(rows, self.spec))

    def _take(self, minute: int, summaries: Summaries) -> None:
        """Hold the summaries of the next rows of a minute."""
        if minute in self._rows:
            self._summarise(minute)
        held = self._minutes.get(minute)
        if held is None or minute in self._shared:  # what another thread may be reading is left as it is
            made = Statistics(self.spec)
            for table in held.condense() if held is not None else ():
                made.add(table)
            self._minutes[minute] = held = made
            self._shared.discard(minute)
        held.add(summaries)

    def version(self, minute: int) -> int:
        """A number that changes when a minute does."""
        return self._versions.get(minute, 0)

    def stretch(self, since: int, until: int, now: float, only: Names = None) -> Stretch:
        """The minutes `since` ≤ minute < `until`, as far as they are held now, to be merged by whoever wants to."""
        since, until = (
            max(since, min(self._versions, default=since)),
            min(until, max(self._versions, default=since) + 1),
        )
        closed = min(until, max(since, self.clocks.closed(now) or since))
        if closed - since <= 1:
            closed = since
        minutes = {minute: self._closed(minute) for minute in range(since, closed) if minute in self._versions}
        later: list[Summaries | pl.DataFrame] = []
        for minute in range(closed, until):
            if (held := self._minutes.get(minute)) is not None:
                later += held.condense(only)
            later += self._rows.get(minute, [])
        return Stretch(self.spec, only, since, closed, minutes, later, self._cache)

    def _closed(self, minute: int) -> ClosedMinute:
        held = self._minutes.get(minute)
        if held is not None and minute not in self._shared:
            for _ in held.condense():  # what reading it would still have to merge is merged, once
                pass
            self._shared.add(minute)
        return ClosedMinute(self._versions[minute], held, tuple(self._rows.get(minute, ())))

    def over(self, since: int, until: int, now: float, only: Names = None) -> Statistics:
        """The minutes `since` ≤ minute < `until` together, as far as they are held.

        With `only`, no more than these aggregates, which do not tell those minutes apart: much less is merged.
        """
        return self.stretch(since, until, now, only).merged()

    def totals(self, minute: int) -> Totals | None:
        """The totals of a minute; None if nothing is held of it."""
        version = self._versions.get(minute)
        if version is None:
            return None
        if minute not in self._totals or self._totals[minute][0] != version:
            held = self.minute(minute)
            assert held is not None
            self._totals[minute] = version, Totals.of_minute(minute, held)
        return self._totals[minute][1]

    def totals_over(self, since: int, until: int, now: float) -> Totals:
        """The totals of `since` ≤ minute < `until` together, as far as they are held."""
        closed = min(until, max(since, self.clocks.closed(now) or since))
        key = (since, closed, *(self._versions.get(minute, 0) for minute in range(since, closed)))
        if self._closed_totals is None or self._closed_totals[0] != key:
            self._closed_totals = key, self._sum(Totals(self.spec), since, closed)
        made = Totals(self.spec)
        made.add(self._closed_totals[1])
        return self._sum(made, closed, until)

    def _sum(self, made: Totals, since: int, until: int) -> Totals:
        for minute in range(since, until):
            if (found := self.totals(minute)) is not None:
                made.add(found)
        return made

    def requests_since(self, seconds: int, now: float) -> int:
        """Requests of the last so many seconds, by the clocks of the logs."""
        latest = self.latest(now)
        if latest is None:
            return 0
        last = latest // SECOND
        return sum(self._seconds.get(second, 0) for second in range(last - seconds + 1, last + 1))


def _by_minute(
    rows: pl.DataFrame, minutes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Iterator[tuple[int, pl.DataFrame]]:
    found = np.unique(minutes)
    if len(found) == 1:
        yield int(found[0]), rows
        return
    for minute in found.tolist():
        yield minute, rows.filter(pl.Series(minutes == minute))
