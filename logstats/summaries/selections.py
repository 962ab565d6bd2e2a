"""Requests, errors, latency and users of selections: whatever a condition is about.

A selection is a key like any other, so this is a ranking by it; only that a request may be in several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from logstats.summaries import ranking, users


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Requests for which `matches` is true (it is never null); it reads `columns` of the schema."""

    name: str
    matches: pl.Expr
    columns: frozenset[str]
    users: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What is made of one chunk: figures by selection, and the users of the selections whose users count."""

    figures: pl.DataFrame
    users: dict[str, pl.DataFrame]


def needs(selections: Sequence[Selection]) -> frozenset[str]:
    """The schema columns that selections and their figures read."""
    return ranking.needs(()).union(*(s.columns for s in selections)) if selections else frozenset()


def summarise(rows: pl.DataFrame, selections: Sequence[Selection], user_key: str, *, exact_users: bool) -> Part:
    """Requests of one chunk, as each selection sees them."""
    selected = {s.name: rows.filter(s.matches) for s in selections}
    columns = ["line", "status", "bytes", "duration_ms"]
    named = [some.select(*columns, selection=pl.lit(name)) for name, some in selected.items()]
    return Part(
        ranking.summarise(pl.concat(named), ("selection",)),
        {s.name: users.summarise(selected[s.name], user_key, exact=exact_users) for s in selections if s.users},
    )


class Selections:
    """What is held of the selections."""

    def __init__(self, selections: Sequence[Selection], *, exact_users: bool) -> None:
        self.ranking = ranking.Ranking(("selection",), len(selections))
        make = users.ExactUsers if exact_users else users.SketchedUsers
        self.users: dict[str, users.ExactUsers | users.SketchedUsers] = {s.name: make() for s in selections if s.users}

    def add(self, parts: Sequence[Part]) -> None:
        """Add what `summarise` made of the next chunks."""
        self.ranking.add(pl.concat([part.figures for part in parts]))
        for name, held in self.users.items():
            held.add(pl.concat([part.users[name] for part in parts]))
