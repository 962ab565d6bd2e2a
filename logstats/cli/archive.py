"""`logstats archive`: init, add, tier, erase, status, files, publish, verify."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logstats.cli import options as shared
from logstats.cli.alerting import Alerting
from logstats.cli.erase import erase
from logstats.cli.messages import Messages
from logstats.errors import ExitCode, LogstatsError, UnknownFormatError, UsageError
from logstats.sizes import size

if TYPE_CHECKING:
    from logstats.archive.ingest.progress import Added, Outcome
    from logstats.archive.log.commit import DataFile
    from logstats.archive.tiers.policy import Step
    from logstats.live.alerts.alerts import Change
    from logstats.options import Options

app = typer.Typer(
    help="Every log line kept once, in Parquet files that move from tier to tier.",
    no_args_is_help=True,
)

LIFECYCLE = "lifecycle.toml"  # as in archive.log.paths, which needs more than --help does

_KNOWN = "What is added"
_FOLLOW = "A daemon"
_REFUSED = tuple(shared_option.option.name for shared_option in shared.FILTERS)


@app.command()
@shared.command()
def init(
    folder: Annotated[str | None, typer.Argument(metavar="[DIR]", help="Folder or URL.", show_default=False)] = None,
    archive: shared.ArchiveDir = None,
    quiet: shared.Quiet = False,
) -> int:
    """Make an archive: a folder, or s3://BUCKET/PATH, with its first commit and a lifecycle.toml to be edited."""
    if folder and archive and folder != archive:
        raise UsageError("two folders are named", "an archive has one")
    place = shared.archive_dir(folder or archive)
    from logstats.archive.create import init as make

    made = make(place)
    messages = Messages(quiet=quiet)
    messages.say(f"{made.name}: an archive; its lifecycle.toml says when days move from tier to tier")
    if made.storage.shared:
        messages.say(
            "of several writers that created the same object at once, the store let one win each time: that could have "
            "proved it unfit, and does not prove it fit; its makers have to promise exclusive conditional puts"
        )
    messages.say(f"add logs: logstats archive add /var/log/nginx/access.log* --archive {place}")
    return int(ExitCode.DONE)


def _cluster(words: str) -> shared.Option:
    return shared.Option("--cluster URL", words, yields_to=("archive", "workers"))


