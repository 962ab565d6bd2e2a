"""`logstats report`."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Annotated

from logstats.cli import options as shared
from logstats.cli import presenting, splitting
from logstats.cli.messages import Messages
from logstats.cli.output import destination, reachable
from logstats.errors import UsageError
from logstats.reports.view import Compared
from logstats.summaries.names import BREAKDOWNS

if TYPE_CHECKING:
    from logstats.options import Options
    from logstats.pipeline import Interrupt
    from logstats.reports.model import Report


@shared.command(shared.READING, shared.FILTERS, shared.WORKERS, presenting.PRESENTING)
def report(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    rows: Annotated[
        bool,
        shared.Option("--rows", "With --archive: from its rows, even where rollups would do.", yields_to=("sources",)),
    ] = False,
    shared_options: shared.SharedOptions = shared.SHARED,
    user_key: shared.UserKey = "auto",
    exact_users: shared.ExactUsers = False,
    compare: Annotated[
        list[str] | None,
        shared.Option(
            "--compare AGE",
            "With --archive, --since and --until: also what changed against 1d, 1w, … before; repeatable.",
            shared.STATISTICS_PANEL,
        ),
    ] = None,
    split_by: Annotated[
        str | None,
        shared.Option(
            "--split-by COLUMN",
            "A full report for each value, such as of host, source, app: with -o html one page each and an index, in "
            "the folder --out.",
            shared.STATISTICS_PANEL,
            values=BREAKDOWNS,
            outputs=("table", "json", "markdown", "html"),
        ),
    ] = None,
    out: shared.Out = None,
    rejects: shared.RejectsFile = None,
    strict: shared.Strict = False,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
    schema: Annotated[
        bool, shared.Option("--schema", "Print the JSON Schema of -o json.", shared.OUTPUT_PANEL)
    ] = False,
) -> int:
    """Statistics of logs: status codes, latency percentiles, slowest endpoints, unique users.

    Percentiles are within 1 % of the exact value, unique users have a standard error of 0.81 %; all else is exact.
    """
    if schema:
        from logstats.reports.schema import load_schema

        print(load_schema(), end="")
        return 0
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.pipeline import Interrupt

    chosen = shared.reading_options(shared_options)
    messages.options_read(chosen)
    moment = shared.moment(chosen)
    if split_by is None or shared_options["output"] != "html":  # a folder is made
        reachable(out, moment)
    shown = presenting.presentation(shared_options, out, moment)
    renderer = shown.renderer
    place = shared.archive_or_none(archive, sources)
    if place is None and rows:
        raise UsageError("--rows is about an archive", "name it with --archive DIR")
    if place is not None and rejects:
        raise UsageError("an archive keeps its rejected lines itself", "they are in its folder `rejects`")
    if compare and not (renderer and renderer.compares):
        raise UsageError(
            f"-o {shared_options['output']} has no room for --compare",
            "it is for table, markdown, html, email and json",
        )
    if compare and not (place and chosen.since and chosen.until):
        raise UsageError("--compare takes a stretch of an archive's time", "add --archive DIR --since T --until T")
    for age in shared.words(compare):
        _days(age)
    if split_by is not None:
        splitting.check(shown, split_by, compare=bool(compare), rows=rows)
        with shared.rejects_file(rejects, sources) as write_rejects, Interrupt() as interrupt:
            try:
                reports = api.split(
                    sources or [],
                    chosen,
                    split_by=split_by,
                    archive=place,
                    user_key=user_key,
                    exact_users=exact_users,
                    listener=messages,
                    interrupt=interrupt,
                    rejects=write_rejects,
                    **shown.asked(shared_options),
                )
            finally:
                messages.done()
        splitting.show(shown, split_by, reports)
        return int(splitting.exit_code(split_by, reports, messages, strict=strict))
    shared.refuse_overwriting(out, sources, "--out")
    with (
        shared.rejects_file(rejects, sources) as write_rejects,
        Interrupt() as interrupt,
        destination(out, moment) if renderer is None else nullcontext() as summary,
    ):
        try:
            made = api.report(
                sources or [],
                chosen,
                archive=place,
                rows=rows,
                user_key=user_key,
                exact_users=exact_users,
                listener=messages,
                interrupt=interrupt,
                rejects=write_rejects,
                progress=messages.percent,
                summary=summary,
                **shown.asked(shared_options),
            )
        finally:
            messages.done()
        if made.interrupted and renderer is None:  # a file of some lines would pass for one of all
            messages.warn("interrupted: no summary is written")
            raise KeyboardInterrupt
        compared = [_compared(made, age, chosen, place, interrupt) for age in shared.words(compare)]
    shown.show(made, compared)
    return int(presenting.exit_code(made, messages, strict=strict))


def _days(age: str) -> int:
    """`1d` → 1, `2w` → 14. Raises UsageError."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})([dw])", age)
    if not match:
        raise UsageError(f"--compare {age!r} is no number of days", "write 1d for the day before, 1w for a week ago")
    return int(match[1]) * (7 if match[2] == "w" else 1)


def _compared(made: Report, age: str, chosen: Options, archive: str | None, interrupt: Interrupt) -> Compared:
    """The report against the same stretch of time so many days before, by the clock on the wall."""
    from logstats import api
    from logstats.objectives.diff import compare, side
    from logstats.objectives.diff_text import sections
    from logstats.reports.clock import Clock

    clock, filters = Clock(chosen.zone()), chosen.filters()
    earlier = timedelta(days=_days(age))
    try:
        since, until = (clock.local(time) - earlier for time in (filters.since, filters.until) if time is not None)
    except OverflowError:
        raise UsageError(f"--compare {age}: that is before the year 1") from None
    before = api.report(
        [],
        replace(chosen, since=since.astimezone(UTC), until=until.astimezone(UTC)),
        archive=archive,
        percentiles=("50",),
        sort="requests",
        interrupt=interrupt,
    )
    day = clock.moment(since)[:10]
    words = {1: "the day before", 7: "a week before"}.get(earlier.days, f"{earlier.days} days before")
    found = compare(side(before, words), side(made, "this report"))
    return Compared(f"Against {words} ({day})", sections(found, 5, clock), found.to_dict())
