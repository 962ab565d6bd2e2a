"""`logstats limits`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import deliver, destination, reachable, rendered

OUTPUTS = ("table", "json", "csv", "markdown", "html")
ALGORITHMS = ("token-bucket", "sliding-window", "sliding-log", "fixed-window")  # as in limits.limit
_PANEL = "The limit"


@shared.command(shared.READING, shared.FILTERS)
def limits(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    limit: Annotated[
        str, shared.Option("--limit N/PERIOD", "So many requests in a period: 100/60s, 10/s, 1000/1h.", _PANEL)
    ] = ...,  # type: ignore[assignment]
    by: Annotated[
        list[str] | None,
        shared.Option("--by COLUMN", "Who is held to it: client_ip, user_id, … several with commas.", _PANEL),
    ] = None,
    algorithm: Annotated[
        str,
        shared.Option("--algorithm NAME", f"{', '.join(ALGORITHMS)}.", _PANEL, values=ALGORITHMS, closed=True),
    ] = "token-bucket",
    burst: Annotated[
        int | None,
        shared.Option(
            "--burst N", "Requests that a full token bucket holds; as many as --limit if not given.", _PANEL, least=1
        ),
    ] = None,
    tier: Annotated[
        list[str] | None,
        shared.Option(
            "--tier EXPRESSION:N/PERIOD",
            "Another limit for the requests of which this holds: user_id=gold:1000/60s; the first counts; repeatable.",
            _PANEL,
        ),
    ] = None,
    fit: Annotated[
        str | None,
        shared.Option("--fit SHARE", "Also find the smallest limit that refuses at most this share: 0.1%.", _PANEL),
    ] = None,
    lateness: Annotated[
        str | None,
        shared.Option(
            "--lateness DURATION",
            "A line that comes later counts as just in time; if not given, all lines are put in order.",
            _PANEL,
        ),
    ] = None,
    given: shared.SharedOptions = shared.SHARED,
    top: Annotated[int, shared.Option("--top N", "Keys of the table.", shared.OUTPUT_PANEL, least=1)] = 10,
    output: Annotated[str, shared.output_option(*OUTPUTS)] = "table",
    out: shared.Out = None,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """A rate limit, rehearsed: which requests of a log it would have refused, whose, when, and for how long.

    A token bucket begins full. Fixed windows begin at multiples of their length since 1970. A sliding window counts the
    fixed window before by the part that it still covers; a sliding log is exact. Refused requests do not count.
    Requests without a value of --by are not limited.
    """
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.pipeline import Counts, Interrupt
    from logstats.rate_limits import text
    from logstats.reports import results
    from logstats.reports.clock import Clock

    chosen = shared.reading_options(given)
    messages.options_read(chosen)
    late = None if lateness is None else timedelta(seconds=shared.seconds("--lateness", lateness))
    reachable(out, shared.moment(chosen))
    shared.refuse_overwriting(out, sources, "--out")
    counts = Counts()
    with Interrupt() as interrupt:
        try:
            made = api.limits(
                sources or [],
                chosen,
                archive=shared.archive_or_none(archive, sources),
                limit=limit,
                by=shared.words(by) or ("client_ip",),
                algorithm=algorithm,
                burst=burst,
                tiers=tier or (),
                fit=fit,
                lateness=late,
                counts=counts,
                interrupt=interrupt,
                listener=messages,
            )
        finally:
            messages.done()
    if output == "csv":
        with destination(out, shared.moment(chosen)) as file, results.csv(file) as write:
            messages.only_whole(counts, out)
            write(text.rows(made))
    else:
        clock = Clock(chosen.zone())
        if output == "html":
            from logstats.rate_limits.picture import to_html

            shown = to_html(made, clock, top).encode()
        else:
            document = text.sections(made, clock, top)
            shown = rendered(document, text.to_dict(made, datetime.now(UTC)), output, to_file=out is not None)
        deliver(shown, out, shared.moment(chosen), pager=output == "table")
    messages.account(counts, said=output != "csv")
    return int(messages.exit_code)
