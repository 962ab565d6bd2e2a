"""What a reader of the page looks at: a stretch of time, and what it is narrowed to; as the query of a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.expressions.predicates import Between, Compare, Predicate
from logstats.expressions.times import parse_time
from logstats.filters import Filters

ALL: Final = "all"
RANGES: Final = {  # minutes
    "5m": 5, "15m": 15, "1h": 60, "6h": 360, "24h": 1440, "7d": 7 * 1440, "30d": 30 * 1440,
}  # fmt: skip
NARROWED: Final = ("method", "endpoint", "status", "host", "client_ip")
NO_FILTERS: Final = Filters()
LONGEST: Final = 2_000  # characters of a value in a query

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class View:
    """`range` is one of RANGES, `all`, or empty if it is `since` ≤ t < `until` (whole minutes, in UTC). `only` are
    columns and the value that each must have."""

    range: str = ""
    since: datetime | None = None
    until: datetime | None = None
    only: Mapping[str, str] = field(default_factory=dict)

    def query(self) -> str:
        """As the query of a URL."""
        pairs = [("range", self.range)] if self.range else []
        ends = (("since", self.since), ("until", self.until))
        pairs += [(n, time.replace(tzinfo=None).isoformat(timespec="minutes") + "Z") for n, time in ends if time]
        pairs += [(name, self.only[name]) for name in NARROWED if name in self.only]
        return urlencode(pairs)

    def narrowed(self, to: Pairs) -> View:
        """Narrowed further."""
        return replace(self, only={**self.only, **dict(to)})

    def without(self, *names: str) -> View:
        """No longer narrowed to these."""
        return replace(self, only={name: value for name, value in self.only.items() if name not in names})

    def over(self, range_: str) -> View:
        """Of another range."""
        return replace(self, range=range_, since=None, until=None)

    def minutes(self, current: int) -> tuple[int, int]:
        """Since ≤ minute < until, if `current` is now; not of `all`."""
        if self.range:
            return current + 1 - RANGES[self.range], current + 1
        begin = None if self.since is None else minute_of(self.since)
        end = current + 1 if self.until is None else minute_of(self.until)
        return (end - RANGES["1h"] if begin is None else begin), end

    def filters(self, since: datetime | None, until: datetime | None, base: Filters = NO_FILTERS) -> Filters:
        """What counts, in this stretch of time, of what counts at all. Raises UsageError."""
        ends = max_of(since, base.since), min_of(until, base.until)
        where = tuple(_test(name, self.only[name]) for name in NARROWED if name in self.only)
        return replace(base, since=ends[0], until=ends[1], where=(*base.where, *where))


def minute_of(time: datetime) -> int:
    """Minutes since 1970."""
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1)


def read(pairs: Pairs, default: str, zone: str, now: datetime) -> View:
    """A view as a query says it; of the range `default`, if it says none. Raises UsageError."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in ("range", "since", "until", *NARROWED):
            raise UsageError(f"{name[:40]}: this is not known", f"there are range, since, until, {', '.join(NARROWED)}")
        if name in values:
            raise UsageError(f"{name} is there twice", "leave one out")
        if not value or len(value) > LONGEST:
            raise UsageError(f"{name} is {'too long' if value else 'empty'}", f"it has up to {LONGEST:,} characters")
        values[name] = value
    range_ = values.pop("range", "")
    ends = {name: parse_time(values.pop(name), zone, now) for name in ("since", "until") if name in values}
    if range_ and ends:
        raise UsageError("range, and since or until, exclude each other", "leave one out")
    if range_ and range_ not in (*RANGES, ALL):
        raise UsageError(f"range {range_[:40]!r} is not known", f"choose among {', '.join(RANGES)}, {ALL}")
    if any(time.second or time.microsecond for time in ends.values()):
        ends = {name: _whole(name, time) for name, time in ends.items()}
    if len(ends) == 2 and ends["since"] >= ends["until"]:
        raise UsageError("since is not before until", "nothing can be in between")
    view = View("" if ends else range_ or default, ends.get("since"), ends.get("until"), values)
    view.filters(None, None)
    return view


def _whole(name: str, time: datetime) -> datetime:
    """A stretch of time is made of whole minutes: the one that it begins in, and the one that it ends in."""
    minute = time.replace(second=0, microsecond=0)
    whole = name == "since" or time == minute
    return minute if whole or minute.year == datetime.max.year else minute + timedelta(minutes=1)


def max_of(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two times; None is no bound."""
    return other if one is None else one if other is None else max(one, other)


def min_of(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two times; None is no bound."""
    return other if one is None else one if other is None else min(one, other)


def _test(name: str, value: str) -> tuple[str, Predicate]:
    """What must hold of a column, in words and as an expression. Raises UsageError."""
    if name != "status":
        quoted = f"'{value}'" if "'" not in value else f'"{value}"'
        return f"{name} == {quoted}", Compare(name, "==", value)
    if not re.fullmatch(r"[1-9][0-9]{2}|[1-9]xx", value):
        raise UsageError(f"{value[:40]!r} is not a status", "write 404 or 5xx")
    low = int(value.replace("xx", "00"))
    return f"status = {value}", Compare(name, "==", Between(low, low + 99 if value.endswith("xx") else low))
