"""`logstats report`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import destination, reachable, show
from logstats.errors import ExitCode, UsageError
from logstats.reports.renderers import RENDERERS, Renderer
from logstats.reports.view import TABLES, TABLES_OVER_TIME, View

if TYPE_CHECKING:
    from logstats.reports.model import Report

_STATISTICS, _OUTPUT = "Statistics", "Output"


@shared.shared_options(shared.READING, shared.FILTERS)
def report(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    rows: Annotated[
        bool,
        typer.Option("--rows", help="With --archive: from its rows, even where rollups would do.", show_default=False),
    ] = False,
    given: shared.SharedOptions = shared.SHARED,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="The same ranking for a column: client_ip, host, user_agent, referer, status, method, "
            "app_name, user_id; repeatable.",
            show_default=False,
            rich_help_panel=_STATISTICS,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            help="Rows of each ranking (10; JSON and CSV carry all).",
            show_default=False,
            rich_help_panel=_STATISTICS,
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="What endpoints are ranked by: avg, p50, p95, p99, max, total, requests, errors.",
            rich_help_panel=_STATISTICS,
        ),
    ] = "avg",
    percentiles: Annotated[
        str,
        typer.Option("--percentiles", metavar="P,P,…", help="Which percentiles.", rich_help_panel=_STATISTICS),
    ] = "50,90,95,99,99.9",
    user_key: Annotated[
        str,
        typer.Option(
            "--user-key",
            metavar="KEY",
            help="Who is one user: auto (user_id, else client_ip), user_id, client_ip, ip+agent.",
            rich_help_panel=_STATISTICS,
        ),
    ] = "auto",
    exact_users: Annotated[
        bool,
        typer.Option("--exact-users", help="Count users exactly; memory grows with them.", rich_help_panel=_STATISTICS),
    ] = False,
    max_endpoints: Annotated[
        int,
        typer.Option(
            "--max-endpoints",
            metavar="N",
            min=1,
            help="Endpoints (and values of --by) held; further ones are (other).",
            rich_help_panel=_STATISTICS,
        ),
    ] = 10_000,
    fail_if: shared.FailIf = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="KIND", help=f"{', '.join(RENDERERS)}.", rich_help_panel=_OUTPUT),
    ] = "table",
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="NAME",
            help=f"What csv and parquet hold: {', '.join(TABLES)}, or a column as in --by (endpoints).",
            show_default=False,
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    email: Annotated[
        bool, typer.Option("--email", help="The same as -o email: a message for sendmail -t.", rich_help_panel=_OUTPUT)
    ] = False,
    email_to: Annotated[
        list[str] | None,
        typer.Option(
            "--email-to", metavar="ADDRESS", help="Whom to; repeatable.", show_default=False, rich_help_panel=_OUTPUT
        ),
    ] = None,
    email_from: Annotated[
        str | None,
        typer.Option("--email-from", metavar="ADDRESS", help="Whom from.", rich_help_panel=_OUTPUT),
    ] = None,
    email_subject: Annotated[
        str | None,
        typer.Option(
            "--email-subject",
            metavar="TEXT",
            help="Its subject; the main figures if not given.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(
            "--title",
            metavar="TEXT",
            help="What it is about, such as a host: for headings and the subject.",
            show_default=False,
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    pager: Annotated[
        bool,
        typer.Option(
            "--pager/--no-pager",
            help="A report that is taller than the terminal goes through a pager, as in git.",
            show_default=False,
            rich_help_panel=_OUTPUT,
        ),
    ] = True,
    out: shared.Out = None,
    rejects: shared.RejectsFile = None,
    strict: shared.Strict = False,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of -o json.", rich_help_panel=_OUTPUT)
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
    renderer = RENDERERS[shared.choice("--output", output, tuple(RENDERERS))]
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
    from logstats.summaries.ranking import BREAKDOWNS

    shared.choice("--table", view.table, (*TABLES, *BREAKDOWNS))
    columns = (*shared.words(by), *((view.table,) if view.table in BREAKDOWNS else ()))
    chosen = shared.reading_options(given)
    reachable(out, shared.moment(chosen))
    place = shared.archive_or_none(archive, sources)
    if place is None and rows:
        raise UsageError("--rows is about an archive", "name it with --archive DIR")
    if place is not None and rejects:
        raise UsageError("an archive keeps its rejected lines itself", "they are in its folder `rejects`")
    shared.spare(out, sources, "--out")
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
    made = replace(made, title=title or "")
    if out is None and output == "table":
        show(renderer.render(made, view), pager=pager)
    else:
        with destination(out, shared.moment(chosen)) as file:
            file.write(renderer.render(made, view))
    return int(_exit_code(made, messages, strict=strict))


def _view(renderer: Renderer, *, to_file: bool) -> View:
    """What there is to show it on."""
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
