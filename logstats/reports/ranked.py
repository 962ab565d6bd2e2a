"""The result of a ranking: its keys in the order that was asked for, and the figures of those that are kept.

The sort key is computed first, for all keys and in columns; the rest only for the keys that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat

import polars as pl

from logstats import schema
from logstats.dataclass import dataclass
from logstats.durations import MS, average, milliseconds
from logstats.reports.buckets import Histograms
from logstats.reports.model import Latency
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


@dataclass(frozen=True, slots=True)
class Ranked:
    """The keys that are kept, what was folded last; how many keys there are, but for what was folded, and how many
    requests that was."""

    rows: list[RankedKey]
    total: int
    folded: int


def rank(ranking: Ranking, percentiles: Sequence[str], sort: str, top: int | None = None) -> Ranked:
    """The first `top` keys of a ranking, or all of them.

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
    kept = ordered.head(len(ordered) if top is None else top).drop("measure").with_row_index("key")
    return Ranked(list(_rows(kept, ranking, histogram, percentiles)), len(ordered) - bool(folded), folded)


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


def _rows(
    kept: pl.DataFrame, ranking: Ranking, histogram: pl.DataFrame, percentiles: Sequence[str]
) -> Iterable[RankedKey]:
    """The rows of (key, id, key columns…, folded, figures…), in their order."""
    texts = ranking.keys.columns
    held = histogram.join(kept.select("id", "key"), on="id").select("key", "bucket", "count")
    order = pl.col("key").cast(pl.Int64) * 2**32 + pl.col("bucket").fill_null(-(2**31))
    held = held.with_columns(order.alias("order")).sort("order").drop("order")  # faster than by two numbers
    histograms = Histograms(held)
    found = loghist.percentiles(held, ["key"], _stats(kept, "key"), list(percentiles), ordered=True)
    measured = kept.select("key").join(found, on="key", how="left", maintain_order="left").drop("key")
    by_class: dict[int, dict[str, int]] = {}
    counted = ranking.counts_by_id().filter(pl.col("status_class") > 0).sort("status_class")
    for id_, status_class, requests in counted.select("id", "status_class", "requests").iter_rows():
        by_class.setdefault(id_, {})[f"{status_class}xx"] = requests
    figures = ("id", "requests", "errors", "bytes", "timed", "ns", "ns_min", "ns_max")
    columns = zip(*(kept[name].to_list() for name in figures), strict=True)
    names = kept.select(*texts[:-1], pl.when("folded").then(pl.lit(schema.OTHER)).otherwise(texts[-1]).alias(texts[-1]))
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
