"""The log of an archive: what is in it, and how that changes.

`commit` is one change; `snapshot` their fold; `log` reads and appends them. `tables` and `paths` say what lies where;
`storage` is the file system; `writer` and `parquet_writer` make files for a commit; `orphans` deletes what no commit
needs; `faults` are steps at which tests make things go wrong. May use: schema, errors. Begin with `commit.Commit`.

Why a log of its own, and not Iceberg or Delta Lake as the truth. A commit here is one file that is created
exclusively, holds the progress of the sources beside the files, and needs neither a catalog nor a library: rows,
rejects, rollups and progress are one change. The others were tried as derived metadata, made from the commits alone
over the same Parquet files (79,920 rows in three tiers, 7 snapshots): 126 KB of Iceberg took 0.08 to 0.18 s, and
pyiceberg, Polars, DuckDB and ClickHouse read it exactly. Delta was read exactly only while all tiers lay below one
folder, and a full VACUUM would have listed the commits and rollups for deletion. pyiceberg takes 73 MB and 0.63 s to
import, its paths are absolute (an archive that is moved is published again), and its `add_files` refuses files with
field ids. So open tables can be derived for those who want them, as `catalog.sql` is, and are never what is believed.
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
