"""How a report is asked for and shown: what `report` and `merge` have in common."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.options import Group, Option, Shared
from logstats.cli.output import deliver
from logstats.dataclass import dataclass
from logstats.errors import ExitCode, UsageError
from logstats.reports.renderers import RENDERERS, Renderer
from logstats.reports.view import TABLES, TABLES_OVER_TIME, View
from logstats.summaries.names import AGENTS, BREAKDOWNS, SORTS, breakdown

if TYPE_CHECKING:
    from logstats.reports.model import Report

SUMMARY: Final = "summary"  # the output that is no report, but what one is made of
_RENDERED: Final = tuple(RENDERERS)
PERCENTILES: Final = "50,90,95,99,99.9"
SORT: Final = "avg"


def _shown(kind: Any, spelling: str, words: str, default: Any = None, **how: Any) -> Shared:
    """An option about the statistics that are shown."""
    return Shared(kind, Option(spelling, words, shared.STATISTICS_PANEL, **how), default)


def _written(kind: Any, spelling: str, words: str, default: Any = None, **how: Any) -> Shared:
    """An option about the output."""
    return Shared(kind, Option(spelling, words, shared.OUTPUT_PANEL, **how), default)


# What `report` and `merge` have in common.
PRESENTING: Final[Group] = (
    _shown(
        list[str] | None,
        "--by COLUMN,…",
        "The same ranking for a column, or several together: host, status, host,endpoint, source, hour, weekday, "
        "query:NAME, ip/24, any of the schema; repeatable.",
        values=BREAKDOWNS,
    ),
    _shown(bool, "--agents", "People, bots and AI crawlers, and what these ask for (extra `agents`).", False),
    _shown(int | None, "--top N", "Rows of each ranking (10; JSON and CSV carry all).", least=1, outputs=_RENDERED),
    _shown(
        str, "--sort KEY", f"What endpoints are ranked by: {', '.join(SORTS)}.", SORT, values=SORTS, outputs=_RENDERED
    ),
    _shown(str, "--percentiles P,P,…", "Which percentiles.", PERCENTILES, outputs=_RENDERED),
    _shown(int | None, "--slowest N", "Also so many of the slowest single requests, with their lines.", least=1),
    _shown(bool, "--not-found", "Also the paths that are answered with 404 most often.", False),
    _shown(int, "--max-endpoints N", "Endpoints (and values of --by) held; further ones are (other).", 10_000, least=1),
    Shared(list[str] | None, shared.FAIL_IF),
    Shared(str, shared.output_option(*RENDERERS, SUMMARY, yields_to=("email",)), "table"),
    _written(
        str | None,
        "--table NAME",
        f"What csv and parquet hold: {', '.join(TABLES)}, or a column as in --by (endpoints).",
        values=(*TABLES, *BREAKDOWNS),
        outputs=("csv", "parquet"),
    ),
    _written(bool, "--email", "The same as -o email: a message for sendmail -t.", False, yields_to=("output",)),
    _written(list[str] | None, "--email-to ADDRESS", "Whom to; repeatable.", outputs=("email",)),
    _written(str | None, "--email-from ADDRESS", "Whom from.", outputs=("email",)),
    _written(str | None, "--email-subject TEXT", "Its subject; the main figures if not given.", outputs=("email",)),
    _written(
        str | None,
        "--title TEXT",
        "What it is about, such as a host: for headings and the subject.",
        outputs=_RENDERED,
    ),
    _written(
        bool,
        "--pager/--no-pager",
        "A report that is taller than the terminal goes through a pager, as in git.",
        True,
    ),
)


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
        """What is to be ranked because it is the table that is shown."""
        return () if self.view.table in TABLES else (self.view.table,)

    def asked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the library's `report` and `merge`, by the options."""
        return {
            "by": (*(given["by"] or ()), *self.columns),
            "max_endpoints": given["max_endpoints"],
            "over_time": self.over_time,
            "agents": given["agents"] or self.view.table in AGENTS,
            "percentiles": shared.words([given["percentiles"]]),
            "sort": given["sort"],
            "fail_if": given["fail_if"] or (),
            "slowest": given["slowest"] or 0,
            "not_found": given["not_found"] or self.view.table == "not_found",
            "top": None if self.renderer is None or self.renderer.cuts else given["top"],
        }

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


def presentation(given: Mapping[str, Any], out: str | None, moment: datetime) -> Presentation:
    """How a report is shown, by the options. Raises UsageError for those that do not go together."""
    output, email, email_to, table = (given[name] for name in ("output", "email", "email_to", "table"))
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
        changed = {
            "--top": given["top"],
            "--sort": given["sort"] != SORT,
            "--percentiles": given["percentiles"] != PERCENTILES,
            "--title": given["title"],
        }
        for name in (name for name, value in changed.items() if value):
            raise UsageError(f"a summary has no {name}: it holds all there is", f"give {name} to logstats merge")
    view = replace(
        _view(binary=renderer is None or renderer.binary, to_file=out is not None),
        top=given["top"],
        sort=given["sort"],
        table=_table(table),
        to=", ".join(email_to or ()),
        sender=given["email_from"] or "",
        subject=given["email_subject"] or "",
    )
    return Presentation(renderer, view, given["title"] or "", out, moment, given["pager"])


def _table(name: str | None) -> str:
    """The name of a table, checked. Raises UsageError."""
    if name is None or name in TABLES:
        return name or "endpoints"
    try:
        return ",".join(breakdown(name))
    except UsageError as error:
        known = error.hint if error.hint.startswith("did you") else f"choose among {', '.join((*TABLES, *BREAKDOWNS))}"
        raise UsageError(f"--table {name!r} is not known", known) from None


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


def exit_code(made: Report, messages: Messages, *, strict: bool, of: str = "") -> ExitCode:
    """What a report ends with; what was missed is said, and `of` which one of several reports."""
    for threshold in made.thresholds:
        if threshold.failed is not False:
            messages.missed(f"{of}{threshold.verdict}: {threshold.condition}: {threshold.words}")
    if made.interrupted:
        messages.codes.add(ExitCode.INTERRUPTED)
    if made.rejected and not made.requests + made.events + made.filtered:
        messages.codes.add(ExitCode.NOTHING_PARSED)
    if strict and made.rejected:
        messages.codes.add(ExitCode.REJECTED)
    return messages.exit_code
