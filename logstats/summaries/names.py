"""The names of aggregates, rankings, sort keys and user keys. This file imports nothing heavy, because completion reads
it."""

from typing import Final

# The aggregates of a report: files of this folder, in the order in which they are summarised. With a title, the result
# of an aggregate is shown as a table of its own; without one, it has its place in the report (`reports/build.py`).
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
}
# The columns of the request schema that `--by` can rank.
BREAKDOWNS: Final = (
    "client_ip",
    "host",
    "user_agent",
    "referer",
    "status",
    "method",
    "app_name",
    "user_id",
    "browser",
    "os",
    "device",
    "bot",
    "bot_class",
)
# The sort keys of endpoints.
SORTS: Final = ("avg", "p99", "p95", "p50", "max", "total", "requests", "errors")
# User keys, and the columns that each reads.
USER_KEYS: Final = {
    "auto": frozenset({"user_id", "client_ip"}),
    "user_id": frozenset({"user_id"}),
    "client_ip": frozenset({"client_ip"}),
    "ip+agent": frozenset({"client_ip", "user_agent"}),
}
