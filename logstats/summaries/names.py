"""The words by which one chooses what is counted and ranked. Nothing is imported here: completion reads them, too."""

from typing import Final

# What `--by` ranks: columns of the request schema.
BREAKDOWNS: Final = (
    "client_ip",
    "host",
    "user_agent",
    "referer",
    "status",
    "method",
    "app_name",
    "user_id",
)
# What endpoints are ranked by.
SORTS: Final = ("avg", "p99", "p95", "p50", "max", "total", "requests", "errors")
# Who is one user, and the columns that this takes.
USER_KEYS: Final = {
    "auto": frozenset({"user_id", "client_ip"}),
    "user_id": frozenset({"user_id"}),
    "client_ip": frozenset({"client_ip"}),
    "ip+agent": frozenset({"client_ip", "user_agent"}),
}
