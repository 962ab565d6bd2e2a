"""The library: `report` for statistics, `read` for rows. Nothing is printed; the command line is thin over these."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import polars as pl

from logstats import schema
from logstats.errors import ExpressionError, LogstatsError, UsageError
from logstats.expressions.times import parse_range
from logstats.filters import Filters
from logstats.inputs import Source, discover
from logstats.options import Options, job_of
from logstats.pipeline import Counts, Interrupt, Job, LineWork, Listener, Silence, run
from logstats.reports.build import build
from logstats.reports.model import Report
from logstats.scale.results import results
from logstats.scale.work import IndicatorWork, ReportWork, RowsWork, Work
from logstats.sketches import loghist
from logstats.summaries.names import BREAKDOWNS, SORTS, USER_KEYS
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, needs
from logstats.summaries.traffic import EPOCH

if TYPE_CHECKING:
    from logstats.archive.ingest.progress import Added
    from logstats.clients.scan import Scan
    from logstats.clients.story import Story
    from logstats.clients.summary import Summary
    from logstats.clients.visits import Left
    from logstats.errors import SourceError
    from logstats.inputs import Begin
    from logstats.live.session import Session
    from logstats.live.watching import Watching
    from logstats.objectives.conditions import Condition
    from logstats.objectives.diff import Comparison
    from logstats.objectives.policy import Policy
    from logstats.objectives.slo import Outcome
    from logstats.search.find import Findings
    from logstats.search.pattern import Pattern
    from logstats.summaries.spec import Selection

# What only some calls need (archives, objectives) is imported by those: every report starts with this module.

Result = TypeVar("Result")
PERCENTILES = ("50", "90", "95", "99", "99.9")


def report(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    rows: bool = False,
    by: Sequence[str] = (),
    user_key: str = "auto",
    exact_users: bool = False,
    max_endpoints: int = 10_000,
    over_time: bool = False,
    percentiles: Sequence[str | int | float] = PERCENTILES,
    sort: str = "avg",
    top: int | None = None,
    fail_if: Sequence[str] = (),
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    rejects: Callable[[list[bytes]], None] | None = None,
    progress: Callable[[float], None] | None = None,
    summary: BinaryIO | None = None,
    **more: Any,
) -> Report:
    """Statistics of logs.

    `sources` are files, globs, folders (their files, oldest first) or `-` for standard input. Further keyword
    arguments are the fields of `Options`. `by` names columns to rank as endpoints are (`client_ip`, `host`,
    `user_agent`, `referer`, `status`, `method`, `app_name`, `user_id`); `over_time` fills `report.over_time` with
    latency and users by interval. `fail_if` are conditions such as `GET /api/bugs*: p95 > 200ms`; `report.thresholds`
    says what became of each. A source that cannot be read is in
    `report.sources` with its problem; the others are still counted.

    Instead of `sources`, an `archive`: whole hours come from its rollups if they tell apart what is asked for (no
    filters but `since` and `until`, no `by`), the rest, or with `rows` all, from its rows. `report.notes` says which.

    With a `summary`, what the report is made of is also written there, as one Parquet file that `merge` reads; nothing
    is written if reading was interrupted.

    Counts, sums, minima, maxima and averages are exact; percentiles are within 1 % of the nearest rank; unique
    users have a standard error of 0.81 % unless `exact_users`.

    Raises UsageError for options that mean nothing, FormatError for a format that cannot be read, ExpressionError for a
    condition, and archive.query.rows.Gone if an archive no longer has the rows, or columns of them, that are needed.
    """
    options = _options(options, more)
    asked = _asked(
        by=by,
        user_key=user_key,
        exact_users=exact_users,
        max_endpoints=max_endpoints,
        over_time=over_time or summary is not None,
        percentiles=percentiles,
        sort=sort,
        top=top,
        fail_if=fail_if,
        times=options.times(),
    )
    wanted, filters = asked.wanted, options.filters()
    notes: list[str] = []
    if archive is not None:
        _check_archive_options(sources, options)
        if summary is not None:
            raise UsageError("an archive is asked itself: a summary is made of logs", "leave --archive out")
        from logstats.archive.archive import Archive
        from logstats.archive.query import report as archived

        opened = Archive.open(archive)
        statistics, counts, note = archived.collect(
            opened, opened.snapshot(), wanted, filters, rows=rows, interrupt=interrupt, progress=progress
        )
        notes.append(note)
    elif summary is not None:
        statistics, counts = _summarised(sources, options, wanted, summary, listener, interrupt, rejects)
    else:
        statistics, counts = Statistics(wanted), Counts()
        for found in _results(sources, options, ReportWork(wanted), counts, listener, interrupt, rejects):
            statistics.add(found)
        statistics.merge()
    return _built(asked, statistics, counts, filters.describe(), [*_said(options), *notes], options)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a report is asked for, checked."""

    wanted: ReportSpec
    conditions: list[Condition]
    percentiles: tuple[str, ...]
    sort: str
    top: int | None


