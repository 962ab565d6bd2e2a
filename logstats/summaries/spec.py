"""The specification of a report: which statistics it has."""

from __future__ import annotations

from logstats.dataclass import dataclass
from logstats.frames import pl


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Requests for which `matches` is true (it is never null). It reads these `columns` of the schema.

    `users` says whether their unique users are counted, too.
    """

    name: str
    matches: pl.Expr
    columns: frozenset[str]
    users: bool = False


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """Which statistics are asked for; nothing else is computed. `over_time` is latency by minute, `agents` are people
    and bots, with `verify_bots` the genuine ones and the false, `slowest` so many single requests,
    `not_found` the paths answered with 404, `upstream` the time in the upstream and the statuses of a cache."""

    by: tuple[str, ...] = ()
    user_key: str = "auto"
    exact_users: bool = False
    max_endpoints: int = 10_000
    over_time: bool = False
    selections: tuple[Selection, ...] = ()
    agents: bool = False
    verify_bots: bool = False
    slowest: int = 0
    not_found: bool = False
    upstream: bool = False
