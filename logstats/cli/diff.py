"""`logstats diff`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import destination, reachable, rendered
from logstats.errors import ExitCode, UsageError

OUTPUTS = ("table", "json", "markdown")


@shared.command(shared.READING, shared.FILTERS, shared.WORKERS)
def diff(
    sides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BEFORE AFTER",
            help="Two logs, folders of logs, summaries, or saved JSON reports.",
            show_default=False,
        ),
    ] = None,
    archive: shared.ArchiveDir = None,
    before: Annotated[
        str | None,
        shared.Option(
            "--before RANGE",
            "With --archive: the time before, yesterday, 2025-01-17, 2h, or FROM..TO.",
            yields_to=("sides",),
        ),
    ] = None,
    after: Annotated[
        str | None,
        shared.Option("--after RANGE", "With --archive: the time after.", yields_to=("sides",)),
    ] = None,
    fail_if_slower: Annotated[
        str | None,
        shared.Option(
            "--fail-if-slower PERCENT",
            "Exit with 3 if an endpoint, or all requests together, became slower by more than this: 20%.",
        ),
    ] = None,
    top: Annotated[int, shared.Option("--top N", "Rows of each table (JSON carries all).", least=1)] = 10,
    shared_options: shared.SharedOptions = shared.SHARED,
    output: Annotated[
        str,
        shared.output_option(*OUTPUTS),
    ] = "table",
    out: shared.Out = None,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """What changed between two logs, or times of an archive: what is slower, fails more, is new or gone.

    Only what is more than chance is shown, ranked by impact: requests × change.
    """
    limit = _percent(fail_if_slower) if fail_if_slower is not None else None
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.objectives.diff_text import describe, sections
    from logstats.pipeline import Interrupt
    from logstats.reports.clock import Clock

    chosen = shared.reading_options(shared_options)
    messages.options_read(chosen)
    reachable(out, shared.moment(chosen))
    place, two = _sides(sides or [], archive, before, after)
    with Interrupt() as interrupt:
        try:
            made = api.diff(
                *two, chosen, archive=place, listener=messages, interrupt=interrupt, progress=messages.percent
            )
        finally:
            messages.done()
    if interrupt.asked:
        messages.warn("interrupted: a comparison is about all lines, so there is none")
        return int(ExitCode.INTERRUPTED)
    with destination(out, shared.moment(chosen)) as file:
        file.write(rendered(sections(made, top, Clock(chosen.zone())), made.to_dict(), output, to_file=out is not None))
    if limit is not None:
        for change in made.slower_than(limit):
            messages.missed(describe(change))
        if not made.measurable:
            messages.missed("no data: there are no durations to compare on both sides")
    if made.before.nothing_parsed or made.after.nothing_parsed:
        messages.codes.add(ExitCode.NOTHING_PARSED)
    return int(messages.exit_code)


def _sides(
    sides: list[str], archive: str | None, before: str | None, after: str | None
) -> tuple[str | None, tuple[str, str]]:
    """The archive, if it is about one, and both sides. Raises UsageError."""
    if before is None and after is None and archive is None:
        if len(sides) != 2:
            raise UsageError("diff takes two logs", "logstats diff BEFORE AFTER, or --archive DIR --before T --after T")
        return None, (sides[0], sides[1])
    place = shared.archive_or_none(archive, None)
    if sides:
        raise UsageError("logs and an archive exclude each other", "give one of the two")
    if not place:
        raise UsageError("--before and --after are times of an archive", "name it with --archive DIR")
    if before is None or after is None:
        raise UsageError("an archive needs --before and --after", "--before yesterday --after today")
    return place, (before, after)


def _percent(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?%", text.strip())
    if not match:
        raise UsageError(f"--fail-if-slower {text!r} is no percentage", "write it with its sign: 20%")
    return float(match[1]) / 100