def _asked(
    *,
    by: Sequence[str],
    user_key: str,
    exact_users: bool,
    max_endpoints: int,
    over_time: bool,
    percentiles: Sequence[str | int | float],
    sort: str,
    top: int | None,
    fail_if: Sequence[str],
    times: Callable[[str], datetime],
) -> _Asked:
    """Raises UsageError and ExpressionError."""
    conditions = [_condition(text, times) for text in fail_if]
    texts = tuple(dict.fromkeys(str(p) for p in percentiles))
    for text in texts:
        try:
            loghist.parse_percentile(text)
        except ValueError as error:
            raise UsageError(str(error), "percentiles are numbers above 0 up to 100: 50,95,99.9") from None
    _check_choices(by, user_key, sort, max_endpoints)
    selected: tuple[Selection, ...] = ()
    if conditions:
        from logstats.objectives import thresholds

        selected = thresholds.selections(conditions)
    wanted = ReportSpec(tuple(dict.fromkeys(by)), user_key, exact_users, max_endpoints, over_time, selected)
    return _Asked(wanted, conditions, texts, sort, top)


def _built(
    asked: _Asked,
    statistics: Statistics,
    counts: Counts,
    filters: dict[str, str],
    notes: Sequence[str],
    options: Options,
) -> Report:
    """The report of what was read, its conditions judged."""
    made = build(
        statistics,
        counts,
        percentiles=asked.percentiles,
        sort=asked.sort,
        top=asked.top,
        filters=filters,
        generated_at=options.now,
    )
    if asked.conditions:
        from logstats.objectives import thresholds

        made = thresholds.judged(made, asked.conditions, statistics)
    return replace(made, notes=[*made.notes, *counts.notes, *notes], zone=options.zone())


def _said(options: Options) -> list[str]:
    """Notes about how lines are read that a format of the user's has."""
    said = [text for one in options.chosen_format() or () for text in one.format.notes] if options.log_format else []
    anonymizer = options.anonymizer()
    return [*said, anonymizer.note] if anonymizer is not None else said


def _summarised(
    sources: Any,
    options: Options,
    wanted: ReportSpec,
    file: BinaryIO,
    listener: Listener | None,
    interrupt: Interrupt | None,
    rejects: Callable[[list[bytes]], None] | None,
) -> tuple[Statistics, Counts]:
    """Read logs, and write a summary file of them as well, unless they were interrupted."""
    from logstats.scale.description import Description, Making
    from logstats.scale.summarise import Summariser

    described = options.filters().describe()
    span: dict[str, str] = {name: described.pop(name) for name in ("since", "until") if name in described}
    routes = tuple(options.all_routes())
    anonymizer = options.anonymizer()
    making = Making(
        user_key=wanted.user_key,
        exact_users=wanted.exact_users,
        trust_forwarded=options.trust_forwarded,
        templates=options.templates,
        routes=routes,
        anonymize=anonymizer.name if anonymizer is not None else "",
        filters=described,
    )
    counts = Counts()
    with Summariser(wanted, file) as made:
        for found in _results(sources, options, made.work, counts, listener, interrupt, rejects):
            made.add(found)
        made.finish(
            Description(
                making,
                counts,
                wanted.by,
                {one.name: one.users for one in wanted.selections},
                span,
                said=tuple(_said(options)),
            )
        )
    return made.statistics, counts


