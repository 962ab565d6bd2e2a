"""Where bytes come from: files, globs, folders, pipes; plain or compressed; in chunks of whole lines."""

from logstats.inputs.chunks import Chunk, ChunkReader, Digest, OpenFile, Start
from logstats.inputs.discover import Source, discover

__all__ = ["Chunk", "ChunkReader", "Digest", "OpenFile", "Source", "Start", "discover"]
