"""The views and macros over one snapshot, as SQL: what `query` runs in, and catalog.sql for DuckDB's own shell.

A view names the files of the snapshot one by one: a pattern would also match files that are not yet committed, or no
longer. It reads each tier by a scan of its own, since tiers have different partitions and cold may lack columns.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final

from logstats import __version__
from logstats.archive.log import tables
from logstats.sketches import hll, loghist

if TYPE_CHECKING:
    import polars as pl

    from logstats.archive.log.snapshot import Snapshot
    from logstats.archive.log.storage import LocalStorage

_PARTITIONS: Final = ("year", "month", "day", "hour")
_TYPES: Final = {
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
    """The macros (`macros.sql` documents each), with the sketches' constants filled in."""
    raws, biases, threshold = hll.bias_tables()
    text = resources.files("logstats.archive.publish").joinpath("macros.sql").read_text("utf-8")
    constants = {
        "estimates": "[" + ", ".join(map(_double, raws)) + "]",
        "biases": "[" + ", ".join(map(_double, biases)) + "]",
        "threshold": _double(threshold),
        "alpha_m2": _double(hll.ALPHA_M2),
        "log_gamma": _double(math.log(loghist.GAMMA)),
        "inverse_log_gamma": _double(1 / math.log(loghist.GAMMA)),
        "log_middle": _double(math.log(2 / (loghist.GAMMA + 1))),
        "log_largest": _double(math.log(sys.float_info.max)),
    }
    for name, value in constants.items():
        text = text.replace("{" + name + "}", value)
    return text


def _double(number: float) -> str:
    """A literal that DuckDB reads as the same Float64: one without an exponent would be a decimal."""
    mantissa, _, exponent = repr(float(number)).partition("e")
    return f"{mantissa}e{exponent or 0}"


def quoted(text: object) -> str:
    """A string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def comment(text: object) -> str:
    """What fits behind `--`."""
    return " ".join(str(text).splitlines())


def name(text: str) -> str:
    """An identifier."""
    return '"' + text.replace('"', '""') + '"'


def script(snapshot: Snapshot) -> str:
    """catalog.sql: the session's zone, macros, views. It may be run again and again, by DuckDB from 1.5 on.

    Its paths are relative to the archive, so that it is right in a copy, and after a move: DuckDB finds them from the
    archive's folder, or from any with `SET file_search_path`.
    """
    head = [
        f"-- logstats {__version__}: after commit {snapshot.number}. Written at each commit: do not change it.",
        "-- Use, in the folder of the archive: duckdb -init catalog.sql (elsewhere: SET file_search_path = 'ARCHIVE';",
        "-- .read ARCHIVE/catalog.sql). With paths of this place: logstats archive files -o sql",
        "SET TimeZone = 'UTC';\n",
    ]
    return "\n".join([*head, macros(), *views(None, snapshot, VIEWS, portable=True)])


VIEWS: Final = (tables.LOGS, *tables.ROLLUPS)  # tables that there are views of


def views(
    files: LocalStorage | None, snapshot: Snapshot, of: Sequence[str] = VIEWS, *, portable: bool = False
) -> list[str]:
    """A CREATE VIEW for each of some tables. Without `files`, paths stay relative to the archive.

    The columns of files are given, so that a file is only opened if a query needs it. DuckDB before 2.0 cannot do
    that: what is `portable` lets it open one of each kind to find them out.
    """
    return [_view(table, files, snapshot, portable=portable) for table in of]


def data_paths(files: LocalStorage, snapshot: Snapshot) -> list[str]:
    """The files that the views read."""
    return [files.at(file.path) for file in snapshot.files.values() if file.table in VIEWS]


def _view(table: str, files: LocalStorage | None, snapshot: Snapshot, *, portable: bool) -> str:
    """The union of a scan for every kind of file: what differs in tier, in partitions or in columns."""
    kinds: dict[tuple[str, int, tuple[str, ...] | None], list[str]] = {}
    for file in snapshot.select(table):
        place = files.at(file.path) if files is not None else file.path
        kinds.setdefault((file.tier, len(file.partition), file.columns), []).append(place)
    scans = [_none(table)]
    for (tier, depth, kept), found in kinds.items():
        columns = () if portable else kept or tuple(tables.columns(table))
        scans.append(_scan(table, tier, depth, columns, found))
    union = "\n  UNION ALL BY NAME\n".join(scans)
    if table == tables.USERS:
        registers = "list(register::UINTEGER * 64 + rank) AS registers"
        union = f"  SELECT minute, {registers}, year, month, day FROM (\n{union}\n  ) GROUP BY ALL"
    return f"CREATE OR REPLACE VIEW {table} AS\n{union};\n"


def _none(table: str) -> str:
    """No rows, all columns: it gives every view its columns, their order and types, whatever the files hold."""
    logs = table == tables.LOGS
    columns = {"tier": "VARCHAR"} if logs else {}
    columns |= {column: _type(kind) for column, kind in tables.columns(table).items()}
    columns |= dict.fromkeys(_PARTITIONS[: 4 if logs else 3], "BIGINT")
    nulls = ", ".join(f"NULL::{kind} AS {name(column)}" for column, kind in columns.items())
    return f"  SELECT {nulls} WHERE false"


def _scan(table: str, tier: str, depth: int, columns: Sequence[str], found: Sequence[str]) -> str:
    """One `read_parquet` of files with these columns (none: to be found out)."""
    types = tables.columns(table)
    fields = [
        f"{tables.field_id(table, column)}: "
        f"{{name: {quoted(column)}, type: {quoted(_type(types[column]))}, default_value: NULL}}"
        for column in columns
    ]
    given = ", schema = MAP {\n    " + ",\n    ".join(fields) + "\n  }" if fields else ""
    partitions = ", ".join(f"{part}: BIGINT" for part in _PARTITIONS[:depth])
    listed = ",\n    ".join(map(quoted, found))
    options = f"hive_partitioning = true, hive_types = {{{partitions}}}{given}"
    logs = table == tables.LOGS
    before = f"{quoted(tier)} AS tier, " if logs else ""
    after = ", hour(timestamp) AS hour" if logs and depth == 3 else ""
    return f"  SELECT {before}*{after} FROM read_parquet([\n    {listed}\n  ], {options})"


def _type(kind: pl.DataType) -> str:
    return _TYPES[str(kind.base_type())]