def merge(
    summaries: str | Path | Sequence[str | Path],
    options: Options | None = None,
    *,
    by: Sequence[str] = (),
    max_endpoints: int = 10_000,
    over_time: bool = False,
    percentiles: Sequence[str | int | float] = PERCENTILES,
    sort: str = "avg",
    top: int | None = None,
    fail_if: Sequence[str] = (),
    summary: BinaryIO | None = None,
    progress: Callable[[float], None] | None = None,
    **more: Any,
) -> Report:
    """The report over all lines that summary files were made of, in their order; with `summary`, also one such file.

    `summaries` are files that `report(..., summary=FILE)` wrote, globs or folders. Of the options, `tz`, `since` and
    `until` mean something (whole minutes). `by` are breakdowns that all of them hold, conditions about some requests
    those of a selector that they were made with. Percentiles, `sort`, `top` and `max_endpoints` are as in `report`.

    Raises SummaryError for a file that is no summary or is damaged, UsageError for one that was made with other options
    (how users are told apart, routes, filters), or that does not hold what is asked for.
    """
    from logstats.scale import merge as merging

    options = _options(options, more)
    _refuse_reading(options)
    filters = options.filters()
    merging.whole_minutes(filters)
    files = merging.files_of([summaries] if isinstance(summaries, str | Path) else summaries)
    making = merging.description_of(*files[0]).making
    asked = _asked(
        by=by,
        user_key=making.user_key,
        exact_users=making.exact_users,
        max_endpoints=max_endpoints,
        over_time=over_time or summary is not None,
        percentiles=percentiles,
        sort=sort,
        top=top,
        fail_if=fail_if,
        times=options.times(),
    )
    if summary is None:
        statistics, merged = merging.collect(files, asked.wanted, filters, progress=progress)
    else:
        statistics, merged = merging.merge_to_file(files, asked.wanted, filters, summary, progress=progress)
    return _built(asked, statistics, merged.counts, merged.filters, [*merged.said, *merged.notes], options)


def _check_archive_options(sources: Any, options: Options) -> None:
    """Refuse sources, and options that only apply when lines are added to an archive. Raises UsageError."""
    if sources:
        raise UsageError("sources and an archive exclude each other", "give one of the two")
    if options.workers > 1:
        raise UsageError("--workers read logs, and an archive has been read", "leave the option out")
    plain = Options()
    for name in (
        "format",
        "log_format",
        "allow_unknown",
        "formats_dir",
        "app",
        "trust_forwarded",
        "anonymize",
        "anonymize_key",
        "secret",
        "anonymize",
        "anonymize_key",
        "secret",
        "unit",
        "routes",
        "openapi",
        "templates",
        "cluster",
    ):
        if getattr(options, name) != getattr(plain, name):
            said = {"openapi": "routes", "routes": "route", "templates": "no-templates"}.get(name, name)
            raise UsageError(
                f"--{said.replace('_', '-')} says how lines are read, and those of an archive have been",
                "it is an option of `logstats archive add`",
            )


def watch(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    watching: Watching | None = None,
    *,
    user_key: str = "auto",
    exact_users: bool = False,
    max_endpoints: int = 10_000,
    listener: Listener | None = None,
    say: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    **more: Any,
) -> Session:
    """Watch logs as they are written: call `step` and `snapshot` again and again, and `report` at the end.

    `sources` are files, globs and folders, which are followed over rotation, `syslog://HOST:PORT`, or `-`. `watching`
    says what is asked of the session, further keyword arguments are the fields of `Options`. `say` is told what
    happens to sources.

    Raises what `report` raises, and SourceError for a port that cannot be had.
    """
    from logstats.inputs import Following, follow
    from logstats.live import begin
    from logstats.live.session import COLUMNS, Session, work
    from logstats.live.watching import Watching

    options, watching = _options(options, more), watching or Watching()
    _check_choices((), user_key, watching.sort, max_endpoints)
    names = [str(name) for name in ([sources] if isinstance(sources, str | Path) else sources)]
    wanted = ReportSpec((), user_key, exact_users, max_endpoints)
    start: Begin | None = None
    if watching.lines is not None:
        start = begin.last_lines(watching.lines)
    elif not watching.from_start:
        looked = replace(job_of(options, frozenset({"timestamp"}), begin.times_only, False), filters=Filters())
        files = [name for name in names if name != "-" and "://" not in name]
        modified = [one.modified for one in (discover(files)[0] if files else ()) if one.modified is not None]
        start = begin.LastWindow(watching.window, looked, max(modified, default=None))
    how = Following(begin=start, partial_timeout=watching.partial_timeout, allow=watching.allow, say=say, clock=clock)
    job = job_of(options, needs(wanted) | COLUMNS, work(wanted), keep_rejected=True)
    return Session(follow(names, how), job, wanted, watching, listener or Silence(), clock=clock, wall=wall)


