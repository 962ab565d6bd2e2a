"""Figures in words for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from logstats.sizes import size, three_figures

__all__ = ["count", "counted", "describe_invalid", "duration", "figure", "percent", "share", "size"]

_FIELDS: Final = {"duration": "durations", "bytes": "sizes"} | {
    "upstream_duration": "times in the upstream",
    "request_bytes": "sizes of requests",
}
_HEADS: Final = {"trace_id": "trace", "bot_class": "class", "bot_verified": "verified"}


def count(number: int) -> str:
    """12,345,678."""
    return f"{number:,}"


def counted(number: int, what: str) -> str:
    """1 request, 12 requests."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def describe_invalid(invalid: Mapping[str, int]) -> str:
    """How many values of which fields were left out because they have no meaning; nothing if there are none."""
    parts = [f"{count(number)} {_FIELDS.get(field, field)}" for field, number in invalid.items() if number]
    return f"{' and '.join(parts)} left out: negative, impossible, or no number" if parts else ""


def duration(milliseconds: float) -> str:
    """Three figures with a unit: 24.3µs, 0.25ms, 12.5ms, 1.25s, 2m05s, 3h12m."""
    if milliseconds < 0.0000005:
        return "0"
    if milliseconds < 0.0009995:
        return f"{milliseconds * 1_000_000:.0f}ns"
    if milliseconds < 0.09995:
        return f"{three_figures(milliseconds * 1000)}µs"
    if milliseconds < 1:
        return f"{milliseconds:.2f}ms"
    if milliseconds < 999.5:
        return f"{three_figures(milliseconds)}ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{three_figures(seconds)}s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 59.5:
        return f"{int(minutes)}m{int(seconds) % 60:02d}s"
    return f"{int(hours):,}h{int(minutes) % 60:02d}m"


def figure(column: str, value: float) -> str:
    """A number of a table, as its column has it: bytes as a size, shares (0 to 1) in per cent, times."""
    if column == "share" or column.endswith("_share"):
        return share(value, 1)
    if column == "bytes" or column.endswith("_bytes"):
        return size(int(value))
    if column.endswith("_ms"):
        return duration(value)
    return count(value) if isinstance(value, int) else f"{value:,.3f}"


def head(column: str) -> str:
    """What a column of an aggregate's table is called where people read it: its cells have units."""
    if column.endswith("_share"):
        return f"of {column.removesuffix('_share')}"
    return _HEADS.get(column) or column.removesuffix("_ms").replace("_", " ")


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent. It is 0% only for nothing and 100% only for all."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    if percent < 0.01:
        return "<0.01%"
    if part < whole and percent > 99.99:
        return ">99.99%"
    return f"{percent:.2f}%" if percent < 1 else f"{percent:.1f}%" if part < whole else "100%"


def percent(part: float, figures: int = 4) -> str:
    """A part of 1 in per cent, to so many figures of it or, near 100 %, of what is missing: 0.1234%, 99.98766%."""
    missing = 1 - part
    smaller = min(abs(part), abs(missing)) if missing > 0 else abs(part)
    if not smaller:
        return "0%" if not part else "100%"
    decimals = max(0, min(12, figures - 3 - math.floor(math.log10(smaller))))
    text = f"{100 * part:,.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def length(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    for value, unit in ((days, "day"), (hours, "hour"), (minutes, "minute")):
        if value >= 1:
            shown = f"{value:.1f}".removesuffix(".0")
            return f"{shown} {unit}{'' if shown == '1' else 's'}"
    return counted(round(seconds), "second")


def rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:,.1f}/s"
    return f"{per_second * 60:,.1f}/min" if per_second * 60 >= 1 else f"{per_second * 3600:,.1f}/h"


def compact(number: int) -> str:
    for limit, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if number >= limit:
            return f"{number / (1000 if unit == 'k' else limit):.3g}{unit}"
    return f"{number:,}"
