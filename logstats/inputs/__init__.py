"""Inputs: where bytes come from (files, globs, folders, pipes, plain or compressed), as chunks of whole lines.

`discover` finds the sources that arguments name (`stores`: objects; `object_store` is a bucket, `credentials` say who
asks it), `source` is one, `compression` unpacks it, `chunks` reads it.
`endless` are those that never end: `follower` reads files that go on growing (`followed_file` is one, `known_files` and
`copies` know it again, `rotated` finds what rotation has made of it), `standard_input` and `syslog` what
arrives. `tracker` holds files that others read.
May use: kernels, errors. Begin with `source.Source`, then `chunks.ChunkReader`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from logstats.inputs.chunks import HEAD, LINES, SOON, Chunk, ChunkReader, OpenFile, opened
from logstats.inputs.discover import discover
from logstats.inputs.memory import Memory
from logstats.inputs.source import Digest, Source, Start
from logstats.inputs.stores import ahead

if TYPE_CHECKING:
    from logstats.inputs.endless import Arriving, Endless, Following, files_of, follow, streams
    from logstats.inputs.follower import Arrived, Begin, Follower
    from logstats.inputs.tracker import Due, Tracker

__all__ = [
    "HEAD",
    "LINES",
    "SOON",
    "Arrived",
    "Arriving",
    "Begin",
    "Chunk",
    "ChunkReader",
    "Digest",
    "Due",
    "Endless",
    "Follower",
    "Following",
    "Memory",
    "OpenFile",
    "Source",
    "Start",
    "Tracker",
    "ahead",
    "compression",
    "discover",
    "files_of",
    "follow",
    "object_store",
    "opened",
    "rotated",
    "stores",
    "streams",
]

# What most commands do not need is imported when it is first asked for.
_FILES: Final = {
    **dict.fromkeys(("Arriving", "Endless", "Following", "files_of", "follow", "streams"), "endless"),
    **dict.fromkeys(("Arrived", "Begin", "Follower"), "follower"),
    **dict.fromkeys(("Due", "Tracker"), "tracker"),
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module 'logstats.inputs' has no attribute {name!r}")
    return getattr(import_module(f"logstats.inputs.{_FILES[name]}"), name)
