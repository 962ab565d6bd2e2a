"""Rows and lines of logs, or of an archive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from logstats import schema
from logstats.api.arguments import options_from, refuse_for_archive
from logstats.api.reading import Strict, results_of, run_job
from logstats.errors import UsageError
from logstats.frames import pl
from logstats.options import Options, job_of, refuse_unasked
from logstats.pipeline import Counts, Interrupt, Job, LineWork, Listener, Part
from logstats.scale.work import RowsWork

if TYPE_CHECKING:
    from logstats.line_search.find import Findings
    from logstats.line_search.pattern import Pattern

Result = TypeVar("Result")
LOOK: Final = 0.1  # seconds between two looks at sources that go on


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

    The frames have `columns` (by default all of the schema; naming fewer is faster; also computed ones, such as `hour`
    and `query:page`), then `source` and `line` (from 1).
    Lines that cannot be read are counted in `counts`. Raises UsageError and FormatError like `report`, and
    SourceError for a source that cannot be read when there is no listener to tell.
    """
    options = options_from(options, more)
    held = counts if counts is not None else Counts()
    work = RowsWork(tuple(column for column in columns if column != "source"))
    job_of(options, work.needs, work.work, rejects is not None)  # raises before the first row is asked for
    found = results_of(sources, options, work, held, listener or Strict(), interrupt, rejects)
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
    follow: bool = False,
    say: Callable[[str], None] = lambda _: None,
    listener: Listener | None = None,
    interrupt: Interrupt | None = None,
    counts: Counts | None = None,
    findings: Findings | None = None,
    **more: Any,
) -> Iterator[pl.DataFrame]:
    """Lines that hold a text (or a `line_search.pattern.Pattern`), in order of time; None: all that pass the filters.

    Frames have `time` (that of the line before for a line without one), `source`, `line` (from 1) and `raw` (the line's
    bytes; null for a row of an archive); with `rows`, and of an archive, also the columns of the request schema, null
    for a line that is no row. Of logs `found` is false for the `context` lines before and after.
    Without `shown` there are no frames, and only `findings.count` is made. Standard input alone comes as it arrives.
    With `follow`, sources are as in `watch`, and what they have and what is written to them comes as it arrives, until
    `interrupt` is asked; `say` is told what happens to sources. With `anonymize`, all frames have the columns of the
    schema, without what identifies a person, and `raw` is null, or says of a line that is no row that it is left out;
    what is looked for is looked for in the lines as they are.

    Raises UsageError for a regular expression that is none, and what `read` raises.
    """
    from logstats.line_search import find
    from logstats.line_search.chunks import Searcher
    from logstats.line_search.pattern import Pattern

    options = options_from(options, more)
    wanted = Pattern(pattern) if isinstance(pattern, str) else pattern
    filters = options.filters()
    findings = findings if findings is not None else find.Findings()
    anonymizer = options.anonymizer()
    if anonymizer is not None:
        if context:
            raise UsageError("lines around a line are whole, and hold what --anonymize takes out", "leave -C out")
        findings.notes.append(anonymizer.note)
    if archive is not None:
        refuse_for_archive(sources, options, anonymize=True)
        refuse_unasked(options, filters.needs)
        if follow:
            raise UsageError("an archive is not followed", "name the logs")
        from logstats.archive.archive import Archive

        frames = find.in_archive(
            Archive.open(archive), wanted, filters, findings, shown=shown, computed=options.columns()
        )
        yield from frames if anonymizer is None else map(find.without_lines, map(anonymizer.rows, frames))
        return
    names = options.sources(sources)
    columns = schema.COLUMNS if rows or anonymizer is not None else ()
    searcher = Searcher(wanted, filters.expression() is not None, columns, context, shown)
    work = LineWork(searcher.look, searcher.reads)
    job = job_of(options, frozenset({"timestamp", *columns}), work, False, counts)
    told, asked = listener or Strict(), interrupt or Interrupt()
    parts = _followed(names, job, told, asked, say) if follow else run_job(names, job, told, asked, None)
    frames = find.in_logs(parts, searcher, findings, at_once=follow or names in ([], ["-"]))
    yield from frames if anonymizer is None else map(find.without_lines, frames)  # a reader anonymizes its rows


def _followed(
    names: Sequence[str], job: Job[Result], listener: Listener, interrupt: Interrupt, say: Callable[[str], None]
) -> Iterator[tuple[Part[Result], Counts]]:
    """The parts of sources that go on, as they arrive."""
    from logstats.inputs import Following, follow
    from logstats.live.stream import Stream

    stream = Stream(follow(names, Following(say=say)), job, listener)
    try:
        while not interrupt.asked:
            for _, part in stream.look(time.monotonic()):
                yield part, job.counts
            if not stream.behind:
                if stream.ended:
                    break
                time.sleep(LOOK)
        for _, part in stream.finish():
            yield part, job.counts
    finally:
        stream.close()


def rows_passing(
    sources: Any,
    options: Options,
    needs: frozenset[str],
    archive: str | Path | None,
    listener: Listener | None,
    interrupt: Interrupt | None,
    counts: Counts | None,
) -> Iterator[pl.DataFrame]:
    """Rows of logs or of an archive that pass the filters, with the columns that are needed. What a reader of figures
    about them should know is added to the notes of `counts`."""
    columns = sorted(needs)
    if counts is not None and (anonymizer := options.anonymizer()) is not None:
        counts.notes.append(anonymizer.note)
    if archive is None:
        yield from read(sources, options, columns=columns, listener=listener, interrupt=interrupt, counts=counts)
        return
    refuse_for_archive(sources, options, anonymize=True)
    from logstats.archive.query import rows as archived_rows
    from logstats.archive.query.passing import Passing

    filters = options.filters()
    refuse_unasked(options, needs | filters.needs)
    passing = Passing.of(options, filters, needs)
    yield from map(passing, archived_rows.rows(archive, *filters.span(), passing.reads, computed=passing.computed))
