"""Summaries: keyed tables that merge. Each has `summarise` (rows → table), a merge, and a way to read it out.

`tables` has the merge itself; `statistics` joins the summaries that a report needs.
May use: sketches, schema, kernels. Begin with `traffic`, then `statistics`.
"""

__all__ = [
    "groups",
    "indicators",
    "latency",
    "names",
    "ranking",
    "selections",
    "statistics",
    "tables",
    "traffic",
    "users",
]
