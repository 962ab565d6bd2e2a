"""How pieces lie in a summary file: one Parquet schema for all tables, with nulls where a table has no such column.

`table` says which table a row is of, `column` which column a breakdown ranks, `selection` whose figures or users they
are (null: of all requests). Times are UTC. Rows of a table stand in the order in which they first came; those of one
endpoint, or value, in one minute stand together, by class and bucket, which is much smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

from logstats import durations, schema
from logstats.frames import pl
from logstats.scale import tables
from logstats.scale.tables import Piece
from logstats.sketches import hll
from logstats.summaries import ranking
from logstats.summaries.aggregate import Aggregate
from logstats.summaries.spec import ReportSpec
from logstats.summaries.traffic import MINUTE_US

if TYPE_CHECKING:
    import pyarrow as pa

MOMENT: Final = pl.Datetime("us", "UTC")
_BIG: Final = pl.Decimal(38, 0)
_BUCKETS: Final = 40_000  # the bucket of the greatest and of the least number that there is lies nearer to 0
COLUMNS: Final[Mapping[str, pl.DataType]] = {
    "table": pl.String(),
    "column": pl.String(),
    "selection": pl.String(),
    "minute": MOMENT,
    "value": pl.String(),
    "status": pl.UInt16(),
    "status_class": pl.UInt8(),
    "method": pl.String(),
    "endpoint": pl.String(),
    "host": pl.String(),
    "app_name": pl.String(),
    "level": pl.String(),
    "user": pl.String(),
    "bucket": pl.Int32(),
    "register": pl.UInt16(),
    "rank": pl.UInt8(),
    "requests": pl.Int64(),
    "events": pl.Int64(),
    "count": pl.Int64(),
    "timed": pl.Int64(),
    "bytes": _BIG,
    "us": _BIG,
    "us_min": pl.Int64(),
    "us_max": pl.Int64(),
    **dict.fromkeys(durations.RESTS.values(), pl.Int64()),
    "earliest": MOMENT,
    "latest": MOMENT,
    "reason": pl.String(),
}


class Layout:
    """The Parquet schema of the summaries of a spec: the columns above, and those of other aggregates of the registry,
    which have the name of their aggregate in front. Files of earlier versions have no parts of durations below a
    microsecond (`logstats.durations`)."""

    def __init__(self, spec: ReportSpec) -> None:
        self._exact_users = spec.exact_users
        self.others = {one.name: _schema_of(one) for one in tables.others(spec)}
        self.columns: dict[str, pl.DataType] = dict(COLUMNS)
        for name, columns in self.others.items():
            self.columns |= {_prefixed(name, column): kind for column, kind in durations.stored(columns).items()}

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema, as Parquet gives it back."""
        import pyarrow as pa

        plain = pl.DataFrame(schema=self.columns).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        return pa.schema(
            (field.name, pa.string() if pa.types.is_large_string(field.type) else field.type) for field in plain
        )

    @cached_property
    def later(self) -> frozenset[str]:
        """The columns that files of earlier versions lack."""
        rests = durations.RESTS.values()
        return frozenset([*rests, *(_prefixed(name, rest) for name in self.others for rest in rests)])

    def knows(self, schema: pa.Schema) -> bool:
        """Whether a file with this schema is a summary of this version or an earlier one."""
        import pyarrow as pa

        earlier = pa.schema([field for field in self.arrow_schema if field.name not in self.later])
        return bool(schema.equals(self.arrow_schema) or schema.equals(earlier))

    def columns_of(self, table: str) -> list[str]:
        """The columns that a table has in a file, but for those that say which table it is."""
        return [self._place(table, name) for name in durations.stored(self._kinds(table))]

    def _kinds(self, table: str) -> dict[str, pl.DataType]:
        """The columns of a piece (but `first`) and their types."""
        if table in self.others:
            return {"minute": pl.Int64()} | self.others[table]
        shape = tables.shape(table, exact_users=self._exact_users)
        return {name: kind for name, kind in shape.schema.items() if name != "first"}

    def _place(self, table: str, name: str) -> str:
        """What a column of a table is called in a file."""
        return _prefixed(table, name) if table in self.others and name != "minute" else name

    def to_stored(self, piece: Piece) -> pl.DataFrame:
        """A piece with all columns of the file."""
        kinds = self._kinds(piece.table)
        figures = durations.to_stored(kinds)
        made = {self._place(piece.table, name): figures.get(name, pl.col(name)) for name in durations.stored(kinds)}
        made["table"] = pl.lit(piece.table)
        if piece.of is not None:
            made["column" if piece.table == tables.BREAKDOWN else "selection"] = pl.lit(piece.of)
        made["minute"] = pl.col("minute") * MINUTE_US
        if piece.table in tables.RANKED:
            # In memory, what took no time and what has no duration are apart; here `timed` says how many took none.
            bucket = pl.col("bucket")
            made["bucket"] = pl.when(~bucket.is_in([ranking.ZERO, ranking.NO_DURATION])).then(bucket)
            return self.whole(_grouped(piece), made)
        if piece.table == tables.LATENCY:
            return self.whole(piece.frame.sort("minute", "bucket"), made)
        return self.whole(piece.frame, made)

    def whole(self, frame: pl.DataFrame, known: Mapping[str, pl.Expr]) -> pl.DataFrame:
        """All columns of the file: those that are known, and nulls."""
        nothing = pl.lit(None)
        return frame.select(known.get(name, nothing).cast(kind).alias(name) for name, kind in self.columns.items())

    def from_stored(self, table: str, of: str | None, frame: pl.DataFrame) -> Piece:
        """The piece again. Raises ValueError for figures that no log has."""
        kinds, prefix = self._kinds(table), _prefixed(table, "") if table in self.others else ""
        lacking = [name for name in self.columns_of(table) if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None, self.columns[name]).alias(name) for name in lacking)
        _check_durations(table, frame, prefix)
        taken = {name: pl.col(self._place(table, name)) for name in kinds} | durations.from_stored(kinds, prefix)
        taken["minute"] = pl.col("minute").to_physical().floordiv(MINUTE_US)
        if table in tables.RANKED:
            none = pl.when(pl.col("timed") > 0).then(ranking.ZERO).otherwise(ranking.NO_DURATION)
            taken["bucket"] = pl.col("bucket").fill_null(none)
        _check(table, frame.select(**taken))
        made = frame.select(taken[name].cast(kind).alias(name) for name, kind in kinds.items())
        if table != tables.USERS:
            made = made.with_columns(first=pl.int_range(pl.len(), dtype=pl.Int64))
        return Piece(table, of, made)


