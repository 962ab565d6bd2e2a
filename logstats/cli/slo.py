"""`logstats slo`."""

from __future__ import annotations

from typing import Annotated

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import destination, reachable, rendered
from logstats.errors import ExitCode, UsageError

OUTPUTS = ("table", "json", "markdown")


@shared.command(shared.READING, shared.FILTERS, shared.WORKERS)
def slo(
    sources: shared.Sources = None,
    policy: Annotated[
        str,
        shared.Option("--policy FILE", "The objectives (TOML)."),
    ] = ...,  # type: ignore[assignment]
    archive: shared.ArchiveDir = None,
    shared_options: shared.SharedOptions = shared.SHARED,
    output: Annotated[
        str,
        shared.output_option(*OUTPUTS),
    ] = "table",
    out: shared.Out = None,
    rejects: shared.RejectsFile = None,
    strict: shared.Strict = False,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """Objectives held against logs, summaries, or an archive: indicators, error budgets, burn rates and alerts.

    Exits with 3 if an objective is missed or has no data. The windows end with the last request (of an archive
    its last line), or at --until.
    """
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.objectives.slo_text import describe, sections
    from logstats.pipeline import Interrupt
    from logstats.reports.clock import Clock

    chosen = shared.reading_options(shared_options)
    messages.options_read(chosen)
    reachable(out, shared.moment(chosen))
    place = shared.archive_or_none(archive, sources)
    if place is not None and rejects:
        raise UsageError("an archive keeps its rejected lines itself", "they are in its folder `rejects`")
    shared.refuse_overwriting(out, sources, "--out")
    with shared.rejects_file(rejects, sources) as write_rejects, Interrupt() as interrupt:
        try:
            made = api.slo(
                sources or [],
                policy,
                chosen,
                archive=place,
                listener=messages,
                interrupt=interrupt,
                rejects=write_rejects,
                progress=messages.percent,
            )
        finally:
            messages.done()
    if made.interrupted:
        messages.warn("interrupted: an objective is about all lines, so there is no verdict")
        return int(ExitCode.INTERRUPTED)
    with destination(out, shared.moment(chosen)) as file:
        file.write(rendered(sections(made, Clock(chosen.zone())), made.to_dict(), output, to_file=out is not None))
    for result in made.results:
        if result.met is not True:
            messages.missed(describe(result))
    if made.nothing_parsed:
        messages.codes.add(ExitCode.NOTHING_PARSED)
    if strict and made.rejected:
        messages.codes.add(ExitCode.REJECTED)
    return int(messages.exit_code)
