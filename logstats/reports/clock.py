"""Times for people, in the zone of `--tz`. Machine outputs stay in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Shows times in a zone of the tz database, with the offset from UTC that holds at each."""

    def __init__(self, zone: str = "UTC") -> None:
        self.zone = zone

    @cached_property
    def _info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def local(self, time: datetime) -> datetime:
        """The time in the zone; in UTC if it would leave the years 1 to 9999."""
        try:
            return time.astimezone(self._info)
        except OverflowError:
            return time.astimezone(UTC)

    def moment(self, time: datetime, *, seconds: bool = True) -> str:
        """`2025-01-17 10:30:00`, or up to the minute."""
        text = self.local(time).replace(tzinfo=None, microsecond=0).isoformat(" ")
        return text if seconds else text[:16]

    def offset(self, time: datetime) -> str:
        """`UTC`, or `+01:00`."""
        return "UTC" if self.zone == "UTC" else self.local(time).isoformat()[-6:]

    def zoned(self, time: datetime) -> str:
        """`2025-01-17 10:30:00 UTC`, or with `+01:00`."""
        return f"{self.moment(time)} {self.offset(time)}"

    def span(self, first: datetime, last: datetime, dash: str = "–") -> str:
        """A range of times. A common day is written once; two offsets only if they differ."""
        begin, end, offset = self.moment(first), self.moment(last), self.offset(first)
        end = end[11:] if begin[:10] == end[:10] else end
        if offset != self.offset(last):
            begin = f"{begin} {offset}"
        return f"{begin} {dash} {end} {self.offset(last)}"

    def iso(self, time: datetime) -> str:
        """ISO 8601 with the offset: `2025-01-17T10:30:00Z`, `2025-01-17T11:30:00+01:00`."""
        if self.zone == "UTC":
            return time.replace(tzinfo=None).isoformat() + "Z"
        return self.local(time).isoformat()

    def seconds_east(self, second: int) -> int:
        """The offset from UTC, in seconds, at a second since 1970."""
        try:
            offset = self.local(_EPOCH + timedelta(seconds=second)).utcoffset()
        except OverflowError:  # an interval may begin before the year 1
            return 0
        return int(offset.total_seconds()) if offset else 0
