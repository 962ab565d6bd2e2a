"""The names of aggregates, rankings, sort keys and user keys. This file imports nothing heavy, because completion reads
it."""

from difflib import get_close_matches
from typing import Final

from logstats import schema
from logstats.errors import UsageError

# The aggregates of a report: files of this folder, in the order in which they are summarised. With a title, the result
# of an aggregate is shown as a table of its own, if the report has it; without one, it has its place in the report
# (`reports/build.py`).
AGGREGATES: Final = {
    "times": "",
    "traffic": "",
    "statuses": "",
    "levels": "",
    "endpoints": "",
    "breakdowns": "",
    "users": "",
    "latency": "",
    "selections": "",
    "agents": "Agents",
    "bots": "Bots",
    "agent_endpoints": "Endpoints that bots ask for",
    "slowest": "Slowest requests",
    "not_found": "Not found (404)",
    "upstream": "Time in the upstream",
    "cache_statuses": "Cache",
}
# Those that logs with such columns have without being asked for them.
IF_LOGGED: Final = ("upstream", "cache_statuses")
# Those that are about who is a bot: `--agents`.
AGENTS: Final = ("agents", "bots", "agent_endpoints")
# The columns that `--by` ranks, as people write them.
BREAKDOWNS: Final = schema.names()
# The sort keys of endpoints.
SORTS: Final = ("avg", "p99", "p95", "p50", "max", "total", "requests", "errors")
# User keys, and the columns that each reads.
USER_KEYS: Final = {
    "auto": frozenset({"user_id", "client_ip"}),
    "user_id": frozenset({"user_id"}),
    "client_ip": frozenset({"client_ip"}),
    "ip+agent": frozenset({"client_ip", "user_agent"}),
}


def breakdown(text: str) -> tuple[str, ...]:
    """The columns that a ranking is by: `host,endpoint` is one by both together. Raises UsageError."""
    columns = tuple(column.strip() for column in text.split(","))
    for number, column in enumerate(columns):
        if not schema.is_column(column):
            near = get_close_matches(column, BREAKDOWNS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose among {', '.join(BREAKDOWNS)}"
            raise UsageError(f"cannot rank by {column!r}", hint)
        if column in columns[:number]:
            raise UsageError(f"cannot rank by {column} and {column}", "name a column once")
    return columns
