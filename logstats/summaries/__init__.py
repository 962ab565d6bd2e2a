"""Summaries: keyed tables that merge. One file for each aggregate of a report, and what they have in common.

`aggregate` says what an aggregate is, `names` lists them, `statistics` joins those that a report needs, `tables` has
the merge itself; `arrays` and `numbered` are tables of chunks that became no frames yet. May use: sketches, schema,
kernels. Begin with `aggregate`, then `traffic` as an example.
"""

__all__ = [
    "agent_endpoints",
    "agents",
    "aggregate",
    "arrays",
    "bots",
    "breakdowns",
    "cache_statuses",
    "endpoints",
    "groups",
    "histogram",
    "indicators",
    "latency",
    "levels",
    "names",
    "not_found",
    "numbered",
    "ranking",
    "selections",
    "slowest",
    "spec",
    "statistics",
    "statuses",
    "tables",
    "times",
    "traffic",
    "upstream",
    "users",
]
