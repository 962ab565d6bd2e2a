"""The result of a ranking: its keys in the order that was asked for, and the figures of those that are kept.

The sort key is computed first, for all keys and in columns; the rest only for the keys that somebody reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final, Generic, Protocol, TypeVar

from logstats import schema
from logstats.dataclass import dataclass
from logstats.durations import MS, average
from logstats.frames import pl
from logstats.reports import json_text
from logstats.reports.figures import KeyFigures, RankedKey, last, named, of_durations
from logstats.reports.lazy_rows import LazyRows
from logstats.reports.model import EndpointRow
from logstats.sketches import loghist
from logstats.summaries.ranking import Ranking

AT_ONCE: Final = 100  # rows that take less time to make, all of them once, than to ask the columns for four tables

_FIGURES: Final = ("requests", "errors", "bytes", "timed", "ns", "ns_min", "ns_max")

Row = TypeVar("Row")
Made_co = TypeVar("Made_co", covariant=True)


class Form(Protocol[Made_co]):
    """What the rows of a ranking are."""

    def row(self, key: RankedKey) -> Made_co:
        """A row."""
        ...

    def members(self, figures: KeyFigures) -> Mapping[str, pl.Series]:
        """The JSON of rows, but for the latency: their members in columns."""
        ...


class RankedRows(LazyRows[Row]):
    """The keys of a ranking in its order, as rows that are made of its columns when they are asked for."""

    def __init__(
        self,
        kept: pl.DataFrame,
        counts: pl.DataFrame,
        histogram: pl.DataFrame,
        percentiles: Sequence[str],
        form: Form[Row],
    ) -> None:
        """`kept` and `histogram` are those of `KeyFigures`; `counts` is (id, status_class, requests) of all keys."""
        self._kept, self._histogram = kept, histogram
        self._counts = counts.select("id", "status_class", "requests").filter(pl.col("status_class") > 0)
        self._percentiles, self._form = percentiles, form

    def __len__(self) -> int:
        return self._kept.height

    @cached_property
    def _classes(self) -> pl.DataFrame:
        return self._counts.sort("id", "status_class")

    def _figures(self, kept: pl.DataFrame) -> KeyFigures:
        return KeyFigures(kept, self._classes, self._histogram, self._percentiles)

    def _made(self) -> list[Row]:
        return self._some(self._kept)

    def _part(self, place: slice) -> list[Row]:
        return self._some(self._kept[place]) if len(self) > AT_ONCE else super()._part(place)

    def _some(self, kept: pl.DataFrame) -> list[Row]:
        return [*map(self._form.row, self._figures(kept))]

    @property
    def json(self) -> str:
        """As `json.dumps` writes a list of the rows as the JSON report has them."""
        figures = self._figures(self._kept)
        members = {**self._form.members(figures), "latency_ms": figures.latency_as_json()}
        return json_text.array(json_text.objects(members))

    def largest(self, figure: str, most: int) -> tuple[list[Row], int]:
        """See `largest`."""
        kept = self._kept.filter(pl.col(last(self._kept)).fill_null(schema.OTHER) != "")
        if figure == TIMED:
            kept = kept.filter((pl.col("timed") > 0) & pl.col(last(kept)).ne_missing(schema.MALFORMED))
            return self._some(kept.head(most)), kept.height
        measure = pl.col(figure)
        if figure == REFUSED:
            refused = self._counts.filter(status_class=4).select("id", refused="requests")
            kept, measure = kept.join(refused, on="id", how="left", maintain_order="left"), pl.col("refused")
        kept = kept.filter(measure > 0)
        name = pl.concat_str(named(kept), separator=" ", ignore_nulls=True)
        places = kept.select(measure.alias("measure"), name.alias("name"), place=pl.int_range(pl.len()))
        first = places.sort("measure", "name", descending=[True, False])["place"].head(most)
        return self._some(kept[first]), kept.height


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
    form: Form[Row],
) -> Ranked[Row]:
    """The first `top` keys of a ranking, or all of them, each a row of this `form`.

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
    rows = RankedRows(kept, ranking.counts_by_id(), histogram, percentiles, form)
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
    found = loghist.percentiles(histogram, ["id"], of_durations(totals, "id"), [sort[1:]], ordered=True)
    measured = totals.select("id").join(found, on="id", how="left", maintain_order="left")
    return measured[sort[1:]].fill_null(-1.0)
