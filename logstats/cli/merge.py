"""`logstats merge`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from logstats.cli import options as shared
from logstats.cli import presenting
from logstats.cli.messages import Messages
from logstats.cli.output import destination, reachable
from logstats.errors import ExitCode

RANGE = tuple(option for option in shared.FILTERS if option.name in ("since", "until"))
ZONE = tuple(option for option in shared.READING if option.name == "tz")


@shared.command(ZONE, RANGE, presenting.PRESENTING)
def merge(
    summaries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUMMARY...",
            help="Files that report -o summary wrote, globs or folders, in the order of their lines.",
            show_default=False,
        ),
    ] = None,
    shared_options: shared.SharedOptions = shared.SHARED,
    out: shared.Out = None,
    strict: shared.Strict = False,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """The report over all lines that summaries were made of, host by host, day by day.

    It is the report that one run over all of them would give. --by and --fail-if ask for what all summaries hold,
    --since and --until for whole minutes.
    """
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.options import Options

    chosen = Options(tz=shared_options["tz"], since=shared_options["since"], until=shared_options["until"])
    messages.options_read(chosen)
    moment = shared.moment(chosen)
    reachable(out, moment)
    shown = presenting.presentation(shared_options, out, moment)
    shared.refuse_overwriting(out, summaries, "--out")
    with destination(out, moment) if shown.renderer is None else nullcontext() as file:
        try:
            made = api.merge(
                summaries or [],
                chosen,
                summary=file,
                progress=messages.percent,
                **shown.asked(shared_options),
            )
        finally:
            messages.done()
    shown.show(made)
    for source in made.sources:
        if source.problem:
            messages.warn(source.problem)
            messages.codes.add(ExitCode.FAILED)
    return int(presenting.exit_code(made, messages, strict=strict))
