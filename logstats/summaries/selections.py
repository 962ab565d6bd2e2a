"""Requests, errors, latency and users of the requests that a condition is about (`--fail-if 'GET /api/*: p95 > 1s'`).

A selection is a key like any other, so this is a ranking by it; only that a request may be in several.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from logstats.frames import pl
from logstats.summaries import ranking, users
from logstats.summaries.aggregate import Aggregate
from logstats.summaries.names import USER_KEYS
from logstats.summaries.spec import ReportSpec, Selection

NAME = "selections"


def users_of(selection: str) -> str:
    """The name of the aggregate that counts the users of a selection."""
    return f"users of {selection}"


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """The ranking of the selections, and the users of each selection whose users count."""
    if spec.selections:
        needs = ranking.needs(()).union(*(selection.columns for selection in spec.selections))
        state = partial(SelectionRanking, ("selection",), len(spec.selections))
        yield Aggregate(NAME, needs, partial(summarise, selections=spec.selections), state)
    for selection in spec.selections:
        if selection.users:
            yield Aggregate(
                users_of(selection.name),
                selection.columns | USER_KEYS[spec.user_key] | {"timestamp"},
                partial(_users, selection=selection, spec=spec),
                users.state(spec),
            )


def summarise(rows: pl.DataFrame, selections: Sequence[Selection]) -> pl.DataFrame:
    """Requests of one chunk → what `ranking.summarise` gives by `selection`, the name of each."""
    columns = ["line", "status", "bytes", "duration_ms"]
    selected = [rows.filter(s.matches).select(*columns, selection=pl.lit(s.name)) for s in selections]
    return ranking.summarise(pl.concat(selected), ("selection",))


def _users(rows: pl.DataFrame, selection: Selection, spec: ReportSpec) -> pl.DataFrame:
    return users.summarise(rows.filter(selection.matches), spec.user_key, exact=spec.exact_users)


class SelectionRanking(ranking.Ranking):
    """The merged ranking of the selections."""

    def fold(self, spec: ReportSpec) -> None:
        """Every selection is kept: their number was chosen by the user."""
