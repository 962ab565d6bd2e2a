"""Alerts over rows that come in batches, such as those of each commit to an archive.

Between two batches nothing is known of what was logged, so minutes are judged after a batch alone, by the time at which
reading it began: everything that had been written by then is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from logstats.frames import pl
from logstats.live.alerts.alerts import Alerts, Change
from logstats.live.clocks import Clocks


class Batches:
    """Rows → changes of alerts, which `tell` gets; `say` gets what a user should know of the clocks."""

    def __init__(
        self, alerts: Alerts, lateness: float, tell: Callable[[Change], None], say: Callable[[str], None]
    ) -> None:
        self._alerts, self._clocks = alerts, Clocks(lateness)
        self._tell, self._say = tell, say
        self._missed = 0

    @property
    def columns(self) -> list[str]:
        """The columns that rows have to have."""
        return sorted(self._alerts.needs | {"timestamp", "kind", "source", "line"})

    def add(self, rows: pl.DataFrame, now: float, wall: int) -> None:
        """Rows of a batch, with these `columns`; `now` and `wall` are this machine's clocks, in seconds and in µs."""
        for (source,), some in rows.drop_nulls("timestamp").group_by("source", maintain_order=True):
            ordered = some.sort("line")
            times = ordered["timestamp"].to_physical().to_numpy()
            judged = self._clocks.judge(times, str(source), wall, now)
            self._alerts.add(ordered.filter(pl.Series(judged.on_time)))

    def count(self, rows: pl.DataFrame) -> None:
        """Rows that the clocks have seen before."""
        self._alerts.add(rows.drop_nulls("timestamp"))

    def read(self, lines: pl.DataFrame) -> None:
        """Lines of a batch by minute (minute, lines, rejected). Call this after `add` of its rows."""
        self._alerts.read(lines)

    @property
    def next(self) -> int | None:
        """The first minute that was not judged."""
        return self._alerts.next

    def saved(self, now: float) -> dict[str, Any]:
        """How things stand, as JSON has it."""
        return {"clocks": self._clocks.saved(now), "alerts": self._alerts.saved()}

    def restore(self, saved: dict[str, Any], then: float) -> list[str]:
        """Go on from what `saved` gave, `then` by the clock of this machine; the sources that were known. Raises
        ValueError, KeyError, TypeError or AttributeError, and may have taken up a part, for what `saved` did not give.
        """
        self._alerts.restore(saved["alerts"])
        self._clocks.restore(saved["clocks"], then)
        return list(saved["clocks"])

    def skip(self, now: float) -> None:
        """Judge from this minute on, because what came before is not known."""
        self._alerts.skip(self._clocks, now)

    def look(self, now: float, wall: int) -> None:
        """Judge the minutes that the batches so far have closed."""
        for change in self._alerts.look(self._clocks, now, wall):
            self._tell(change)
        while self._clocks.said:
            self._say(self._clocks.said.popleft())
        if more := self._alerts.missed - self._missed:
            self._say(f"{more:,} requests came after alerts had judged their minute: these saw less than there was")
        self._missed = self._alerts.missed
