"""Every log line kept once, in tiers of Parquet files, and one SQL query away.

log/      what happened: commits, their fold, paths, storage, writers     ingest/   lines → rows, rejects, rollups
tiers/    when files move, what becomes of many small ones                query/    SQL, rows, reports from rollups
publish/  what is derived for other programs: catalog.sql

`archive.Archive` opens one; `add`, `create`, `status`, `files`, `verify` and `repair` are what the commands do.
May use: pipeline, inputs, formats, summaries, sketches. Begin with log/, then `archive.Archive`.
"""

__all__ = [
    "add",
    "archive",
    "create",
    "files",
    "ingest",
    "log",
    "publish",
    "query",
    "repair",
    "status",
    "tiers",
    "verify",
]
