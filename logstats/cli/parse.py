"""`logstats parse`."""

from __future__ import annotations

import sys
from typing import Annotated

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import destination
from logstats.errors import ExitCode, UsageError


@shared.command(shared.READING, shared.FILTERS, shared.WORKERS)
def parse(
    sources: shared.Sources = None,
    shared_options: shared.SharedOptions = shared.SHARED,
    output: Annotated[
        str,
        shared.output_option("jsonl", "csv", "parquet"),
    ] = "jsonl",
    out: shared.Out = None,
    rejects: shared.RejectsFile = None,
    strict: shared.Strict = False,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """Any log as rows of one schema: JSON lines, CSV or Parquet.

    Rows come as they are read, with the source and the line that they are from.
    """
    from logstats.reports.rows import WRITERS

    if output == "parquet" and out is None and sys.stdout.isatty():
        raise UsageError("Parquet is not for terminals", "add --out FILE, or pipe it on")
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.pipeline import Counts, Interrupt

    chosen = shared.reading_options(shared_options)
    messages.options_read(chosen)
    shared.refuse_overwriting(out, sources, "--out")
    counts = Counts()
    with (
        shared.rejects_file(rejects, sources) as write_rejects,
        Interrupt() as interrupt,
        destination(out, shared.moment(chosen)) as file,
    ):
        frames = api.read(
            sources or [], chosen, listener=messages, interrupt=interrupt, rejects=write_rejects, counts=counts
        )
        try:
            with WRITERS[output](file) as write:
                for frame in frames:
                    write(frame)
        finally:
            messages.done()
        messages.only_whole(counts, out)
    if counts.rejected:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in sorted(counts.reasons.items()))
        messages.warn(
            f"{counts.rejected:,} of {counts.lines:,} lines could not be read: {reasons}",
            "--rejects FILE keeps them",
        )
    if counts.interrupted:
        messages.codes.add(ExitCode.INTERRUPTED)
    if counts.rejected and not counts.requests + counts.events + counts.filtered:
        messages.codes.add(ExitCode.NOTHING_PARSED)
    if strict and counts.rejected:
        messages.codes.add(ExitCode.REJECTED)
    return int(messages.exit_code)
