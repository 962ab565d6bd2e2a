"""`logstats report`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Annotated

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import destination, reachable, show
from logstats.errors import ExitCode, UsageError
from logstats.reports.renderers import RENDERERS, Renderer
from logstats.reports.view import TABLES, TABLES_OVER_TIME, Compared, View
from logstats.summaries.names import BREAKDOWNS, SORTS, USER_KEYS

if TYPE_CHECKING:
    from logstats.api import Options
    from logstats.pipeline import Interrupt
    from logstats.reports.model import Report


@shared.command(shared.READING, shared.FILTERS)
def report(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    rows: Annotated[
        bool,
        shared.Option("--rows", "With --archive: from its rows, even where rollups would do.", yields_to=("sources",)),
    ] = False,
    given: shared.SharedOptions = shared.SHARED,
    by: Annotated[
        list[str] | None,
        shared.Option(
            "--by COLUMN",
            f"The same ranking for a column: {', '.join(BREAKDOWNS)}; repeatable.",
            shared.STATISTICS_PANEL,
            values=BREAKDOWNS,
        ),
    ] = None,
    top: Annotated[
        int | None,
        shared.Option(
            "--top N", "Rows of each ranking (10; JSON and CSV carry all).", shared.STATISTICS_PANEL, least=1
        ),
    ] = None,
    sort: Annotated[
        str,
        shared.Option(
            "--sort KEY",
            f"What endpoints are ranked by: {', '.join(SORTS)}.",
            shared.STATISTICS_PANEL,
            values=SORTS,
        ),
    ] = "avg",
    percentiles: Annotated[
        str,
        shared.Option("--percentiles P,P,…", "Which percentiles.", shared.STATISTICS_PANEL),
    ] = "50,90,95,99,99.9",
    user_key: Annotated[
        str,
        shared.Option(
            "--user-key KEY",
            "Who is one user: auto (user_id, else client_ip), user_id, client_ip, ip+agent.",
            shared.STATISTICS_PANEL,
            values=tuple(USER_KEYS),
        ),
    ] = "auto",
    exact_users: Annotated[
        bool,
        shared.Option("--exact-users", "Count users exactly; memory grows with them.", shared.STATISTICS_PANEL),
    ] = False,
    max_endpoints: Annotated[
        int,
        shared.Option(
            "--max-endpoints N",
            "Endpoints (and values of --by) held; further ones are (other).",
            shared.STATISTICS_PANEL,
            least=1,
        ),
    ] = 10_000,
    fail_if: shared.FailIf = None,
    output: Annotated[
        str,
        shared.output_option(*RENDERERS, yields_to=("email",)),
    ] = "table",
    table: Annotated[
        str | None,
        shared.Option(
            "--table NAME",
            f"What csv and parquet hold: {', '.join(TABLES)}, or a column as in --by (endpoints).",
            shared.OUTPUT_PANEL,
            values=(*TABLES, *BREAKDOWNS),
            closed=True,
            outputs=("csv", "parquet"),
        ),
    ] = None,
    email: Annotated[
        bool,
        shared.Option(
            "--email", "The same as -o email: a message for sendmail -t.", shared.OUTPUT_PANEL, yields_to=("output",)
        ),
    ] = False,
    email_to: Annotated[
        list[str] | None,
        shared.Option("--email-to ADDRESS", "Whom to; repeatable.", shared.OUTPUT_PANEL, outputs=("email",)),
    ] = None,
    email_from: Annotated[
        str | None,
        shared.Option("--email-from ADDRESS", "Whom from.", shared.OUTPUT_PANEL, outputs=("email",)),
    ] = None,
    email_subject: Annotated[
        str | None,
        shared.Option(
            "--email-subject TEXT",
            "Its subject; the main figures if not given.",
            shared.OUTPUT_PANEL,
            outputs=("email",),
        ),
    ] = None,
    compare: Annotated[
        list[str] | None,
        shared.Option(
            "--compare AGE",
            "With --archive, --since and --until: also what changed against 1d, 1w, … before; repeatable.",
            shared.STATISTICS_PANEL,
        ),
    ] = None,
    title: Annotated[
        str | None,
        shared.Option(
            "--title TEXT", "What it is about, such as a host: for headings and the subject.", shared.OUTPUT_PANEL
        ),
    ] = None,
    pager: Annotated[
        bool,
        shared.Option(
            "--pager/--no-pager",
            "A report that is taller than the terminal goes through a pager, as in git.",
            shared.OUTPUT_PANEL,
        ),
    ] = True,
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
    if email:
        output = "email" if output == "table" else output
    renderer = RENDERERS[output]
    if table and not renderer.one_table:
        raise UsageError(f"-o {output} has no --table", "it is for csv and parquet")
    for address in email_to or ():
        if not re.fullmatch(r"[^@<>]*<[^@\s<>]+@[^@\s<>]+>|[^@\s<>,]+@[^@\s<>,]+", address.strip()):
            raise UsageError(f"{address!r} is not an address", "--email-to ops@example.com")
    if (output == "email") != bool(email_to) or (email and output != "email"):
        raise UsageError("--email and --email-to go together, without another -o", "--email --email-to ops@example.com")
    view = replace(
        _view(renderer, to_file=out is not None),
        top=top,
        sort=sort,
        table=table or "endpoints",
        to=", ".join(email_to or ()),
        sender=email_from or "",
        subject=email_subject or "",
    )
    messages = Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.pipeline import Interrupt

    columns = (*shared.words(by), *((view.table,) if view.table in BREAKDOWNS else ()))
    chosen = shared.reading_options(given)
    messages.options_read(chosen)
    reachable(out, shared.moment(chosen))
    place = shared.archive_or_none(archive, sources)
    if place is None and rows:
        raise UsageError("--rows is about an archive", "name it with --archive DIR")
    if place is not None and rejects:
        raise UsageError("an archive keeps its rejected lines itself", "they are in its folder `rejects`")
    if compare and not renderer.compares:
        raise UsageError(f"-o {output} has no room for --compare", "it is for table, markdown, html, email and json")
    if compare and not (place and chosen.since and chosen.until):
        raise UsageError("--compare takes a stretch of an archive's time", "add --archive DIR --since T --until T")
    for age in shared.words(compare):
        _days(age)
    shared.refuse_overwriting(out, sources, "--out")
    percentile_texts = shared.words([percentiles])
    with shared.rejects_file(rejects, sources) as write_rejects, Interrupt() as interrupt:
        try:
            made = api.report(
                sources or [],
                chosen,
                archive=place,
                rows=rows,
                by=columns,
                user_key=user_key,
                exact_users=exact_users,
                max_endpoints=max_endpoints,
                over_time=renderer.over_time or view.table in TABLES_OVER_TIME,
                percentiles=percentile_texts,
                sort=sort,
                fail_if=fail_if or (),
                top=None if renderer.cuts else top,
                listener=messages,
                interrupt=interrupt,
                rejects=write_rejects,
                progress=messages.percent,
            )
        finally:
            messages.done()
        compared = [_compared(made, age, chosen, place, interrupt) for age in shared.words(compare)]
    view = replace(view, compared=compared)
    made = replace(made, title=title or "")
    if out is None and output == "table":
        show(renderer.render(made, view), pager=pager)
    else:
        with destination(out, shared.moment(chosen)) as file:
            file.write(renderer.render(made, view))
    return int(_exit_code(made, messages, strict=strict))


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


def _view(renderer: Renderer, *, to_file: bool) -> View:
    """How the report is shown, and on what."""
    terminal = not to_file and sys.stdout.isatty()
    if renderer.binary and terminal:
        raise UsageError("Parquet is not for terminals", "add --out FILE, or pipe it on")
    return View(
        width=shutil.get_terminal_size((80, 24)).columns,
        colour=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        encoding="utf-8" if to_file else sys.stdout.encoding or "utf-8",
    )


def _exit_code(made: Report, messages: Messages, *, strict: bool) -> ExitCode:
    for threshold in made.thresholds:
        if threshold.failed is not False:
            messages.missed(f"{threshold.verdict}: {threshold.condition}: {threshold.words}")
    if made.interrupted:
        messages.codes.add(ExitCode.INTERRUPTED)
    if made.rejected and not made.requests + made.events + made.filtered:
        messages.codes.add(ExitCode.NOTHING_PARSED)
    if strict and made.rejected:
        messages.codes.add(ExitCode.REJECTED)
    return messages.exit_code
