"""Conditions and selectors as Polars expressions over the request schema."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import and_

import polars as pl

from logstats.filters import glob_matches
from logstats.objectives.expressions import OPS, Clause, Selector
from logstats.summaries.spec import Selection


def selection(selector: Selector, *, users: bool = False) -> Selection:
    """The requests that a selector means; with `users`, theirs are counted as well."""
    tests, columns = [], set()
    if selector.method:
        columns.add("method")
        tests.append(pl.col("method").str.to_uppercase() == selector.method)
    if selector.path not in (None, "*"):
        columns |= {"path", "endpoint"}
        globs = (str(selector.path),)
        in_path, in_endpoint = (glob_matches(name, globs).fill_null(value=False) for name in ("path", "endpoint"))
        tests.append(in_path | in_endpoint)
    for column, glob in (("host", selector.host), ("app_name", selector.app)):
        if glob:
            columns.add(column)
            tests.append(glob_matches(column, (glob,)))
    matches = pl.all_horizontal(pl.lit(value=True), *tests).fill_null(value=False)
    return Selection(selector.text, matches, frozenset(columns), users)


def holds(tests: Sequence[Clause]) -> pl.Expr:
    """Whether all tests hold of a request: null where that depends on what was not logged."""
    return reduce(and_, (_holds(test) for test in tests))


def needs(tests: Sequence[Clause]) -> frozenset[str]:
    """The schema columns that tests look at."""
    return frozenset("status" if test.field == "status" else "duration_ms" for test in tests)


def _holds(test: Clause) -> pl.Expr:
    if test.field == "status":
        return _compare(pl.col("status"), test.op, int(test.limit))
    # Durations are whole microseconds, so the limit can be one: x < 1.5 is x < 2, x <= 1.5 is x <= 1.
    micros, limit = (pl.col("duration_ms") * 1000).round().cast(pl.Int64), test.limit * 1000
    if limit.denominator != 1 and test.op in ("==", "!="):
        return pl.when(micros.is_not_null()).then(pl.lit(test.op == "!="))
    whole = math.ceil(limit) if test.op in ("<", ">=") else math.floor(limit)
    return _compare(micros, test.op, min(whole, 2**63 - 1))


def _compare(value: pl.Expr, op: str, limit: int) -> pl.Expr:
    result: pl.Expr = OPS[op](value, limit)
    return result
