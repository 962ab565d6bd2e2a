"""The log of an archive: what is in it, and how that changes.

`commit` is one change; `snapshot` their fold; `log` reads and appends them. `tables` and `paths` say what lies where;
`storage` is the file system; `writer` and `parquet_writer` make files for a commit; `orphans` deletes what no commit
needs; `faults` are steps at which tests make things go wrong. May use: schema, errors. Begin with `commit.Commit`.
"""

__all__ = [
    "commit",
    "faults",
    "integrity",
    "log",
    "orphans",
    "parquet_writer",
    "paths",
    "snapshot",
    "storage",
    "tables",
    "writer",
]
