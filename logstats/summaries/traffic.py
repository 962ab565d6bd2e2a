"""Requests and bytes by minute and class of status; requests by status; events by level."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from logstats import schema
from logstats.kernels.columns import as_numbers
from logstats.summaries.groups import Groups
from logstats.summaries.tables import Accumulator, Minutes, Shape

NEEDS: Final = frozenset({"timestamp", "status", "bytes"})
MAX_MINUTES: Final = 1_000_000
MAX_LEVELS: Final = 1_000
MINUTE_US: Final = 60_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
KEYS: Final = ("minute", "status")

MINUTES: Final = Shape(
    {"minute": pl.Int64(), "status_class": pl.UInt8()},
    {"requests": pl.Int64(), "bytes": pl.Int128()},
    {},
    {},
)
STATUSES: Final = Shape({"status": pl.UInt16()}, {"requests": pl.Int64()}, {}, {})


def moment(minute: int) -> datetime:
    """A minute since 1970 as a time; beyond the years 1 to 9999, the first or last that there is."""
    try:
        return EPOCH + timedelta(minutes=minute)
    except OverflowError:
        return (datetime.min if minute < 0 else datetime.max).replace(tzinfo=UTC)


def minute() -> pl.Expr:
    """Minutes since 1970 (Int64), null without a time."""
    return (pl.col("timestamp").to_physical().floordiv(MINUTE_US)).alias("minute")


def shape(keys: Sequence[str] = KEYS) -> Shape:
    """What `summarise` gives by `keys` (`minute` and columns of the request schema), but for `first`."""
    return Shape(key_types(keys), {"requests": pl.Int64(), "bytes": pl.Int128()}, {}, {})


def key_types(keys: Sequence[str]) -> dict[str, pl.DataType]:
    """The types of key columns: `minute`, and columns of the request schema."""
    return {key: pl.Int64() if key == "minute" else schema.dtypes()[key] for key in keys}


def key_columns(keys: Sequence[str]) -> list[pl.Expr]:
    """The key columns of requests."""
    return [minute() if key == "minute" else pl.col(key) for key in keys]


def summarise(rows: pl.DataFrame, keys: Sequence[str] = KEYS) -> pl.DataFrame:
    """Requests of one chunk → (key…, requests, bytes, first), by `minute` and any columns of the request schema."""
    groups = Groups(rows.select(key_columns(keys)).get_columns())
    return pl.DataFrame(
        [
            *groups.keys,
            as_numbers(groups.counts).alias("requests"),
            groups.sums(rows["bytes"].fill_null(0).to_numpy()).alias("bytes"),
            as_numbers(groups.minima(rows["line"].to_numpy())).alias("first"),
        ]
    )


class Traffic:
    """What is held of the traffic."""

    def __init__(self, max_minutes: int = MAX_MINUTES) -> None:
        self._known = Minutes(max_minutes)
        self._minutes = Accumulator(MINUTES)
        self._statuses = Accumulator(STATUSES)
        self.folded = 0  # requests in minutes beyond the cap …
        self.folded_bytes = 0  # … and their bytes

    def add(self, table: pl.DataFrame) -> None:
        """Add what `summarise` made of the next chunk, by minute, status, and whatever else."""
        self._statuses.add(table.select("status", "requests"))
        status_class = (pl.col("status").fill_null(0) // 100).cast(pl.UInt8)
        by_minute = table.group_by("minute", status_class=status_class).agg(
            pl.col("requests", "bytes").sum(), pl.col("first").min()
        )
        held, over = self._known.split(by_minute)
        self.folded += int(over["requests"].sum())
        self.folded_bytes += int(over["bytes"].sum())
        self._minutes.add(held.drop("first"))

    def by_class(self) -> pl.DataFrame:
        """(minute, status_class, requests, bytes), in order; class 0 is a status that was not logged, a minute of
        null requests without a time."""
        return self._minutes.table().sort("minute", "status_class", nulls_last=False)

    def minutes(self) -> pl.DataFrame:
        """(minute, requests, errors, bytes), in order, with null first if there are requests without a time."""
        return (
            self._minutes.table()
            .group_by("minute")
            .agg(
                pl.col("requests").sum(),
                pl.col("requests").filter(pl.col("status_class") == 5).sum().alias("errors"),
                pl.col("bytes").sum(),
            )
            .sort("minute", nulls_last=False)
        )

    def statuses(self) -> pl.DataFrame:
        """(status, requests), in order; null is a status that was not logged."""
        return self._statuses.table().sort("status", nulls_last=True)


class Levels:
    """Events by level."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, events: pl.DataFrame) -> None:
        """Add the events of the next chunk (`level`, `line`)."""
        table = events.group_by("level").agg(pl.len(), pl.col("line").min()).sort("line")
        for level, count, _ in table.iter_rows():
            self.add_counted(level, count)

    def add_counted(self, level: str, count: int) -> None:
        """Add so many events of a level."""
        known = level if level in self.counts or len(self.counts) < MAX_LEVELS else schema.OTHER
        self.counts[known] = self.counts.get(known, 0) + count
