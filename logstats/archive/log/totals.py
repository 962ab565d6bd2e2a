"""What files of the rollups `endpoints` and `traffic` say of their own rows: their totals, with fewer keys.

A report over a month adds up hours, methods, hosts. Nearly always it wants all of them, and has several times as many
rows to read as it would have of their totals. So a file whose totals are few says them in its metadata, as `KEY`: a
Parquet file of them, in base64. Whoever does not know the key loses nothing by it: they can always be made of the rows.
Their bytes are under the digest of the file, like the rows.

The totals of `endpoints` are (method, endpoint, status_class, bucket) → requests, timed, bytes, us, rest_ns, ns_min,
first (minutes since 1970), ns_max. Those of `traffic` are of several parts (`part`): `minutes` are (minute,
status_class) → requests, bytes; `statuses` are (status) → requests; `levels` are (level) → events; and `times` is one
row with the earliest and the latest time, in microseconds since 1970. What a part does not have is null, or 0.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from logstats import durations
from logstats.archive.log import tables
from logstats.frames import pl
from logstats.summaries import traffic
from logstats.summaries.statuses import STATUSES
from logstats.summaries.tables import Shape
from logstats.summaries.traffic import MINUTE_US

if TYPE_CHECKING:
    import pyarrow as pa

KEY: Final = "logstats.totals"
SHAPES: Final = {
    tables.ENDPOINTS: Shape(
        {"method": "String", "endpoint": "String", "status_class": "UInt8", "bucket": "Int32"},
        {"requests": "Int64", "timed": "Int64", "bytes": "Int128", "us": "Int128", "rest_ns": "Int64"},
        {"ns_min": "Int64", "first": "Int64"},
        {"ns_max": "Int64"},
    ),
    tables.TRAFFIC: Shape(
        {"part": "String", "minute": "Int64", "status_class": "UInt8", "status": "UInt16", "level": "String"},
        {"requests": "Int64", "events": "Int64", "bytes": "Int128"},
        {"earliest": "Int64"},
        {"latest": "Int64"},
    ),
}
MOST_ROWS: Final = 30_000  # of totals; a file with more says nothing,
LEAST_ROWS: Final = 500  # and neither does one with so few that it is read as fast
_AT_ONCE: Final = 100_000  # rows that are added up at a time
_COUNTS: Final = ("requests", "events", "timed", "bytes")
_PARTS: Final = frozenset({"minutes", "statuses", "levels", "times"})
_LEVELS: Final = Shape({"level": "String"}, {"events": "Int64"}, {}, {})


def of(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The totals of some rows of a rollup, each key once, in no order."""
    return _of_endpoints(rows) if table == tables.ENDPOINTS else _of_traffic(rows)


def _of_endpoints(rows: pl.DataFrame) -> pl.DataFrame:
    shape = SHAPES[tables.ENDPOINTS]
    kinds = shape.schema
    sums = {name: pl.col(name).cast(kinds[name]) for name in shape.sums if name != "rest_ns"}
    first = pl.col("hour").to_physical().floordiv(MINUTE_US)
    ends = durations.from_stored(("ns_min", "ns_max"))
    return shape.united(
        rows.select(*shape.keys, **sums, **ends, rest_ns=pl.col("rest_ns").fill_null(0), first=first).select(*kinds)
    )


def _of_traffic(rows: pl.DataFrame) -> pl.DataFrame:
    requests, events = rows.filter(pl.col("kind") == "request"), rows.filter(pl.col("kind") == "event")
    minute = pl.col("minute").to_physical().floordiv(MINUTE_US)
    counted = requests.select(minute, traffic.status_class(), "requests", pl.col("bytes").cast(pl.Int128))
    parts = {
        "minutes": traffic.TRAFFIC.united(counted),
        "statuses": STATUSES.united(requests.select("status", "requests")),
        "levels": _LEVELS.united(events.select("level", "events")),
        "times": rows.select(earliest=pl.col("first").to_physical().min(), latest=pl.col("last").to_physical().max()),
    }
    shape = SHAPES[tables.TRAFFIC]
    whole = pl.concat([table.with_columns(part=pl.lit(name)) for name, table in parts.items()], how="diagonal")
    return whole.with_columns(pl.col(*shape.sums).fill_null(0)).select(*shape.schema)


class Adding:
    """Adds up rows of a rollup while they are written."""

    KEY = KEY

    def __init__(self, table: str) -> None:
        self._table, self._shape = table, SHAPES[table]
        self._held: list[pl.DataFrame] = []
        self._pending = self._rows = 0
        self._too_many = False

    def add(self, rows: pa.Table) -> None:
        """Add rows."""
        self._rows += rows.num_rows
        if self._too_many:
            return
        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)
        self._held.append(of(self._table, frame))
        self._pending += frame.height
        if self._pending > _AT_ONCE or self._held[-1].height > MOST_ROWS:
            self._merge()

    def _merge(self) -> None:
        self._too_many = any(table.height > MOST_ROWS for table in self._held)
        if self._held and not self._too_many:
            self._held, self._pending = [self._shape.merge(self._held)], 0
            self._too_many = self._held[0].height > MOST_ROWS
        if self._too_many:
            self._held.clear()

    def text(self) -> str | None:
        """What the file says of itself; None if it says nothing."""
        if self._rows < LEAST_ROWS:
            return None
        self._merge()
        return packed(self._held[0]) if self._held else None


def packed(totals: pl.DataFrame) -> str | None:
    """The text for some totals; None if a number in them has more than 64 bits."""
    big = [name for name, kind in totals.schema.items() if kind == pl.Int128]
    try:
        stored = totals.with_columns(pl.col(big).cast(pl.Int64))
    except pl.exceptions.InvalidOperationError:
        return None
    file = io.BytesIO()
    stored.write_parquet(file, compression="zstd", compression_level=3, statistics=False)
    return base64.b64encode(file.getvalue()).decode()


def unpacked(table: str, texts: Sequence[str]) -> pl.DataFrame:
    """The totals that several texts for files of a rollup have, one after the other. Raises ValueError if `packed`
    would not make them."""
    kinds = SHAPES[table].schema
    stored = {name: pl.Int64() if kind == pl.Int128 else kind for name, kind in kinds.items()}
    try:
        files = [binascii.a2b_base64(text, strict_mode=True) for text in texts]
        found = pl.read_parquet(files, n_rows=MOST_ROWS * len(files) + 1, hive_partitioning=False)
    except (ValueError, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(str(error)) from None
    if dict(found.schema) != stored or not found.height or found.height > MOST_ROWS * len(files):
        raise ValueError("it is no table of totals")
    counts = [name for name in _COUNTS if name in kinds]
    lacking = found.select(pl.sum_horizontal(pl.col(counts).null_count())).item()
    if lacking or found.select(pl.min_horizontal(pl.col(counts).min())).item() < 0:
        raise ValueError("nothing has such figures")
    if int(found["status_class"].max() or 0) > 9:  # type: ignore[arg-type]
        raise ValueError("no status has such a class")
    if "part" in kinds and not _PARTS.issuperset(found["part"].unique()):
        raise ValueError("traffic has no such part")
    return found.cast(kinds)  # type: ignore[arg-type]
