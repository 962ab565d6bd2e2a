"""Selectors as Polars expressions over the request schema."""

from __future__ import annotations

from logstats.expressions import predicates
from logstats.expressions.compiled import expression
from logstats.expressions.patterns import glob_matches
from logstats.frames import pl
from logstats.objectives.conditions import Selector
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
    if selector.where is not None:
        columns |= predicates.needs(selector.where)
        tests.append(expression(selector.where))
    matches = pl.all_horizontal(pl.lit(value=True), *tests).fill_null(value=False)
    return Selection(selector.text, matches, frozenset(columns), users)
