"""A full report for each value of a column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from logstats import schema
from logstats.api.arguments import options_from, refuse_for_archive, several
from logstats.api.reading import results_of, say_if_outside
from logstats.api.reporting import ASKED, build_report, format_notes, places_by, question
from logstats.errors import UsageError
from logstats.expressions.columns import column
from logstats.frames import pl
from logstats.options import Options
from logstats.pipeline import Counts, Interrupt, Listener
from logstats.reports.model import Report
from logstats.scale.split import MOST, Held, Split, SplitWork
from logstats.summaries.names import breakdown


def split(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    *,
    split_by: str,
    archive: str | Path | None = None,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    rejects: Callable[[list[bytes]], None] | None = None,
    **more: Any,
) -> dict[str | None, Report]:
    """A full report for each value of the column `split_by`, those with the most lines first.

    Each is the report of a filter for this value: its other lines are `filtered`. None is what was not logged, and
    `(other)` the values beyond the first 100, and those beyond 200 in one chunk of lines. The other arguments are those
    of `report`, and so is what is raised.
    """
    given = {name: more.pop(name) for name in ASKED & more.keys()}
    options = options_from(options, more)
    name = column(split_by) or split_by
    if len(breakdown(name)) > 1:
        raise UsageError(f"cannot split by {split_by!r}", "name one column")
    by = several(given.get("by", ()))
    given["by"] = [*by, *places_by(options, [*by, name])]
    asked = question(**given, verify_bots=bool(options.verify_bots), times=options.times())
    work, held, counts = SplitWork(asked.spec, name), Split(asked.spec), Counts()
    notes = format_notes(options)
    if archive is None:
        for found in results_of(sources, options, work, counts, listener, interrupt, rejects):
            held.add(found)
    else:
        refuse_for_archive(sources, options, anonymize=True)
        for frame in _rows(archive, options, work, counts, listener, interrupt):
            held.add(work.work(frame, "", 0))
        notes.append("from an archive: all from rows")
    held.keep(MOST)
    if not held.held:  # nothing could be read, which a report says
        held.held[None] = Held(asked.spec)
    order = sorted(held.held, key=lambda value: (value in (None, schema.OTHER), -_lines(held, value), value or ""))
    if schema.OTHER in held.held:
        together = f"{_lines(held, schema.OTHER):,} lines of further values are one report, {schema.OTHER}"
        notes.append(f"--split-by {name}: {together}")
        if listener is not None:
            listener.note(f"--split-by {name}", together)
    filters = options.filters().describe()
    made: dict[str | None, Report] = {}
    for value in order:
        one = held.held[value]
        one.statistics.merge()
        own = deepcopy(counts)
        own.requests, own.events = one.requests, one.events
        own.filtered += counts.requests + counts.events - one.requests - one.events
        said = {**filters, "split-by": f"{name} is null" if value is None else f"{name} = {value}"}
        report = build_report(asked, one.statistics, own, said, notes, options)
        made[value] = replace(report, title="(none)" if value is None else value)
    return made


def _lines(held: Split, value: str | None) -> int:
    return held.held[value].requests + held.held[value].events


def _rows(
    archive: str | Path,
    options: Options,
    work: SplitWork,
    counts: Counts,
    listener: Listener | None,
    interrupt: Interrupt | None,
) -> Iterator[pl.DataFrame]:
    """The rows of an archive that pass the filters; `counts` are filled meanwhile."""
    from logstats.archive.archive import Archive
    from logstats.archive.query.passing import Passing
    from logstats.archive.query.report import counts_of
    from logstats.archive.query.rows import rows

    opened, filters = Archive.open(archive), options.filters()
    snapshot = opened.snapshot()
    if (span := snapshot.span()) is not None:
        say_if_outside(options, span, counts.notes, listener)
    counts.add(counts_of(opened, snapshot, filters.since, filters.until, anonymous=options.anonymize is not None))
    counts.requests = counts.events = counts.filtered = 0
    left_out: list[int] = []
    passing = Passing.of(options, filters, work.needs | {"kind", "level", "timestamp"})
    for frame in rows(
        opened,
        filters.since,
        filters.until,
        passing.reads,
        snapshot=snapshot,
        within=filters.span(),
        left_out=left_out.append,
        computed=passing.computed,
    ):
        if interrupt is not None and interrupt.asked:
            counts.interrupted = True
            break
        held = passing(frame)
        events = int((held["kind"] == "event").sum())
        counts.events += events
        counts.requests += held.height - events
        counts.filtered += frame.height - held.height
        if held.height:
            yield held.with_row_index("line")
    counts.filtered += sum(left_out)
    counts.lines = counts.requests + counts.events + counts.rejected + counts.ignored + counts.filtered
