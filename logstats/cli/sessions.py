"""`logstats sessions`."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated, Any

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import deliver, destination, reachable, rendered
from logstats.errors import UsageError

OUTPUTS = ("table", "json", "markdown", "html", "jsonl", "csv", "parquet")


@shared.command(shared.READING, shared.FILTERS)
def sessions(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    shared_options: shared.SharedOptions = shared.SHARED,
    of: Annotated[str | None, shared.Option("--of CLIENT", "The story of one client: a user, or an address.")] = None,
    gap: Annotated[str, shared.Option("--gap DURATION", "A pause that ends a session: 30m.")] = "30m",
    user_key: shared.UserKey = "auto",
    top: Annotated[int, shared.Option("--top N", "Rows of each table.", shared.OUTPUT_PANEL, least=1)] = 10,
    output: Annotated[str, shared.output_option(*OUTPUTS)] = "table",
    out: shared.Out = None,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """Visits: how many, how long, where they begin and end; with --of, one client's story.

    A session is what a client did without a pause of more than --gap. jsonl, csv and parquet are a row for each, by
    client and time.
    """
    messages = Messages(quiet=quiet, progress=progress)
    if of is not None and output in ("jsonl", "csv", "parquet"):
        raise UsageError(f"-o {output} is a row for each session of all clients", "-o json has the story of one")
    if output == "parquet" and out is None and sys.stdout.isatty():
        raise UsageError("Parquet is not for terminals", "add --out FILE, or pipe it on")

    from logstats import api
    from logstats.clients import text
    from logstats.pipeline import Counts, Interrupt
    from logstats.reports import results, rows
    from logstats.reports.clock import Clock

    chosen = shared.reading_options(shared_options)
    messages.options_read(chosen)
    pause = timedelta(seconds=shared.seconds("--gap", gap))
    reachable(out, shared.moment(chosen))
    shared.refuse_overwriting(out, sources, "--out")
    counts = Counts()
    writers = {"jsonl": rows.jsonl, "csv": results.csv, "parquet": results.parquet}
    place = shared.archive_or_none(archive, sources)
    how: dict[str, Any] = {"archive": place, "user_key": user_key, "gap": pause, "counts": counts}
    with Interrupt() as interrupt:
        how |= {"interrupt": interrupt, "listener": messages}
        try:
            if output in writers:
                with destination(out, shared.moment(chosen)) as file, writers[output](file) as write:
                    for frame in api.session_rows(sources or [], chosen, **how):
                        write(frame)
                    messages.only_whole(counts, out)
            else:
                clock = Clock(chosen.zone())
                if of is not None:
                    story = api.story(of, sources or [], chosen, **how)
                    document, made = text.of_story(story, clock, top), story.to_dict()
                else:
                    summary = api.sessions(sources or [], chosen, **how)
                    document, made = text.of_summary(summary, clock, top), summary.to_dict()
                shown = rendered(document, made, output, to_file=out is not None, clock=clock)
                deliver(shown, out, shared.moment(chosen), pager=output == "table")
        finally:
            messages.done()
    messages.account(counts, said=output not in writers)
    return int(messages.exit_code)
