"""Objectives held against logs, and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats.api.arguments import filters_of, options_from, refuse_for_archive, refuse_for_summaries
from logstats.api.reading import results_of, say_if_outside
from logstats.api.reporting import merge, report
from logstats.errors import LogstatsError, UsageError
from logstats.expressions.times import parse_range
from logstats.options import Options, refuse_unasked
from logstats.pipeline import Counts, Interrupt, Listener
from logstats.reports.model import Report
from logstats.scale.work import IndicatorWork
from logstats.summaries.traffic import EPOCH

if TYPE_CHECKING:
    from logstats.objectives.diff import Comparison
    from logstats.objectives.policy import Policy
    from logstats.objectives.slo import Outcome


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

    options = options_from(options, more)
    policy = policy if isinstance(policy, Policy) else load_policy(policy, options.times())
    wanted = objectives.indicators(policy)
    filters = options.filters()
    described, notes = filters.describe(), list[str]()
    summaries = _summaries(sources) if archive is None and rejects is None else []
    if summaries:
        refuse_for_summaries(options)
        from logstats.objectives import summarised

        held, merged, notes = summarised.collect(summaries, policy, filters, progress)
        counts, described = merged.counts, merged.filters
        _say_problems(counts, listener)
    elif archive is not None:
        refuse_for_archive(sources, options)
        refuse_unasked(options, indicators.needs(wanted) | filters.needs)
        from logstats.archive.archive import Archive
        from logstats.archive.query import objectives as archived_objectives

        opened = Archive.open(archive)
        snapshot = opened.snapshot()
        held, counts, notes = archived_objectives.collect(
            opened,
            snapshot,
            wanted,
            filters,
            policy.window // 60,
            computed=options.columns(),
            interrupt=interrupt,
            progress=progress,
        )
        if (span := snapshot.span()) is not None:
            say_if_outside(options, span, notes, listener)
    else:
        # The last minute before --until, which may be in the middle of it.
        end = (filters.until - EPOCH - timedelta(microseconds=1)) // timedelta(minutes=1) if filters.until else None
        held = indicators.Indicators(policy.window // 60, end)
        counts = Counts()
        for found in results_of(sources, options, IndicatorWork(wanted), counts, listener, interrupt, rejects):
            held.add(found)
        notes += counts.notes
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

    options = options_from(options, more)
    loaded = [one if isinstance(one, Report) else None if archive else saved_report(one) for one in (before, after)]
    files = [None if made or archive else _summaries(one) for one, made in zip((before, after), loaded, strict=True)]
    if all(one or two for one, two in zip(loaded, files, strict=True)) and not all(loaded):
        refuse_for_summaries(options)
    if all(loaded) and replace(options, now=None, workers=1, cluster=None) != Options():
        raise UsageError("both sides are saved reports, so how lines are read is decided", "leave these options out")
    if archive is not None and (options.since or options.until):
        raise UsageError("both sides are stretches of time already", "leave --since and --until out")
    refuse_unasked(options, options.filters().needs)
    now = options.now or datetime.now(UTC)
    sides = []
    for given, saved, summaries in zip((before, after), loaded, files, strict=True):
        name = "a report" if isinstance(given, Report) else str(given)
        made = saved
        if summaries:
            of_minutes = replace(Options(tz=options.tz, now=now), **filters_of(options))
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


def _summaries(sources: Any) -> list[tuple[str, Path]]:
    """The summary files that are named instead of logs, if it is them: (name, path)."""
    from logstats.scale.merge import summaries_among

    return summaries_among([sources] if isinstance(sources, str | Path) else sources)


def _say_problems(counts: Counts, listener: Listener | None) -> None:
    for state in counts.sources:
        if state.problem is not None and listener is not None:
            listener.problem(state.problem)
