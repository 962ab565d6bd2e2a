"""The result of a ranking: its keys in the order that was asked for, and the figures of those that are kept.

The sort key is computed first, for all keys and in columns; the rest only for the keys that somebody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import repeat
from typing import Final, Generic, TypeVar, overload

import polars as pl

from logstats import schema
from logstats.dataclass import dataclass
from logstats.durations import MS, average, milliseconds
from logstats.reports.buckets import Histograms
from logstats.reports.model import EndpointRow, Latency
from logstats.sketches import loghist
from logstats.summaries.ranking import Ranking


@dataclass(frozen=True, slots=True)
class RankedKey:
    """One key. `texts` are its columns; folded keys have None, and `(other)` as the last."""

    texts: tuple[str | None, ...]
    requests: int
    errors: int
    bytes: int
    status_classes: dict[str, int]
    latency: Latency | None


FEW: Final = 1000  # keys of which the figures are looked for among all
AT_ONCE: Final = 100  # rows that take less time to make, all of them once, than to ask the columns for four tables

_FIGURES: Final = ("requests", "errors", "bytes", "timed", "ns", "ns_min", "ns_max")

Row = TypeVar("Row")


class RankedRows(Sequence[Row]):
    """The keys of a ranking in its order, as rows that are made of its columns when they are asked for.

    Rows that nobody reads are the most of a report: a table shows ten of 10,000 endpoints. It never changes, and equals
    a list of the same rows.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        kept: pl.DataFrame,
        counts: pl.DataFrame,
        histogram: pl.DataFrame,
        percentiles: Sequence[str],
        into: Callable[[RankedKey], Row],
    ) -> None:
        """`kept` has (id, key columns…, folded, figures…); `counts` (id, status_class, requests), and the histogram
        (id, bucket, count), are of all keys."""
        self._kept, self._counts, self._histogram = kept, counts, histogram
        self._percentiles, self._into = percentiles, into

    def __len__(self) -> int:
        return self._kept.height

    def __iter__(self) -> Iterator[Row]:
        return iter(self._all)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice) and len(self) > AT_ONCE:
            return self._made(self._kept[place])
        return self._all[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        return repr(self._all)

    @cached_property
    def _all(self) -> list[Row]:
        return self._made(self._kept)

    def largest(self, figure: str, most: int) -> tuple[list[Row], int]:
        """See `largest`."""
        kept = self._kept.filter(pl.col(_last(self._kept)).fill_null(schema.OTHER) != "")
        if figure == TIMED:
            kept = kept.filter((pl.col("timed") > 0) & pl.col(_last(kept)).ne_missing(schema.MALFORMED))
            return self._made(kept.head(most)), kept.height
        measure = pl.col(figure)
        if figure == REFUSED:
            refused = self._counts.filter(status_class=4).select("id", refused="requests")
            kept, measure = kept.join(refused, on="id", how="left", maintain_order="left"), pl.col("refused")
        kept = kept.filter(measure > 0)
        name = pl.concat_str(_named(kept), separator=" ", ignore_nulls=True)
        places = kept.select(measure.alias("measure"), name.alias("name"), place=pl.int_range(pl.len()))
        first = places.sort("measure", "name", descending=[True, False])["place"].head(most)
        return self._made(kept[first]), kept.height

    def _made(self, kept: pl.DataFrame) -> list[Row]:
        """Some of the rows."""
        return [self._into(key) for key in _keys(kept, self._counts, self._histogram, self._percentiles)]


TIMED: Final = "timed"
REFUSED: Final = "4xx"


def largest(rows: Sequence[EndpointRow], figure: str, most: int) -> tuple[list[EndpointRow], int]:
    """(the first rows by `requests`, `errors` or `REFUSED`, the greatest first, and by their names, of those that have
    any; how many have). By `TIMED`, those with durations in the order that they have, but for malformed requests."""
    if isinstance(rows, RankedRows) and len(rows) > AT_ONCE:
        return rows.largest(figure, most)
    held = [row for row in rows if row.endpoint]
    if figure == TIMED:
        held = [row for row in held if row.latency and row.endpoint != schema.MALFORMED]
        return held[:most], len(held)

    def measure(row: EndpointRow) -> int:
        return row.status_classes.get(REFUSED, 0) if figure == REFUSED else int(getattr(row, figure))

    held = sorted((row for row in held if measure(row)), key=lambda row: (-measure(row), row.name))
    return held[:most], len(held)


@dataclass(frozen=True, slots=True)
class Ranked(Generic[Row]):
    """The keys that are kept, what was folded last; how many keys there are, but for what was folded, and how many
    requests that was."""

    rows: RankedRows[Row]
    total: int
    folded: int


def rank(
    ranking: Ranking,
    percentiles: Sequence[str],
    sort: str,
    top: int | None = None,
    *,
    into: Callable[[RankedKey], Row],
) -> Ranked[Row]:
    """The first `top` keys of a ranking, or all of them, each made `into` a row.

    They are ordered by `sort` (`names.SORTS`, the greatest first; keys without a duration come last if it is about
    durations), then by requests, then by their texts. A key whose last column is null is left out.
    """
    texts = ranking.keys.columns
    totals = ranking.totals()
    folded = int(totals.filter("folded")["requests"].sum())
    totals = totals.filter(pl.col("folded") | pl.col(texts[-1]).is_not_null())
    histogram = ranking.histogram_by_id()
    measure = pl.Series("measure", _measures(totals, histogram, sort), dtype=pl.Float64)
    descending = [False, True, True, *(False for _ in texts)]
    ordered = totals.with_columns(measure).sort("folded", "measure", "requests", *texts, descending=descending)
    kept = ordered.head(len(ordered) if top is None else top).select("id", *texts, "folded", *_FIGURES)
    rows = RankedRows(kept, ranking.counts_by_id(), histogram, percentiles, into)
    return Ranked(rows, len(ordered) - bool(folded), folded)


def _measures(totals: pl.DataFrame, histogram: pl.DataFrame, sort: str) -> Iterable[float]:
    """The sort key of each key; -1 for a key without durations if it is one of durations."""
    if sort in ("requests", "errors"):
        return totals[sort].cast(pl.Float64)
    timed = totals["timed"].to_list()
    if sort == "max":
        return [most / MS if count else -1.0 for most, count in zip(totals["ns_max"].to_list(), timed, strict=True)]
    if sort in ("avg", "total"):
        # Sums may exceed the exact range of Float64; Python's integers divide correctly.
        sums = zip(totals["ns"].to_list(), timed, strict=True)
        return [(average(ns, count) if sort == "avg" else float(ns)) if count else -1.0 for ns, count in sums]
    found = loghist.percentiles(histogram, ["id"], _stats(totals, "id"), [sort[1:]])
    measured = totals.select("id").join(found, on="id", how="left", maintain_order="left")
    return measured[sort[1:]].fill_null(-1.0)


def _stats(totals: pl.DataFrame, key: str) -> pl.DataFrame:
    timed = totals.filter(pl.col("timed") > 0)
    return timed.select(key, count="timed", min_ms=milliseconds(timed["ns_min"]), max_ms=milliseconds(timed["ns_max"]))


def _last(kept: pl.DataFrame) -> str:
    """The last column of the keys."""
    return kept.columns[kept.columns.index("folded") - 1]


def _named(kept: pl.DataFrame) -> list[pl.Expr]:
    """The columns of the keys, in which what is folded has a name."""
    last = _last(kept)
    texts = kept.columns[kept.columns.index("id") + 1 : kept.columns.index(last)]
    return [*map(pl.col, texts), pl.when("folded").then(pl.lit(schema.OTHER)).otherwise(last).alias(last)]


def _keys(
    kept: pl.DataFrame, counts: pl.DataFrame, histogram: pl.DataFrame, percentiles: Sequence[str]
) -> Iterable[RankedKey]:
    """The keys of (id, key columns…, folded, figures…), in their order."""
    kept = kept.with_row_index("key")
    held = histogram.join(kept.select("id", "key"), on="id").select("key", "bucket", "count")
    order = pl.col("key").cast(pl.Int64) * 2**32 + pl.col("bucket").fill_null(-(2**31))
    held = held.with_columns(order.alias("order")).sort("order").drop("order")  # faster than by two numbers
    histograms = Histograms(held)
    found = loghist.percentiles(held, ["key"], _stats(kept, "key"), list(percentiles), ordered=True)
    measured = kept.select("key").join(found, on="key", how="left", maintain_order="left").drop("key")
    by_class: dict[int, dict[str, int]] = {}
    counted = counts.filter(pl.col("status_class") > 0)
    if kept.height < FEW:
        counted = counted.filter(pl.col("id").is_in(kept["id"].implode()))
    counted = counted.sort("status_class")
    for id_, status_class, requests in counted.select("id", "status_class", "requests").iter_rows():
        by_class.setdefault(id_, {})[f"{status_class}xx"] = requests
    columns = zip(*(kept[name].to_list() for name in ("id", *_FIGURES)), strict=True)
    names = kept.select(_named(kept))
    estimates = measured.iter_rows() if percentiles else repeat(())
    for key, (named, values, row) in enumerate(zip(names.iter_rows(), estimates, columns, strict=False)):
        id_, requests, errors, size, timed, ns, least, most = row
        latency = None
        if timed:
            latency = Latency(
                count=timed,
                avg=average(ns, timed),
                min=least / MS,
                max=most / MS,
                percentiles=dict(zip(percentiles, values, strict=True)),
                relative_error=loghist.ALPHA,
                invalid=0,
                buckets=histograms.of(key),
                sum_ns=ns,
            )
        yield RankedKey(named, requests, errors, size, by_class.get(id_, {}), latency)
