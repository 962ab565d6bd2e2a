"""Reading an archive: each function reads one snapshot.

`sql` is `logstats query`; `rows` gives data frames; `report` and `objectives` take whole hours from rollups and the
rest from rows. May use: archive.log, archive.publish (the views), archive.ingest (rollups), summaries.
Begin with `rows.rows`.
"""

__all__ = ["holding", "objectives", "report", "rows", "sql"]
