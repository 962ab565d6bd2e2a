"""`logstats archive`: init, add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from logstats.cli import options as shared
from logstats.cli.talk import Talk
from logstats.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from logstats.archive.add import Added, Outcome

app = typer.Typer(
    help="Every log line kept once, in Parquet files that move from tier to tier.",
    no_args_is_help=True,
)

_KNOWN = "What is added"
_FILTERS = ("--since", "--until", "--status", "--method", "--path", "--host")
_EXCLUDED = ("--exclude-status", "--exclude-method", "--exclude-path", "--exclude-host")


@app.command()
def init(
    folder: Annotated[str | None, typer.Argument(metavar="[DIR]", help="The folder.", show_default=False)] = None,
    archive: shared.ArchiveDir = None,
    quiet: shared.Quiet = False,
) -> int:
    """Make an archive: a folder with its first commit and a lifecycle.toml to be edited."""
    if folder and archive and folder != archive:
        raise UsageError("two folders are named", "an archive has one")
    place = shared.archive_dir(folder or archive)
    from logstats.archive.init import init as make

    made = make(place)
    talk = Talk(quiet=quiet)
    talk.say(f"{made.root}: an archive; its lifecycle.toml says when days move from tier to tier")
    talk.say(f"add logs: logstats archive add /var/log/nginx/access.log* --archive {place}")
    return int(ExitCode.DONE)


@app.command()
def add(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    source_name: Annotated[
        str | None,
        typer.Option(
            "--source-name",
            metavar="NAME",
            help="Tells sources apart whose lines may be the same, such as a log of each host. Lines are known "
            "again only under the same name.",
            rich_help_panel=_KNOWN,
        ),
    ] = None,
    final: Annotated[
        bool,
        typer.Option("--final", help="Take a last line that lacks its newline.", rich_help_panel=_KNOWN),
    ] = False,
    allow_duplicates: Annotated[
        bool,
        typer.Option(
            "--allow-duplicates", help="Add everything, even what is in the archive already.", rich_help_panel=_KNOWN
        ),
    ] = False,
    format: shared.FormatName = None,
    log_format: shared.LogFormat = None,
    formats_dir: shared.FormatsDir = None,
    tz: shared.Zone = "UTC",
    app_name: shared.App = None,
    trust_forwarded: shared.TrustForwarded = False,
    route: shared.Route = None,
    routes: shared.Routes = None,
    no_templates: shared.NoTemplates = False,
    filters: Annotated[list[str] | None, typer.Option(*_FILTERS, *_EXCLUDED, hidden=True)] = None,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """Add logs to an archive: each line once, however often it is named, under whatever name.

    What the archive has of a source is known by its content. A source that grew goes on where it ended; one that was
    rotated, compressed or copied adds nothing. A last line without its newline waits until it has one.
    """
    if filters:
        raise UsageError(
            "archive add takes no filters: what is not stored could never be found again",
            "add everything, and filter when you ask: logstats report --archive DIR --since …",
        )
    place = shared.archive_dir(archive)
    talk = Talk(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.pipeline import Interrupt

    chosen = api.Options(
        format=format,
        log_format=log_format,
        formats_dir=formats_dir,
        tz=tz,
        app=app_name,
        trust_forwarded=trust_forwarded,
        routes=route or (),
        openapi=routes,
        templates=not no_templates,
    )
    with Interrupt() as interrupt:
        try:
            added = api.add(
                sources or [],
                place,
                chosen,
                source_name=source_name,
                allow_duplicates=allow_duplicates,
                final=final,
                listener=talk,
                interrupt=interrupt,
            )
        finally:
            talk.done()
    _tell(added, talk)
    if added.interrupted:
        talk.codes.add(ExitCode.INTERRUPTED)
    counts = added.counts
    if counts.rejected and not counts.requests + counts.events:
        talk.codes.add(ExitCode.NOTHING_PARSED)
    return int(talk.exit_code)


def _tell(added: Added, talk: Talk) -> None:
    for outcome in added.outcomes:
        talk.say(_said(outcome))
        if outcome.left:
            talk.say(
                f"{outcome.name}: its last line ({outcome.left:,} bytes) has no newline yet and waits for it; "
                "--final takes it as it is"
            )
    if len(added.outcomes) > 1:
        counts = added.counts
        talk.say(f"{counts.lines:,} lines of {len(added.outcomes)} sources added")
    if added.interrupted:
        talk.warn("interrupted", "what is said to be added is in the archive; run it again to add the rest")


def _said(outcome: Outcome) -> str:
    counts = outcome.counts
    known = f"{outcome.known:,} lines" if outcome.known != 1 else "1 line"
    if not counts.lines:
        if outcome.known:
            return f"{outcome.name}: nothing new, the archive has its {known}"
        return f"{outcome.name}: nothing added"
    parts: dict[str, Any] = {
        "requests": counts.requests,
        "events": counts.events,
        "rejected": counts.rejected,
        "ignored": counts.ignored,
    }
    listed = ", ".join(f"{number:,} {what}" for what, number in parts.items() if number)
    reasons = ", ".join(f"{number:,} × {reason}" for reason, number in sorted(counts.reasons.items()))
    after = f" after {known} that the archive has" if outcome.known else ""
    lines = "1 line" if counts.lines == 1 else f"{counts.lines:,} lines"
    return f"{outcome.name}: {lines} added{after}: {listed}" + (f" ({reasons})" if reasons else "")
