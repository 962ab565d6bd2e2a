"""Reports in three steps: read (logs, an archive or summary files), merge, build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from logstats.api.arguments import check_choices, options_from, refuse_for_archive, refuse_for_summaries, several
from logstats.api.reading import results_of, say_if_outside
from logstats.dataclass import dataclass
from logstats.errors import ExpressionError, UsageError
from logstats.options import Options
from logstats.pipeline import Counts, Interrupt, Listener
from logstats.reports.build import build
from logstats.reports.model import Report
from logstats.scale.work import ReportWork
from logstats.sketches import loghist
from logstats.summaries.names import AGENTS, breakdown
from logstats.summaries.not_found import NAME as NOT_FOUND
from logstats.summaries.slowest import MOST as MOST_SLOWEST
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics

if TYPE_CHECKING:
    from logstats.objectives.conditions import Condition
    from logstats.summaries.spec import Selection

PERCENTILES: Final = ("50", "90", "95", "99", "99.9")
# The arguments of `report` that say which statistics are asked for, and how they are shown.
ASKED: Final = frozenset(
    {
        *("by", "user_key", "exact_users", "max_endpoints", "over_time", "agents", "percentiles", "sort", "top"),
        *("fail_if", "slowest", "not_found"),
    }
)


def report(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    archive: str | Path | None = None,
    rows: bool = False,
    by: str | Sequence[str] = (),
    user_key: str = "auto",
    exact_users: bool = False,
    max_endpoints: int = 10_000,
    over_time: bool = False,
    agents: bool = False,
    percentiles: Sequence[str | int | float] = PERCENTILES,
    sort: str = "avg",
    top: int | None = None,
    fail_if: str | Sequence[str] = (),
    slowest: int = 0,
    not_found: bool = False,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    rejects: Callable[[list[bytes]], None] | None = None,
    progress: Callable[[float], None] | None = None,
    summary: BinaryIO | None = None,
    **more: Any,
) -> Report:
    """Statistics of logs.

    `sources` are files, globs, folders (their files, oldest first) or `-` for standard input. Further keyword
    arguments are the fields of `Options`. `by` names columns to rank as endpoints are, of the schema or computed
    (`source`, `hour`, `weekday`, `query:NAME`, `ip/24`); `host,endpoint` is one ranking by both. `over_time` fills
    `report.over_time` with latency and users by interval; `agents` (or `verify_bots`) adds tables about people, bots
    and AI crawlers to `report.tables`, `slowest` the so many slowest single requests, `not_found` the
    paths answered with 404. `fail_if` are conditions such as
    `GET /api/bugs*: p95 > 200ms`, of which `report.thresholds` says what became. A source that cannot be read is in
    `report.sources` with its problem; the others are still counted.

    Instead of `sources`, an `archive`: whole hours come from its rollups if they tell apart what is asked for (no
    filters but `since` and `until`, no `by`), the rest, or with `rows` all, from its rows, in so many `workers` or on a
    `cluster` if these are given. `report.notes` says which.

    With a `summary`, what the report is made of is also written there, as one Parquet file that `merge` reads; nothing
    is written if reading was interrupted.

    Counts, sums, minima, maxima and averages are exact; percentiles are within 1 % of the nearest rank; unique
    users have a standard error of 0.81 % unless `exact_users`.

    Raises UsageError for options that mean nothing, FormatError for a format that cannot be read, ExpressionError for a
    condition, and archive.query.rows.Gone if an archive no longer has the rows, or columns of them, that are needed.
    """
    options = options_from(options, more)
    asked = question(
        by=[*several(by), *places_by(options, several(by))],
        user_key=user_key,
        exact_users=exact_users,
        max_endpoints=max_endpoints,
        over_time=over_time or summary is not None,
        agents=agents,
        verify_bots=bool(options.verify_bots),
        percentiles=percentiles,
        sort=sort,
        top=top,
        fail_if=fail_if,
        slowest=slowest,
        not_found=not_found,
        times=options.times(),
        upstream=archive is None or rows,
    )
    spec, filters = asked.spec, options.filters()
    notes: list[str] = []
    if archive is not None:
        refuse_for_archive(sources, options, workers=True, anonymize=True)
        if summary is not None:
            raise UsageError("an archive is asked itself: a summary is made of logs", "leave --archive out")
        from logstats.archive.archive import Archive
        from logstats.archive.query import report as archived
        from logstats.scale.executors import started
        from logstats.scale.results import at_this_moment

        opened = Archive.open(archive)
        snapshot = opened.snapshot()
        given = at_this_moment(options)
        filters = given.filters()
        with started(options.workers, options.cluster) as executor:
            statistics, counts, note = archived.collect(
                opened,
                snapshot,
                spec,
                filters,
                given,
                rows=rows,
                interrupt=interrupt,
                progress=progress,
                apart=executor,
            )
        if (span := snapshot.span()) is not None:
            say_if_outside(options, span, notes, listener)
        notes.append(note)
    elif summary is not None:
        statistics, counts = read_to_summary(sources, options, spec, summary, listener, interrupt, rejects)
    else:
        statistics, counts = _read_logs(sources, options, spec, listener, interrupt, rejects)
    return build_report(asked, statistics, counts, filters.describe(), [*format_notes(options), *notes], options)


def merge(
    summaries: str | Path | Sequence[str | Path],
    options: Options | None = None,
    *,
    by: str | Sequence[str] = (),
    max_endpoints: int = 10_000,
    over_time: bool = False,
    agents: bool = False,
    percentiles: Sequence[str | int | float] = PERCENTILES,
    sort: str = "avg",
    top: int | None = None,
    fail_if: str | Sequence[str] = (),
    slowest: int = 0,
    not_found: bool = False,
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

    options = options_from(options, more)
    refuse_for_summaries(options)
    filters = options.filters()
    merging.whole_minutes(filters)
    files = merging.files_of([summaries] if isinstance(summaries, str | Path) else summaries)
    about = merging.description_of(*files[0])
    making = about.making
    if summary is not None and not slowest:
        slowest = min(merging.description_of(*file).slowest for file in files)
    asked = question(
        by=by,
        user_key=making.user_key,
        exact_users=making.exact_users,
        max_endpoints=max_endpoints,
        over_time=over_time or summary is not None,
        agents=agents or (summary is not None and set(AGENTS) <= set(about.others)),
        percentiles=percentiles,
        sort=sort,
        top=top,
        fail_if=fail_if,
        slowest=slowest,
        not_found=not_found or (summary is not None and NOT_FOUND in about.others),
        times=options.times(),
    )
    if summary is None:
        statistics, merged = merging.collect(files, asked.spec, filters, progress=progress)
    else:
        statistics, merged = merging.merge_to_file(files, asked.spec, filters, summary, progress=progress)
    if making.zone not in ("", options.zone()):
        merged.notes.append(f"hours and weekdays are on the clock of {making.zone}, with which the summaries were made")
    if merged.counts.span is not None:
        say_if_outside(options, merged.counts.span, merged.counts.notes, None)
    return build_report(asked, statistics, merged.counts, merged.filters, [*merged.said, *merged.notes], options)


def places_by(options: Options, by: Sequence[str]) -> list[str]:
    """The rankings that `geo` adds where no column of places is asked for: those that its databases know of."""
    from logstats.enrich import places

    named = {name for one in by for name in one.split(",")} | options.filters().needs
    if not options.geo or named & set(places.COLUMNS):
        return []
    known = options.columns().known_places()
    if not known:
        raise UsageError(f"--geo: nothing in these files says where an address is: {', '.join(map(str, options.geo))}")
    return [name for name in ("country", "city", "as_name") if name in known] or known


def _read_logs(
    sources: Any,
    options: Options,
    spec: ReportSpec,
    listener: Listener | None,
    interrupt: Interrupt | None,
    rejects: Callable[[list[bytes]], None] | None,
) -> tuple[Statistics, Counts]:
    """Read logs, and merge the summaries of their chunks in order."""
    statistics, counts = Statistics(spec), Counts()
    with ThreadPoolExecutor(1, "logstats-merge") as aside:  # meanwhile the next chunks are read
        added: Future[None] | None = None
        for summaries in results_of(sources, options, ReportWork(spec), counts, listener, interrupt, rejects):
            if added is not None:
                added.result()
            added = aside.submit(statistics.add, summaries)
        if added is not None:
            added.result()
    return statistics, counts


@dataclass(frozen=True, slots=True)
class Question:
    """The checked arguments of a report: its statistics, its conditions, and how it is built."""

    spec: ReportSpec
    conditions: list[Condition]
    percentiles: tuple[str, ...]
    sort: str
    top: int | None


def question(
    *,
    times: Callable[[str], datetime],
    verify_bots: bool = False,
    by: str | Sequence[str] = (),
    user_key: str = "auto",
    exact_users: bool = False,
    max_endpoints: int = 10_000,
    over_time: bool = False,
    agents: bool = False,
    percentiles: Sequence[str | int | float] = PERCENTILES,
    sort: str = "avg",
    top: int | None = None,
    fail_if: str | Sequence[str] = (),
    slowest: int = 0,
    not_found: bool = False,
    upstream: bool = True,
) -> Question:
    """Check the arguments. Raises UsageError and ExpressionError."""
    conditions = [_condition(text, times) for text in several(fail_if)]
    texts = tuple(dict.fromkeys(str(p) for p in percentiles))
    for text in texts:
        try:
            loghist.parse_percentile(text)
        except ValueError as error:
            raise UsageError(str(error), "percentiles are numbers above 0 up to 100: 50,95,99.9") from None
    rankings = tuple(dict.fromkeys(",".join(breakdown(one)) for one in several(by)))
    check_choices(user_key, sort, max_endpoints)
    if not 0 <= slowest <= MOST_SLOWEST:
        raise UsageError(f"--slowest {slowest}: at most {MOST_SLOWEST:,} requests are held")
    selected: tuple[Selection, ...] = ()
    if conditions:
        from logstats.objectives import thresholds

        selected = thresholds.selections(conditions)
    spec = ReportSpec(
        rankings,
        user_key,
        exact_users,
        max_endpoints,
        over_time,
        selected,
        agents or verify_bots,
        verify_bots,
        slowest,
        not_found,
        upstream,
    )
    return Question(spec, conditions, texts, sort, top)


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


def read_to_summary(
    sources: Any,
    options: Options,
    spec: ReportSpec,
    file: BinaryIO,
    listener: Listener | None,
    interrupt: Interrupt | None,
    rejects: Callable[[list[bytes]], None] | None,
) -> tuple[Statistics, Counts]:
    """Read logs, and also write a summary file of them, unless interrupted."""
    from logstats.enrich import places
    from logstats.scale import tables
    from logstats.scale.description import Description, Making
    from logstats.scale.summarise import Summariser

    described = options.filters().describe()
    span: dict[str, str] = {name: described.pop(name) for name in ("since", "until") if name in described}
    routes = tuple(options.all_routes())
    anonymizer = options.anonymizer()
    local = {"hour", "weekday"} & (tables.needs(spec) | options.filters().needs)
    making = Making(
        user_key=spec.user_key,
        exact_users=spec.exact_users,
        trust_forwarded=options.trust_forwarded,
        templates=options.templates,
        routes=routes,
        query=tuple(options.query),
        anonymize=anonymizer.name if anonymizer is not None else "",
        zone=options.zone() if local else "",
        verify_bots=tuple(sorted(_without_folder(str(file)) for file in options.verify_bots)),
        geo=tuple(Path(file).name for file in places.files_of(list(map(str, options.geo)))),
        filters=described,
    )
    counts = Counts()
    with Summariser(spec, file) as made:
        for found in results_of(sources, options, made.work, counts, listener, interrupt, rejects):
            made.add(found)
        made.finish(
            Description(
                making,
                counts,
                spec.by,
                {one.name: one.users for one in spec.selections},
                spec.slowest,
                span,
                said=tuple(format_notes(options)),
            )
        )
    return made.statistics, counts


def _without_folder(file: str) -> str:
    """A file of `verify_bots`, which may be in another folder on each host, with the name of its bot if that is
    given."""
    name, equal, path = file.partition("=")
    return f"{name}={Path(path).name}" if equal and "/" not in name else Path(file).name


def build_report(
    asked: Question,
    statistics: Statistics,
    counts: Counts,
    filters: dict[str, str],
    notes: Sequence[str],
    options: Options,
) -> Report:
    """Build the report of merged statistics, and evaluate its conditions."""
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


def format_notes(options: Options) -> list[str]:
    """The notes of the format that the user gave by `log_format`."""
    said = [text for one in options.chosen_format() or () for text in one.format.notes] if options.log_format else []
    anonymizer = options.anonymizer()
    return [*said, anonymizer.note] if anonymizer is not None else said
