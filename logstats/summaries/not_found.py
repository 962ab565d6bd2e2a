"""Requests answered with 404, by path as it was asked for (`--not-found`): an endpoint would hide which is missing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from logstats import schema
from logstats.frames import pl
from logstats.kernels.columns import as_numbers
from logstats.summaries.aggregate import Aggregate, CappedTable
from logstats.summaries.groups import Groups
from logstats.summaries.spec import ReportSpec
from logstats.summaries.traffic import minute

NAME: Final = "not_found"
LONGEST: Final = 1_000  # characters of a path that are told apart


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of a report that asks for it."""
    if spec.not_found:
        state = partial(CappedTable, ["path"], ["requests"], spec.max_endpoints)
        yield Aggregate(NAME, frozenset({"path", "status", "timestamp"}), summarise, state, by_minute=summarise_minutes)


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (path, requests, first)."""
    return _counted(_missing(rows), ["path"])


def summarise_minutes(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (minute, path, requests, first)."""
    missing = _missing(rows)
    return _counted(missing.with_columns(minute()), ["minute", "path"]).with_columns(pl.col("minute").cast(pl.Int64))


def _missing(rows: pl.DataFrame) -> pl.DataFrame:
    path = pl.col("path").fill_null(schema.MALFORMED)
    short = pl.when(path.str.len_chars() > LONGEST).then(path.str.slice(0, LONGEST) + "…").otherwise(path)
    return rows.filter(pl.col("status") == 404).with_columns(short.alias("path"))


def _counted(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    groups = Groups([rows[key] for key in keys])
    counts = as_numbers(groups.counts).alias("requests")
    first = as_numbers(groups.minima(rows["line"].to_numpy())).alias("first")
    return pl.DataFrame([*(key.alias(name) for name, key in zip(keys, groups.keys, strict=True)), counts, first])
