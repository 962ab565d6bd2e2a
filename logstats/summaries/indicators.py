"""Good and all requests by minute, for each objective: a service-level indicator over any window of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from logstats.summaries.tables import Accumulator, Shape
from logstats.summaries.traffic import minute

BEFORE: Final = -(2**62)  # the minute of everything that is older than the window
INDICATORS: Final = Shape(
    {"objective": pl.Int32(), "minute": pl.Int64()},
    {"requests": pl.Int64(), "good": pl.Int64(), "bad": pl.Int64(), "timed": pl.Int64(), "us": pl.Int128()},
    {},
    {"us_max": pl.Int64()},
)


@dataclass(frozen=True, slots=True, eq=False)
class Indicator:
    """What an objective counts: requests for which `matches` is true (all, if None), of which those are good for which
    `good` is true, and those bad for which it is false; it reads `columns` of the schema."""

    matches: pl.Expr | None
    good: pl.Expr | None
    columns: frozenset[str]


def needs(indicators: Sequence[Indicator]) -> frozenset[str]:
    """The schema columns that indicators read."""
    return frozenset({"timestamp", "duration_ms"}).union(*(indicator.columns for indicator in indicators))


def summarise(rows: pl.DataFrame, indicators: Sequence[Indicator]) -> pl.DataFrame:
    """Requests of one chunk → INDICATORS; the objective is the indicator's place in the sequence."""
    micros = (pl.col("duration_ms") * 1000).round().cast(pl.Int64)
    lazy = rows.lazy()
    parts = []
    for number, indicator in enumerate(indicators):
        selected = lazy if indicator.matches is None else lazy.filter(indicator.matches)
        good = pl.lit(None, pl.Boolean) if indicator.good is None else indicator.good
        parts.append(
            selected.select(minute(), good.alias("good"), micros.alias("us"))
            .group_by("minute")
            .agg(
                pl.len().cast(pl.Int64).alias("requests"),
                pl.col("good").sum().cast(pl.Int64),
                (~pl.col("good")).sum().cast(pl.Int64).alias("bad"),
                pl.col("us").count().cast(pl.Int64).alias("timed"),
                pl.col("us").cast(pl.Int128).sum(),
                pl.col("us").max().alias("us_max"),
            )
            .select(pl.lit(number, pl.Int32).alias("objective"), pl.all())
        )
    return pl.concat(pl.collect_all(parts)).select(list(INDICATORS.schema))


class Indicators:
    """What is held of the indicators: the minutes of a window, which ends with the latest minute, or with `last`."""

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
        """Older minutes than the window's become one: the log of a hundred years takes no more room than a window."""
        if self.last is None:
            return table
        old = pl.col("minute") <= self.last - self._minutes
        return table.with_columns(minute=pl.when(old).then(BEFORE).otherwise("minute"))

    def table(self) -> pl.DataFrame:
        """INDICATORS, with the minute BEFORE for what is older than the window, and null for what has no time."""
        return INDICATORS.merge([INDICATORS.empty(), self._within(self._held.table())])
