"""Good and all requests by minute, for each objective: a service-level indicator over any window of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from logstats.dataclass import dataclass
from logstats.durations import nanoseconds
from logstats.frames import pl
from logstats.summaries.tables import Accumulator, Shape
from logstats.summaries.traffic import minute

BEFORE: Final = -(2**62)  # stands for all minutes before the window
INDICATORS: Final = Shape(
    {"objective": "Int32", "minute": "Int64"},
    {
        **dict.fromkeys(("requests", "good", "bad", "least", "most", "timed"), "Int64"),
        "ns": "Int128",
    },
    {},
    {"ns_max": "Int64"},
)


@dataclass(frozen=True, slots=True, eq=False)
class Indicator:
    """The requests that an objective counts: those for which `matches` is true (all, if None). They are good if `good`
    is true, and bad if it is false. Both read these `columns` of the schema. If `good` is the same at two durations and
    `one_sided`, it is the same at those in between."""

    matches: pl.Expr | None
    good: pl.Expr | None
    columns: frozenset[str]
    one_sided: bool = False


def needs(indicators: Sequence[Indicator]) -> frozenset[str]:
    """The schema columns that indicators read."""
    return frozenset({"timestamp", "duration_ms"}).union(*(indicator.columns for indicator in indicators))


def summarise(rows: pl.DataFrame, indicators: Mapping[int, Indicator]) -> pl.DataFrame:
    """Requests of one chunk → INDICATORS, with the numbers of the indicators as objectives.

    Every request is known to be good or not, so `least` and `most`, the bounds of the number of good ones, equal
    `good`.
    """
    durations = nanoseconds(pl.col("duration_ms"))
    lazy = rows.lazy()
    parts = []
    for number, indicator in indicators.items():
        selected = lazy if indicator.matches is None else lazy.filter(indicator.matches)
        parts.append(
            selected.select(minute(), _good(indicator), durations.alias("ns"))
            .group_by("minute")
            .agg(
                pl.len().cast(pl.Int64).alias("requests"),
                pl.col("good").sum().cast(pl.Int64),
                (~pl.col("good")).sum().cast(pl.Int64).alias("bad"),
                pl.col("ns").count().cast(pl.Int64).alias("timed"),
                pl.col("ns").cast(pl.Int128).sum(),
                pl.col("ns").max().alias("ns_max"),
            )
            .select(pl.lit(number, pl.Int32).alias("objective"), pl.all(), least="good", most="good")
        )
    return pl.concat(pl.collect_all(parts)).select(list(INDICATORS.schema))


def summarise_counted(counted: pl.DataFrame, indicators: Mapping[int, Indicator]) -> pl.DataFrame:
    """The same from counted requests: (minute, columns of the indicators…, requests).

    With `low` and `high`, the duration is only known to lie between these, in milliseconds. `good` is decided by
    `duration_ms`; `least` counts requests that are good at both bounds, `most` those that are good at either.
    """
    at = {"good": "duration_ms", "at_low": "low", "at_high": "high"} if "low" in counted.columns else {"good": None}
    number_of, ends = pl.col("requests"), [pl.col(name).fill_null(value=False) for name in list(at)[-2:]]
    parts = []
    for number, indicator in indicators.items():
        selected = counted if indicator.matches is None else counted.filter(indicator.matches)
        for name, duration in at.items():
            judged = selected if duration is None else selected.with_columns(duration_ms=pl.col(duration))
            selected = selected.with_columns(judged.with_columns(_good(indicator))["good"].alias(name))
        parts.append(
            selected.group_by("minute")
            .agg(
                number_of.sum(),
                number_of.filter(pl.col("good")).sum().alias("good"),
                number_of.filter(~pl.col("good")).sum().alias("bad"),
                number_of.filter(pl.all_horizontal(ends)).sum().alias("least"),
                number_of.filter(pl.any_horizontal(ends)).sum().alias("most"),
            )
            .select(pl.lit(number, pl.Int32).alias("objective"), pl.all(), timed=0, ns=0, ns_max=None)
            .cast(pl.Schema(INDICATORS.schema))
            .select(list(INDICATORS.schema))
        )
    return INDICATORS.merge([INDICATORS.empty(), *parts])


def _good(indicator: Indicator) -> pl.Expr:
    return (pl.lit(None, pl.Boolean) if indicator.good is None else indicator.good).alias("good")


class Indicators:
    """The merged indicators of the minutes of a window, which ends with the latest minute, or with `last`."""

    def __init__(self, minutes: int, last: int | None = None) -> None:
        self._minutes = minutes
        self._fixed = last is not None
        self.last = last
        self._held = Accumulator(INDICATORS)

    def add(self, table: pl.DataFrame) -> None:
        """Add what `summarise` made of the next chunk."""
        latest = table["minute"].max()
        if isinstance(latest, int) and not self._fixed:
            self.last = latest if self.last is None else max(self.last, latest)
        self._held.add(self._within(table))

    def _within(self, table: pl.DataFrame) -> pl.DataFrame:
        """Replace minutes before the window by one, so that a longer log needs no more memory."""
        if self.last is None:
            return table
        old = pl.col("minute") <= self.last - self._minutes
        return table.with_columns(minute=pl.when(old).then(BEFORE).otherwise("minute"))

    def table(self) -> pl.DataFrame:
        """INDICATORS, with the minute BEFORE for what is older than the window, and null for what has no time."""
        return INDICATORS.merge([INDICATORS.empty(), self._within(self._held.table())])
