"""Reading an archive. Each function reads one snapshot.

`sql` runs queries in DuckDB, `opened` checks the files that these open, and `ranges` the values in them; `rows` gives
data frames; `holding` finds rows, and `pruning` (with `bloom`) tells which row groups need not be read for that;
`report` and `objectives` read whole hours from rollups and the rest from rows. May use: archive.log, archive.publish
(the views), archive.ingest (rollups), summaries. Begin with `rows.rows`.
"""

__all__ = ["holding", "objectives", "passing", "pruning", "report", "rows", "sql"]
