"""One report from many shards: a shard is a few tables that merge, so it can be sent, kept and added up.

`results` reads in this process or in many: `shards` splits the sources, `work` is what a worker does, `run` merges in
order. `calls` are work of any kind, also about an archive; `executors` says where: `processes`, or a `cluster`.
A summary file is a shard that is kept: `tables` are what is in it, `condense` makes few rows of many, `stored` is its
Parquet schema, `description` what it says of itself; `summarise` makes it with `writer`, `reader` reads it, `merge`
adds files up.
May use: pipeline, options, summaries, inputs, filters. Begin with `run`, then `tables`.
"""

__all__ = [
    "calls",
    "description",
    "executors",
    "merge",
    "reader",
    "results",
    "shards",
    "split",
    "summarise",
    "tables",
    "work",
]
