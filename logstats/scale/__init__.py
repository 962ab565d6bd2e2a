"""One report from many shards: a shard is a few tables that merge, so it can be kept, sent and added up.

`tables` are the tables of a shard, `condense` makes few rows of many. A summary file is one Parquet file: `stored` is
its schema, `description` what it says of itself, `summarise` makes it with `writer`, `reader` reads it, `merge` adds
files up.
May use: pipeline, summaries, inputs, filters. Begin with `tables`, then `merge`.
"""

__all__ = ["description", "merge", "reader", "summarise", "tables"]
