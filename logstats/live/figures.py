"""What a snapshot says of the last minutes and of the last hour; what is asked again is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.live.snapshot import PERCENTILES
from logstats.live.windows import Windows
from logstats.reports.measured import classes
from logstats.reports.merged import overall, ranked
from logstats.reports.model import EndpointRow, Latency
from logstats.reports.ranked import largest
from logstats.summaries.ranking import Ranking
from logstats.summaries.statistics import Statistics
from logstats.summaries.statuses import Statuses

HOUR: Final = 60  # minutes
_WINDOW: Final = ("statuses", "endpoints")  # aggregates that are shown of the window


@dataclass(slots=True)
class Figures:
    """Of the last `minutes` with the `top` endpoints, and of the last hour."""

    windows: Windows
    minutes: int
    top: int
    _latencies: dict[int, tuple[int, Latency | None]] = field(default_factory=dict)  # of minutes, with their versions
    _last: tuple[tuple[object, ...], dict[str, Any]] | None = None  # what `fields` gave

    def history(self, current: int) -> list[tuple[int, int, float | None]]:
        """Requests, 5xx and p95 of each minute of the last hour."""
        found = []
        for minute in range(current - HOUR + 1, current + 1):
            totals, latency = self.windows.totals(minute), self._latency_of(minute)
            p95 = latency.percentiles["95"] if latency else None
            found.append((totals.requests, totals.errors, p95) if totals is not None else (0, 0, None))
        return found

    def fields(self, lines: int, current: int, now: float, *, sort: str, contains: str, screen: bool) -> dict[str, Any]:
        """The fields of a snapshot that only lines (how many there are so far), and the next minute, change.

        Endpoints are ordered by `sort`, and their names have a text in them, in any case of letters. Without a
        `screen`, what only that shows is left out.
        """
        key = (lines, current, sort, contains, screen)
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        windows = self.windows
        this = windows.totals(current)
        held = windows.over(current - self.minutes + 1, current + 1, now, _WINDOW)
        hour = windows.totals_over(current - HOUR + 1, current + 1, now)
        statuses = held.get("statuses", Statuses).result()
        endpoints, total = self._endpoints(held, sort, contains.lower(), every=screen)
        by_status = {int(status): number for status, number in statuses.drop_nulls().iter_rows()}
        found = {
            "window_requests": int(statuses["requests"].sum()),
            "window_errors": sum(number for status, number in by_status.items() if status // 100 == 5),
            "status_classes": classes(by_status),
            "status": {str(status): number for status, number in by_status.items()},
            "latency": _latency(held.get("endpoints", Ranking)),
            "last_minute": self._latency_of(current - 1),
            "last_hour": _latency(hour.ranking),
            "users_minute": this.users.total() if this else 0,
            "users_hour": hour.users.total(),
            "endpoints": endpoints[: self.top],
            "busiest": largest(endpoints, "requests", self.top)[0] if screen else [],
            "failing": largest(endpoints, "errors", self.top)[0] if screen else [],
            "endpoints_total": total,
        }
        self._last = key, found
        return found

    def _endpoints(self, held: Statistics, sort: str, wanted: str, *, every: bool) -> tuple[Sequence[EndpointRow], int]:
        """Endpoints in their order, of those that are asked for: at least the first, or `every` one; and how many there
        are in all."""
        ranking = ranked(held, PERCENTILES, sort, None if wanted or every else self.top)
        rows: Sequence[EndpointRow] = ranking.rows
        return [row for row in rows if wanted in row.name.lower()] if wanted else rows, ranking.total

    def _latency_of(self, minute: int) -> Latency | None:
        found, version = self.windows.totals(minute), self.windows.version(minute)
        if found is None:
            return None
        if minute not in self._latencies or self._latencies[minute][0] != version:
            if len(self._latencies) > 4 * HOUR:
                self._latencies.clear()
            self._latencies[minute] = version, _latency(found.ranking)
        return self._latencies[minute][1]


def _latency(ranking: Ranking) -> Latency | None:
    """The latency of all requests, without its histogram, which nothing live shows."""
    found = overall(ranking, PERCENTILES, 0)
    return None if found is None else replace(found, buckets=())
