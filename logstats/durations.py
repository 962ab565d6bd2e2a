"""Durations: milliseconds in rows and reports; whole nanoseconds in sums, minima and maxima, which are so exact.

A row has Float64 milliseconds, each the nearest to what the log says: up to 2^33 ms (99 days) exact to the nanosecond,
beyond that to the microsecond. A table has figures of durations: `ns` (a sum), `ns_min` and `ns_max`.

A file has two columns for each figure: `us`, `us_min` or `us_max`, the microseconds nearest to it, and `rest_ns`,
`rest_ns_min` or `rest_ns_max`, the nanoseconds (−500 to 499) that it is more than these. Earlier versions, which summed
up durations rounded to microseconds, wrote the first of them only: the rest is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from logstats.frames import pl

MS: Final = 1_000_000  # nanoseconds
_US: Final = 1_000
_EXACT: Final = 2**53  # whole numbers up to it are exact as Float64, and IEEE 754 divides them correctly
HALF_US: Final = _US // 2
MICROS: Final[Mapping[str, str]] = {"ns": "us", "ns_min": "us_min", "ns_max": "us_max"}  # figure → its columns in files
RESTS: Final[Mapping[str, str]] = {name: f"rest_{name}" for name in MICROS}
LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "us": (0, 10**34),  # more than any log has, and its nanoseconds fit into 128 bits
    **dict.fromkeys(("us_min", "us_max"), (0, 2**53)),  # 285 years, as in `formats.fields.numbers`
    **dict.fromkeys(RESTS.values(), (-HALF_US, HALF_US)),
}  # what the columns of files can hold


def nanoseconds(ms: pl.Expr) -> pl.Expr:
    """Milliseconds of rows (Float64) → whole nanoseconds (Int64). As exact as rows are: whole milliseconds and the
    fraction are taken apart, since a product of both would have to be rounded."""
    whole = ms.floor()
    return whole.cast(pl.Int64) * MS + ((ms - whole) * MS).round().cast(pl.Int64)


def milliseconds(ns: pl.Series) -> pl.Series:
    """Nanoseconds (Int64) → milliseconds (Float64), by one IEEE 754 division, so that each is the nearest to what was
    logged.

    (Polars multiplies by the inverse of a constant instead, which gives 12345.599999999999 for 12345.6.)
    """
    from logstats.kernels.columns import as_numbers

    held = ns.is_not_null().to_numpy() if ns.null_count() else None
    values = ns.fill_null(0).to_numpy() if ns.null_count() else ns.to_numpy()
    return as_numbers(values / MS, held).alias(ns.name)


def average(ns: int, count: int) -> float:
    """The average in milliseconds of `count` durations with this sum: Python divides integers of any size correctly."""
    return ns / (count * MS)


def averages(ns: pl.Series, counts: pl.Series) -> pl.Series:
    """The average of each, as `average` has it (Float64); null where nothing was counted."""
    return quotients(ns, counts.cast(pl.Int128).to_frame("count").select(pl.col("count") * MS).to_series())


def quotients(numbers: pl.Series, divisors: pl.Series) -> pl.Series:
    """The nearest Float64 to each quotient of whole numbers (Int128) from 0; null where the divisor is 0."""
    from logstats.kernels.columns import as_numbers

    table = pl.DataFrame([numbers.alias("number"), divisors.alias("divisor")])
    if (table.select(pl.max_horizontal(pl.all().max())).item() or 0) <= _EXACT:
        number, divisor = (table[name].cast(pl.Float64).to_numpy() for name in table.columns)
        return as_numbers(number / (divisor + (divisor == 0)), divisor > 0)
    return pl.Series([a / b if b else None for a, b in table.iter_rows()], dtype=pl.Float64)


def stored(kinds: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """The columns and types that a file has for a table with these: the rests come last, sums are Decimal(38, 0)."""
    columns = {MICROS.get(name, name): pl.Decimal(38, 0) if kind == pl.Int128 else kind for name, kind in kinds.items()}
    return columns | {RESTS[name]: pl.Int64() for name in kinds if name in RESTS}


def held(columns: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """The columns and types that a table has for those of a file: the inverse of `stored`."""
    names = {stored: figure for figure, stored in MICROS.items()}
    kept = {names.get(name, name): kind for name, kind in columns.items() if name not in RESTS.values()}
    return {**kept, "ns": pl.Int128()} if "ns" in kept else kept


def to_stored(names: Iterable[str]) -> dict[str, pl.Expr]:
    """The columns that a file has for the figures among the columns of a table."""
    made: dict[str, pl.Expr] = {}
    for name in MICROS.keys() & set(names):
        micros = (pl.col(name) + HALF_US).floordiv(_US)
        made |= {MICROS[name]: micros, RESTS[name]: pl.col(name) - micros * _US}
    return made


def from_stored(names: Iterable[str], prefix: str = "") -> dict[str, pl.Expr]:
    """The figures among the columns of a table, from the columns of a file, whose names begin with `prefix`."""
    made: dict[str, pl.Expr] = {}
    for name in MICROS.keys() & set(names):
        kind = pl.Int128 if name == "ns" else pl.Int64
        made[name] = pl.col(prefix + MICROS[name]).cast(kind) * _US + pl.col(prefix + RESTS[name]).fill_null(0)
    return made
