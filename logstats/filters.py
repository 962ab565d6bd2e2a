"""Which rows count: time range, status, method, path, host. One expression over the request schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from logstats.errors import UsageError

_RELATIVE = re.compile(r"^(\d{1,9})(s|m|h|d|w)$")
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What must hold of a row (each tuple: any of these), and what must not (`exclude_…`).

    `since` ≤ timestamp < `until`; a row without a time is outside of any range. Statuses are `404` or `5xx`,
    methods are compared without regard to case, `path` and `host` are globs (`*` also matches `/`).
    """

    since: datetime | None = None
    until: datetime | None = None
    status: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    exclude_status: tuple[str, ...] = ()
    exclude_method: tuple[str, ...] = ()
    exclude_path: tuple[str, ...] = ()
    exclude_host: tuple[str, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that the filters look at."""
        columns = {"timestamp"} if self.since or self.until else set()
        for name in ("status", "method", "path", "host"):
            if getattr(self, name) or getattr(self, f"exclude_{name}"):
                columns.add(name)
        return frozenset(columns)

    def expression(self) -> pl.Expr | None:
        """True for the rows that count, never null; None if all do. Raises UsageError."""
        tests: list[pl.Expr] = []
        if self.since:
            tests.append(pl.col("timestamp") >= self.since)
        if self.until:
            tests.append(pl.col("timestamp") < self.until)
        for name, test in (("status", _status), ("method", _method), ("path", glob_matches), ("host", glob_matches)):
            wanted, unwanted = getattr(self, name), getattr(self, f"exclude_{name}")
            if wanted:
                tests.append(test(name, wanted))
            if unwanted:
                tests.append(~test(name, unwanted).fill_null(value=False))
        return pl.all_horizontal(*tests).fill_null(value=False) if tests else None

    def describe(self) -> dict[str, str]:
        """The filters in force, for the report."""
        words = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value:
                shown = value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else ",".join(value)
                words[field.name.replace("_", "-")] = shown
        return words


def parse_time(text: str, zone: str, now: datetime) -> datetime:
    """ISO 8601, `15m`, `2h`, `7d` before now, or `now`, `today`, `yesterday` in the zone → UTC. Raises UsageError."""
    local = ZoneInfo(zone)
    if match := _RELATIVE.match(text):
        try:
            return now.astimezone(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError:
            raise UsageError(f"{text}: that is before the year 1") from None
    midnight = now.astimezone(local).replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("now", "today", "yesterday", "tomorrow"):
        if text == "now":
            return now.astimezone(UTC)
        days = {"today": 0, "yesterday": -1, "tomorrow": 1}[text]
        # Wall-clock arithmetic: a day has 23 or 25 hours where clocks change.
        return (midnight + timedelta(days=days)).astimezone(UTC)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=local)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is not a time", "write 2025-01-17, 2025-01-17T10:30, 15m, 2h, 7d, today or yesterday"
        ) from None


def parse_range(text: str, zone: str, now: datetime) -> tuple[datetime, datetime]:
    """A stretch of time as since ≤ t < until, in UTC. Raises UsageError.

    `yesterday`, `today` and `2025-01-17` are days in the zone, `2h` is the last two hours, `FROM..TO` is from one time
    to another, each as `parse_time` reads it.
    """
    begin, dots, end = text.partition("..")
    if dots:
        since, until = (parse_time(part.strip() or "now", zone, now) for part in (begin, end))
    elif _RELATIVE.match(text):
        since, until = parse_time(text, zone, now), now.astimezone(UTC)
    elif text in ("today", "yesterday") or _DAY.match(text):
        since = parse_time(text, zone, now)
        local = since.astimezone(ZoneInfo(zone))
        until = _following(local)
    else:
        raise UsageError(
            f"{text!r} is no stretch of time",
            "write yesterday, today, 2025-01-17, 2h, or 2025-01-17T10:00..2025-01-17T12:00",
        )
    if since >= until:
        raise UsageError(f"{text!r} ends before it begins", "write FROM..TO")
    return since, until


def _following(midnight: datetime) -> datetime:
    """The next local midnight; a day has 23 or 25 hours where clocks change."""
    try:
        return (midnight + timedelta(days=1)).astimezone(UTC)
    except OverflowError:
        raise UsageError("there is no day after that") from None


def _status(name: str, wanted: Sequence[str]) -> pl.Expr:
    tests = []
    for word in wanted:
        if re.fullmatch(r"[1-5]xx", word.lower()):
            low = int(word[0]) * 100
            tests.append(pl.col(name).is_between(low, low + 99))
        elif re.fullmatch(r"[1-9][0-9]{2}", word):
            tests.append(pl.col(name) == int(word))
        else:
            raise UsageError(f"{word!r} is not a status", "write 404 or 5xx, several with commas: 5xx,404")
    return pl.any_horizontal(*tests)


def _method(name: str, wanted: Sequence[str]) -> pl.Expr:
    return pl.col(name).str.to_uppercase().is_in([word.upper() for word in wanted])


def glob_matches(name: str, wanted: Sequence[str]) -> pl.Expr:
    """Whether a column matches one of some globs, null where it is null: `*` is any run of characters, `?` any one."""
    return pl.col(name).str.contains("|".join(f"(?:{_regex(word)})" for word in wanted))


def _regex(glob: str) -> str:
    """`*` is any run of characters, `?` any one; the rest is literal. (fnmatch's syntax is not Rust's.)"""
    parts = re.split(r"([*?])", glob)
    return "(?s)^" + "".join({"*": ".*", "?": "."}.get(part) or _literal(part) for part in parts) + "$"


def _literal(text: str) -> str:
    return re.sub(r"([\\.+^$|()\[\]{}*?#&~-])", r"\\\1", text)
