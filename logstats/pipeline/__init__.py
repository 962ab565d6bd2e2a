"""The pipeline: sources → chunks → batches → results, for everything that reads logs.

The main thread takes chunks from the sources, workers parse and summarise them, and the main thread yields the results
in the order of the lines. Only a few chunks are in memory at any moment. `loop` is that loop. `job` says what to do
with a chunk, and `chunk_task` does it; `source_reader` and `format_chooser` make the tasks. May use: inputs, formats,
filters. Begin with `loop.run`.
"""

from logstats.pipeline.chunk_task import SAMPLE_TEXT, UNKNOWN, ChunkTask, Part
from logstats.pipeline.counts import LEFT_OUT, SAMPLES, Counts, SourceState
from logstats.pipeline.format_chooser import FormatChooser, context_of, sample_lines
from logstats.pipeline.interrupt import Interrupt, Stop
from logstats.pipeline.job import CHUNK, WORKERS, Job, Lines, LineWork, Result
from logstats.pipeline.listener import Listener, Once, Reading, Silence
from logstats.pipeline.loop import account, run
from logstats.pipeline.source_reader import SourceReader

__all__ = [
    "CHUNK",
    "LEFT_OUT",
    "SAMPLES",
    "SAMPLE_TEXT",
    "UNKNOWN",
    "WORKERS",
    "ChunkTask",
    "Counts",
    "FormatChooser",
    "Interrupt",
    "Job",
    "LineWork",
    "Lines",
    "Listener",
    "Once",
    "Part",
    "Reading",
    "Result",
    "Silence",
    "SourceReader",
    "SourceState",
    "Stop",
    "account",
    "context_of",
    "run",
    "sample_lines",
]
