"""Which row groups of a Parquet file may hold rows that are asked for, by what the file says of each of them.

It says the range of its times, the least and the greatest text of a column, and, of the columns that values are looked
for in, a Bloom filter. A row group that is left out is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats.archive.log import tables
from logstats.archive.query import bloom
from logstats.dataclass import dataclass

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from logstats.archive.log.commit import DataFile

Equal = Mapping[str, frozenset[str]]  # column → texts, one of which it has in every row that is asked for


@dataclass(frozen=True)
class Wanted:
    """The rows of since ≤ timestamp < until in which columns are equal to one of some texts."""

    since: datetime | None = None
    until: datetime | None = None
    equal: Equal | None = None

    def groups(self, parquet: pq.ParquetFile, place: str, file: DataFile) -> Iterator[tuple[int, bool]]:
        """The row groups, by number, in which rows may be in the range of time, and whether rows of these can be equal.

        `place` is where the file lies on this machine.
        """
        names = parquet.schema_arrow.names
        time = names.index(tables.time_column(file.table))
        columns = [(names.index(name), name == "client_ip", texts) for name, texts in self._hashed if name in names]
        for number in range(parquet.num_row_groups):
            group = parquet.metadata.row_group(number)
            if self._in_time(group.column(time).statistics):
                yield (
                    number,
                    all(_may_be(group.column(at), texts, place, addresses=ip) for at, ip, texts in columns),
                )

    @cached_property
    def _hashed(self) -> list[tuple[str, list[tuple[str, int]]]]:
        """The columns, and each of their texts with its hash."""
        return [
            (name, [(text, bloom.hash_of(text.encode("utf-8", "surrogatepass"))) for text in sorted(texts)])
            for name, texts in (self.equal or {}).items()
        ]

    def _in_time(self, statistics: Any) -> bool:
        if (self.since is None and self.until is None) or statistics is None or not statistics.has_min_max:
            return True
        return (self.since is None or statistics.max >= self.since) and (
            self.until is None or statistics.min < self.until
        )


def _may_be(column: Any, texts: list[tuple[str, int]], place: str, *, addresses: bool) -> bool:
    """Whether a column of a row group may hold one of some texts."""
    statistics = column.statistics
    possible = [hashed for _, hashed in texts]
    if statistics is not None and statistics.has_min_max:  # which texts that are very long have not
        least, most = statistics.min, statistics.max
        # An address of IPv4, written as one of IPv6, begins with a colon or a zero: `::ffff:192.0.2.1`.
        if addresses and (least < "1" or most >= ":"):
            return True
        possible = [hashed for text, hashed in texts if least <= text <= most]
    elif statistics is not None and statistics.has_null_count and statistics.null_count == column.num_values:
        return False
    elif addresses:
        return True
    if not possible or column.bloom_filter_offset is None or column.bloom_filter_length is None:
        return bool(possible)
    with Path(place).open("rb") as file:
        file.seek(column.bloom_filter_offset)
        bits = bloom.bits_of(file.read(column.bloom_filter_length))
    return bits is None or any(bloom.may_hold(bits, hashed) for hashed in possible)
