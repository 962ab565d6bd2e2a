"""Files derived from a snapshot for other programs. They can be rebuilt at any time.

`catalog` writes `catalog.sql`: DuckDB views over the files of a snapshot, and the macros of `macros.sql`. `iceberg`
writes Iceberg tables over the same files, if the policy asks for them. May use: archive.log, sketches. Begin with
`catalog.script`.
"""

__all__ = ["catalog", "iceberg"]
