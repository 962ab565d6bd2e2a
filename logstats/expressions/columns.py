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
ANY_CASE: Final = frozenset({"method", "level", "weekday", "cache"})


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
