"""Sessions in all: how many, how long, where they begin and end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from logstats import schema
from logstats.clients.visits import Left
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.sketches import loghist

CAP: Final = 10_000  # endpoints that sessions begin or end at; the rest is `(other)`
PERCENTILES: Final = ("50", "90", "99")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a figure of all sessions: its average, exactly, and percentiles, each within 1 % of the nearest rank."""

    average: float
    percentiles: dict[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint that sessions begin or end at; `bounces` of them have no other page."""

    endpoint: str
    sessions: int
    bounces: int


@dataclass(frozen=True, slots=True)
class Summary:
    """`clients` had `sessions`; a bounce is one with a single page. Lengths are seconds from the first request to the
    last. `first` and `last` are those of all requests in sessions."""

    gap: timedelta
    sessions: int
    clients: int
    requests: int
    pages: int
    bounces: int
    first: datetime | None
    last: datetime | None
    length_s: Spread | None
    requests_each: Spread | None
    pages_each: Spread | None
    entries: list[Place]
    exits: list[Place]
    left: Left
    notes: list[str] = field(default_factory=list)

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """As JSON."""
        return {
            "gap_s": self.gap.total_seconds(),
            "sessions": self.sessions,
            "clients": self.clients,
            "requests": self.requests,
            "pages": self.pages,
            "bounces": self.bounces,
            "bounce_rate": self.bounces / self.sessions if self.sessions else None,
            "time": {"first": iso(self.first), "last": iso(self.last)},
            "length_s": _spread(self.length_s),
            "requests_per_session": _spread(self.requests_each),
            "pages_per_session": _spread(self.pages_each),
            "relative_error": loghist.ALPHA,
            "entries": [_place(place) for place in self.entries[:top]],
            "exits": [_place(place) for place in self.exits[:top]],
            "without_time": self.left.untimed,
            "without_client": self.left.unknown,
            "notes": self.notes,
        }


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return None if time is None else time.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _place(place: Place) -> dict[str, Any]:
    return {"endpoint": place.endpoint, "sessions": place.sessions, "bounces": place.bounces}


def _spread(spread: Spread | None) -> dict[str, Any] | None:
    return None if spread is None else {"avg": spread.average, "percentiles": spread.percentiles}


class Adding:
    """Adds up sessions, frame by frame, in order of client."""

    def __init__(self, gap: timedelta, left: Left) -> None:
        self._gap, self._left = gap, left
        self._sums = dict.fromkeys(("sessions", "clients", "requests", "pages", "bounces"), 0)
        self._last_client: str | None = None
        self._times: list[datetime] = []
        self._figures = {name: _Figure() for name in ("length_s", "requests", "pages")}
        self._places = {"entry": _Places("entry"), "exit": _Places("exit")}

    def add(self, sessions: pl.DataFrame) -> None:
        """Count the sessions of a frame (see `visits.SESSIONS`)."""
        if not sessions.height:
            return
        bounces = sessions.filter(pl.col("pages") == 1).height
        clients = sessions["client"].n_unique() - (sessions["client"][0] == self._last_client)
        self._last_client = sessions["client"][-1]
        counts = (sessions.height, clients, int(sessions["requests"].sum()), int(sessions["pages"].sum()), bounces)
        for name, count in zip(self._sums, counts, strict=True):
            self._sums[name] += count
        first, last = sessions.select(pl.col("start").min(), pl.col("end").max()).row(0)
        self._times = [min([first, *self._times]), max([last, *self._times])]
        length = (pl.col("end") - pl.col("start")).dt.total_microseconds() / 1e6
        figures = sessions.select(length_s=length, requests="requests", pages="pages")
        for name, figure in self._figures.items():
            figure.add(figures[name].cast(pl.Float64))
        for places in self._places.values():
            places.add(sessions)

    def summary(self) -> Summary:
        """What was added."""
        folded = [places for places in self._places.values() if places.folded]
        notes = [f"more than {CAP:,} endpoints: those with the fewest sessions are in {schema.OTHER}"] if folded else []
        spreads = {name: figure.spread() for name, figure in self._figures.items()}
        return Summary(
            gap=self._gap,
            **self._sums,
            first=self._times[0] if self._times else None,
            last=self._times[1] if self._times else None,
            length_s=spreads["length_s"],
            requests_each=spreads["requests"],
            pages_each=spreads["pages"],
            entries=self._places["entry"].ranked(),
            exits=self._places["exit"].ranked(),
            left=self._left,
            notes=notes,
        )


class _Figure:
    def __init__(self) -> None:
        self._count, self._sum = 0, 0.0
        self._buckets: dict[int | None, int] = {}

    def add(self, values: pl.Series) -> None:
        self._count += len(values)
        self._sum += float(values.sum())
        buckets = pl.DataFrame({"value": values}).select(bucket=loghist.bucket(pl.col("value")))
        for bucket, count in buckets.group_by("bucket").len().iter_rows():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    def spread(self) -> Spread | None:
        if not self._count:
            return None
        in_order = sorted(self._buckets.items(), key=lambda item: (item[0] is not None, item[0] or 0))
        found = {}
        for text in PERCENTILES:
            left = loghist.nearest_rank(loghist.parse_percentile(text), self._count)
            for bucket, count in in_order:
                left -= count
                if left <= 0:
                    found[text] = loghist.bucket_ms(bucket)
                    break
        return Spread(self._sum / self._count, found)


class _Places:
    def __init__(self, column: str) -> None:
        self._column, self.folded = column, False
        self._table: pl.DataFrame | None = None

    def add(self, sessions: pl.DataFrame) -> None:
        counted = sessions.group_by(pl.col(self._column).fill_null(schema.MALFORMED).alias("endpoint")).agg(
            sessions=pl.len().cast(pl.Int64), bounces=(pl.col("pages") == 1).sum().cast(pl.Int64)
        )
        if self._table is not None:
            both = pl.concat([self._table, counted])
            counted = both.group_by("endpoint").agg(pl.col("sessions", "bounces").sum())
        self._table = self._kept(counted, 10 * CAP)

    def _kept(self, table: pl.DataFrame, most: int) -> pl.DataFrame:
        table = table.sort(["sessions", "endpoint"], descending=[True, False])
        if table.height <= most:
            return table
        self.folded = True
        kept = table.with_columns(
            endpoint=pl.when(pl.int_range(pl.len()) < most).then("endpoint").otherwise(pl.lit(schema.OTHER))
        )
        return kept.group_by("endpoint").agg(pl.col("sessions", "bounces").sum())

    def ranked(self) -> list[Place]:
        if self._table is None:
            return []
        table = self._kept(self._table, CAP).sort(["sessions", "endpoint"], descending=[True, False])
        return [Place(*row) for row in table.select("endpoint", "sessions", "bounces").iter_rows()]


def summarise(sessions: Iterable[pl.DataFrame], gap: timedelta, left: Left) -> Summary:
    """All sessions (see `visits.sessions`) in one summary."""
    adding = Adding(gap, left)
    for frame in sessions:
        adding.add(frame)
    return adding.summary()
