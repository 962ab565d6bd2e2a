"""Requests, errors and bytes by minute; requests by status; events by level."""

from __future__ import annotations

from typing import Final

import polars as pl

from logstats.summaries.tables import Accumulator, Shape

NEEDS: Final = frozenset({"timestamp", "status", "bytes"})
MAX_MINUTES: Final = 1_000_000
MAX_LEVELS: Final = 1_000
MINUTE_US: Final = 60_000_000

MINUTES: Final = Shape(
    {"minute": pl.Int64()},
    {"requests": pl.Int64(), "errors": pl.Int64(), "bytes": pl.Int128()},
    {},
    {},
)
STATUSES: Final = Shape({"status": pl.UInt16()}, {"requests": pl.Int64()}, {}, {})


def minute() -> pl.Expr:
    """Minutes since 1970 (Int64), null without a time."""
    return (pl.col("timestamp").to_physical().floordiv(MINUTE_US)).alias("minute")


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (minute, status, requests, bytes, first)."""
    return (
        rows.lazy()
        .select(minute(), "status", "bytes", "line")
        .group_by("minute", "status")
        .agg(
            pl.len().cast(pl.Int64).alias("requests"),
            pl.col("bytes").cast(pl.Int128).sum(),
            pl.col("line").min().alias("first"),
        )
        .collect()
    )


class Traffic:
    """What is held of the traffic."""

    def __init__(self, max_minutes: int = MAX_MINUTES) -> None:
        self._max_minutes = max_minutes
        self._minutes = Accumulator(MINUTES)
        self._statuses = Accumulator(STATUSES)
        self._known: set[int] = set()
        self.folded = 0  # requests in minutes beyond the cap …
        self.folded_bytes = 0  # … and their bytes

    def add(self, table: pl.DataFrame) -> None:
        """Add what `summarise` made of the next chunk."""
        self._statuses.add(table.select("status", "requests"))
        errors = pl.when(pl.col("status").is_between(500, 599)).then("requests").otherwise(0)
        by_minute = (
            table.with_columns(errors=errors)
            .group_by("minute")
            .agg(pl.col("requests", "errors", "bytes").sum(), pl.col("first").min())
        )
        new = [m for m in by_minute.sort("first")["minute"].to_list() if m is not None and m not in self._known]
        self._known.update(new[: self._max_minutes - len(self._known)])
        if (new and len(self._known) >= self._max_minutes) or self.folded:
            held = pl.Series([m is None or m in self._known for m in by_minute["minute"].to_list()], dtype=pl.Boolean)
            over = by_minute.filter(~held)
            self.folded += int(over["requests"].sum())
            self.folded_bytes += int(over["bytes"].sum())
            by_minute = by_minute.filter(held)
        self._minutes.add(by_minute.drop("first"))

    def minutes(self) -> pl.DataFrame:
        """(minute, requests, errors, bytes), in order, with null first if there are requests without a time."""
        return self._minutes.table().sort("minute", nulls_last=False)

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
            known = level if level in self.counts or len(self.counts) < MAX_LEVELS else "(other)"
            self.counts[known] = self.counts.get(known, 0) + count
