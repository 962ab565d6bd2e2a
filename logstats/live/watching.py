"""What is asked of a session: plain values, which the command line reads without loading anything heavy."""

from __future__ import annotations

import re
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import UsageError

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True, kw_only=True)
class Watching:
    """What is asked of a session; times in seconds.

    `window` is how much is shown, whole minutes with the current one; `interval` how often. `history` is how far back
    any other stretch of time can be asked for, and `rows` how many rows are kept whole for that. Lines that are more
    than `lateness` older than the newest of their source are in no minute. The report at the end holds the minutes of
    the last `keep`. Reading begins with the last `begin` of each file that is there (the window, if that is None), with
    its last `lines`, or with all.
    The other fields are those of `inputs.Following`.
    """

    window: float = 300.0
    interval: float = 1.0
    lateness: float = 30.0
    keep: float = 86_400.0
    sort: str = "avg"
    top: int = 50
    history: float = 0.0
    rows: int = 0
    begin: float | None = None
    from_start: bool = False
    lines: int | None = None
    partial_timeout: float | None = None
    allow: tuple[str, ...] = ()

    @property
    def minutes(self) -> int:
        """The window in minutes."""
        return max(1, -(-round(self.window) // 60))


def seconds(option: str, text: str, *, least: float = 0.0) -> float:
    """`90s`, `5m`, `24h`, `500ms` in seconds. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", text.strip())
    if not match:
        raise UsageError(f"{option} {text}: this is no length of time", "write 30s, 5m, 2h, 1d or 500ms")
    found = float(match[1]) * _UNITS[match[2]]
    if found < least:
        raise UsageError(f"{option} {text} is too short", f"it takes {least:g} s at least")
    return found
