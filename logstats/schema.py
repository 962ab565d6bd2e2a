"""The request schema: the one table that formats produce and everything else reads.

One row is one request, or one event (a structured application line that has neither method nor status).
A format that lacks a field gives null. Times are UTC, durations milliseconds, sizes bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from logstats.frames import pl

COLUMNS: Final = (
    "kind",
    "timestamp",
    "method",
    "protocol",
    "path",
    "query",
    "endpoint",
    "status",
    "duration_ms",
    "bytes",
    "user_id",
    "client_ip",
    "host",
    "referer",
    "user_agent",
    "level",
    "app_name",
    "message",
    "trace_id",
    "extra",
    # Added later, and appended: files of an archive that were written before lack them, which is null.
    "upstream_ms",
    "request_bytes",
    "cache",
    "upstream",
    "tls",
)
FIRST: Final = 20  # columns that the schema began with

# Columns that are computed from others where they are asked for (`enrich.computed` says how), and families of such
# columns: how people write one, and the regular expression of their names.
COMPUTED: Final = (
    "source",
    "hour",
    "weekday",
    "browser",
    "os",
    "device",
    "bot",
    "bot_class",
    "bot_verified",
    "country",
    "continent",
    "city",
    "asn",
    "as_name",
)
FAMILIES: Final = {"query:NAME": r"query:[^\s,]+", "ip/N": r"ip/([0-9]{1,3})(?:/([0-9]{1,3}))?"}

# Those that are about kinds of clients, not about persons: `--anonymize` does not change what they are computed from.
IMPERSONAL: Final = frozenset(COMPUTED) - {"source", "hour", "weekday"}

LINE: Final = "line_number"  # a column for summaries: the line of the source, from 1

# Columns with a text as it was logged, from a field whose role has the same name.
TEXTS: Final = ("user_id", "referer", "user_agent", "message", "trace_id", "upstream", "tls")

MALFORMED: Final = "(malformed)"  # the endpoint of a malformed request line
OTHER: Final = "(other)"  # the key that counts all values beyond a cap


def is_column(name: str) -> bool:
    """Whether a column of the schema, or a computed one, is called so."""
    return name in COLUMNS or name in COMPUTED or any(re.fullmatch(form, name) for form in FAMILIES.values())


def names() -> tuple[str, ...]:
    """All columns as people write them, the computed ones and families last."""
    return (*COLUMNS, *COMPUTED, *FAMILIES)


def as_key(column: str) -> pl.Expr:
    """A column as what rankings and filters take it for: a protocol is `h1`, `h2` or `h3`, however it was logged;
    times, durations and hours are texts. Other columns are as they are."""
    own = pl.col(column)
    if column == "protocol":
        major = own.str.to_lowercase().str.extract(r"^(?:http/|h)([123])(?:\.[0-9]+)?(?:c|-[0-9a-z]+)?$")
        return pl.coalesce(pl.concat_str(pl.lit("h"), major), own)
    if column == "timestamp":
        return own.dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ")
    if column == "hour":
        return own.cast(pl.String).str.zfill(2)
    return own.cast(pl.String) if isinstance(dtypes().get(column), pl.Float64) else own


def owned(rows: pl.DataFrame) -> pl.DataFrame:
    """A copy of rows with memory of its own. (The texts of a chunk are views, which keep all of its bytes alive.)"""
    oldest = pl.CompatLevel.oldest()  # copies all texts into one buffer
    texts = [column for column in rows if column.dtype == pl.String]
    return rows.with_columns(pl.Series(text.name, text.to_arrow(compat_level=oldest)) for text in texts)


# Columns that are not texts, by the name of their Polars type.
_KINDS: Final = {
    "timestamp": "Datetime",
    "status": "UInt16",
    "duration_ms": "Float64",
    "bytes": "Int64",
    "upstream_ms": "Float64",
    "request_bytes": "Int64",
}


def kinds() -> dict[str, str]:
    """Column name to the name of its Polars type, in the order of the schema."""
    return {name: _KINDS.get(name, "String") for name in COLUMNS}


def dtype(kind: str) -> pl.DataType:
    """A Polars type by its name. Times are in microseconds and UTC, decimals are whole numbers of 38 digits."""
    if kind == "Datetime":
        return pl.Datetime("us", "UTC")
    made: pl.DataType = pl.Decimal(38, 0) if kind == "Decimal" else getattr(pl, kind)()
    return made


def typed(kinds: Mapping[str, str | pl.DataType]) -> dict[str, pl.DataType]:
    """Column name to Polars type, of types or of their names."""
    return {name: dtype(kind) if isinstance(kind, str) else kind for name, kind in kinds.items()}


def dtypes() -> dict[str, pl.DataType]:
    """Column name to Polars type, in the order of the schema."""
    return typed(kinds())