def _grouped(piece: Piece) -> pl.DataFrame:
    """The rows of a ranked piece, those of one key and minute together. In any range of whole minutes, keys first come
    in the same order as before."""
    columns = ["minute", *tables.keys(piece.table)]
    numbered = piece.frame.with_row_index("__row")
    first = numbered.group_by(columns).agg(pl.col("__row").min().alias("__first"))
    placed = numbered.join(first, on=columns, how="left", nulls_equal=True, maintain_order="left")
    return placed.sort("__first", "status_class", "bucket").drop("__row", "__first")


def _schema_of(aggregate: Aggregate) -> dict[str, pl.DataType]:
    """The columns of what an aggregate makes of a chunk, but `first` and `minute`."""
    kinds = schema.dtypes()
    columns: dict[str, pl.DataType] = {
        name: kinds[name] for name in schema.COLUMNS if name in aggregate.needs | {"kind", "level", "timestamp"}
    }
    computed: dict[str, pl.DataType] = dict.fromkeys(sorted(aggregate.needs.difference(schema.COLUMNS)), pl.String())
    computed |= {schema.LINE: pl.Int64()} if schema.LINE in computed else {}
    rows = pl.DataFrame(schema={"line": pl.UInt32(), **columns, **computed, "minute": pl.Int64()})
    made = aggregate.summarise(rows).schema
    return {name: kind for name, kind in made.items() if name not in ("first", "minute")}


def _prefixed(aggregate: str, column: str) -> str:
    return f"{aggregate}_{column}".replace(" ", "_")


def _check_durations(table: str, frame: pl.DataFrame, prefix: str) -> None:
    """Raise ValueError for parts of durations that none has."""
    for name, (least, most) in durations.LIMITS.items():
        if prefix + name in frame.columns:
            part = frame[prefix + name]
            if not part.is_between(least, most).all():
                raise ValueError(f"table {table} has a value of {name} that no log gives")


def _check(table: str, frame: pl.DataFrame) -> None:
    """Raise ValueError unless every figure is one that a log can have."""
    if not frame.height:
        return
    number = pl.col
    tests: dict[str, pl.Expr] = {}
    for name in ("requests", "events", "count"):
        if name in frame.columns:
            tests[name] = number(name) > 0
    for name in ("bytes", "ns", "ns_min", "ns_max"):
        if name in frame.columns:
            tests[name] = number(name) >= 0 if name in ("bytes", "ns") else (number(name) >= 0).fill_null(value=True)
    if table in tables.RANKED:
        tests["timed"] = number("timed").is_between(0, number("requests"))
        timed, low, high = number("timed"), number("ns_min"), number("ns_max")
        between = number("ns").is_between(low.cast(pl.Int128), high.cast(pl.Int128) * timed)
        tests["ns_max"] = (
            pl.when(timed == 0)
            .then(low.is_null() & (number("ns") == 0))
            .otherwise((low >= 0) & (low <= high) & between)
        )
        tests["bucket"] = (
            pl.when(number("bucket") > ranking.ZERO)
            .then(number("bucket").is_between(-_BUCKETS, _BUCKETS) & (timed > 0))
            .otherwise(pl.lit(value=True))
        )
    elif "bucket" in frame.columns:
        tests["bucket"] = number("bucket").is_between(-_BUCKETS, _BUCKETS).fill_null(value=True)
    if "register" in frame.columns:
        tests["register"] = number("register") < hll.REGISTERS
        tests["rank"] = number("rank").is_between(1, hll.MAX_RANK)
    if "earliest" in frame.columns:
        minute = number("earliest").to_physical().floordiv(MINUTE_US)
        later = number("latest").to_physical().floordiv(MINUTE_US)
        tests["earliest"] = minute.eq_missing(number("minute")) & later.eq_missing(number("minute"))
    if not tests:
        return
    held = frame.select(test.fill_null(value=False).all().alias(name) for name, test in tests.items()).row(
        0, named=True
    )
    for name, right in held.items():
        if not right:
            raise ValueError(f"table {table} has a value of {name} that no log gives")
