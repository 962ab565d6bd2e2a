"""Adding logs to an archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats import schema
from logstats.api.arguments import options_from
from logstats.api.watching import alerts_of
from logstats.errors import UsageError
from logstats.filters import Filters
from logstats.inputs import discover
from logstats.options import Options
from logstats.pipeline import Interrupt, Listener, Silence

if TYPE_CHECKING:
    from logstats.archive.follow import Daemon
    from logstats.archive.ingest.ingest import IngestOptions
    from logstats.archive.ingest.progress import Added
    from logstats.archive.staging import Staging
    from logstats.archive.stretches import Before
    from logstats.inputs import Source
    from logstats.live.alerts.alerts import Alerts, Change
    from logstats.objectives.policy import Policy


def add(
    sources: str | Path | Sequence[str | Path],
    archive: str | Path,
    options: Options | None = None,
    *,
    source_name: str | None = None,
    allow_duplicates: bool = False,
    final: bool = False,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    **more: Any,
) -> Added:
    """Add logs to an archive, each line once.

    What the archive has of a source already is known by its content, whatever its name; with a `source_name`, only
    among sources of that name. `allow_duplicates` adds it once more. A last line without its newline waits for it,
    unless `final`. A source that cannot be read has its problem in the outcome; the others are still added. Several
    `workers`, or those of a `cluster`, read some of the files each, or a stretch of a large one; this process commits
    what they have written.

    Raises UsageError for options that mean nothing (filters among them), and ArchiveError if there is no archive.
    """
    from logstats.archive.add import add as add_to
    from logstats.archive.add import add_apart
    from logstats.archive.archive import Archive
    from logstats.scale.executors import started
    from logstats.scale.results import at_this_moment

    options = options_from(options, more)
    how = _ingest(options, source_name, duplicates=allow_duplicates, final=final)
    opened = Archive.open(archive)
    listener = listener or Silence()
    found, problems = discover(options.sources(sources))
    for problem in problems:
        listener.problem(problem)
    with started(options.workers, options.cluster) as executor:
        if executor is None:
            added = add_to(opened, found, how, listener, interrupt)
        else:
            work = partial(add_some, at_this_moment(options), source_name, allow_duplicates, final)
            stop = interrupt or Interrupt()
            added = add_apart(opened, found, work, how, listener, stop, executor)
    added.failed(problems)
    if opened.unpublished is not None:
        listener.note(str(archive), f"{opened.unpublished.what} ({opened.unpublished.hint})")
    return added


def add_some(
    options: Options,
    source_name: str | None,
    duplicates: bool,
    final: bool,
    archive: Staging,
    sources: list[Source],
    before: Before | None = None,
) -> tuple[Added, list[tuple[Any, ...]]]:
    """What a worker does with some files, or with the stretch of one that comes after what is known of it (`before`):
    (the outcome, what a listener is to be told)."""
    from logstats.archive.add import ingest
    from logstats.scale.work import Recorder

    if before is not None:
        before.assume(archive, sources[0])
    recorder = Recorder()
    how = _ingest(options, source_name, duplicates=duplicates, final=final)
    added = ingest(archive, sources, how, recorder, Interrupt())
    return added, recorder.events


def add_following(
    sources: str | Path | Sequence[str | Path],
    archive: str | Path,
    options: Options | None = None,
    *,
    source_name: str | None = None,
    every: float = 60.0,
    health: str | Path | None = None,
    allow: Sequence[str] = (),
    alerts: Sequence[str] = (),
    policy: str | Path | Policy | None = None,
    changed: Callable[[Change], None] = lambda _: None,
    listener: Listener | None = None,
    tell: Callable[[Added], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    **more: Any,
) -> Daemon:
    """A daemon that adds what comes every so many seconds: call its `run`. Sources are files, globs, folders, `-`
    (which is also what no sources mean) and `syslog://HOST:PORT`, at which the networks in `allow` are listened to.

    `tell` gets the outcome of each commit, `say` what a user should know. `health` is a file that says how things
    stand. `alerts` and `policy` are those of `watch`: after each commit they are held against what was added, and
    `changed` gets what fires and what is resolved. Raises what `add` raises, and for alerts what `watch` does.
    """
    from logstats.archive.archive import Archive
    from logstats.archive.follow import Daemon
    from logstats.inputs import Following, files_of, streams

    options = options_from(options, more)
    names = options.sources(sources)
    files = files_of(names)
    how = _ingest(options, source_name)
    if how.anonymizer is not None and len(files) < max(len(names), 1):
        raise UsageError(
            "what arrives by a pipe or a port lies on disk as it came until it is committed; --anonymize takes files",
            "follow a file with --anonymize; or add the stream without it, to an archive that may hold persons",
        )
    watched = alerts_of(alerts, policy, options)
    Archive.open(archive)
    arriving = streams(names, Following(allow=allow, say=say))
    daemon = Daemon(
        archive,
        files,
        how,
        listener or Silence(),
        every=every,
        health=Path(health) if health else None,
        tell=tell,
        say=say,
    )
    daemon.take_in(arriving)
    for note in watched.notes:
        say(note)
    if watched:
        _hold_against(daemon, watched, [*names, f"={source_name}"], changed, fleeting=bool(arriving))
    return daemon


def _hold_against(
    daemon: Daemon, alerts: Alerts, sources: Sequence[str], changed: Callable[[Change], None], *, fleeting: bool
) -> None:
    """Hold alerts against what a daemon adds, after each commit."""
    from logstats.live.archived_alerts import ArchivedAlerts

    def wall() -> float:
        return daemon.wall()

    held = ArchivedAlerts(alerts, daemon.archive, sources, changed, daemon.say, wall, fleeting=fleeting)
    tell = daemon.tell

    def told(added: Added) -> None:
        held.committed(added)
        tell(added)

    daemon.tell, daemon.settled, daemon.starting, daemon.standing = told, held.settled, held.take_up, held.standing


def _ingest(
    options: Options, source_name: str | None, *, duplicates: bool = False, final: bool = False
) -> IngestOptions:
    """How lines are added to an archive. Raises UsageError."""
    from logstats.archive.ingest.ingest import IngestOptions

    if options.filters() != Filters():
        raise UsageError("an archive takes no filters", "what is not stored could never be found again")
    anonymizer = options.anonymizer()
    if anonymizer is not None and options.anonymize_key is None:
        raise UsageError(
            "an archive is added to again and again: pseudonyms have to be the same each time",
            "--anonymize-key FILE holds the key; head -c 32 /dev/urandom > FILE makes one",
        )
    for name in ("verify_bots", "geo"):
        if getattr(options, name):
            raise UsageError(
                f"--{name.replace('_', '-')}: an archive keeps addresses and agents, and is asked what they mean later",
                "it is an option of `logstats report --archive`",
            )
    return IngestOptions(
        anonymizer=anonymizer,
        columns=options.columns(),
        reading=options.reading(frozenset(schema.COLUMNS)),
        format=options.chosen_format(),
        formats_dir=Path(options.formats_dir) if options.formats_dir else None,
        source_name=source_name,
        duplicates=duplicates,
        final=final,
    )
