"""The archive: every log line is stored once, in tiers of Parquet files that SQL can query.

log/      the commit log: commits, snapshots, paths, storage, writers     ingest/   lines → rows, rejects, rollups
tiers/    the policy, moves between tiers, compaction                     query/    SQL, rows, reports from rollups
publish/  what is derived for other programs: catalog.sql

`archive.Archive` opens one, `apart` gives its files to workers (`staging`: what they write, one process commits), and
`stretches` of a large log; `add`, `create`, `status`, `files`, `verify` and `repair` are what the commands do.
May use: pipeline, scale, inputs, formats, summaries, sketches. Begin with log/, then `archive.Archive`.
"""

__all__ = [
    "add",
    "archive",
    "create",
    "erase",
    "files",
    "follow",
    "ingest",
    "log",
    "person",
    "publish",
    "query",
    "repair",
    "staging",
    "status",
    "stretches",
    "tiers",
    "verify",
]
