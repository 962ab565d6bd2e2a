"""The figures of the keys of a ranking, in columns: as keys one by one, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np

from logstats import schema
from logstats.dataclass import dataclass
from logstats.durations import MS, average, averages, milliseconds, quotients
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
    """The figures of some keys, in order: one by one, or as JSON."""

    def __init__(
        self, kept: pl.DataFrame, classes: pl.DataFrame, histogram: pl.DataFrame, percentiles: Sequence[str]
    ) -> None:
        """`kept` has (id, key columns…, folded, requests, errors, bytes, timed, ns, ns_min, ns_max); `classes` (id,
        status_class, requests), and the histogram (id, bucket, count), are of all keys and in order."""
        self.kept = kept
        self.texts = kept.select(named(kept))
        self._percentiles = percentiles
        held = slices(histogram, kept["id"])
        self._histograms = Histograms(held)
        self._estimates = self._estimated(held) if percentiles else []
        self._classes = slices(classes, kept["id"])

    def _estimated(self, held: pl.DataFrame) -> list[pl.Series]:
        """The estimate of each percentile for each key, or null."""
        counted = held.filter(pl.col("count") > 0)
        keys = counted["key"].to_numpy()
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        found = keys[begins]
        low, high = (self._milliseconds(name).to_numpy()[found] for name in ("ns_min", "ns_max"))
        wanted = [loghist.parse_percentile(p) for p in self._percentiles]
        made = np.zeros((len(wanted), self.kept.height))
        made[:, found] = loghist.estimates(counted["bucket"], counted["count"].to_numpy(), begins, low, high, wanted)
        present = np.zeros(self.kept.height, np.bool_)
        present[found] = True
        return [as_numbers(row, present) for row in made]

    def _milliseconds(self, name: str) -> pl.Series:
        return milliseconds(self.kept[name])

    def __iter__(self) -> Iterator[RankedKey]:
        """The keys one by one."""
        classes: list[dict[str, int]] = [{} for _ in range(len(self.texts))]
        for key, digit, requests in self._classes.iter_rows():
            classes[key][f"{digit}xx"] = requests
        counted = self.kept.select("requests", "errors", "bytes").iter_rows()
        rows = zip(self.texts.iter_rows(), counted, classes, self._latencies(), strict=True)
        for texts, (requests, errors, size), by_class, latency in rows:
            yield RankedKey(texts, requests, errors, size, by_class, latency)

    def _latencies(self) -> Iterator[Latency | None]:
        estimates = zip(*self._estimates, strict=True) if self._percentiles else repeat(())
        durations = self.kept.select("timed", "ns", "ns_min", "ns_max").iter_rows()
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

    def shares(self, total: int) -> pl.Series:
        """The part of a total of all durations that each has (Float64); null where there are none."""
        of_all = pl.when(pl.col("timed") > 0).then(pl.lit(total, pl.Int128)).otherwise(0)
        return quotients(self.kept["ns"], self.kept.select(of_all).to_series())

    def classes_as_json(self) -> pl.Series:
        """Requests by class of status: an object for each key."""
        keys, digits, requests = (self._classes[name].to_numpy() for name in ("key", "status_class", "requests"))
        columns = []
        for digit in range(10):
            which = digits == digit
            if which.any():
                counted, present = np.zeros(self.kept.height, np.int64), np.zeros(self.kept.height, np.bool_)
                counted[keys[which]], present[keys[which]] = requests[which], True
                columns.append(as_numbers(counted, present).alias(f"{digit}xx"))
        some = json_text.object_of_some({column.name: pl.col(column.name) for column in columns})
        return pl.DataFrame([self.kept["id"], *columns]).select(pl.col("id"), text=some)["text"]

    def latency_as_json(self) -> pl.Series:
        """The latency: an object, or null, for each key."""
        estimates = dict(zip(self._percentiles, map(json_text.numbers, self._estimates), strict=True))
        written = {
            "count": self.kept["timed"],
            "avg": json_text.numbers(averages(self.kept["ns"], self.kept["timed"])),
            "min": json_text.numbers(self._milliseconds("ns_min")),
            "max": json_text.numbers(self._milliseconds("ns_max")),
            "percentiles": json_text.objects(estimates) if estimates else pl.repeat("{}", self.kept.height, eager=True),
            "buckets": self._histograms.as_json(self.kept.height),
        }
        return json_text.objects(written).set(self.kept["timed"] == 0, "null")


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
