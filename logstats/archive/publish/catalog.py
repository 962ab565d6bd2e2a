"""The views and macros over one snapshot, as SQL: for `logstats query`, and as catalog.sql for DuckDB's own shell.

A view names the files of the snapshot one by one: a glob would also match files that are not committed yet, or were
replaced. Each tier has a scan of its own, since tiers have different partitions and cold files may lack columns.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final

from logstats import __version__, durations
from logstats.archive.log import tables
from logstats.sketches import constants

if TYPE_CHECKING:
    from logstats.archive.log.snapshot import Snapshot

_PARTITIONS: Final = ("year", "month", "day", "hour")
_TYPES: Final = {  # by the names of Polars types
    "String": "VARCHAR",
    "Binary": "BLOB",
    "Float64": "DOUBLE",
    "Int64": "BIGINT",
    "Int32": "INTEGER",
    "UInt16": "USMALLINT",
    "UInt8": "UTINYINT",
    "Decimal": "DECIMAL(38, 0)",
    "Datetime": "TIMESTAMPTZ",
}


def macros() -> str:
    """The macros of `macros.sql`, which documents each, with the constants of the sketches inserted."""
    raws, biases = constants.bias_tables()
    text = resources.files("logstats.archive.publish").joinpath("macros.sql").read_text("utf-8")
    values = {
        "estimates": "[" + ", ".join(map(_double, raws)) + "]",
        "biases": "[" + ", ".join(map(_double, biases)) + "]",
        "threshold": _double(constants.LINEAR),
        "alpha_m2": _double(constants.ALPHA_M2),
        "log_gamma": _double(math.log(constants.GAMMA)),
        "inverse_log_gamma": _double(1 / math.log(constants.GAMMA)),
        "log_middle": _double(math.log(2 / (constants.GAMMA + 1))),
        "log_largest": _double(math.log(sys.float_info.max)),
    }
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def _double(number: float) -> str:
    """A literal that DuckDB reads as this Float64; without an exponent it would be a decimal."""
    mantissa, _, exponent = repr(float(number)).partition("e")
    return f"{mantissa}e{exponent or 0}"


def quoted(text: object) -> str:
    """A text as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def comment(text: object) -> str:
    """A text as an SQL comment on one line."""
    return " ".join(str(text).splitlines())


def name(text: str) -> str:
    """A text as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def script(snapshot: Snapshot) -> str:
    """The text of catalog.sql: the session's zone, macros and views. It can be run repeatedly, by DuckDB 1.5 or later.

    Its paths are relative to the archive, so it remains valid when the archive is copied or moved. Run DuckDB in the
    archive's folder, or `SET file_search_path`.
    """
    head = [
        f"-- logstats {__version__}: after commit {snapshot.number}. Written at each commit: do not change it.",
        "-- Use, in the folder of the archive: duckdb -init catalog.sql (elsewhere: SET file_search_path = 'ARCHIVE';",
        "-- .read ARCHIVE/catalog.sql). With paths of this place: logstats archive files -o sql",
        "SET TimeZone = 'UTC';\n",
    ]
    return "\n".join([*head, macros(), *views(None, snapshot, VIEWS, portable=True)])


VIEWS: Final = (tables.LOGS, *tables.ROLLUPS)  # the tables that have views


def views(
    named: Callable[[str], str] | None, snapshot: Snapshot, of: Sequence[str] = VIEWS, *, portable: bool = False
) -> list[str]:
    """A CREATE VIEW for each of these tables. `named` gives the name of a file from its path; without it, paths are
    relative to the archive.

    The columns of files are part of the SQL, so that a file is only opened if a query needs it. DuckDB before 2.0 lacks
    that: `portable` SQL lets it open one file of each kind to find the columns.
    """
    return [_view(table, named, snapshot, portable=portable) for table in of]


def data_files(named: Callable[[str], str], snapshot: Snapshot) -> list[str]:
    """The names of the files that the views read."""
    return [named(file.path) for file in snapshot.files.values() if file.table in VIEWS]


def _view(table: str, named: Callable[[str], str] | None, snapshot: Snapshot, *, portable: bool) -> str:
    """The union of scans, one for each combination of tier, partitions and columns."""
    kinds: dict[tuple[str, int, tuple[str, ...]], list[str]] = {}
    for file in snapshot.select(table):
        place = named(file.path) if named is not None else file.path
        kinds.setdefault((file.tier, len(file.partition), file.held), []).append(place)
    scans = [_none(table)]
    for (tier, depth, held), found in kinds.items():
        scans.append(_scan(table, tier, depth, () if portable else held, found))
    union = "\n  UNION ALL BY NAME\n".join(scans)
    if table == tables.USERS:
        registers = "list(register::UINTEGER * 64 + rank) AS registers"
        union = f"  SELECT minute, {registers}, year, month, day FROM (\n{union}\n  ) GROUP BY ALL"
    if table == tables.ENDPOINTS:  # files of earlier versions lack the rests, which are 0 there
        rests = ", ".join(f"coalesce({rest}, 0) AS {rest}" for rest in durations.RESTS.values())
        union = f"  SELECT * REPLACE ({rests}) FROM (\n{union}\n  )"
    return f"CREATE OR REPLACE VIEW {table} AS\n{union};\n"


def _none(table: str) -> str:
    """A SELECT without rows, which gives a view its columns, their order and their types."""
    logs = table == tables.LOGS
    columns = {"tier": "VARCHAR"} if logs else {}
    columns |= {column: _TYPES[kind] for column, kind in tables.kinds(table).items()}
    columns |= dict.fromkeys(_PARTITIONS[: 4 if logs else 3], "BIGINT")
    nulls = ", ".join(f"NULL::{kind} AS {name(column)}" for column, kind in columns.items())
    return f"  SELECT {nulls} WHERE false"


def _scan(table: str, tier: str, depth: int, columns: Sequence[str], found: Sequence[str]) -> str:
    """One `read_parquet` of files with these columns (if none are given, DuckDB finds them)."""
    types = {column: _TYPES[kind] for column, kind in tables.kinds(table).items()}
    fields = [
        f"{tables.field_id(table, column)}: "
        f"{{name: {quoted(column)}, type: {quoted(types[column])}, default_value: NULL}}"
        for column in columns
    ]
    given = ", schema = MAP {\n    " + ",\n    ".join(fields) + "\n  }" if fields else ""
    logs = table == tables.LOGS
    named = _PARTITIONS if tier == tables.HOT else _PARTITIONS[:depth]  # a shared hour is named, too, as null
    partitions = ", ".join(f"{part}: BIGINT" for part in named)
    listed = ",\n    ".join(map(quoted, found))
    options = f"hive_partitioning = true, hive_types = {{{partitions}}}{given}"
    before = f"{quoted(tier)} AS tier, " if logs else ""
    after = ""
    if logs and depth == 3:
        after = " REPLACE (hour(timestamp) AS hour)" if tier == tables.HOT else ", hour(timestamp) AS hour"
    return f"  SELECT {before}*{after} FROM read_parquet([\n    {listed}\n  ], {options})"
