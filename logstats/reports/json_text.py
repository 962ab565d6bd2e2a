"""JSON as `json.dumps` writes it, put together from columns: ASCII only, and no number that JSON does not have.

Encoding objects one by one takes twenty times as long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Final

from logstats.frames import pl

encode: Final = json.JSONEncoder(allow_nan=False).encode

_SMALL: Final = 1e-4  # numbers below it have exponents, which Python writes with two digits


def numbers(column: pl.Series) -> pl.Series:
    """The text (String) of each number, or of null. Raises ValueError for one that JSON does not have."""
    texts = column.cast(pl.String)
    if column.dtype == pl.Float64:
        if not column.is_finite().all():
            raise ValueError("out of range float values are not JSON compliant")
        small = ((column.abs() < _SMALL) & (column != 0)).arg_true()
        if len(small):
            texts = texts.scatter(small, [*map(repr, column.gather(small).to_list())])
    return texts.fill_null("null")


def texts(column: pl.Series) -> pl.Series:
    """The text (String) of each text, or of null."""
    written = ["null" if value is None else encode_basestring_ascii(value) for value in column.to_list()]
    return pl.Series(written, dtype=pl.String)


def member(key: str, value: str) -> str:
    """A member of an object; `value` is JSON."""
    return f"{encode(key)}: {value}"


def whole(members: Iterable[tuple[str, str]]) -> str:
    """An object of these members, whose values are JSON. Values of many megabytes are copied once."""
    pieces, before = list[str](), "{"
    for key, value in members:
        pieces += [before, encode(key), ": ", value]
        before = ", "
    return "".join([*pieces, "}"] if pieces else ["{}"])


def array(values: pl.Series) -> str:
    """An array of values that are JSON."""
    return f"[{', '.join(values.to_list())}]"


def object_of(members: Mapping[str, pl.Expr]) -> pl.Expr:
    """Objects (String) with these members, whose values are JSON or whole numbers."""
    parts, before = list[pl.Expr](), "{"
    for name, value in members.items():
        parts += [pl.lit(f"{before}{encode(name)}: "), value.cast(pl.String)]
        before = ", "
    return pl.concat_str(*parts, pl.lit("}")) if parts else pl.lit("{}")


def object_of_some(members: Mapping[str, pl.Expr]) -> pl.Expr:
    """The same, of the members of each row that are not null."""
    some = [pl.concat_str(pl.lit(f"{encode(name)}: "), value.cast(pl.String)) for name, value in members.items()]
    inside = pl.concat_str(some, separator=", ", ignore_nulls=True) if some else pl.lit("")
    return pl.concat_str(pl.lit("{"), inside, pl.lit("}"))


def objects(columns: Mapping[str, pl.Series]) -> pl.Series:
    """Objects (String) with these members, whose values are JSON or whole numbers, in columns."""
    places = {name: str(place) for place, name in enumerate(columns)}
    frame = pl.DataFrame([column.alias(places[name]) for name, column in columns.items()])
    return frame.select(object_of({name: pl.col(place) for name, place in places.items()})).to_series()
