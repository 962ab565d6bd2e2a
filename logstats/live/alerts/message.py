"""A change of an alert in words, and as JSON for those who are told."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from logstats.live.alerts.alerts import Change
from logstats.reports.clock import Clock

# What Slack asks to be escaped (https://docs.slack.dev/messaging/formatting-message-text).
_SLACK: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def words(change: Change, clock: Clock, quote: str = "") -> str:
    """One line, with the rule between `quote`s."""
    state = "FIRING" if change.firing else "resolved"
    severity = f" [{change.rule.severity}]" if change.rule.severity else ""
    since = f"since {clock.zoned(change.since)}"
    if not change.firing:
        since = f"at {clock.zoned(change.time)}, it fired {since}"
    return f"{state}{severity} {quote}{change.rule.text}{quote}: {change.words} ({since})"


def message(change: Change, sources: Sequence[str]) -> dict[str, Any]:
    """The alert as JSON, with the machine and the sources that are watched."""
    return {**change.to_dict(), "host": socket.gethostname(), "sources": list(sources)}


def _slack(change: Change, sources: Sequence[str], clock: Clock) -> dict[str, Any]:
    mark = ":red_circle:" if change.firing else ":large_green_circle:"
    where = f"{socket.gethostname()}: {', '.join(sources[:3])}" + (" …" if len(sources) > 3 else "")
    said = words(change, clock, quote="`")  # otherwise `*` and `_` would be marks
    return {"text": f"{mark} {said.translate(_SLACK)}\n{where.translate(_SLACK)}"}


def _plain(change: Change, sources: Sequence[str], _clock: Clock) -> dict[str, Any]:
    return message(change, sources)


FORMATS: Final[dict[str, Callable[[Change, Sequence[str], Clock], dict[str, Any]]]] = {"json": _plain, "slack": _slack}


def encoded(content: dict[str, Any]) -> bytes:
    """JSON in one line, ASCII only."""
    return json.dumps(content, allow_nan=False).encode()
