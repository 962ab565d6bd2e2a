"""Times and stretches of time, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from logstats.errors import UsageError

_RELATIVE = re.compile(r"^(\d{1,9})(s|m|h|d|w)$")
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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
