"""What one client did: its sessions, request by request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final

from logstats.clients.pages import is_page
from logstats.clients.summary import iso
from logstats.dataclass import dataclass
from logstats.enrich.computed import Columns
from logstats.frames import pl
from logstats.ordered import Ordered

STEPS: Final = 1_000  # requests of a session that are kept, the first ones; all are counted
SESSIONS: Final = 10_000
MOST: Final = 100  # agents and addresses that are shown, those with the most requests
AGENT: Final = ("browser", "os", "device", "bot")  # what is said of an agent


@dataclass(frozen=True, slots=True)
class Step:
    """A request of a session."""

    time: datetime
    method: str | None
    target: str
    status: int | None
    duration_ms: float | None


@dataclass(slots=True)
class Visit:
    """A session; `steps` are its requests, at most `STEPS` of them."""

    start: datetime
    end: datetime
    requests: int = 0
    pages: int = 0
    bytes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    entry: str | None = None
    exit: str | None = None
    user_agent: str | None = None
    steps: list[Step] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "start": iso(self.start),
            "end": iso(self.end),
            "requests": self.requests,
            "pages": self.pages,
            "bytes": self.bytes,
            "status": {str(status): count for status, count in sorted(self.statuses.items())},
            "entry": self.entry,
            "exit": self.exit,
            "user_agent": self.user_agent,
            "path": [
                {
                    "time": iso(step.time),
                    "method": step.method,
                    "target": step.target,
                    "status": step.status,
                    "duration_ms": step.duration_ms,
                }
                for step in self.steps
            ],
        }


@dataclass(slots=True)
class Story:
    """The sessions of a client, in order, at most `SESSIONS`; `total` and `requests` are of all of them."""

    client: str
    gap: timedelta
    total: int = 0
    requests: int = 0
    untimed: int = 0
    first: datetime | None = None
    last: datetime | None = None
    statuses: Counter[int] = field(default_factory=Counter)
    agents: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)
    about: dict[str, dict[str, str]] = field(default_factory=dict)  # an agent or an address → what is known of it
    visits: list[Visit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "client": self.client,
            "gap_s": self.gap.total_seconds(),
            "first": iso(self.first),
            "last": iso(self.last),
            "requests": self.requests,
            "without_time": self.untimed,
            "status": {str(status): count for status, count in sorted(self.statuses.items())},
            "user_agents": dict(self.agents.most_common(MOST)),
            "agents": self._known(self.agents, "user_agent"),
            "addresses": self._known(self.addresses, "client_ip"),
            "sessions_total": self.total,
            "sessions": [visit.to_dict() for visit in self.visits],
            "notes": self.notes,
        }

    def add_about(self, columns: Columns, places: Sequence[str]) -> None:
        """Say what is known of the agents and, by these columns, of the addresses."""
        for held, key, names in ((self.agents, "user_agent", AGENT), (self.addresses, "client_ip", places)):
            values = [value for value, _ in held.most_common(MOST)]
            if values and names:
                found = columns.add(pl.DataFrame({key: values}, schema={key: pl.String}), names)
                for row in found.iter_rows(named=True):
                    self.about[row.pop(key)] = {name: str(value) for name, value in row.items() if value is not None}

    def _known(self, held: Counter[str], key: str) -> list[dict[str, Any]]:
        return [{key: value, "requests": n, **self.about.get(value, {})} for value, n in held.most_common(MOST)]


def tell(rows: Iterable[pl.DataFrame], client: str, who: pl.Expr, gap: timedelta) -> Story:
    """The story of the client whom `who` gives. `rows` are frames of the request schema, in any order."""
    story = Story(client, gap)
    with Ordered(("time", "number")) as ordered:
        number = 0
        for frame in rows:
            mine = frame.filter((pl.col("kind") == "request") & (who == client))
            target = pl.concat_str([pl.col("path").fill_null("-"), pl.lit("?") + pl.col("query")], ignore_nulls=True)
            chosen = mine.select(
                pl.col("timestamp").alias("time"),
                pl.int_range(pl.len(), dtype=pl.Int64).alias("number") + number,
                "method",
                target.alias("target"),
                "status",
                "duration_ms",
                pl.col("bytes").fill_null(0),
                "user_agent",
                "client_ip",
                is_page().alias("page"),
            )
            number += mine.height
            story.untimed += chosen["time"].null_count()
            ordered.add(chosen.drop_nulls("time"))
        story.requests = story.untimed
        visit: Visit | None = None
        for frame in ordered.frames():
            for row in frame.iter_rows(named=True):
                visit = _told(story, visit, row)
    return story


def _told(story: Story, visit: Visit | None, row: dict[str, Any]) -> Visit:
    time = row["time"]
    if visit is None or time - visit.end > story.gap:
        visit = Visit(time, time, user_agent=row["user_agent"])
        story.total += 1
        story.first = story.first or time
        if len(story.visits) < SESSIONS:
            story.visits.append(visit)
    visit.end = story.last = time
    visit.requests += 1
    story.requests += 1
    visit.bytes += row["bytes"]
    for counted in (visit.statuses, story.statuses) if row["status"] is not None else ():
        counted[row["status"]] += 1
    agent = row["user_agent"]
    if agent is not None and (agent in story.agents or len(story.agents) < 10_000):
        story.agents[agent] += 1
    address = row["client_ip"]
    if address is not None and (address in story.addresses or len(story.addresses) < 10_000):
        story.addresses[address] += 1
    if row["page"]:
        visit.entry = visit.entry if visit.pages else row["target"]
        visit.pages += 1
    if row["page"] or not visit.pages:
        visit.exit = row["target"]
        visit.entry = visit.entry or row["target"]
    if len(visit.steps) < STEPS:
        visit.steps.append(Step(time, row["method"], row["target"], row["status"], row["duration_ms"]))
    return visit
