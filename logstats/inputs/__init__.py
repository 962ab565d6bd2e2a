"""Where bytes come from: files, globs, folders, pipes; plain or compressed; in chunks of whole lines.

`discover` finds the sources that arguments name; `source` is one; `compression` unpacks it; `chunks` reads it.
May use: kernels, errors. Begin with `source.Source`, then `chunks.ChunkReader`.
"""

from logstats.inputs.chunks import LINES, Chunk, ChunkReader, OpenFile
from logstats.inputs.discover import discover
from logstats.inputs.source import Digest, Source, Start

__all__ = ["LINES", "Chunk", "ChunkReader", "Digest", "OpenFile", "Source", "Start", "compression", "discover"]
