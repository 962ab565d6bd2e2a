"""`logstats scan`."""

from __future__ import annotations

from typing import Annotated

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import deliver, destination, reachable, rendered

OUTPUTS = ("table", "json", "csv", "markdown", "html")


@shared.command(shared.READING, shared.FILTERS)
def scan(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    shared_options: shared.SharedOptions = shared.SHARED,
    user_key: shared.UserKey = "client_ip",
    top: Annotated[int, shared.Option("--top N", "Clients of the table.", shared.OUTPUT_PANEL, least=1)] = 10,
    output: Annotated[str, shared.output_option(*OUTPUTS)] = "table",
    out: shared.Out = None,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """Clients that look automated without saying so, and those that probe for holes, with the signs.

    A probe is a sign that stands alone. Of the others (no assets, a steady rhythm, many paths, many 404, haste, forms)
    two are needed, and a client whose user agent says what it is is not listed for them. csv has a row for each sign.
    """
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.clients.scan_text import sections
    from logstats.pipeline import Counts, Interrupt
    from logstats.reports import results
    from logstats.reports.clock import Clock

    chosen = shared.reading_options(shared_options)
    messages.options_read(chosen)
    reachable(out, shared.moment(chosen))
    shared.refuse_overwriting(out, sources, "--out")
    counts = Counts()
    with Interrupt() as interrupt:
        try:
            made = api.scan(
                sources or [],
                chosen,
                archive=shared.archive_or_none(archive, sources),
                user_key=user_key,
                counts=counts,
                interrupt=interrupt,
                listener=messages,
            )
        finally:
            messages.done()
    if output == "csv":
        with destination(out, shared.moment(chosen)) as file, results.csv(file) as write:
            messages.only_whole(counts, out)
            write(made.rows())
    else:
        clock = Clock(chosen.zone())
        document = sections(made, clock, top)
        shown = rendered(document, made.to_dict(), output, to_file=out is not None, clock=clock)
        deliver(shown, out, shared.moment(chosen), pager=output == "table")
    messages.account(counts, said=output != "csv")
    return int(messages.exit_code)
