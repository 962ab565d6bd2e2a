"""Ingest: lines become rows, rejects and rollups, each exactly once.

`ingest` reads the sources that `known_sources` recognises, from where `progress` says; `overlap` decides where digests
cannot; `replay` reads a pipe twice; `partition_writer` spreads rows over partitions; `rollups` are made beside them.
May use: archive.log, archive.archive, pipeline, formats, summaries. Begin with `ingest.Ingest`.
"""

__all__ = ["ingest", "partition_writer", "progress", "rollups"]
