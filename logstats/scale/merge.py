"""Summary files → the statistics of all their lines, in the order of the files.

What decides what a figure means has to be the same in all of them (`description.Making`); how a server wrote its lines
(format, units, zone) may differ. Percentiles are read from buckets, so any can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from logstats.dataclass import dataclass
from logstats.errors import SummaryError, UsageError
from logstats.filters import Filters
from logstats.frames import pl
from logstats.inputs import discover, object_store
from logstats.pipeline import Counts
from logstats.scale import tables
from logstats.scale.condense import Sink
from logstats.scale.description import Description, Making
from logstats.scale.reader import Summary, is_summary
from logstats.scale.summarise import Summariser
from logstats.scale.tables import Piece
from logstats.summaries.names import AGENTS, IF_LOGGED
from logstats.summaries.not_found import NAME as NOT_FOUND
from logstats.summaries.slowest import NAME as SLOWEST
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics
from logstats.summaries.traffic import EPOCH

_MINUTE: Final = timedelta(minutes=1)
_OPTIONS: Final = {
    "user_key": "--user-key",
    "exact_users": "--exact-users",
    "trust_forwarded": "--trust-forwarded",
    "templates": "templates",
    "routes": "--route",
    "query": "--query",
    "anonymize": "--anonymize",
    "zone": "--tz",
    "verify_bots": "--verify-bots",
    "geo": "--geo",
    "filters": "filters",
}


def files_of(names: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """The summary files that are named: (name, path). Raises SummaryError: a report that lacks one would be wrong."""
    hint = "logstats report SOURCE... -o summary --out FILE makes one"
    if not names:
        raise UsageError("nothing to merge: no summary is named", hint)
    found, problems = discover([str(name) for name in names])
    for problem in problems:
        raise SummaryError(str(problem), problem.hint)
    files = []
    for source in found:
        if source.path is None or source.size is None:
            raise SummaryError(f"{source.name}: a summary is read from a file", "save it to one first")
        files.append((source.name, source.path))
    return files


def description_of(name: str, path: Path) -> Description:
    """What a summary file says of itself. Raises SummaryError."""
    with Summary.open(path, name) as summary:
        return summary.about


def summaries_among(names: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """The summary files that are named, if nothing but summaries is: (name, path)."""
    if not names or any(str(name) == "-" or object_store.is_url(str(name)) for name in names):
        return []
    found, problems = discover([str(name) for name in names])
    files = [(source.name, source.path) for source in found if source.path is not None and source.size is not None]
    whole = not problems and len(files) == len(found)
    return files if whole and all(is_summary(path) for _, path in files) else []


@dataclass(slots=True)
class Merged:
    """What was merged: the counts of all lines, how the summaries were made, and what is to be said of them."""

    counts: Counts = field(default_factory=Counts)
    making: Making | None = None
    span: dict[str, str] = field(default_factory=dict)  # the filters `since` and `until`
    by: tuple[str, ...] = ()
    selections: dict[str, bool] = field(default_factory=dict)
    agents: bool = False
    slowest: int = 0
    not_found: bool = False
    upstream: bool = False
    folded: dict[str, int] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def filters(self) -> dict[str, str]:
        """The filters in force, as `Filters.describe` gives them."""
        return {**self.span, **(self.making.filters if self.making else {})}


def whole_minutes(filters: Filters) -> tuple[int | None, int | None]:
    """`since` and `until` as minutes since 1970. Raises UsageError for any other filter, and parts of minutes."""
    if filters != Filters(filters.since, filters.until):
        raise UsageError("a summary has no lines to filter", "give the filter to logstats report -o summary")
    ends = []
    for name, time in (("--since", filters.since), ("--until", filters.until)):
        if time is not None and (time - EPOCH) % _MINUTE:
            raise UsageError(f"{name} {time:%H:%M:%S} is within a minute", "a summary tells whole minutes apart")
        ends.append(None if time is None else (time - EPOCH) // _MINUTE)
    return ends[0], ends[1]


def merge(
    files: Sequence[tuple[str, Path]],
    wanted: ReportSpec,
    filters: Filters,
    sink: Sink,
    *,
    all_of_them: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Merged:
    """Give the pieces of all files to `sink`, in order.

    `all_of_them`: also those of breakdowns and selections that `wanted` does not name, if the first file has them.
    Raises SummaryError for a file that is damaged, and UsageError for one that was made with other options, or does not
    hold what is asked for.
    """
    since, until = whole_minutes(filters)
    selections = {one.name: one.users for one in wanted.selections}
    merged = Merged(
        by=wanted.by,
        selections=selections,
        agents=wanted.agents,
        slowest=wanted.slowest,
        not_found=wanted.not_found,
        upstream=wanted.upstream,
    )
    spans: list[dict[str, str]] = []
    seen: dict[str, str] = {}
    first = ""
    for number, (name, path) in enumerate(files):
        with Summary.open(path, name) as summary:
            about = summary.about
            if merged.making is None:
                merged.making, first = about.making, name
                if all_of_them:
                    merged.by = wanted.by or about.by
                    merged.selections = merged.selections or dict(about.selections)
            _check(summary, merged, first)
            if summary.digest in seen:
                merged.notes.append(f"{name} is the same summary as {seen[summary.digest]}: its lines count twice")
            seen.setdefault(summary.digest, name)
            spans.append(dict(about.span))
            left = {"requests": 0, "events": 0}
            for piece in summary.pieces():
                inside = tables.within(piece, since, until)
                figure = {tables.TRAFFIC: "requests", tables.LEVELS: "events"}.get(piece.table)
                if figure:
                    left[figure] += int(piece.frame[figure].sum()) - int(inside.frame[figure].sum())
                    if since is not None or until is not None:
                        merged.counts.cover(_times(piece))
                chosen = _chosen(inside, merged)
                if chosen is not None and chosen.frame.height:
                    sink(chosen)
            counts = about.counts
            counts.requests -= left["requests"]
            counts.events -= left["events"]
            counts.filtered += sum(left.values())
            merged.counts.add(counts)
            merged.said = tuple(dict.fromkeys((*merged.said, *about.said)))
            for table, over in about.folded.items():
                merged.folded[table] = merged.folded.get(table, 0) + over
                merged.notes.append(
                    f"{name} tells {about.held:,} {_plural(table)} apart, the first of its lines; "
                    f"{over:,} of its requests are to others and count as (other)"
                )
        if progress is not None:
            progress(100 * (number + 1) / len(files))
    merged.span = _span(spans, filters)
    return merged


def collect(
    files: Sequence[tuple[str, Path]],
    wanted: ReportSpec,
    filters: Filters,
    *,
    progress: Callable[[float], None] | None = None,
) -> tuple[Statistics, Merged]:
    """The statistics of all files."""
    statistics = Statistics(wanted)
    merged = merge(
        files, wanted, filters, lambda piece: statistics.add(tables.summaries(piece, wanted)), progress=progress
    )
    statistics.merge()
    return statistics, merged


def merge_to_file(
    files: Sequence[tuple[str, Path]],
    wanted: ReportSpec,
    filters: Filters,
    file: BinaryIO,
    *,
    progress: Callable[[float], None] | None = None,
) -> tuple[Statistics, Merged]:
    """The statistics of all files, and one summary file of them: days become a month.

    It holds the breakdowns and selections that `wanted` names, or all of the first file if it names none.
    """
    with Summariser(wanted, file) as made:
        merged = merge(files, wanted, filters, lambda piece: made.add([piece]), all_of_them=True, progress=progress)
        assert merged.making is not None
        made.finish(
            Description(
                merged.making,
                merged.counts,
                merged.by,
                merged.selections,
                merged.slowest,
                merged.span,
                folded=merged.folded,
                said=merged.said,
            )
        )
    return made.statistics, merged


def _times(piece: Piece) -> tuple[datetime, datetime] | None:
    """The first and the last time of a piece, whether or not a range has it."""
    first, last = piece.frame["earliest"].min(), piece.frame["latest"].max()
    return (first, last) if isinstance(first, datetime) and isinstance(last, datetime) else None


def _plural(table: str) -> str:
    return table if table.endswith("s") and table != "status" else f"values of {table}"


def _chosen(piece: Piece, merged: Merged) -> Piece | None:
    """What of a piece is asked for."""
    if piece.table == tables.BREAKDOWN:
        return piece if piece.of in merged.by else None
    if piece.table == SLOWEST:
        return piece if merged.slowest else None
    if piece.table == NOT_FOUND:
        return piece if merged.not_found else None
    if piece.table in IF_LOGGED:
        return piece if merged.upstream else None
    if piece.table == tables.SELECTIONS:
        return replace(piece, frame=piece.frame.filter(pl.col("selection").is_in(list(merged.selections))))
    if piece.table == tables.USERS and piece.of is not None:
        return piece if merged.selections.get(piece.of) else None
    if piece.table in AGENTS and not merged.agents:
        return None
    return piece


def _check(summary: Summary, merged: Merged, first: str) -> None:
    """Whether a summary was made as the first one, and holds what is asked for."""
    about = summary.about
    assert merged.making is not None
    difference = merged.making.difference(about.making)
    if difference:
        option, before, here = difference
        raise UsageError(
            f"{summary.name} was made with {_OPTIONS[option]} {here}, {first} with {before}: they do not add up",
            "make one of them again",
        )
    for column in merged.by:
        if column not in about.by:
            held = f"it has {', '.join(about.by)}" if about.by else "it has no breakdown"
            raise UsageError(
                f"{summary.name} cannot be ranked by {column}: {held}", f"logstats report -o summary --by {column}"
            )
    if merged.agents and not set(AGENTS) <= set(about.others):
        raise UsageError(f"{summary.name} does not say who is a bot", "logstats report -o summary --agents")
    if merged.not_found and NOT_FOUND not in about.others:
        raise UsageError(f"{summary.name} does not hold what was not found", "logstats report -o summary --not-found")
    if merged.upstream and not set(IF_LOGGED) <= set(about.others):
        merged.notes.append(f"{summary.name} says nothing of upstreams and caches: it has no part in their tables")
    if merged.slowest > about.slowest:
        raise UsageError(
            f"{summary.name} holds {about.slowest:,} of the slowest requests, not {merged.slowest:,}",
            f"logstats report -o summary --slowest {merged.slowest}",
        )
    for name, users in merged.selections.items():
        if name not in about.selections or (users and not about.selections[name]):
            what = f"the users of {name}" if name in about.selections else f"the requests of {name}"
            raise UsageError(
                f"{summary.name} does not hold {what}", "give the same --fail-if to logstats report -o summary"
            )


def _span(spans: Iterable[dict[str, str]], filters: Filters) -> dict[str, str]:
    """From the earliest to the latest of what the files were made of, as far as it is asked for."""
    spans = list(spans)
    asked = {name: words for name, words in filters.describe().items() if name in ("since", "until")}
    made: dict[str, str] = {}
    for name, outer, inner in (("since", min, max), ("until", max, min)):
        ends = [span[name] for span in spans if name in span]
        known = [outer(ends, key=datetime.fromisoformat)] if ends and len(ends) == len(spans) else []
        known += [asked[name]] if name in asked else []
        if known:
            made[name] = inner(known, key=datetime.fromisoformat)
    return made
