"""Requests, errors, bytes and latency by key: endpoints, and every `--by` column.

Two tables: counts by (id, status class), and the latency histogram by (id, bucket). The overall latency is the
sum of the histogram over all ids, so a request counts in it whether or not its key is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from logstats.durations import nanoseconds
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.kernels.interning import Dictionary
from logstats.sketches import loghist
from logstats.summaries.aggregate import State
from logstats.summaries.cells import Cells
from logstats.summaries.groups import Groups
from logstats.summaries.histogram import Histogram, code
from logstats.summaries.numbered import Numbered
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Accumulator, Keys, Shape
from logstats.summaries.traffic import status_class

NO_DURATION: Final = -(2**31)  # in a chunk's table, the bucket of requests without a duration …
ZERO: Final = NO_DURATION + 1  # … and of those of exactly 0 ms, which is null in a histogram

COUNTS: Final = Shape(
    {"id": "Int32", "status_class": "UInt8"},
    {"requests": "Int64", "bytes": "Int128", "timed": "Int64", "ns": "Int128"},
    {"ns_min": "Int64"},
    {"ns_max": "Int64"},
)

_NAMED: Final = 100_000  # names of keys beyond a cap that are remembered
_FIGURES: Final = ("requests", "bytes", "timed", "ns_min", "ns_max", "ns")


def needs(keys: Sequence[str]) -> frozenset[str]:
    """The schema columns that a ranking reads."""
    return frozenset({*keys, "status", "bytes", "duration_ms"})


def summarise(rows: pl.DataFrame, keys: Sequence[str], *, borrowed: bool = False) -> pl.DataFrame:
    """Requests of one chunk → one row per (key…, status_class, bucket), with the first line of each. If `borrowed`, the
    texts of keys stay where they are, so that the table keeps the chunk in memory."""
    columns = rows.select(
        status_class(),
        loghist.bucket(pl.col("duration_ms")).fill_null(ZERO).alias("bucket"),
        nanoseconds(pl.col("duration_ms")).alias("ns"),
        pl.col("bytes").fill_null(0),
    )
    ns, buckets = columns["ns"], columns["bucket"]
    if ns.null_count():
        buckets = buckets.set(ns.is_null(), NO_DURATION)
        ns = ns.fill_null(0)
    groups = Groups([*(rows[key] for key in keys), columns["status_class"], buckets])
    durations = ns.to_numpy()
    *values, statuses, bucket = groups.borrowed if borrowed else groups.keys
    timed = bucket != NO_DURATION
    return pl.DataFrame(
        [
            *(value.cast(pl.String).alias(key) for key, value in zip(keys, values, strict=True)),
            statuses,
            bucket,
            as_numbers(groups.counts).alias("requests"),
            groups.sums(columns["bytes"].to_numpy()).alias("bytes"),
            as_numbers(groups.counts * timed.to_numpy()).alias("timed"),
            as_numbers(groups.minima(durations)).alias("ns_min").set(~timed, None),
            as_numbers(groups.maxima(durations)).alias("ns_max").set(~timed, None),
            groups.sums(durations).alias("ns"),
            as_numbers(groups.minima(rows["line"].to_numpy())).alias("first"),
        ]
    )


class Ranking(State):
    """The merged ranking of one key."""

    def __init__(self, keys: Sequence[str], cap: int) -> None:
        self.keys = Keys(keys, cap)
        self._held = Accumulator(COUNTS)
        self._cells = Cells()  # of tables that are `Numbered`, beside what is held
        self._histogram = Histogram()
        self._names = Dictionary()  # the names of keys in tables that are `Numbered`,
        self._ids = np.zeros(1, np.int64)  # and the id of each by its number there

    def add_numbered(self, tables: Sequence[tuple[int, pl.DataFrame | Numbered]]) -> None:
        """Add the tables of the next chunks, with the number of each chunk, which says their order."""
        if len(self._names) > self.keys.cap + _NAMED:
            self._names, self._ids = Dictionary(), np.zeros(1, np.int64)
        new, others, numbers = [], [], []
        for place, table in tables:
            later = pl.col("first").cast(pl.Int64) + (place << 32)
            rest = table.others if isinstance(table, Numbered) else table
            if rest is not None and rest.height:
                others.append(rest.with_columns(later))
            if isinstance(table, Numbered):
                known = len(self._names)
                names = table.names.column()
                of_table = self._names.numbers(names).astype(np.int64)
                numbers.append(of_table)
                if len(self._names) > known:
                    fresh = as_numbers(np.flatnonzero(of_table > known))
                    named = pl.DataFrame([names[fresh].alias("name"), as_numbers(table.first)[fresh].alias("first")])
                    new.append(named.with_columns(as_numbers(of_table)[fresh].alias("number"), later))
        if new:
            self._learn(pl.concat(new), others)
        codes, durations = [], []
        for table, of_table in zip((t for _, t in tables if isinstance(t, Numbered)), numbers, strict=True):
            ids = self._ids[of_table]
            if not self._cells.add(ids, table.counts):
                self._put_cells()
                added = self._cells.add(ids, table.counts)
                assert added  # those of a chunk have room, as count.c says
            codes.append(code(ids[table.keys], table.buckets))
            durations.append(table.durations)
        self._histogram.add_codes(np.concatenate(codes), np.concatenate(durations))
        if others:
            self.add(pl.concat(others))

    def _put_cells(self) -> None:
        if len(self._cells):
            self._held.add(self._cells.table())
            self._cells = Cells()

    @property
    def _counts(self) -> Accumulator:
        """The counts by key and class of status, all together."""
        self._put_cells()
        return self._held

    def _learn(self, new: pl.DataFrame, others: Sequence[pl.DataFrame]) -> None:
        """Give ids to the keys of names that are new: (name, first, number). In the order of the lines, keys in other
        tables come between them."""
        columns = self.keys.columns
        split = pl.col("name").str.splitn(" ", len(columns)).struct.rename_fields(columns).struct.unnest()
        named = new.select(split, "first").with_columns(pl.col(columns[0]).replace("", None))
        keys = pl.concat([named, *(table.select(*columns, "first") for table in others)])
        ids = np.zeros(len(self._names) + 1, np.int64)
        ids[: len(self._ids)] = self._ids
        if keys.height:
            ids[new["number"].to_numpy()] = self.keys.number(keys)["id"].head(new.height).to_numpy()
        self._ids = ids

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk, or of another ranking."""
        numbered = self.keys.number(table)
        counted = numbered.drop_nulls("status_class") if numbered["status_class"].null_count() else numbered
        self._held.add(counted.select(list(COUNTS.schema)))
        timed = numbered.filter(pl.col("bucket") != NO_DURATION)
        self._histogram.add(timed.select("id", "bucket", count="timed"))

    def add_all(self, other: Ranking) -> None:
        """Add the figures of another ranking, all as those of one key, which has no name: what they are in all."""
        for held, table in ((self._counts, other._counts.table()), (self._histogram, other._histogram.table())):
            named = other.keys.cap > 0  # without a cap, no key has a name anyway
            held.add(table.with_columns(id=pl.lit(Keys.OTHER, pl.Int32)) if named else table)

    def condense(self) -> Iterator[pl.DataFrame]:
        """(key…, status_class, bucket, requests, bytes, timed, ns_min, ns_max, ns, first): first the counts, whose
        bucket is `NO_DURATION`, then the histogram, whose class of status is null."""
        columns = [*self.keys.columns, "status_class", "bucket", *_FIGURES, "first"]
        counts = self._counts.table().with_columns(bucket=pl.lit(NO_DURATION, pl.Int32))
        nothing = {"status_class": None, "requests": 0, "bytes": 0, "ns_min": None, "ns_max": None, "ns": 0}
        absent = [pl.lit(value, COUNTS.schema[name]).alias(name) for name, value in nothing.items()]
        for table in (counts, self._histogram.table().rename({"count": "timed"}).with_columns(absent)):
            yield self.keys.restore(table).select(columns)

    def fold(self, spec: ReportSpec) -> None:
        """Keep the keys with the most requests, of equals the first by name, and fold the others together."""
        cap, counts = spec.max_endpoints, self._counts.table()
        total = counts.filter(pl.col("id") != Keys.OTHER).group_by("id").agg(pl.col("requests").sum())
        if total.height <= cap:
            return
        named = self.keys.name(total)
        order = named.sort("requests", *self.keys.columns, descending=[True, *[False] * len(self.keys.columns)])
        kept = pl.col("id").is_in(order["id"].head(cap).implode())
        folded = pl.when(kept).then("id").otherwise(pl.lit(Keys.OTHER, pl.Int32))
        for held in (self._counts, self._histogram):
            held.replace(held.table().with_columns(folded.alias("id")))

    def beyond(self) -> tuple[int, int]:
        """How many requests have keys beyond the cap, and the cap."""
        folded = self._counts.table().filter(pl.col("id") == Keys.OTHER)["requests"].sum() if self.keys.full else 0
        return int(folded), self.keys.cap

    def counts_by_id(self) -> pl.DataFrame:
        """(id, status_class, requests, bytes, timed, ns, ns_min, ns_max); `keys` names the ids."""
        return self._counts.table()

    def histogram_by_id(self) -> pl.DataFrame:
        """(id, bucket, count); bucket null is exactly 0 ms."""
        zero = pl.when(pl.col("bucket") != ZERO).then("bucket")
        return self._histogram.table().with_columns(zero.alias("bucket"))

    def histogram(self) -> list[tuple[int | None, int]]:
        """(bucket, count) of all keys together, in order; first the bucket None, which is exactly 0 ms."""
        found = zip(*self._histogram.of_all(), strict=True)
        return [(None if bucket == ZERO else bucket, count) for bucket, count in found]

    def totals(self) -> pl.DataFrame:
        """(id, key…, folded, requests, errors, bytes, timed, ns, ns_min, ns_max), a row per key and in no order."""
        by_id = (
            self._counts.table()
            .group_by("id")
            .agg(
                pl.col("requests").sum(),
                pl.col("requests").filter(pl.col("status_class") == 5).sum().alias("errors"),
                pl.col("bytes", "timed", "ns").sum(),
                pl.col("ns_min").min(),
                pl.col("ns_max").max(),
            )
        )
        return self.keys.name(by_id)
