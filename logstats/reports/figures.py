"""The figures of the keys of a ranking, in columns: as keys one by one, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np

from logstats import schema
from logstats.dataclass import dataclass
from logstats.durations import MS, average, milliseconds
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.reports import json_text
from logstats.reports.buckets import Histograms
from logstats.reports.model import Latency
from logstats.sketches import loghist


@dataclass(frozen=True, slots=True)
class RankedKey:
    """One key. `texts` are its columns; folded keys have None, and `(other)` as the last."""

    texts: tuple[str | None, ...]
    requests: int
    errors: int
    bytes: int
    status_classes: dict[str, int]
    latency: Latency | None


class KeyFigures:
    """The figures of some keys, in order; each attribute has one value for each key. `timed` counts durations, `ns` is
    their sum; the others say nothing of a key without any."""

    def __init__(
        self, kept: pl.DataFrame, classes: pl.DataFrame, histogram: pl.DataFrame, percentiles: Sequence[str]
    ) -> None:
        """`kept` has (id, key columns…, folded, requests, errors, bytes, timed, ns, ns_min, ns_max); `classes` (id,
        status_class, requests), and the histogram (id, bucket, count), are of all keys and in order."""

        def column(name: str) -> list[Any]:
            return kept[name].to_list()

        self.texts: list[tuple[str | None, ...]] = kept.select(named(kept)).rows()
        self.requests, self.errors, self.bytes = column("requests"), column("errors"), column("bytes")
        self.timed, self.ns = column("timed"), column("ns")
        self._least, self._most = column("ns_min"), column("ns_max")
        self._percentiles = percentiles
        held = slices(histogram, kept["id"])
        self._histograms = Histograms(held)
        self._estimates = self._estimated(held, kept) if percentiles else []
        self._classes = slices(classes, kept["id"])

    def _estimated(self, held: pl.DataFrame, kept: pl.DataFrame) -> list[list[float | None]]:
        """The estimate of each percentile for each key."""
        counted = held.filter(pl.col("count") > 0)
        keys = counted["key"].to_numpy()
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        found = keys[begins]
        low, high = (milliseconds(kept[name]).to_numpy()[found] for name in ("ns_min", "ns_max"))
        wanted = [loghist.parse_percentile(p) for p in self._percentiles]
        made = np.full((len(wanted), kept.height), None, object)
        made[:, found] = loghist.estimates(counted["bucket"], counted["count"].to_numpy(), begins, low, high, wanted)
        return made.tolist()

    def __iter__(self) -> Iterator[RankedKey]:
        """The keys one by one."""
        classes: list[dict[str, int]] = [{} for _ in self.texts]
        for key, digit, requests in self._classes.iter_rows():
            classes[key][f"{digit}xx"] = requests
        counted = zip(self.requests, self.errors, self.bytes, classes, strict=True)
        for texts, figures, latency in zip(self.texts, counted, self._latencies(), strict=True):
            yield RankedKey(texts, *figures, latency)

    def _latencies(self) -> Iterator[Latency | None]:
        estimates = zip(*self._estimates, strict=True) if self._percentiles else repeat(())
        durations = zip(self.timed, self.ns, self._least, self._most, strict=True)
        for key, ((timed, ns, least, most), values) in enumerate(zip(durations, estimates, strict=False)):
            yield (
                Latency(
                    count=timed,
                    avg=average(ns, timed),
                    min=least / MS,
                    max=most / MS,
                    percentiles=dict(zip(self._percentiles, values, strict=True)),
                    relative_error=loghist.ALPHA,
                    invalid=0,
                    buckets=self._histograms.of(key),
                    sum_ns=ns,
                )
                if timed
                else None
            )

    def classes_as_json(self) -> list[str]:
        """Requests by class of status: an object for each key."""
        member = pl.format('"{}xx": {}', "status_class", "requests")
        written = self._classes.lazy().select("key", text=member).group_by("key").agg(pl.col("text").str.join(", "))
        by_key = dict(written.collect().iter_rows())
        return [f"{{{by_key.get(key, '')}}}" for key in range(len(self.texts))]

    def latency_as_json(self) -> list[str]:
        """The latency: an object, or null, for each key."""
        with ThreadPoolExecutor(1, "logstats") as aside:  # Polars writes buckets, Python the other numbers meanwhile
            buckets = aside.submit(lambda: [self._histograms.of(key).json for key in range(len(self.texts))])
            durations = list(zip(self.timed, self.ns, self._least, self._most, strict=True))
            written = {
                "count": json_text.numbers(self.timed),
                "avg": json_text.numbers([average(ns, timed) if timed else None for timed, ns, _, _ in durations]),
                "min": json_text.numbers([least / MS if timed else None for timed, _, least, _ in durations]),
                "max": json_text.numbers([most / MS if timed else None for timed, _, _, most in durations]),
                "percentiles": self._percentiles_as_json(),
            }
            found = json_text.objects({**written, "buckets": buckets.result()})
        return [text if timed else "null" for text, timed in zip(found, self.timed, strict=True)]

    def _percentiles_as_json(self) -> list[str]:
        columns = {
            name: json_text.numbers(estimates)
            for name, estimates in zip(self._percentiles, self._estimates, strict=True)
        }
        return json_text.objects(columns) if columns else ["{}"] * len(self.texts)


def slices(table: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """The rows of each of these ids, one after the other: (key, …) of a table (id, …) in the order of `id`. `key` is
    the place (Int64) of the id among these."""
    held, wanted = table["id"].to_numpy(), ids.to_numpy()
    starts = np.searchsorted(held, wanted)
    sizes = np.searchsorted(held, wanted, side="right") - starts
    ends = np.cumsum(sizes)
    places = np.arange(sizes.sum()) + np.repeat(starts - (ends - sizes), sizes)
    keys = as_numbers(np.repeat(np.arange(len(wanted)), sizes)).alias("key").set_sorted()
    return table[as_numbers(places)].drop("id").insert_column(0, keys)


def of_durations(totals: pl.DataFrame, key: str) -> pl.DataFrame:
    """(key, count, min_ms, max_ms) of the keys that have durations."""
    timed = totals.filter(pl.col("timed") > 0)
    return timed.select(key, count="timed", min_ms=milliseconds(timed["ns_min"]), max_ms=milliseconds(timed["ns_max"]))


def last(kept: pl.DataFrame) -> str:
    """The last column of the keys of (id, key columns…, folded, …)."""
    return kept.columns[kept.columns.index("folded") - 1]


def named(kept: pl.DataFrame) -> list[pl.Expr]:
    """The columns of the keys, in which what is folded has a name."""
    end = last(kept)
    texts = kept.columns[kept.columns.index("id") + 1 : kept.columns.index(end)]
    return [*map(pl.col, texts), pl.when("folded").then(pl.lit(schema.OTHER)).otherwise(end).alias(end)]
