"""logstats: statistics of web access logs.

    import logstats

    report = logstats.report(["access.log"], by=["client_ip"])
    for frame in logstats.read(["access.log"], status=["5xx"]):
        ...

`report`, `merge`, `read`, `slo` and `diff` take the options of `Options` as keyword arguments. Errors are
`LogstatsError`s.

From a line to a percentile
---------------------------
Ten names, in the order in which a line meets them:

 1. `inputs.discover` finds the source: a file, a glob, a folder, standard input.
 2. `inputs.ChunkReader` decompresses it and gives chunks: about 12 MiB of whole lines each.
 3. `formats.detection` looks at the first lines and chooses the format; `--format` and `--log-format` say it instead.
 4. `formats.engines` take the fields out of the lines of a chunk, in C where there is a fast path, with the reference
    path for every line that it does not take. What fits neither is rejected, with its reason.
 5. `formats.fields.columns.FieldReader` makes rows of the request schema (`schema.COLUMNS`) of the fields: a Polars
    data frame, the batch. Times become UTC, durations milliseconds.
 6. `filters` keep the rows that are asked for; the others are counted.
 7. `summaries.statistics.summarise` makes small tables of a batch. A duration becomes a bucket: `sketches.loghist`.
 8. `summaries.statistics.Statistics` merges these tables, chunk by chunk. `pipeline.run` is the loop of steps 2 to 7,
    `api.report` is steps 1 to 9: read, merge, build.
 9. `reports.build.build` reads a percentile out of the merged histogram: the nearest rank, within 1 %. It gives a
    `reports.model.Report`.
10. `reports.renderers.RENDERERS` shows the report: a table, JSON, a page, …

An archive keeps the batches as rows and the summaries as rollups; a report over it begins at step 8. So does the report
of summary files: `scale/tables.py` has what is in one, `scale/merge.py` adds them up.

What to touch
-------------
tests/test_extending.py does each of these to a copy of the package, and runs it.

- A format: one file, `formats/builtin/NAME.toml`, with a sample line and the row that must become of it. Then
  `scripts/generate.py` writes the index of formats and the tables of the manual again; `scripts/check` asks for it.
- A column that holds a text: `schema.py` (`COLUMNS`, `TEXTS`) and the format that has a field of that role. A column
  that is computed also needs its lines in `formats/fields/columns.py`.
- A column that is computed from others: its name in `schema.COMPUTED`, and its lines in `enrich/computed.py`.
- An aggregate: a file in `summaries/`, which summarises a chunk and merges (`summaries/aggregate.py` says how), and its
  line in `summaries/names.py`. With a title there, its result is shown as a table in every kind of output.
- A renderer (`-o`): a file in `reports/` and its line in `reports/renderers.py`.
- A command: a file in `cli/` and its line in `cli/main.py`. Options, help, completion, the configuration file and the
  manual page follow from its signature.
- A topic of the manual: one file, `manual/pages/TOPIC.md`.

The `__init__` of each room says what is in it and where to begin. tests/test_house.py holds what may import what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logstats.errors import (
    ExpressionError,
    FormatError,
    LogstatsError,
    ObjectiveError,
    RouteError,
    SourceError,
    SummaryError,
    UnknownFormatError,
    UsageError,
)

if TYPE_CHECKING:
    from logstats.api import diff, merge, read, report, scan, search, sessions, slo, split, story
    from logstats.options import Options
    from logstats.reports.model import Report

__version__ = "0.2.0.dev0"

__all__ = [
    "ExpressionError",
    "FormatError",
    "LogstatsError",
    "ObjectiveError",
    "Options",
    "Report",
    "RouteError",
    "SourceError",
    "SummaryError",
    "UnknownFormatError",
    "UsageError",
    "diff",
    "limits",
    "merge",
    "read",
    "report",
    "scan",
    "search",
    "sessions",
    "slo",
    "split",
    "story",
]


def __getattr__(name: str) -> object:
    """Load what needs Polars when it is first asked for."""
    if name == "Report":
        from logstats.reports.model import Report

        return Report
    if name in __all__:
        from logstats import api

        return getattr(api, name)
    raise AttributeError(f"module 'logstats' has no attribute {name!r}")
