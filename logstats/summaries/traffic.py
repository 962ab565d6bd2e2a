"""Requests and bytes by minute and class of status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.summaries.aggregate import Aggregate, State
from logstats.summaries.groups import Groups
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Accumulator, Minutes, Shape

MAX_MINUTES: Final = 1_000_000
MINUTE_US: Final = 60_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TRAFFIC: Final = Shape(
    {"minute": "Int64", "status_class": "UInt8"},
    {"requests": "Int64", "bytes": "Int128"},
    {},
    {},
)


def aggregates(_spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of every report."""
    yield Aggregate("traffic", frozenset({"timestamp", "status", "bytes"}), summarise, Traffic)


def moment(minute: int) -> datetime:
    """A minute since 1970 as a time; beyond the years 1 to 9999, the first or last that there is."""
    try:
        return EPOCH + timedelta(minutes=minute)
    except OverflowError:
        return (datetime.min if minute < 0 else datetime.max).replace(tzinfo=UTC)


def minute() -> pl.Expr:
    """Minutes since 1970 (Int64), null without a time."""
    return (pl.col("timestamp").to_physical().floordiv(MINUTE_US)).alias("minute")


def status_class() -> pl.Expr:
    """The first digit of the status (UInt8); 0 for a status that was not logged."""
    return (pl.col("status").fill_null(0) // 100).cast(pl.UInt8).alias("status_class")


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (minute, status_class, requests, bytes, first)."""
    groups = Groups(rows.select(minute(), status_class()).get_columns())
    return pl.DataFrame(
        [
            *groups.keys,
            as_numbers(groups.counts).alias("requests"),
            groups.sums(rows["bytes"].fill_null(0).to_numpy()).alias("bytes"),
            as_numbers(groups.minima(rows["line"].to_numpy())).alias("first"),
        ]
    )


class Traffic(State):
    """The merged traffic."""

    def __init__(self, max_minutes: int = MAX_MINUTES) -> None:
        self._known = Minutes(max_minutes)
        self._held = Accumulator(TRAFFIC)

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk."""
        self._held.add(self._known.fold(table).select(list(TRAFFIC.schema)))

    def forget(self, before: int) -> None:
        """Count the minutes before one as those beyond the cap."""
        self._held.replace(self._known.forget(self._held.table(), before))

    def condense(self) -> Iterator[pl.DataFrame]:
        """(minute, status_class, requests, bytes, first), in one piece."""
        yield self._known.restore(self._held.table())

    def by_class(self) -> pl.DataFrame:
        """(minute, status_class, requests, bytes), in order; class 0 is a status that was not logged, a minute of
        null requests without a time."""
        held = self._held.table().filter(pl.col("minute").ne_missing(Minutes.BEYOND))
        return held.sort("minute", "status_class", nulls_last=False)

    def minutes(self) -> pl.DataFrame:
        """(minute, requests, errors, bytes), in order, with null first if there are requests without a time."""
        return (
            self.by_class()
            .group_by("minute", maintain_order=True)
            .agg(
                pl.col("requests").sum(),
                pl.col("requests").filter(pl.col("status_class") == 5).sum().alias("errors"),
                pl.col("bytes").sum(),
            )
        )

    def folded(self) -> tuple[int, int]:
        """(requests, bytes) in minutes beyond the cap."""
        beyond = self._held.table().filter(pl.col("minute") == Minutes.BEYOND)
        return int(beyond["requests"].sum()), int(beyond["bytes"].sum())
