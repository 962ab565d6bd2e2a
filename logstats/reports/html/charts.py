"""The charts as SVG: what is seen without script and on paper.

Only numbers and names of ours get into the markup. Colours are classes of the page's style sheet.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from markupsafe import Markup

from logstats.reports.clock import Clock
from logstats.reports.html.series import Heat, Series
from logstats.reports.units import count, duration
from logstats.summaries.traffic import EPOCH

_WIDTH: Final = 1000
_LEFT: Final = 60  # room for the labels of the y axis …
_BOTTOM: Final = 24  # … and of the x axis
_TOP: Final = 8
_PLOT: Final = _WIDTH - _LEFT - 10
_SPARK: Final = (96, 20)  # size of a distribution
_SPARK_BARS: Final = 32


def stacked(series: Series, height: int = 200) -> Markup:
    """Requests by class of status, one on the other."""
    return _stack(series, series.classes, height)


def errors(series: Series, height: int = 110) -> Markup:
    """Requests answered with 5xx."""
    return _stack(series, {"5xx": series.errors}, height)


def _stack(series: Series, layers: dict[str, list[int]], height: int) -> Markup:
    return layered(series.clock, series.start, series.step, layers, height)


def layered(clock: Clock, start: int, step: int, layers: dict[str, list[int]], height: int = 200) -> Markup:
    """Numbers over time, one on the other, named as classes of status are; one for each interval of `step` seconds from
    `start` (seconds since 1970)."""
    columns = len(next(iter(layers.values())))
    sums = [0] * columns
    tops = []
    for name, values in layers.items():
        sums = [a + b for a, b in zip(sums, values, strict=True)]
        tops.append((name, sums))
    axis = _Linear(max(sums, default=0), height)
    areas = [f'<path class="area c{name}" d="{_stairs(values, axis)}"/>' for name, values in reversed(tops)]
    return _svg(clock, start, step * columns, height, axis.lines(), areas)


def users(series: Series, height: int = 110) -> Markup:
    """Unique users by interval."""
    return _users(series, series.start, series.step * series.count, series.users, "users", height)


def hours(series: Series, height: int = 110) -> Markup:
    """Unique users by hour."""
    return _users(series, series.hours_start, 3600 * len(series.users_per_hour), series.users_per_hour, "hours", height)


def _users(series: Series, start: int, span: int, values: list[int], name: str, height: int) -> Markup:
    """On the time axis of all charts."""
    axis, whole = _Linear(max(values), height), series.step * series.count
    return _svg(
        series.clock, series.start, whole, height, axis.lines(),
        [f'<path class="area c{name}" d="{_stairs(values, axis, (start - series.start) / whole, span / whole)}"/>'],
    )  # fmt: skip


def key(names: Iterable[str], kind: str) -> Markup:
    """The legend of a chart: classes of status (kind `c`), or percentiles (`p`)."""
    return _key([(f"c{name}", name) if kind == "c" else (f"fill{n % 6}", f"p{name}") for n, name in enumerate(names)])


def named(words: dict[str, str]) -> Markup:
    """The legend of `layered`: what its classes of status stand for."""
    return _key([(f"c{name}", said) for name, said in words.items()])


def _key(styles: Iterable[tuple[str, str]]) -> Markup:
    found = Markup("")
    for style, said in styles:
        found += Markup(
            ' <span class="key"><svg viewBox="0 0 10 10" aria-hidden="true">'
            '<rect class="{}" width="10" height="10"/></svg> {}</span>'
        ).format(style, said)
    return Markup('<p class="note static">{}</p>').format(found)


def scale(chart: Heat, seen: str) -> Markup:
    """The legend of a heat map."""
    rects = "".join(f'<rect class="heat{n}" x="{n * 16}" width="16" height="10"/>' for n in range(6))
    bar = Markup(f'<svg class="scale" viewBox="0 0 96 10" role="img" aria-label="to">{rects}</svg>')
    return Markup('<p class="note key {}">1 {} {} requests</p>').format(seen, bar, count(max(chart.cells.values())))


def percentiles(series: Series, height: int = 220) -> Markup:
    """Latency percentiles, on a logarithmic axis."""
    values = [v for line in series.percentiles.values() for v in line if v is not None]
    axis = _Log(values, height)
    shapes = []
    for number, line in enumerate(series.percentiles.values()):
        path, before = [], False
        for place, value in enumerate(line):
            if value is not None:
                x = _LEFT + _PLOT * (place + 0.5) / series.count
                # A lone point gets a length, or nothing would be drawn of it.
                path.append(f"{'L' if before else 'M'}{x:.1f} {axis.at(value)}{'' if before else 'h.1'}")
            before = value is not None
        shapes.append(f'<path class="line p{number % 6}" d="{"".join(path)}"/>')
    return _svg(series.clock, series.start, series.step * series.count, height, axis.lines(), shapes)


def heat(series: Series, chart: Heat, height: int = 220) -> Markup:
    """Requests by time and duration, in six steps of a logarithm."""
    rows = len(chart.edges) - 1
    axis = _Log(chart.edges, height)
    most = max(chart.cells.values())
    levels: dict[int, list[str]] = {}
    wide, tall = _PLOT / chart.columns, axis.height / rows
    for (column, row), requests in sorted(chart.cells.items()):
        level = min(5, int(6 * math.log1p(requests) / math.log1p(most)))
        x, y = _LEFT + column * wide, _TOP + (rows - 1 - row) * tall
        levels.setdefault(level, []).append(f"M{x:.1f} {y:.1f}h{wide:.2f}v{tall:.2f}h-{wide:.2f}z")
    shapes = [f'<path class="heat{level}" d="{"".join(paths)}"/>' for level, paths in sorted(levels.items())]
    return _svg(series.clock, series.start, chart.step * chart.columns, height, axis.lines(), shapes)


def distribution(buckets: Sequence[tuple[int | None, int]], lowest: int, highest: int) -> Markup:
    """A histogram in a table cell: durations from bucket `lowest` to `highest`, logarithmic, the highest bar full."""
    wide, tall = _SPARK
    per_bar = -(-(highest - lowest + 1) // _SPARK_BARS)
    bars = [0] * _SPARK_BARS
    for bucket, requests in buckets:
        bars[0 if bucket is None else min(max(bucket - lowest, 0) // per_bar, _SPARK_BARS - 1)] += requests
    most = max(bars, default=0) or 1
    width = wide // _SPARK_BARS
    path = "".join(
        f"M{place * width} {tall}v-{max(1, round(tall * value / most))}h{width}V{tall}z"
        for place, value in enumerate(bars)
        if value
    )
    return Markup('<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true"><path d="{}"/></svg>').format(
        wide, tall, path
    )


def shares(parts: dict[str, int], whole: int) -> Markup:
    """Classes of status as parts of a bar."""
    wide, tall = _SPARK
    left, rects = 0.0, []
    for name, requests in parts.items():
        width = wide * requests / whole
        rects.append(f'<rect class="c{name}" x="{left:.1f}" width="{max(width, 1):.1f}" height="{tall}"/>')
        left += width
    return Markup(f'<svg class="spark" viewBox="0 0 {wide} {tall}" aria-hidden="true">{"".join(rects)}</svg>')


class _Linear:
    """From 0 to a maximum."""

    def __init__(self, most: float, height: int) -> None:
        self.height = height - _TOP - _BOTTOM
        self._step = next(s for s in _nice() if most / s <= 4)
        self._top = self._step * max(1, math.ceil(most / self._step))

    def at(self, value: float) -> str:
        return f"{_TOP + self.height * (1 - value / self._top):.1f}"

    def lines(self) -> Iterator[tuple[str, str]]:
        for number in range(round(self._top / self._step) + 1):
            yield self.at(number * self._step), f"{number * self._step:,}"


class _Log:
    """Milliseconds, from the least to the most of some that are above 0."""

    def __init__(self, values: Sequence[float], height: int) -> None:
        self.height = height - _TOP - _BOTTOM
        above = [value for value in values if value > 0] or [1.0]
        self._low, self._high = math.log10(min(above)), math.log10(max(above))
        if self._high - self._low < 0.1:
            self._low, self._high = self._low - 0.5, self._high + 0.5

    def at(self, value: float) -> str:
        part = (math.log10(value) - self._low) / (self._high - self._low) if value > 0 else 0.0
        return f"{_TOP + self.height * (1 - part):.1f}"

    def lines(self) -> Iterator[tuple[str, str]]:
        decades = range(math.ceil(self._low), math.floor(self._high) + 1)
        every = max(1, -(-len(decades) // 6))
        marks = [10.0**power for power in decades][::every]
        if len(marks) < 2:
            marks = [10 ** (self._low + (self._high - self._low) * part) for part in (0.1, 0.5, 0.9)]
        for mark in marks:
            yield self.at(mark), re.sub(r"\.0+(?=\D)", "", duration(mark))


def _nice() -> Iterator[int]:
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


def _stairs(values: Sequence[float], axis: _Linear, begin: float = 0, part: float = 1) -> str:
    """An area under steps, over a `part` of the width from `begin`; what is outside is cut off."""
    path, before = [f"M{_across(begin)} {axis.at(0)}"], None
    for place, value in enumerate(values):
        if value != before:
            path.append(f"H{_across(begin + part * place / len(values))}V{axis.at(value)}")
            before = value
    return f"{''.join(path)}H{_across(begin + part)}V{axis.at(0)}z"


def _across(part: float) -> str:
    return f"{_LEFT + _PLOT * min(max(part, 0), 1):.1f}"


def _svg(
    clock: Clock, start: int, span: int, height: int, lines: Iterator[tuple[str, str]], shapes: Sequence[str]
) -> Markup:
    grid, labels = [], []
    for y, text in lines:
        grid.append(f"M{_LEFT} {y}h{_PLOT}")
        labels.append(f'<text x="{_LEFT - 6}" y="{y}" dy=".32em" text-anchor="end">{text}</text>')
    for second, text in _times(clock, start, span):
        x = f"{_LEFT + _PLOT * (second - start) / span:.1f}"
        grid.append(f"M{x} {_TOP}V{height - _BOTTOM + 4}")
        labels.append(f'<text x="{x}" y="{height - 6}" text-anchor="middle">{text}</text>')
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" aria-hidden="true">'
        f'<path class="grid" d="{"".join(grid)}"/>'
        f"{''.join(shapes)}{''.join(labels)}</svg>"
    )


def _times(clock: Clock, start: int, span: int) -> Iterator[tuple[int, str]]:
    """Some eight times within a span that are round on the clock, with what is to be read at each."""
    minute, hour, day = 60, 3600, 86400
    steps = [minute * n for n in (1, 2, 5, 10, 15, 30)] + [hour * n for n in (1, 2, 3, 6, 12)]
    step = next((s for s in steps if span / s <= 9), None)
    if step is None:
        step = day * next(n for n in _nice() if span / (n * day) <= 9)
    east = clock.seconds_east(start)
    first = -(-(start + east) // step) * step - east
    for second in range(first, start + span, step):
        if (second - start) / span <= 0.97:
            shown = _moment(second + clock.seconds_east(second))
            yield second, shown[:10] if step >= day else shown[5:10] if shown.endswith("00:00:00") else shown[11:16]


def _moment(second: int) -> str:
    try:
        return (EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat(" ")
    except OverflowError:  # an interval that begins before the year 1
        return "0001-01-01 00:00:00"
