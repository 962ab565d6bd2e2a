"""How a report is asked for and shown: what `report` and `merge` have in common."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import deliver
from logstats.errors import ExitCode, UsageError
from logstats.reports.renderers import RENDERERS, Renderer
from logstats.reports.view import TABLES, TABLES_OVER_TIME, View
from logstats.summaries.names import BREAKDOWNS, SORTS

if TYPE_CHECKING:
    from logstats.reports.model import Report

SUMMARY: Final = "summary"  # the output that is no report, but what one is made of
_RENDERED: Final = tuple(RENDERERS)
PERCENTILES: Final = "50,90,95,99,99.9"
SORT: Final = "avg"

By = Annotated[
    list[str] | None,
    shared.Option(
        "--by COLUMN",
        f"The same ranking for a column: {', '.join(BREAKDOWNS)}; repeatable.",
        shared.STATISTICS_PANEL,
        values=BREAKDOWNS,
    ),
]
Top = Annotated[
    int | None,
    shared.Option(
        "--top N",
        "Rows of each ranking (10; JSON and CSV carry all).",
        shared.STATISTICS_PANEL,
        least=1,
        outputs=_RENDERED,
    ),
]
Sort = Annotated[
    str,
    shared.Option(
        "--sort KEY",
        f"What endpoints are ranked by: {', '.join(SORTS)}.",
        shared.STATISTICS_PANEL,
        values=SORTS,
        outputs=_RENDERED,
    ),
]
Percentiles = Annotated[
    str,
    shared.Option("--percentiles P,P,…", "Which percentiles.", shared.STATISTICS_PANEL, outputs=_RENDERED),
]
MaxEndpoints = Annotated[
    int,
    shared.Option(
        "--max-endpoints N",
        "Endpoints (and values of --by) held; further ones are (other).",
        shared.STATISTICS_PANEL,
        least=1,
    ),
]
Output = Annotated[
    str,
    shared.output_option(*RENDERERS, SUMMARY, yields_to=("email",)),
]
Table = Annotated[
    str | None,
    shared.Option(
        "--table NAME",
        f"What csv and parquet hold: {', '.join(TABLES)}, or a column as in --by (endpoints).",
        shared.OUTPUT_PANEL,
        values=(*TABLES, *BREAKDOWNS),
        closed=True,
        outputs=("csv", "parquet"),
    ),
]
Email = Annotated[
    bool,
    shared.Option(
        "--email", "The same as -o email: a message for sendmail -t.", shared.OUTPUT_PANEL, yields_to=("output",)
    ),
]
EmailTo = Annotated[
    list[str] | None,
    shared.Option("--email-to ADDRESS", "Whom to; repeatable.", shared.OUTPUT_PANEL, outputs=("email",)),
]
EmailFrom = Annotated[
    str | None,
    shared.Option("--email-from ADDRESS", "Whom from.", shared.OUTPUT_PANEL, outputs=("email",)),
]
EmailSubject = Annotated[
    str | None,
    shared.Option(
        "--email-subject TEXT",
        "Its subject; the main figures if not given.",
        shared.OUTPUT_PANEL,
        outputs=("email",),
    ),
]
Title = Annotated[
    str | None,
    shared.Option(
        "--title TEXT",
        "What it is about, such as a host: for headings and the subject.",
        shared.OUTPUT_PANEL,
        outputs=_RENDERED,
    ),
]
Pager = Annotated[
    bool,
    shared.Option(
        "--pager/--no-pager",
        "A report that is taller than the terminal goes through a pager, as in git.",
        shared.OUTPUT_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a report is shown; `renderer` is None if a summary is written instead."""

    renderer: Renderer | None
    view: View
    title: str
    out: str | None
    moment: datetime
    pager: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that is to be ranked because it is the table that is shown."""
        return (self.view.table,) if self.view.table in BREAKDOWNS else ()

    @property
    def over_time(self) -> bool:
        """Whether it shows latency and users over time."""
        return (self.renderer is not None and self.renderer.over_time) or self.view.table in TABLES_OVER_TIME

    def show(self, made: Report, compared: Any = ()) -> None:
        """Write the report, unless it is a summary, which is written already."""
        if self.renderer is None:
            return
        rendered = self.renderer.render(replace(made, title=self.title), replace(self.view, compared=list(compared)))
        deliver(rendered, self.out, self.moment, pager=self.pager and self.renderer is RENDERERS["table"])


def presentation(
    output: str,
    *,
    out: str | None,
    moment: datetime,
    top: int | None,
    sort: str,
    percentiles: str,
    table: str | None,
    email: bool,
    email_to: list[str] | None,
    email_from: str | None,
    email_subject: str | None,
    title: str | None,
    pager: bool,
) -> Presentation:
    """How a report is shown, by the options. Raises UsageError for those that do not go together."""
    if email:
        output = "email" if output == "table" else output
    renderer = RENDERERS.get(output)
    if table and not (renderer and renderer.one_table):
        raise UsageError(f"-o {output} has no --table", "it is for csv and parquet")
    for address in email_to or ():
        if not re.fullmatch(r"[^@<>]*<[^@\s<>]+@[^@\s<>]+>|[^@\s<>,]+@[^@\s<>,]+", address.strip()):
            raise UsageError(f"{address!r} is not an address", "--email-to ops@example.com")
    if (output == "email") != bool(email_to) or (email and output != "email"):
        raise UsageError("--email and --email-to go together, without another -o", "--email --email-to ops@example.com")
    if renderer is None:
        given = {"--top": top, "--sort": sort != SORT, "--percentiles": percentiles != PERCENTILES, "--title": title}
        for name in (name for name, value in given.items() if value):
            raise UsageError(f"a summary has no {name}: it holds all there is", f"give {name} to logstats merge")
    view = replace(
        _view(binary=renderer is None or renderer.binary, to_file=out is not None),
        top=top,
        sort=sort,
        table=table or "endpoints",
        to=", ".join(email_to or ()),
        sender=email_from or "",
        subject=email_subject or "",
    )
    return Presentation(renderer, view, title or "", out, moment, pager)


def _view(*, binary: bool, to_file: bool) -> View:
    """On what a report is shown."""
    terminal = not to_file and sys.stdout.isatty()
    if binary and terminal:
        raise UsageError("Parquet is not for terminals", "add --out FILE, or pipe it on")
    return View(
        width=shutil.get_terminal_size((80, 24)).columns,
        colour=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        encoding="utf-8" if to_file else sys.stdout.encoding or "utf-8",
    )


def exit_code(made: Report, messages: Messages, *, strict: bool) -> ExitCode:
    """What a report ends with; what was missed is said."""
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