def slo(
    sources: str | Path | Sequence[str | Path],
    policy: str | Path | Policy,
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    rejects: Callable[[list[bytes]], None] | None = None,
    progress: Callable[[float], None] | None = None,
    **more: Any,
) -> Outcome:
    """Objectives held against logs; `policy` is a TOML file, or the result of `objectives.policy.parse`.

    Further keyword arguments are the fields of `Options`. The windows end with the minute of the last request, or at
    `until`. Everything is counted exactly; only shares of fast requests of an `archive` whose rows are gone come from
    the buckets of its rollups, with their bounds. Of an archive, the windows end with its last line.

    Raises ObjectiveError, and what `report` raises.
    """
    from logstats.objectives import slo as objectives
    from logstats.objectives.policy import Policy
    from logstats.objectives.policy import load as load_policy
    from logstats.summaries import indicators

    options = _options(options, more)
    policy = policy if isinstance(policy, Policy) else load_policy(policy, options.times())
    wanted = objectives.indicators(policy)
    filters = options.filters()
    described, notes = filters.describe(), list[str]()
    summaries = _summaries(sources) if archive is None and rejects is None else []
    if summaries:
        _refuse_reading(options)
        from logstats.objectives import summarised

        held, merged, notes = summarised.collect(summaries, policy, filters, progress)
        counts, described = merged.counts, merged.filters
        _say_problems(counts, listener)
    elif archive is not None:
        _check_archive_options(sources, options)
        from logstats.archive.archive import Archive
        from logstats.archive.query import objectives as archived_objectives

        opened = Archive.open(archive)
        held, counts, notes = archived_objectives.collect(
            opened, opened.snapshot(), wanted, filters, policy.window // 60, interrupt=interrupt, progress=progress
        )
    else:
        # The last minute before --until, which may be in the middle of it.
        end = (filters.until - EPOCH - timedelta(microseconds=1)) // timedelta(minutes=1) if filters.until else None
        held = indicators.Indicators(policy.window // 60, end)
        counts = Counts()
        for found in _results(sources, options, IndicatorWork(wanted), counts, listener, interrupt, rejects):
            held.add(found)
    return objectives.evaluate(
        policy,
        held.table(),
        held.last,
        generated_at=options.now or datetime.now(UTC),
        lines=counts.lines,
        rejected=counts.rejected,
        nothing_parsed=bool(counts.rejected) and not counts.read,
        filters=described,
        notes=notes,
        interrupted=counts.interrupted,
    )


def _summaries(sources: Any) -> list[tuple[str, Path]]:
    """The summary files that are named instead of logs, if it is them: (name, path)."""
    from logstats.scale.merge import summaries_among

    return summaries_among([sources] if isinstance(sources, str | Path) else sources)


def _filters_of(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in Filters.__dataclass_fields__}


def _refuse_reading(options: Options) -> None:
    """Refuse options about how lines are read. Raises UsageError."""
    plain = Options(tz=options.tz, now=options.now, workers=options.workers, cluster=options.cluster)
    if options != replace(plain, **_filters_of(options)):
        raise UsageError("how the lines of summaries are read is decided", "leave options such as --format out")


def _say_problems(counts: Counts, listener: Listener | None) -> None:
    for state in counts.sources:
        if state.problem is not None and listener is not None:
            listener.problem(state.problem)


def diff(
    before: str | Path | Report,
    after: str | Path | Report,
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    max_endpoints: int = 10_000,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    progress: Callable[[float], None] | None = None,
    **more: Any,
) -> Comparison:
    """What changed between two logs: files, globs or folders, summary files, saved JSON reports, or reports.

    With an `archive`, both are stretches of its time: `yesterday`, `2025-01-17`, `2h`, `2025-01-17T10..2025-01-17T12`.
    Further keyword arguments are the fields of `Options`; they say how logs are read. Raises UsageError for a saved
    report that cannot be read, or if both are saved and there are options; LogstatsError if a side cannot be read.
    """
    from logstats.objectives import diff as comparison
    from logstats.reports.load import saved_report

    options = _options(options, more)
    loaded = [one if isinstance(one, Report) else None if archive else saved_report(one) for one in (before, after)]
    files = [None if made or archive else _summaries(one) for one, made in zip((before, after), loaded, strict=True)]
    if all(one or two for one, two in zip(loaded, files, strict=True)) and not all(loaded):
        _refuse_reading(options)
    if all(loaded) and replace(options, now=None, workers=1, cluster=None) != Options():
        raise UsageError("both sides are saved reports, so how lines are read is decided", "leave these options out")
    if archive is not None and (options.since or options.until):
        raise UsageError("both sides are stretches of time already", "leave --since and --until out")
    now = options.now or datetime.now(UTC)
    sides = []
    for given, saved, summaries in zip((before, after), loaded, files, strict=True):
        name = "a report" if isinstance(given, Report) else str(given)
        made = saved
        if summaries:
            of_minutes = replace(Options(tz=options.tz, now=now), **_filters_of(options))
            made = merge(
                [path for _, path in summaries],
                of_minutes,
                max_endpoints=max_endpoints,
                percentiles=("50",),
                sort="requests",
                progress=progress,
            )
        if made is None:
            sources: list[str | Path] = [] if isinstance(given, Report) or archive is not None else [given]
            read_as = options
            if archive is not None:
                since, until = parse_range(name, options.zone(), now)
                read_as = replace(options, since=since, until=until)
            made = report(
                sources,
                read_as,
                archive=archive,
                max_endpoints=max_endpoints,
                percentiles=("50",),
                sort="requests",
                listener=listener,
                interrupt=interrupt,
                progress=progress,
            )
            if made.sources and not archive and all(source.problem for source in made.sources):
                raise LogstatsError(f"{name}: nothing to compare", "a log, a folder of logs, or a saved JSON report")
        sides.append(comparison.side(made, name))
    return comparison.compare(*sides)


def read(
    sources: str | Path | Sequence[str | Path],
    options: Options | None = None,
    *,
    columns: Sequence[str] = schema.COLUMNS,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    rejects: Callable[[list[bytes]], None] | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Iterator[pl.DataFrame]:
    """Logs as rows of the request schema, a data frame per chunk, in the order of the lines.

    The frames have `columns` (by default all of the schema; naming fewer is faster), then `source` and `line` (from 1).
    Lines that cannot be read are counted in `counts`. Raises UsageError and FormatError like `report`, and
    SourceError for a source that cannot be read when there is no listener to tell.
    """
    options = _options(options, more)
    unknown = [column for column in columns if column not in schema.COLUMNS]
    if unknown:
        raise UsageError(f"no column is called {unknown[0]!r}", f"the columns are {', '.join(schema.COLUMNS)}")

    held = counts if counts is not None else Counts()
    work = RowsWork(tuple(columns))
    job_of(options, work.needs, work.work, rejects is not None)  # raises before the first row is asked for
    found = _results(sources, options, work, held, listener or _Strict(), interrupt, rejects)
    return (frame for frame in found if frame.height)


def search(
    pattern: str | Pattern | None,
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    rows: bool = False,
    context: int = 0,
    shown: bool = True,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    findings: Findings | None = None,
    **more: Any,
) -> Iterator[pl.DataFrame]:
    """Lines that hold a text (or a `search.pattern.Pattern`), in order of time; None: all that pass the filters.

    Frames have `time` (that of the line before for a line without one), `source`, `line` (from 1) and `raw` (the line's
    bytes; null for a row of an archive); with `rows`, and of an archive, also the columns of the request schema, null
    for a line that is no row. Of logs `found` is false for the `context` lines before and after.
    Without `shown` there are no frames, and only `findings.count` is made. Standard input alone comes as it arrives.

    Raises UsageError for a regular expression that is none, and what `read` raises.
    """
    from logstats.search import find
    from logstats.search.chunks import Searcher
    from logstats.search.pattern import Pattern

    options = _options(options, more)
    wanted = Pattern(pattern) if isinstance(pattern, str) else pattern
    filters = options.filters()
    findings = findings if findings is not None else find.Findings()
    if archive is not None:
        _check_archive_options(sources, options)
        from logstats.archive.archive import Archive

        yield from find.in_archive(Archive.open(archive), wanted, filters, findings, shown=shown)
        return
    names = [sources] if isinstance(sources, str | Path) else list(sources)
    columns = schema.COLUMNS if rows else ()
    if options.anonymize:
        raise UsageError("whole lines hold what is to be taken out", "logstats parse --anonymize gives rows without it")
    searcher = Searcher(wanted, filters.expression() is not None, columns, context, shown)
    work = LineWork(searcher.look, searcher.reads)
    job = job_of(options, frozenset({"timestamp", *columns}), work, False, counts)
    parts = _run(names, job, listener or _Strict(), interrupt, None)
    yield from find.in_logs(parts, searcher, findings, at_once=[*map(str, names)] in ([], ["-"]))


def session_rows(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    user_key: str = "auto",
    gap: timedelta = timedelta(minutes=30),
    left: Left | None = None,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Iterator[pl.DataFrame]:
    """The sessions of all clients: frames of `clients.visits.SESSIONS`, by client and start.

    A session is what a client (`user_key`) did without a pause of more than `gap`. Requests without a time or a client
    are counted in `left`. Raises UsageError, and what `read` raises.
    """
    from logstats.clients import visits

    options = _options(options, more)
    _check_choices((), user_key, "avg", 1)
    rows = _rows(sources, options, visits.needs(user_key), archive, listener, interrupt, counts)
    left = left if left is not None else visits.Left()
    yield pl.DataFrame(schema=visits.SESSIONS)
    yield from visits.sessions(rows, user_key, gap, left)


def sessions(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    gap: timedelta = timedelta(minutes=30),
    **more: Any,
) -> Summary:
    """Sessions in all: how many, how long, where they begin and end. Takes what `session_rows` takes."""
    from logstats.clients import summary, visits

    left = visits.Left()
    return summary.summarise(session_rows(sources, options, gap=gap, left=left, **more), gap, left)


def story(
    client: str,
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    user_key: str = "auto",
    gap: timedelta = timedelta(minutes=30),
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Story:
    """What one client did, session by session. Raises UsageError, and what `read` raises."""
    from logstats.clients import story as stories
    from logstats.clients import visits
    from logstats.summaries.users import user

    options = _options(options, more)
    _check_choices((), user_key, "avg", 1)
    needs = visits.needs(user_key) | {"query", "duration_ms"}
    rows = _rows(sources, options, needs, archive, listener, interrupt, counts)
    return stories.tell(rows, client, user(user_key), gap)


def scan(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    user_key: str = "client_ip",
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    **more: Any,
) -> Scan:
    """Clients that look automated, and those that probe for holes. Raises UsageError, and what `read` raises."""
    from logstats.clients import scan as scans

    options = _options(options, more)
    _check_choices((), user_key, "avg", 1)
    rows = _rows(sources, options, scans.needs(user_key), archive, listener, interrupt, counts)
    return scans.scan(rows, user_key)


def _rows(
    sources: Any,
    options: Options,
    needs: frozenset[str],
    archive: str | Path | None,
    listener: Listener | None,
    interrupt: Interrupt | None,
    counts: Counts | None,
) -> Iterator[pl.DataFrame]:
    """Rows of logs or of an archive that pass the filters, with the columns that are needed."""
    columns = sorted(needs)
    if archive is None:
        yield from read(sources, options, columns=columns, listener=listener, interrupt=interrupt, counts=counts)
        return
    _check_archive_options(sources, options)
    from logstats.archive.query import rows as archived_rows

    filters = options.filters()
    keep = filters.expression()
    for frame in archived_rows.rows(archive, *filters.span(), sorted(needs | filters.needs)):
        yield frame if keep is None else frame.filter(keep)


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
    unless `final`. A source that cannot be read has its problem in the outcome; the others are still added.

    Raises UsageError for options that mean nothing (filters among them), and ArchiveError if there is no archive.
    """
    from logstats.archive.add import add as add_to
    from logstats.archive.archive import Archive
    from logstats.archive.ingest.ingest import IngestOptions

    options = _options(options, more)
    if options.filters() != Filters():
        raise UsageError("an archive takes no filters", "what is not stored could never be found again")
    anonymizer = options.anonymizer()
    if anonymizer is not None and options.anonymize_key is None:
        raise UsageError(
            "an archive is added to again and again: pseudonyms have to be the same each time",
            "--anonymize-key FILE holds the key; head -c 32 /dev/urandom > FILE makes one",
        )
    how = IngestOptions(
        anonymizer=anonymizer,
        reading=options.reading(frozenset(schema.COLUMNS)),
        format=options.chosen_format(),
        formats_dir=Path(options.formats_dir) if options.formats_dir else None,
        source_name=source_name,
        duplicates=allow_duplicates,
        final=final,
    )
    opened = Archive.open(archive)
    listener = listener or Silence()
    names = [sources] if isinstance(sources, str | Path) else list(sources)
    found, problems = discover([str(name) for name in names])
    for problem in problems:
        listener.problem(problem)
    added = add_to(opened, found, how, listener, interrupt)
    added.failed(problems)
    return added


class _Strict(Silence):
    def problem(self, error: SourceError) -> None:
        raise error


def _options(options: Options | None, more: dict[str, Any]) -> Options:
    try:
        return replace(options or Options(), **more)
    except TypeError:
        unknown = next(name for name in more if name not in Options.__dataclass_fields__)
        raise UsageError(f"no option is called {unknown!r}", "see logstats.Options") from None


def _condition(text: str, times: Callable[[str], datetime]) -> Condition:
    from logstats.objectives.conditions import parse_condition

    condition = parse_condition(text, times)
    if condition.hold is not None:
        raise ExpressionError(
            text,
            text.rindex("for"),
            "`for` is for alerts, which watch; this looks at all of it at once",
            "leave it out",
        )
    return condition


def _check_choices(by: Sequence[str], user_key: str, sort: str, max_endpoints: int) -> None:
    for column in by:
        if column not in BREAKDOWNS:
            raise UsageError(f"cannot rank by {column!r}", f"choose among {', '.join(BREAKDOWNS)}")
    if user_key not in USER_KEYS:
        raise UsageError(f"no user key is called {user_key!r}", f"choose among {', '.join(USER_KEYS)}")
    if sort not in SORTS:
        raise UsageError(f"cannot sort by {sort!r}", f"choose among {', '.join(SORTS)}")
    if max_endpoints < 1:
        raise UsageError("--max-endpoints must be at least 1")


def _run(sources: Any, job: Job[Result], listener: Listener | None, interrupt: Any, rejects: Any) -> Iterator[Any]:
    listener = listener or Silence()
    yield from run(_found(sources, job.counts, listener), job, listener, interrupt=interrupt, rejects=rejects)


def _results(
    sources: Any,
    options: Options,
    work: Work,
    counts: Counts,
    listener: Listener | None,
    interrupt: Interrupt | None,
    rejects: Callable[[list[bytes]], None] | None,
) -> Iterator[Any]:
    listener = listener or Silence()
    found = _found(sources, counts, listener)
    yield from results(found, options, work, counts, listener, interrupt=interrupt, rejects=rejects)


def _found(sources: Any, counts: Counts, listener: Listener) -> list[Source]:
    names = [sources] if isinstance(sources, str | Path) else list(sources)
    found, problems = discover([str(name) for name in names])
    for problem in problems:
        counts.failed(problem)
        listener.problem(problem)
    return found
