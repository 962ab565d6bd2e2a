"""The commit log of an archive: which files are part of it, and how that changes.

`commit` is one change, `snapshot` the state after some of them, and `log` reads and appends them. `tables` and `paths`
define the tables and where their files lie; `storage` is the interface to files, `local_storage` a disk,
`object_storage` a bucket of a store (`copies`: what it gave out), `routed_storage` both;
`writer` and `parquet_writer` make files of a commit, `counted_users` and `totals` what files of rollups say of
themselves; `integrity` checks files before they are read; `orphans` deletes files that no commit needs; `faults` names
the steps at which tests inject failures. May use: inputs (its client of stores), schema, sketches, errors. Begin with
`commit.Commit`.

Decision: a log of its own, and neither Iceberg nor Delta Lake as the source of truth. A commit here is one file,
created exclusively. It holds the progress of the sources beside the names of the files, and needs neither a catalog nor
a library: rows, rejects, rollups and progress change together. The others were tried as derived metadata, made from the
commits alone over the same Parquet files (79,920 rows in three tiers, 7 snapshots): 126 KB of Iceberg took 0.08 to 0.18
s, and pyiceberg, Polars, DuckDB and ClickHouse read it exactly. Delta was read exactly only while all tiers lay below
one folder, and a full VACUUM would have listed the commits and rollups for deletion. pyiceberg takes 73 MB and 0.63 s
to import, its paths are absolute (an archive that is moved is published again), and its `add_files` refuses files with
field ids. So open table formats can be derived from the commits, as `catalog.sql` is, but are never read back.
"""

__all__ = [
    "commit",
    "counted_users",
    "faults",
    "integrity",
    "local_storage",
    "log",
    "object_storage",
    "orphans",
    "parquet_writer",
    "paths",
    "routed_storage",
    "snapshot",
    "storage",
    "tables",
    "totals",
    "writer",
]
