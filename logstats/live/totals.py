"""What some minutes amount to in all: requests, errors, latency and users. Small, and soon merged."""

from __future__ import annotations

from logstats.summaries.ranking import Ranking
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics
from logstats.summaries.traffic import Traffic
from logstats.summaries.users import Users, state


class Totals:
    """`ranking` has one key, which all requests have: its latency is that of all."""

    def __init__(self, spec: ReportSpec) -> None:
        self.requests = self.errors = 0
        self.ranking = Ranking((), 0)
        self.users: Users = state(spec)()

    @classmethod
    def of_minute(cls, minute: int, held: Statistics) -> Totals:
        """Those of all that is held of a minute."""
        made = cls(held.spec)
        counts = held.get("traffic", Traffic).minutes()
        made.requests, made.errors = int(counts["requests"].sum()), int(counts["errors"].sum())
        made.ranking.add_all(held.get("endpoints", Ranking))
        made.users.merge(held.get("users", Users))
        made.users.forget(minute + 1)
        return made

    def add(self, other: Totals) -> None:
        """Add those of other minutes."""
        self.requests += other.requests
        self.errors += other.errors
        self.ranking.add_all(other.ranking)
        self.users.merge(other.users)
