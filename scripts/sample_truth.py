"""The expected figures of a sample log, counted from the values that were chosen and not from the lines."""

from __future__ import annotations

import json
import math
from array import array
from bisect import bisect_right
from collections import Counter
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import accumulate
from typing import Any

from sample_lines import Format, Request, iso


class Truth:
    """Counts what is true of a file. Grows with the durations (4 bytes each), the users and the minutes."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._kinds = {"lines": 0, "requests": 0, "events": 0, "rejected": 0}
        self._answers: Counter[tuple[str, int]] = Counter()  # (endpoint, status)
        self._bytes: Counter[str] = Counter()
        self._micros: dict[str, array[int]] = {}
        self._users: set[str] = set()
        self._minutes: dict[datetime, int] = {}
        self._open: dict[datetime, set[str]] = {}  # minutes that a late line can still fall into
        self._first: datetime | None = None
        self._last: datetime | None = None

    def requests(self, minute: datetime, found: list[Request]) -> None:
        """Count requests of one minute, those that are late included."""
        answers, size, micros = self._answers, self._bytes, self._micros
        with_ip, with_size = self._form.ip, self._form.size
        now, before = self._users_of(minute), self._users_of(minute - timedelta(minutes=1))
        for r in found:
            key = r.endpoint
            answers[key, r.status] += 1
            if r.size is not None:
                if with_size:
                    size[key] += r.size
                if user := r.user or (with_ip and r.ip):
                    (now if r.tick >= 2 else before).add(user)
            if key not in micros:
                micros[key] = array("I")
            micros[key].append(r.micros)
        self._kinds["requests"] += len(found)
        if found:
            self._seen(minute, min(r.tick for r in found))
            self._seen(minute, max(r.tick for r in found))

    def event(self, minute: datetime, tick: int) -> None:
        """Count a line without a request."""
        self._kinds["events"] += 1
        self._seen(minute, tick)

    def rejected(self) -> None:
        """Count a line that is none."""
        self._kinds["rejected"] += 1

    def to_dict(self) -> dict[str, Any]:
        """The content of NAME.expected.json."""
        for minute in list(self._open):
            self._close(minute)
        self._kinds["lines"] = sum(self._kinds.values())
        status: Counter[int] = Counter()
        requests: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        for (endpoint, code), count in self._answers.items():
            status[code] += count
            requests[endpoint] += count
            errors[endpoint] += count if code >= 500 else 0
        classes: Counter[str] = Counter()
        for code, count in status.items():
            classes[f"{code // 100}xx"] += count
        timed = self._form.unit is not None
        micros = {key: Counter(values) for key, values in self._micros.items()} if timed else {}
        overall: Counter[int] = Counter()
        for values in micros.values():
            overall.update(values)
        return {
            **self._kinds,
            "untimed": 0,
            "bytes": self._bytes.total(),
            "time": {"first": self._first and iso(self._first), "last": self._last and iso(self._last)},
            "status": {str(code): count for code, count in sorted(status.items())},
            "status_classes": dict(sorted(classes.items())),
            "latency_ms": _latency(overall, ("50", "90", "95", "99", "99.9")),
            "endpoints": {
                key: {
                    "requests": count,
                    "errors": errors[key],
                    "bytes": self._bytes[key],
                    "latency_ms": _latency(micros.get(key, Counter()), ("50", "95", "99")),
                }
                for key, count in sorted(requests.items())
            },
            "unique_users": {
                "total": len(self._users),
                "per_minute": {iso(minute): count for minute, count in sorted(self._minutes.items())},
            },
        }

    def _users_of(self, minute: datetime) -> set[str]:
        for other in [m for m in self._open if m < minute - timedelta(minutes=1)]:
            self._close(other)
        return self._open.setdefault(minute, set())

    def _close(self, minute: datetime) -> None:
        if users := self._open.pop(minute):
            self._users |= users
            self._minutes[minute] = len(users)

    def _seen(self, minute: datetime, tick: int) -> None:
        time = minute + timedelta(seconds=tick - 2)
        self._first = time if self._first is None else min(self._first, time)
        self._last = time if self._last is None else max(self._last, time)


def _latency(micros: Counter[int], percentiles: tuple[str, ...]) -> dict[str, Any] | None:
    """Milliseconds, and percentiles by nearest rank, of how often there is which number of microseconds."""
    if not micros:
        return None
    values = sorted(micros)
    upto = list(accumulate(micros[value] for value in values))
    count = upto[-1]

    def nearest_rank(percentile: str) -> float:
        rank = math.ceil(Fraction(percentile) * count / 100)
        return values[bisect_right(upto, rank - 1)] / 1000

    return {
        "count": count,
        "avg": sum(value * times for value, times in micros.items()) / (1000 * count),
        "min": values[0] / 1000,
        "max": values[-1] / 1000,
        "percentiles": {p: nearest_rank(p) for p in percentiles},
    }


def truth_text(truth: dict[str, Any]) -> str:
    """The truth as JSON, one endpoint to a line."""
    parts = []
    for key, value in truth.items():
        if key == "endpoints":
            rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in value.items())
            parts.append(f' "endpoints": {{\n{rows}\n }}')
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
