"""Where bytes come from: files, globs, folders, pipes; plain or compressed; in chunks of whole lines."""

from logstats.inputs.chunks import LINES, Chunk, ChunkReader, Digest, OpenFile, Start
from logstats.inputs.discover import Source, discover

__all__ = ["LINES", "Chunk", "ChunkReader", "Digest", "OpenFile", "Source", "Start", "discover"]
