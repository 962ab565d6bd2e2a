"""Alerts of `--alert`: conditions, each of which is held against the figures of every minute.

`p99 > 500ms for 2m` holds for two minutes if it holds of each of two minutes: a minute is judged by its own requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from logstats.durations import MS, average, nanoseconds
from logstats.errors import ExpressionError
from logstats.expressions.predicates import Times
from logstats.frames import pl
from logstats.live.alerts.line_minutes import READ
from logstats.live.alerts.rule import Rule, Verdict
from logstats.live.clocks import MINUTE
from logstats.objectives.conditions import COUNTS, DURATIONS, PERCENTILE, Condition, parse_condition
from logstats.objectives.thresholds import Figures, Stretch, selections, verdict
from logstats.reports.model import Latency
from logstats.sketches import loghist
from logstats.summaries import users
from logstats.summaries.names import USER_KEYS
from logstats.summaries.ranking import ZERO
from logstats.summaries.spec import ReportSpec, Selection
from logstats.summaries.tables import Accumulator, Shape
from logstats.summaries.traffic import minute as minute_of

LONGEST: Final = 7 * 1440  # minutes that a condition may be asked to hold
_KEYS: Final = {"selection": pl.Int32(), "minute": pl.Int64()}
_FIGURES: Final = Shape(
    dict(_KEYS),
    {"requests": pl.Int64(), "errors": pl.Int64(), "timed": pl.Int64(), "ns": pl.Int128()},
    {"ns_min": pl.Int64()},
    {"ns_max": pl.Int64()},
)
_HISTOGRAM: Final = Shape({**_KEYS, "bucket": pl.Int32()}, {"count": pl.Int64()}, {}, {})
_READ: Final = Shape({"minute": READ["minute"]}, {name: READ[name] for name in ("lines", "rejected")}, {}, {})
_ALL: Final = ""  # the selection of all requests


def parse(text: str, times: Times | None = None) -> Condition:
    """A condition of `--alert`; without `for`, it holds after one minute. Raises ExpressionError."""
    condition = parse_condition(text, times)
    if condition.hold is None:
        return condition
    place = text.rindex("for") + len("for")
    place += len(text[place:]) - len(text[place:].lstrip())
    if condition.hold % 60 or not condition.hold:
        raise ExpressionError(text, place, "alerts go by whole minutes", "for 1m, for 5m, for 1h")
    if condition.hold > 60 * LONGEST:
        raise ExpressionError(text, place, f"that is longer than {LONGEST // 1440}d")
    return condition


class Conditions:
    """Judges conditions."""

    def __init__(self, conditions: Iterable[Condition], user_key: str = "auto") -> None:
        self._conditions = list({condition.text: condition for condition in conditions}.values())
        self.rules: Sequence[Rule] = [
            Rule(one.text, (one.hold or 60) // 60, float(one.limit), _unit(one)) for one in self._conditions
        ]
        self.notes: Sequence[str] = ()
        self.longest = max((rule.hold for rule in self.rules), default=0)
        self._reads = any(one.metric == "rejected" for one in self._conditions)
        self._selections = {chosen.name: chosen for chosen in selections(self._conditions)}
        if not all(one.selector for one in self._conditions):
            self._selections[_ALL] = Selection(_ALL, pl.lit(value=True), frozenset())
        self._estimated: set[str] = set()  # those whose percentiles count
        self._users: dict[str, users.Users] = {}
        self._user_key = user_key
        for one in self._conditions:
            name = _name(one)
            if one.metric == PERCENTILE:
                self._estimated.add(name)
            if one.metric == "users" and name not in self._users:
                self._users[name] = users.state(ReportSpec(user_key=user_key))()
        needs = frozenset({"timestamp", "status", "duration_ms"})
        needs = needs.union(*(chosen.columns for chosen in self._selections.values()))
        self.needs: frozenset[str] = needs | (USER_KEYS[user_key] if self._users else frozenset())
        self._figures, self._histogram, self._read = (Accumulator(shape) for shape in (_FIGURES, _HISTOGRAM, _READ))
        self._of: dict[tuple[str, int], Figures] = {}  # of the minutes that are judged
        self._lines: dict[int, tuple[int, int]] = {}

    def add(self, requests: pl.DataFrame) -> None:
        """Count requests, all of which have a time."""
        rows = requests.lazy().with_columns(
            minute_of().alias("minute"),
            (pl.col("status") // 100 == 5).fill_null(value=False).alias("_error"),
            loghist.bucket(pl.col("duration_ms")).fill_null(ZERO).cast(pl.Int32).alias("_bucket"),
            nanoseconds(pl.col("duration_ms")).alias("_ns"),
        )
        counted, histograms = [], []
        for number, (name, chosen) in enumerate(self._selections.items()):
            selected = rows.filter(chosen.matches)
            counted.append(
                selected.group_by("minute")
                .agg(
                    pl.len().alias("requests"),
                    pl.col("_error").sum().alias("errors"),
                    pl.col("_ns").count().alias("timed"),
                    pl.col("_ns").cast(pl.Int128).sum().alias("ns"),
                    pl.col("_ns").min().alias("ns_min"),
                    pl.col("_ns").max().alias("ns_max"),
                )
                .with_columns(selection=number)
            )
            if name in self._estimated:
                histograms.append(
                    selected.filter(pl.col("_ns").is_not_null())
                    .group_by("minute", pl.col("_bucket").alias("bucket"))
                    .agg(pl.len().alias("count"))
                    .with_columns(selection=number)
                )
        tables = pl.collect_all([*counted, *histograms])
        for place, table in enumerate(tables):
            held, shape = (self._figures, _FIGURES) if place < len(counted) else (self._histogram, _HISTOGRAM)
            held.add(table.select(list(shape.schema)).cast(pl.Schema(shape.schema)))
        for name, state in self._users.items():
            state.add(users.summarise(requests.filter(self._selections[name].matches), self._user_key, exact=False))

    def read(self, lines: pl.DataFrame) -> None:
        """Count lines, whatever they are: (minute, lines, rejected)."""
        if self._reads:
            self._read.add(lines)

    def load(self, until: int) -> Iterable[int]:
        """The minutes before `until` of which something is counted."""
        before = pl.col("minute") < until
        names = list(self._selections)
        buckets: dict[tuple[int, int], list[tuple[int | None, int]]] = {}
        ordered = self._histogram.table().filter(before).sort("selection", "minute", "bucket")
        for key, rows in groupby(ordered.iter_rows(), key=lambda row: (row[0], row[1])):
            buckets[key] = [(None if bucket == ZERO else bucket, count) for *_, bucket, count in rows]
        counted = {name: dict(state.per_minute().filter(before).iter_rows()) for name, state in self._users.items()}
        self._of = {}
        for row in self._figures.table().filter(before).iter_rows(named=True):
            name, minute = names[row["selection"]], row["minute"]
            found = counted.get(name, {}).get(minute, 0)
            error = self._users[name].standard_error if name in self._users else None
            latency = _latency(row, buckets.get((row["selection"], minute), []))
            self._of[name, minute] = Figures(row["requests"], row["errors"], latency, found, error)
        self._lines = {
            minute: (lines, rejected) for minute, lines, rejected in self._read.table().filter(before).iter_rows()
        }
        return {minute for _, minute in self._of} | self._lines.keys()

    def judge(self, minute: int, *, partial: bool) -> Sequence[Verdict]:
        """What a minute says of each rule."""
        lines, rejected = self._lines.get(minute, (0, 0))
        stretch = Stretch(lines, rejected, MINUTE)
        found = []
        for condition in self._conditions:
            judged = verdict(condition, self._of.get((_name(condition), minute), Figures()), stretch)
            holds, words = judged.failed, judged.words
            if partial and _counts(condition) and not (holds and condition.op in (">", ">=")):
                holds, words = None, f"{words}, of a minute that is not known as a whole"
            found.append(Verdict(holds, judged.value, words))
        return found

    def forget(self, before: int) -> None:
        """Drop what is counted of minutes that were judged."""
        for held in (self._figures, self._histogram, self._read):
            held.replace(held.table().filter(pl.col("minute") >= before))
        for state in self._users.values():
            state.forget(before)
        self._of, self._lines = {}, {}

    def saved(self) -> dict[str, list[tuple[int, int, int]]]:
        """Nothing: each minute is judged by itself."""
        return {}

    def restore(self, saved: dict[str, list[tuple[int, int, int]]]) -> None:
        """Nothing."""


def _name(condition: Condition) -> str:
    return condition.selector.text if condition.selector else _ALL


def _unit(condition: Condition) -> str:
    return "ms" if condition.metric in DURATIONS else "ratio" if condition.ratio else ""


def _counts(condition: Condition) -> bool:
    """Whether the figure grows as a minute goes on."""
    return condition.metric in COUNTS and not condition.ratio


def _latency(row: dict[str, Any], buckets: Sequence[tuple[int | None, int]]) -> Latency | None:
    if not row["timed"]:
        return None
    return Latency(
        count=row["timed"],
        avg=average(row["ns"], row["timed"]),
        min=row["ns_min"] / MS,
        max=row["ns_max"] / MS,
        percentiles={},
        relative_error=loghist.ALPHA,
        invalid=0,
        buckets=buckets,
        sum_ns=int(row["ns"]),
    )
