"""The figures of one instant: what the screen shows, and one line of JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.live.alerts.alerts import Change, State
from logstats.reports.model import EndpointRow, Latency, SourceInfo, iso

PERCENTILES: Final = ("50", "95", "99")
RATES: Final = {"now": 0, "1m": 60, "5m": 300, "15m": 900}  # seconds; now: of the last interval


@dataclass(frozen=True, slots=True)
class Rejected:
    """The newest line that could not be read."""

    source: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known at one instant.

    `time` is what the clocks of the logs show; the window is the current minute with those before it. `rates` are
    requests a second over the last seconds (`RATES`), `history` the requests, 5xx and p95 in ms of each of the last 60
    minutes, the current one last. Counts without a word on what they are of are of the whole session.
    """

    time: datetime | None
    window_minutes: int
    sort: str
    lines: int
    requests: int
    events: int
    rejected: int
    filtered: int
    late: int
    ahead: int
    untimed: int
    truncated: int
    lag: float | None  # seconds: the age of the newest line
    lines_per_second: float
    rates: dict[str, float]
    window_requests: int
    window_errors: int
    status_classes: dict[str, int]
    status: dict[str, int]
    latency: Latency | None
    last_minute: Latency | None
    last_hour: Latency | None
    users_minute: int
    users_hour: int
    endpoints: Sequence[EndpointRow]
    busiest: Sequence[EndpointRow]
    failing: Sequence[EndpointRow]
    endpoints_total: int
    history: Sequence[tuple[int, int, float | None]]
    newest_rejected: Rejected | None
    sources: Sequence[SourceInfo]
    notes: Sequence[str]
    ended: bool = False
    alerts: Sequence[State] = ()
    alert_changes: Sequence[Change] = ()  # since the last snapshot

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: one object."""
        rejected = self.newest_rejected
        return {
            "time": iso(self.time) if self.time else None,
            "lines": self.lines,
            "requests": self.requests,
            "events": self.events,
            "rejected": self.rejected,
            "filtered": self.filtered,
            "untimed": self.untimed,
            "late": self.late,
            "ahead": self.ahead,
            "truncated": self.truncated,
            "lag_seconds": self.lag,
            "lines_per_second": self.lines_per_second,
            "requests_per_second": self.rates,
            "window": {
                "minutes": self.window_minutes,
                "requests": self.window_requests,
                "errors": self.window_errors,
                "status": self.status,
                "status_classes": self.status_classes,
                "latency_ms": self.latency.figures() if self.latency else None,
                "endpoints": [
                    {**row.figures(), "latency_ms": row.latency.figures() if row.latency else None}
                    for row in self.endpoints
                ],
                "endpoints_total": self.endpoints_total,
            },
            "last_minute": {"latency_ms": self.last_minute.figures() if self.last_minute else None},
            "last_hour": {"latency_ms": self.last_hour.figures() if self.last_hour else None, "users": self.users_hour},
            "this_minute": {"users": self.users_minute},
            "newest_rejected": {
                "source": rejected.source,
                "line": rejected.line,
                "reason": rejected.reason,
                "text": rejected.text,
            }
            if rejected
            else None,
            "alerts": [state.to_dict() for state in self.alerts],
            "alert_changes": [change.to_dict() for change in self.alert_changes],
        }

    def to_json(self) -> str:
        """One line, ASCII only."""
        return json.dumps(self.to_dict(), allow_nan=False)
