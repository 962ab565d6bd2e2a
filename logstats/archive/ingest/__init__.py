"""Ingest: lines become rows, rejects and rollups, each exactly once.

`ingest` reads sources and commits what it read. `known_sources` recognises a source by its content, `overlap` compares
lines where digests cannot decide, and `progress` counts what was read since the last commit. `replay` reads the
beginning of a pipe twice. `rotated_away` finds what was rotated while nothing followed it. `partition_writer` spreads
rows over partitions, `table_writers` writes all tables side by side; `rollups` and `line_times` are computed from the
same chunks, and `keyed` merges rollups. May use: archive.log, archive.archive, pipeline, formats, summaries. Begin with
`ingest.Ingest`.
"""

__all__ = ["ingest", "known_sources", "partition_writer", "progress", "rollups", "rotated_away"]
