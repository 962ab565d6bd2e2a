"""Where bytes come from: files, globs, folders, pipes; plain or compressed; in chunks of whole lines."""

from logstats.inputs.chunks import Chunk, ChunkReader
from logstats.inputs.discover import Source, discover

__all__ = ["Chunk", "ChunkReader", "Source", "discover"]
