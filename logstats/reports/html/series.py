"""Numbers of the charts: the report's intervals without gaps, and the latency heat map."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.reports.clock import Clock
from logstats.reports.model import OverTime, Report
from logstats.sketches import loghist
from logstats.summaries.traffic import EPOCH

CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")  # stacked in this order; what is none of them comes on top
OTHER_CLASSES: Final = "other"
_HEAT_COLUMNS: Final = 288  # a day by five minutes
_HEAT_ROWS: Final = 48


@dataclass(frozen=True, slots=True)
class Heat:
    """Requests by time and duration. Column c begins c · `step` seconds after the start; row r holds durations above
    `edges[r]` and up to `edges[r + 1]` milliseconds, but for the first, which holds those of 0 too. `cells` is
    (column, row) to requests."""

    step: int
    columns: int
    edges: list[float]
    cells: dict[tuple[int, int], int]

    def coarser(self, columns: int, rows: int) -> Heat:
        """The same with so many columns, and so many rows, in one."""
        cells: Counter[tuple[int, int]] = Counter()
        for (column, row), requests in self.cells.items():
            cells[column // columns, row // rows] += requests
        edges = [*self.edges[:-1:rows], self.edges[-1]]
        return Heat(self.step * columns, -(-self.columns // columns), edges, dict(cells))


@dataclass(frozen=True, slots=True)
class Series:
    """One value per interval of `step` seconds from `start` (seconds since 1970): 0 requests where there are none,
    None for a percentile of nothing."""

    start: int
    step: int
    count: int
    classes: dict[str, list[int]]
    requests: list[int]
    errors: list[int]
    users: list[int]
    percentiles: dict[str, list[float | None]]
    hours_start: int
    users_per_hour: list[int]
    heat: Heat | None
    clock: Clock = field(default_factory=Clock)

    def _offsets(self) -> list[tuple[int, int]]:
        """(second, offset from UTC in seconds that holds from there on), as far as intervals tell."""
        found = [(self.start, self.clock.seconds_east(self.start))]
        if self.clock.zone != "UTC":
            for second in range(self.start, self.start + self.step * self.count, self.step):
                if (offset := self.clock.seconds_east(second)) != found[-1][1]:
                    found.append((second, offset))
        return found

    def to_json(self) -> str:
        """As the page's script reads it, safe within `<script>`."""
        heat: dict[str, Any] | None = None
        if self.heat:
            cells = sorted(self.heat.cells.items())
            heat = {
                "step": self.heat.step,
                "columns": self.heat.columns,
                "edges": [_four_digits(edge) for edge in self.heat.edges],
                "cells": [number for (column, row), count in cells for number in (column, row, count)],
            }
        return script_json(
            {
                "zone": self.clock.zone,
                "offsets": self._offsets(),
                "start": self.start,
                "step": self.step,
                "count": self.count,
                "classes": self.classes,
                "requests": self.requests,
                "errors": self.errors,
                "users": self.users,
                "percentiles": {p: [_four_digits(v) for v in values] for p, values in self.percentiles.items()},
                "hours": {"start": self.hours_start, "users": self.users_per_hour},
                "heat": heat,
            }
        )


def script_json(value: Any) -> str:
    """JSON for a `<script>` element: nothing in it can end the element, or be a line end to a script."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: U+2028 is an escape already
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _four_digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def series(report: Report) -> Series | None:
    """The numbers of the charts; None if no request has a time."""
    over = report.over_time
    if over is None or not over.intervals:
        return None
    step = over.step_minutes * 60
    first = _seconds(over.intervals[0].start) // step  # intervals begin at multiples of the step
    count = _seconds(over.intervals[-1].start) // step - first + 1
    names = [name for name in CLASSES if name in report.status_classes]
    classes: dict[str, list[int]] = {name: [0] * count for name in names}
    others = [0] * count
    requests, errors, users = [0] * count, [0] * count, [0] * count
    ps = list(report.latency.percentiles) if report.latency else []
    percentiles: dict[str, list[float | None]] = {p: [None] * count for p in ps}
    for interval in over.intervals:
        place = _seconds(interval.start) // step - first
        requests[place], errors[place], users[place] = interval.requests, interval.errors, interval.users
        for name in names:
            classes[name][place] = interval.status_classes.get(name, 0)
        others[place] = interval.requests - sum(classes[name][place] for name in names)
        for p, value in interval.percentiles.items():
            percentiles[p][place] = value
    if any(others):
        classes[OTHER_CLASSES] = others
    hours_start, hours = _hours(over)
    heat = _heat(over, first, count)
    return Series(
        first * step, step, count, classes, requests, errors, users, percentiles, hours_start, hours, heat, report.clock
    )


def _hours(over: OverTime) -> tuple[int, list[int]]:
    """Users by hour without gaps; none where an interval is an hour or more anyway."""
    if over.step_minutes >= 60 or not over.users_per_hour:
        return 0, []
    start = _seconds(over.users_per_hour[0][0])
    hours = [0] * ((_seconds(over.users_per_hour[-1][0]) - start) // 3600 + 1)
    for hour, users in over.users_per_hour:
        hours[(_seconds(hour) - start) // 3600] = users
    return start, hours


def _heat(over: OverTime, first: int, count: int) -> Heat | None:
    step = over.step_minutes * 60
    wide = -(-count // _HEAT_COLUMNS)  # intervals of a column
    held: Counter[tuple[int, int | None]] = Counter()
    for interval in over.intervals:
        column = (_seconds(interval.start) // step - first) // wide
        for bucket, requests in interval.buckets:
            held[column, bucket] += requests
    if not held:
        return None
    numbers = [bucket for _, bucket in held if bucket is not None] or [0]  # 0 ms alone: beside an empty row of 1 ms
    lowest, highest = min(numbers), max(numbers)
    tall = -(-(highest - lowest + 1) // _HEAT_ROWS)  # buckets of a row
    cells: Counter[tuple[int, int]] = Counter()
    for (column, bucket), requests in held.items():
        cells[column, 0 if bucket is None else (bucket - lowest) // tall] += requests
    rows = (highest - lowest) // tall + 1
    edges = [loghist.upper_ms(lowest - 1 + row * tall) for row in range(rows + 1)]
    return Heat(step * wide, -(-count // wide), edges, dict(cells))


def _seconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(seconds=1)
