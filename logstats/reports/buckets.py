"""The histograms of many keys, stored as two columns of which each key has a slice.

A ranking of 10,000 endpoints has a million buckets. Making tuples of them would take longer than the rest of a report,
and most outputs show none: `Buckets` makes them on access.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

from logstats.frames import pl

Bucket = tuple[int | None, int]  # as in `sketches.loghist`: None is exactly 0 ms


class Histograms:
    """The histograms of keys: (key, bucket Int32, count Int64), the keys whole numbers; in order, nulls first."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table
        runs = table["key"].rle().struct.unnest()
        ends = runs["len"].cum_sum().to_list()
        self._parts = {
            key: (start, end) for key, start, end in zip(runs["value"].to_list(), [0, *ends], ends, strict=False)
        }

    def of(self, key: int) -> Buckets:
        """The buckets of a key; empty if it has none."""
        return Buckets(self, *self._parts.get(key, (0, 0)), key)

    def part(self, start: int, end: int) -> Iterator[Bucket]:
        """The buckets of a slice."""
        some = self._table.slice(start, end - start)
        return zip(some["bucket"].to_list(), some["count"].to_list(), strict=True)

    @cached_property
    def json(self) -> dict[int, str]:
        """The buckets of each key as JSON, as `json.dumps` writes lists of pairs; all are written at once."""
        pair = pl.format("[{}, {}]", pl.col("bucket").cast(pl.String).fill_null("null"), "count")
        texts = self._table.lazy().select("key", text=pair).group_by("key").agg(pl.col("text").str.join(", ")).collect()
        return dict(texts.iter_rows())


class Buckets(Sequence[Bucket]):
    """The (bucket, count) of one histogram, in order. It never changes, and equals a list of the same pairs."""

    __slots__ = ("_all", "_end", "_key", "_start")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, histograms: Histograms, start: int, end: int, key: int) -> None:
        self._all, self._start, self._end, self._key = histograms, start, end, key

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[Bucket]:
        return self._all.part(self._start, self._end)

    @overload
    def __getitem__(self, place: int) -> Bucket: ...
    @overload
    def __getitem__(self, place: slice) -> list[Bucket]: ...
    def __getitem__(self, place: int | slice) -> Bucket | list[Bucket]:
        return list(self)[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        return repr(list(self))

    def __deepcopy__(self, _: Any) -> Buckets:
        return self

    @property
    def json(self) -> str:
        """As `json.dumps` writes a list of pairs."""
        return f"[{self._all.json.get(self._key, '')}]"