@app.command()
@shared.command(shared.READING, shared.only_with("follow", shared.ALERTS))
def add(
    sources: shared.Sources = None,
    archive: shared.ArchiveDir = None,
    source_name: Annotated[
        str | None,
        shared.Option(
            "--source-name NAME",
            "Tells sources apart whose lines may be the same, such as a log of each host. Lines are known "
            "again only under the same name.",
            _KNOWN,
        ),
    ] = None,
    final: Annotated[
        bool,
        shared.Option("--final", "Take a last line that lacks its newline.", _KNOWN),
    ] = False,
    allow_duplicates: Annotated[
        bool,
        shared.Option("--allow-duplicates", "Add everything, even what is in the archive already.", _KNOWN),
    ] = False,
    shared_options: shared.SharedOptions = shared.SHARED,
    follow: Annotated[
        bool,
        shared.Option(
            "--follow",
            "Go on, and add what comes: files and globs, over rotation; standard input; syslog://HOST:PORT. "
            "SIGTERM ends it.",
            _FOLLOW,
        ),
    ] = False,
    every: Annotated[
        str | None,
        shared.Option(
            "--every TIME",
            "With --follow: how often what has come is committed (60s).",
            _FOLLOW,
            only_with=("follow",),
        ),
    ] = None,
    health: Annotated[
        str | None,
        shared.Option(
            "--health FILE",
            "With --follow: a JSON file that says how things stand.",
            _FOLLOW,
            only_with=("follow",),
        ),
    ] = None,
    allow: shared.Allow = None,
    filters: Annotated[list[str] | None, typer.Option(*_REFUSED, hidden=True)] = None,
    workers: Annotated[
        int | None,
        shared.Option(
            "--workers N", "Processes that add some of the files each.", least=1, yields_to=("archive", "cluster")
        ),
    ] = None,
    cluster: Annotated[str | None, _cluster("Add on a Dask cluster, to an archive on a store.")] = None,
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
    processes, cluster = shared.writers(workers, cluster)
    place = shared.archive_dir(archive)
    messages = Messages(quiet=quiet, progress=progress)

    import pyarrow as pa

    with contextlib.suppress(NotImplementedError):
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    from logstats import api
    from logstats.pipeline import Interrupt

    chosen = shared.reading_options(shared_options)
    messages.options_read(chosen)
    if follow:
        if (workers and workers > 1) or cluster:
            raise UsageError(
                "--follow adds what comes, as it comes", "--workers and --cluster are for files that are there"
            )
        if allow_duplicates or final:
            raise UsageError("--follow adds what comes, each line once", "leave --allow-duplicates and --final out")
        alerting = Alerting(shared_options, sources or [], chosen.zone(), messages.alert, messages.alert)
        return _follow(
            sources or [], place, chosen, source_name, every or "60s", health, shared.words(allow), alerting, messages
        )
    if allow:
        raise UsageError("--allow is about syslog://, which goes on", "--follow")
    with Interrupt() as interrupt:
        try:
            added = api.add(
                sources or [],
                place,
                chosen,
                source_name=source_name,
                allow_duplicates=allow_duplicates,
                final=final,
                listener=messages,
                interrupt=interrupt,
                workers=processes,
                cluster=cluster,
            )
        finally:
            messages.done()
    _tell(added, messages)
    if added.interrupted:
        messages.codes.add(ExitCode.INTERRUPTED)
    counts = added.counts
    unread = sum(isinstance(outcome.problem, UnknownFormatError) for outcome in added.outcomes)
    if unread == len(added.outcomes) > 0 or (counts.rejected and not counts.requests + counts.events):
        messages.codes.add(ExitCode.NOTHING_PARSED)
    elif unread:
        messages.codes.add(ExitCode.FAILED)
    return int(messages.exit_code)


def _follow(
    sources: list[str],
    place: str,
    chosen: Options,
    source_name: str | None,
    every: str,
    health: str | None,
    allow: Sequence[str],
    alerting: Alerting,
    messages: Messages,
) -> int:
    from logstats import api
    from logstats.live.watching import seconds

    def changed(change: Change) -> None:
        alerting.tell(change)
        if alerting.failed:
            daemon.stop.ask()

    daemon = api.add_following(
        sources,
        place,
        chosen,
        source_name=source_name,
        every=seconds("--every", every, least=0.1),
        health=health,
        allow=allow,
        alerts=alerting.conditions,
        policy=alerting.policy,
        changed=changed,
        listener=messages,
        tell=lambda added: _tell_commit(added, messages),
        say=messages.warn,
    )
    with alerting, daemon.stop:
        daemon.run()
    if daemon.failures or any(stream.waiting for stream in daemon.streams):
        return int(ExitCode.FAILED)
    return int(ExitCode.MISSED if alerting.failed else ExitCode.DONE)


def _tell_commit(added: Added, messages: Messages) -> None:
    for outcome in added.outcomes:
        if outcome.counts.lines:
            messages.say(_summary(outcome))


def _tell(added: Added, messages: Messages) -> None:
    for outcome in added.outcomes:
        messages.say(_summary(outcome))
        if outcome.left and not added.interrupted:  # which ends in the middle of some line
            messages.say(
                f"{outcome.name}: its last line ({outcome.left:,} bytes) has no newline yet and waits for it; "
                "--final takes it as it is"
            )
    if len(added.outcomes) > 1:
        counts = added.counts
        messages.say(f"{counts.lines:,} lines of {len(added.outcomes)} sources added")
    if added.interrupted:
        messages.warn("interrupted", "what is said to be added is in the archive; run it again to add the rest")


def _summary(outcome: Outcome) -> str:
    counts = outcome.counts
    known = f"{outcome.known:,} lines" if outcome.known != 1 else "1 line"
    if not counts.lines:
        if outcome.known:
            return f"{outcome.name}: nothing new, the archive has its {known}"
        unread = isinstance(outcome.problem, UnknownFormatError)
        return f"{outcome.name}: nothing added" + (", it is not counted as read" if unread else "")
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


@app.command()
@shared.command()
def tier(
    archive: shared.ArchiveDir = None,
    policy: Annotated[
        str | None,
        shared.Option("--policy FILE", "Instead of the archive's lifecycle.toml."),
    ] = None,
    now: Annotated[
        str | None,
        shared.Option("--now T", "As if it were this time."),
    ] = None,
    dry_run: Annotated[bool, shared.Option("--dry-run", "Say what is due, and change nothing.")] = False,
    grace: Annotated[
        str,
        shared.Option("--grace AGE", "How long replaced files stay for those who read them."),
    ] = "24h",
    workers: Annotated[
        int | None,
        shared.Option("--workers N", "Processes that move a day each.", least=1, yields_to=("archive", "cluster")),
    ] = None,
    cluster: Annotated[str | None, _cluster("Move days on a Dask cluster, of an archive on a store.")] = None,
    quiet: shared.Quiet = False,
) -> int:
    """Move closed days from hot to warm to cold, and away, as lifecycle.toml says.

    A day is moved as a whole, read back and compared before the files that it replaces are let go; those are deleted
    by a later run, after the grace. Running it again, or going on after it was interrupted, does what is still due.
    """
    if dry_run and (workers or cluster):
        what = "--workers" if workers else "--cluster"
        raise UsageError(f"--dry-run moves nothing, and {what} have nothing to do", "give one of the two")
    processes, cluster = shared.writers(workers, cluster)
    place = shared.archive_dir(archive)
    messages = Messages(quiet=quiet)

    from logstats.archive.archive import Archive
    from logstats.archive.log.orphans import GRACE, sweep
    from logstats.archive.tiers import move
    from logstats.archive.tiers.compact import compact
    from logstats.archive.tiers.policy import Policy, age, load, of, plan
    from logstats.expressions.times import parse_time
    from logstats.scale.executors import started

    opened = Archive.open(place)
    clock = datetime.now(UTC)
    moment = parse_time(now, "UTC", clock) if now else clock
    try:
        keep = age(grace)
    except ValueError as error:
        raise UsageError(f"--grace: {error}", "write 24h, 7d or 2w") from None
    rules = load(Path(policy)) if policy else of(opened)
    if rules is None:
        if policy:
            raise UsageError(f"{policy}: there is no such file")
        messages.say(f"{opened.storage.uri(LIFECYCLE)}: there is no such file, so nothing moves and nothing is deleted")
        rules = Policy()
    if dry_run:
        for step in plan(opened.snapshot(), rules, moment):
            print(step.describe())
        return int(ExitCode.DONE)
    with started(processes, cluster) as executor:
        move.apply(opened, rules, moment, _Moved(messages), executor)
    fewer = compact(opened, clock)
    if fewer:
        messages.say(f"{fewer:,} fewer files, by putting small ones together")
    swept = sweep(opened, clock, keep, left=max(keep, GRACE))  # by the clock, not --now, because others may be reading
    if swept.removed or swept.left_over:
        left = f", and {swept.left_over:,} that a run which died had left" if swept.left_over else ""
        messages.say(f"{swept.removed:,} replaced files deleted{left}")
    return int(messages.exit_code)


class _Moved:
    """Reports each day that was moved."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def finished(self, step: Step, made: tuple[DataFile, ...]) -> None:
        octets = sum(file.bytes for file in made)
        files = f"{len(made):,} file{'s' if len(made) != 1 else ''}"
        self._messages.say(step.describe() + (f", {files} ({size(octets)})" if made else ""))

    def failed(self, step: Step, error: LogstatsError) -> None:
        self._messages.codes.add(error.exit_code)
        self._messages.error(error)


app.command()(erase)


@app.command()
@shared.command()
def status(
    archive: shared.ArchiveDir = None,
    output: Annotated[str, shared.output_option("table", "json")] = "table",
    now: Annotated[
        str | None,
        shared.Option("--now T", "What is due as if it were this time."),
    ] = None,
) -> int:
    """What an archive holds, by tier; how far each source was read; what `tier` would do next."""
    place = shared.archive_dir(archive)

    from logstats.archive.archive import Archive
    from logstats.archive.status import status as look
    from logstats.archive.tiers.policy import of
    from logstats.expressions.times import parse_time

    opened = Archive.open(place)
    moment = parse_time(now, "UTC", datetime.now(UTC)) if now else datetime.now(UTC)
    found = look(opened, opened.snapshot(), of(opened), moment)
    if output == "json":
        print(json.dumps(found.to_dict()))
        return int(ExitCode.DONE)
    from logstats.reports.archived import render

    print(render(found), end="")
    return int(ExitCode.DONE)


@app.command()
@shared.command()
def files(
    archive: shared.ArchiveDir = None,
    table: Annotated[
        str | None,
        shared.Option(
            "--table NAME", "Only this table.", values=("logs", "traffic", "latency", "endpoints", "users", "rejects")
        ),
    ] = None,
    tier: Annotated[
        str | None,
        shared.Option("--tier NAME", "Only this tier of logs.", values=("hot", "warm", "cold")),
    ] = None,
    since: Annotated[str | None, shared.Option("--since T", "Those that may hold rows from this time on.")] = None,
    until: Annotated[str | None, shared.Option("--until T", "Those that may hold rows from before this time.")] = None,
    output: Annotated[str, shared.output_option("paths", "json", "sql")] = "paths",
) -> int:
    """List the files that hold what is in the archive now, for any tool that reads Parquet.

    paths has one a line, json what the commits say of each, sql views for DuckDB (and its macros, of all tables).
    """
    place = shared.archive_dir(archive)

    from logstats.archive import files as live
    from logstats.archive.archive import Archive
    from logstats.expressions.times import parse_time

    now = datetime.now(UTC)
    begin, end = (parse_time(text, "UTC", now) if text else None for text in (since, until))
    opened = Archive.open(place)
    chosen = live.select(opened.snapshot(), table, tier, begin, end)
    for line in live.RENDERERS[output](opened, chosen, table):
        print(line)
    return int(ExitCode.DONE)


@app.command()
@shared.command()
def publish(archive: shared.ArchiveDir = None, quiet: shared.Quiet = False) -> int:
    """Write the Iceberg tables again: after the archive was moved, or when they are behind.

    They are written after each commit if lifecycle.toml says publish = ["iceberg"].
    """
    place = shared.archive_dir(archive)
    messages = Messages(quiet=quiet)

    from logstats.archive.archive import Archive
    from logstats.archive.log.writer import Workspace
    from logstats.archive.publish import iceberg

    opened = Archive.open(place)
    if not opened.publishes_iceberg():
        raise UsageError("nothing is to be published", 'write publish = ["iceberg"] at the top of lifecycle.toml')
    snapshot = opened.snapshot()
    with Workspace(opened) as workspace:
        opened.publish(snapshot, workspace.folder)
    for table in iceberg.PUBLISHED:
        print(opened.storage.uri(f"{iceberg.metadata(table)}/v{snapshot.number}.metadata.json"))
    messages.say(f"{len(iceberg.PUBLISHED)} tables are those of commit {snapshot.number}")
    return int(ExitCode.DONE)


@app.command()
@shared.command(shared.WORKERS)
def verify(
    archive: shared.ArchiveDir = None,
    deep: Annotated[bool, shared.Option("--deep", "Compute the rollups again from the rows.")] = False,
    repair: Annotated[
        bool,
        shared.Option("--repair", "Make damaged rollups, checkpoint and catalog.sql anew; say what cannot be."),
    ] = False,
    shared_options: shared.SharedOptions = shared.SHARED,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """Check every file against the commits: presence, checksum, rows, times; rollups against rows; nothing foreign.

    What is damaged is named, and makes it exit with 1. With --repair, what can be made again from the rest is made
    again first, as a commit. Several --workers check files, and with --deep days, at the same time.
    """
    workers, cluster = shared.workers(shared_options)
    place = shared.archive_dir(archive)
    messages = Messages(quiet=quiet, progress=progress)

    from logstats.archive.archive import Archive
    from logstats.archive.verify import verify as findings
    from logstats.reports.printable import printable
    from logstats.scale.executors import started

    opened = Archive.open(place)
    damage = notes = 0
    if repair:
        from logstats.archive.repair import repair as repaired

        for finding in repaired(opened, progress=messages.percent):
            messages.done()
            hint = f" ({finding.hint})" if finding.hint else ""
            messages.say(printable(f"{finding.path}: {finding.what}{hint}"))
    try:
        with started(workers, cluster) as executor:
            for finding in findings(opened, deep=deep, progress=messages.percent, executor=executor):
                damage, notes = damage + (not finding.note), notes + finding.note
                hint = f" ({finding.hint})" if finding.hint else ""
                messages.done()
                print(printable(f"{'note: ' if finding.note else ''}{finding.path}: {finding.what}{hint}"))
    finally:
        messages.done()
    snapshot = opened.snapshot(lenient=True)
    octets = sum(file.bytes for file in snapshot.files.values())
    messages.say(
        f"{snapshot.number:,} commits and {len(snapshot.files):,} files ({size(octets)}) checked: "
        + (f"{damage:,} damaged" if damage else "all as it should be")
    )
    return int(ExitCode.FAILED if damage else messages.exit_code)
