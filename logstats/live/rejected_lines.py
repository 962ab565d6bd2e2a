"""Lines that could not be read, by the minute of the line before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

import numpy as np

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.live.clocks import MINUTE
from logstats.pipeline import Counts

Line = tuple[int, str, str]  # its number, the reason, its text


@dataclass(slots=True)
class RejectedLines:
    """How many for which reason, and the first few of each, of the last minutes."""

    _minutes: dict[int, Counts] = field(default_factory=dict)

    def add(self, source: str, lines: Sequence[Line], rows: pl.DataFrame, before: int, now: int) -> None:
        """Add lines of a chunk that follows `before` lines, with the rows of that chunk. `now` is the minute of those
        before which there is no row."""
        timed = rows.select("line", "timestamp").drop_nulls() if {"line", "timestamp"} <= set(rows.columns) else None
        if timed is None or not timed.height:
            minutes = [now] * len(lines)
        else:
            timed = timed.sort("line")
            numbers = np.array([number - before - 1 for number, _, _ in lines])
            places = np.searchsorted(timed["line"].to_numpy(), numbers).clip(1) - 1
            minutes = (timed["timestamp"].to_physical().to_numpy()[places] // MINUTE).tolist()
        for minute, (number, reason, text) in zip(minutes, lines, strict=True):
            counts = self._minutes.setdefault(minute, Counts())
            counts.rejected += 1
            counts.reasons[reason] = counts.reasons.get(reason, 0) + 1
            counts.sample(source, number, reason, text)

    def drop(self, first: int, last: int) -> None:
        """Keep these minutes."""
        for minute in [minute for minute in self._minutes if not first <= minute <= last]:
            del self._minutes[minute]

    def between(self, since: int, until: int) -> Counts:
        """Those of `since` ≤ minute < `until`."""
        counts = Counts()
        for minute in sorted(self._minutes):
            if since <= minute < until:
                counts.add(self._minutes[minute])
        return counts
