"""The columns that an expression may name, and how their values are written."""

from __future__ import annotations

from difflib import get_close_matches
from enum import Enum
from typing import Final

from logstats import schema


class Kind(Enum):
    """What a column holds, as an error says it."""

    TEXT = "a text"
    ADDRESS = "an address"
    STATUS = "a status"
    DURATION = "a duration"
    SIZE = "a size"
    TIME = "a time"
    NUMBER = "a number"


_KINDS: Final = {
    "timestamp": Kind.TIME,
    "status": Kind.STATUS,
    "duration_ms": Kind.DURATION,
    "upstream_ms": Kind.DURATION,
    "bytes": Kind.SIZE,
    "request_bytes": Kind.SIZE,
    "client_ip": Kind.ADDRESS,
    "hour": Kind.NUMBER,
}
# Other names of columns.
ALIASES: Final = {"duration": "duration_ms", "time": "timestamp", "app": "app_name", "ip": "client_ip"}
# Texts that are compared without regard to case.
ANY_CASE: Final = frozenset({"method", "level", "weekday", "cache", "country", "continent", "bot_class"})
# All values of columns that have only a few: whoever misspells one is told so, where a test of it could only be false.
VALUES: Final = {
    "kind": ("request", "event"),
    "weekday": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "bot_verified": ("genuine", "false"),
    "bot_class": (
        *("search engine", "ai crawler", "ai search", "ai user", "monitor", "seo", "feed", "scanner", "library"),
        *("headless", "preview", "advertising", "archive", "academic", "other"),
    ),
}


def names() -> tuple[str, ...]:
    """All columns, as an expression names them."""
    return (*schema.names(), *ALIASES)


def column(name: str) -> str | None:
    """The column of this name, or None."""
    found = ALIASES.get(name, name)
    return found if schema.is_column(found) else None


def kind(name: str) -> Kind:
    """What a column holds."""
    return _KINDS.get(name, Kind.TEXT)


def suggestion(name: str) -> str:
    """What to do about a name that no column has."""
    near = get_close_matches(name.lower(), names(), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"the columns are {', '.join(schema.names())}"


def wrong_value(name: str, text: str) -> tuple[str, str] | None:
    """What is wrong with a text as the value of a column, and what to do about it; None if it may be one."""
    if name in VALUES:
        known = VALUES[name]
        same = text.lower() if name in ANY_CASE else text
        if same not in (value.lower() if name in ANY_CASE else value for value in known):
            return f"{name} is never {text}", f"it is {', '.join(known[:-1])} or {known[-1]}"
    if name == "hour" and float(text) > 23:
        return "an hour is a number from 0 to 23", "hour >= 22"
    if name == "asn" and not text.isdigit():
        return "a network of the internet is a number", "asn = 64496"
    if name == "country" and not (len(text) == 2 and text.isascii() and text.isalpha()):
        return "a country is a code of two letters", "country = DE"
    return None
