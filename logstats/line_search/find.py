"""What a pattern or filters find in logs or in an archive, in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field

from logstats import schema
from logstats.archive.archive import Archive
from logstats.archive.query import rows
from logstats.dataclass import dataclass
from logstats.enrich.computed import Columns
from logstats.filters import Filters
from logstats.frames import pl
from logstats.line_search import archived
from logstats.line_search.chunks import Found, Searcher, SourceLines
from logstats.line_search.pattern import Pattern
from logstats.ordered import Ordered
from logstats.pipeline import LEFT_OUT, Counts, Part


@dataclass(slots=True)
class Findings:
    """What was found so far, besides the lines themselves: how many, and what a reader should know of it."""

    count: int = 0
    incomplete: bool = False  # rows of the time asked for are gone
    notes: list[str] = field(default_factory=list)


def in_logs(
    parts: Iterable[tuple[Part[Found], Counts]], searcher: Searcher, findings: Findings, *, at_once: bool
) -> Iterator[pl.DataFrame]:
    """Frames of `time`, `source`, `line` (from 1), `found`, `raw` and the searcher's columns.

    In order of time, which is known when all is read; or `at_once`, in the order in which the lines arrive. Lines
    around one that was found stand with it. A line that shows no time has that of the line before it.
    """
    sources: dict[int, SourceLines] = {}
    with Ordered(("time", "place", "line")) as ordered:
        names: list[str] = []
        for part, counts in parts:
            names = [source.name for source in counts.sources]
            if part.result is None:
                continue
            findings.count += part.result.count
            if not searcher.shown:
                continue
            source = sources.setdefault(part.source, SourceLines(part.source, searcher.context))
            lines = source.add(part.result)
            if at_once and lines.height:
                yield _named(lines, names)
            else:
                ordered.add(lines)
        for frame in ordered.frames():
            yield _named(frame, names)


def _named(lines: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    source = pl.Series(names, dtype=pl.String).gather(lines["place"]).alias("source")
    return lines.with_columns(source).drop("place")


def without_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of a frame without their lines, which hold persons; a line that is no row is left out."""
    is_row = pl.any_horizontal(pl.col(schema.COLUMNS).is_not_null())
    return frame.with_columns(raw=pl.when(~is_row).then(pl.lit(LEFT_OUT.encode())))


def in_archive(
    archive: Archive,
    pattern: Pattern | None,
    filters: Filters,
    findings: Findings,
    *,
    shown: bool,
    computed: Columns,
    progress: Callable[[float], None] | None = None,
) -> Iterator[pl.DataFrame]:
    """Frames of `time`, `raw` (null but for a rejected line), the request schema, `source` and `line`."""
    snapshot = archive.snapshot()
    try:
        rows.check(archive, snapshot, *filters.span(), ())
    except rows.Gone as gone:
        findings.incomplete = True
        findings.notes.append(f"{gone.what}: what they held is not found")
    for tier, names in archived.not_kept(snapshot, pattern, filters, computed).items():
        findings.notes.append(f"the {tier} tier does not keep {', '.join(names)}: what they held is not found")
    with Ordered(("time", "source", "line")) as ordered:
        for frame in archived.find(archive, snapshot, pattern, filters, computed):
            findings.count += frame.height
            if shown:
                ordered.add(frame)
        yield from ordered.frames()
