"""The statistics of a report, computed from an archive: whole hours from rollups, the rest from rows.

Rollups are summaries of the rows, made when these were added, so both merge into the same `Statistics`. What rollups
cannot answer (a filter, a breakdown, another user key, an aggregate of its own) is computed from rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from logstats import durations
from logstats.archive.archive import Archive
from logstats.archive.ingest import rollups
from logstats.archive.log import counted_users, tables, totals
from logstats.archive.log.commit import Counts as ParsedChunk
from logstats.archive.log.commit import DataFile
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.query import shards
from logstats.archive.query.passing import Passing
from logstats.archive.query.rows import Span, batches, files_of, frames_of, read, totals_of, unreadable, users_of
from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.filters import Filters
from logstats.formats.text import Text
from logstats.formats.wrappers.stack import shown
from logstats.frames import pl
from logstats.options import Options
from logstats.pipeline import LEFT_OUT, SAMPLE_TEXT, SAMPLES, WORKERS, Counts, Interrupt, SourceState
from logstats.scale.calls import Executor
from logstats.scale.work import ReportWork
from logstats.sketches import hll
from logstats.summaries import endpoints, ranking, traffic
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, Summaries, aggregates, needs
from logstats.summaries.tables import Shape
from logstats.summaries.users import SketchedUsers

HELD: Final = 10  # times as many keys of a ranking as asked for are held, until the end
_AT_ONCE: Final = {  # rows of a rollup that a thread reads at once, 20 to 40 MB; a day is never divided
    tables.TRAFFIC: 250_000,
    tables.ENDPOINTS: 500_000,
    tables.LATENCY: 1_500_000,
    tables.USERS: 2_000_000,
}
FROM_ROLLUPS: Final = {"times", "traffic", "statuses", "levels", "endpoints", "users", "latency"}
# Keys of a rollup that are not told apart by what is made of it here.
_NOT_TOLD_APART: Final = {tables.TRAFFIC: {"method", "host", "app_name"}}
_HOUR: Final = timedelta(hours=1)
_LAST_HOUR: Final = datetime(9999, 12, 31, 23, tzinfo=UTC)
_MINUTE, _COUNT = {"minute": pl.Int64()}, pl.Int64()
_BY_BUCKET: Final = Shape({**_MINUTE, "bucket": pl.Int32()}, {"count": _COUNT}, {}, {})
_RANKED: Final = ("status_class", "bucket", "requests", "bytes", "timed", "ns_min", "ns_max", "ns", "first")


@dataclass(frozen=True, slots=True)
class Plan:
    """The range of time to read from rollups (None: nothing), and the ranges to read from rows."""

    rollups: Span | None
    rows: tuple[Span, ...]

    def describe(self) -> str:
        """The plan in words, for the notes of a report."""
        spans = ", ".join(_text(span) for span in self.rows)
        if self.rollups is None:
            return "from an archive: all from rows"
        return f"from an archive: {_text(self.rollups)} from rollups" + (f"; from rows: {spans}" if spans else "")


def plan(wanted: ReportSpec, filters: Filters, *, rows: bool = False) -> Plan:
    """Plan what to read from where; a pure function of the request."""
    since, until = filters.since, filters.until
    told_apart = (
        {aggregate.name for aggregate in aggregates(wanted)} <= FROM_ROLLUPS
        and wanted.user_key == rollups.USER_KEY
        and not wanted.exact_users
        and wanted.max_endpoints <= rollups.MAX_ENDPOINTS
        and filters == Filters(since, until)
    )
    first = None if since is None else since - (since - datetime.min.replace(tzinfo=since.tzinfo)) % _HOUR
    last = None if until is None else until - (until - datetime.min.replace(tzinfo=until.tzinfo)) % _HOUR
    if first is not None and first != since:
        first = first + _HOUR if first < _LAST_HOUR else None
        told_apart = told_apart and first is not None
    if rows or not told_apart or (first is not None and last is not None and first >= last):
        return Plan(None, ((since, until),))
    edges = [(since, first)] if since != first else []
    edges += [(last, until)] if until != last else []
    return Plan((first, last), tuple(edges))


def _without_dropped(wanted: ReportSpec, snapshot: Snapshot, filters: Filters) -> tuple[ReportSpec, list[str]]:
    """(the specification without what nobody asked for by name and a tier did not keep, the columns of that)."""
    if not wanted.upstream:
        return wanted, []
    without = replace(wanted, upstream=False)
    columns = sorted(needs(wanted) - needs(without))
    files = snapshot.select(tables.LOGS, since=filters.since, until=filters.until)
    dropped = sorted({name for file in files for name in file.dropped(columns)})
    return (without if dropped else wanted), dropped


def collect(
    archive: Archive,
    snapshot: Snapshot,
    wanted: ReportSpec,
    filters: Filters,
    options: Options,
    *,
    rows: bool = False,
    interrupt: Interrupt | None = None,
    progress: Callable[[float], None] | None = None,
    apart: Executor | None = None,
) -> tuple[Statistics, Counts, str]:
    """(the statistics of since ≤ t < until, the counts of all lines, a note about where the figures come from).

    With `apart`, an executor, rows are read by its workers.
    Raises Gone if rows or columns that are needed were deleted, UsageError if workers have nothing to do.
    """
    wanted, dropped = _without_dropped(wanted, snapshot, filters)
    where = plan(wanted, filters, rows=rows or options.anonymize is not None)
    if apart is not None and not where.rows:
        raise UsageError(
            "--workers and --cluster read rows, and rollups answer this at once", "leave them out, or add --rows"
        )
    columns = needs(wanted) | {"kind", "level", "timestamp"}
    passing = Passing.of(options, filters, columns)
    reads, computed = passing.reads, passing.computed
    left_out: list[int] = []  # numbers of rows that `--where` leaves out unread
    spans = [
        (span, files_of(archive, snapshot, span, reads, computed, within=filters.span(), left_out=left_out.append))
        for span in where.rows
    ]
    statistics = Statistics(replace(wanted, max_endpoints=HELD * wanted.max_endpoints))
    counts = counts_of(archive, snapshot, filters.since, filters.until, anonymous=options.anonymize is not None)
    total = counts.requests + counts.events
    counts.requests = counts.events = counts.filtered = 0
    if where.rollups is not None:
        for part in _summed(archive, snapshot, where.rollups, statistics.spec.over_time):
            if part.users is not None:
                statistics.get("users", SketchedUsers).add_whole(*part.users)
                continue
            statistics.add(part.tables)
            counts.requests += part.requests
            counts.events += part.events
    interrupt = interrupt or Interrupt()
    work = ReportWork(statistics.spec)
    if apart is None:
        frames = (
            frame
            for span, files in spans
            for frame in frames_of(archive, files, span, passing.reads, passing.computed, together=True)
        )
        found = shards.summarised(work, frames, passing, WORKERS)
    else:
        task = shards.RowsTask(work, options, tuple(sorted(columns)))
        found = shards.results(archive, task, spans, apart, lambda: interrupt.asked)
    done = 0
    for some in found:
        if interrupt.asked:
            counts.interrupted = True
            break
        for summaries in some.summaries:
            statistics.add(summaries)
        counts.requests += some.requests
        counts.events += some.events
        counts.filtered += some.filtered
        counts.notes += some.notes
        done += some.requests + some.events + some.filtered
        if progress is not None:
            progress(100 * done / max(total, 1))
    counts.interrupted |= apart is not None and interrupt.asked
    counts.filtered += sum(left_out)
    statistics.fold(wanted)
    counts.lines = counts.requests + counts.events + counts.rejected + counts.ignored + counts.filtered
    note = where.describe()
    if dropped:
        note += f"; upstreams and caches are left out, because not all days keep {', '.join(dropped)}"
    if (filters.since or filters.until) and any(
        source.counts.invalid or source.counts.invalid_durations for source in snapshot.sources.values()
    ):
        note += "; values without meaning are not known by time, and not counted"
    return statistics, counts, note


def _batches(snapshot: Snapshot, span: Span, over_time: bool) -> Iterator[tuple[str, list[DataFile]]]:
    """(a rollup, files of it that are read at once) for all that a report needs: some days at a time, so that a year
    needs no more memory than a month."""
    since, until = span
    for table, most in _AT_ONCE.items():
        if table == tables.LATENCY and not over_time:
            continue
        held: list[DataFile] = []
        for file in snapshot.select(table, since=since, until=until):
            if held and file.partition != held[-1].partition and sum(one.rows for one in held) + file.rows > most:
                yield table, held
                held = []
            held.append(file)
        if held:
            yield table, held


@dataclass(frozen=True, slots=True)
class _Summed:
    """What a rollup of some days comes to: the tables that summaries of rows would be; or users of each minute, and the
    registers of all, if minutes are not to be told apart any more; requests and events, which `traffic` counts."""

    tables: Summaries
    users: tuple[pl.DataFrame, hll.Registers] | None = None
    requests: int = 0
    events: int = 0


def _summed(archive: Archive, snapshot: Snapshot, span: Span, over_time: bool) -> Iterator[_Summed]:
    """What each batch of files comes to, in order; some are read and added up at the same time, by threads."""
    with ThreadPoolExecutor(WORKERS, "logstats-rollups") as pool:
        working: deque[Future[_Summed]] = deque()
        for table, files in _batches(snapshot, span, over_time):
            working.append(pool.submit(_sum, archive, table, files, span, over_time))
            while len(working) > WORKERS or (working and working[0].done()):
                yield working.popleft().result()
        while working:
            yield working.popleft().result()


def _sum(archive: Archive, table: str, files: list[DataFile], span: Span, over_time: bool) -> _Summed:
    if table == tables.USERS and not over_time:
        return _Summed({}, _users(archive, files, span))
    if table == tables.ENDPOINTS:
        return _Summed({table: _endpoints(_totals(archive, files, span))})
    if table == tables.TRAFFIC:
        found = _traffic(_totals(archive, files, span))
        return _Summed(found, None, int(found["statuses"]["requests"].sum()), int(found["levels"]["events"].sum()))
    try:
        time = pl.col(tables.time_column(table))
        rows = _inside_of(archive, table, files, span).with_columns(minute=_minute(time)).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(error) from None
    if table == tables.USERS:
        return _Summed({"users": rows.select("minute", "register", "rank")})
    return _Summed({table: _latency(rows)})


def _inside_of(archive: Archive, table: str, files: list[DataFile], span: Span) -> pl.LazyFrame:
    """The rows of a rollup in the span."""
    time = pl.col(tables.time_column(table))
    columns = [name for name in tables.columns(table) if name not in _NOT_TOLD_APART.get(table, ())]
    rows = read(archive, files, columns, table).lazy()
    since, until = span
    if since is not None and any(file.first < since for file in files):
        rows = rows.filter(time >= since)
    if until is not None and any(file.last >= until for file in files):
        rows = rows.filter(time < until)
    return rows


def _users(archive: Archive, files: list[DataFile], span: Span) -> counted_users.Counted:
    """→ ((minute, users), the registers of all of them). A file whose minutes are in no other one may say both."""
    archive.integrity.paths(files)  # all at once
    counted = [users_of(archive, file) if _is_alone(file, files, span) else None for file in files]
    found = [one for one in counted if one is not None]
    if rest := [file for file, one in zip(files, counted, strict=True) if one is None]:
        try:
            rows = _inside_of(archive, tables.USERS, rest, span).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(error) from None
        found.append(hll.users_by_minute(rows))
    minutes = pl.concat([by_minute for by_minute, _ in found]).with_columns(_minute(pl.col("minute")))
    return minutes, np.maximum.reduce([registers for _, registers in found])


def _is_whole(file: DataFile, span: Span) -> bool:
    """Whether all rows of a file are in the span."""
    since, until = span
    return (since is None or file.first >= since) and (until is None or file.last < until)


def _is_alone(file: DataFile, files: list[DataFile], span: Span) -> bool:
    """The same, and that none of the other files has a minute of it."""
    others = (one for one in files if one is not file)
    return _is_whole(file, span) and not any(one.first <= file.last and one.last >= file.first for one in others)


def _minute(time: pl.Expr) -> pl.Expr:
    return time.to_physical().floordiv(traffic.MINUTE_US)


def _totals(archive: Archive, files: list[DataFile], span: Span) -> pl.DataFrame:
    """The totals (`totals.of`) of files of a rollup, whose keys may repeat. A file that is wanted whole may say its."""
    archive.integrity.paths(files)  # all at once
    table = files[0].table
    said, silent = totals_of(archive, [file for file in files if _is_whole(file, span)])
    found = [] if said is None else [said]
    if rest := [file for file in files if file in silent or not _is_whole(file, span)]:
        try:
            found.append(totals.of(table, _inside_of(archive, table, rest, span).collect()))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(error) from None
    return pl.concat(found)


def _traffic(found: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """→ the tables that `traffic`, `statuses`, `levels` and `times` make of rows."""
    part = {name: found.filter(pl.col("part") == name) for name in ("minutes", "statuses", "levels", "times")}
    ends = (pl.col("earliest").min(), pl.col("latest").max())
    return {
        "traffic": part["minutes"].select(*traffic.TRAFFIC.columns, first=pl.col("minute").rank("dense")),
        "statuses": part["statuses"].select("status", "requests"),
        "levels": part["levels"].select("level", "events", first=pl.col("level").rank("dense")),
        "times": part["times"].select(end.cast(rollups.UTC) for end in ends),
    }


def _endpoints(found: pl.DataFrame) -> pl.DataFrame:
    """→ the table that `ranking.summarise` makes of rows, for all hours together."""
    # A duration of 0 and none at all are the same bucket in a rollup, where `timed` tells them apart.
    none = pl.when(pl.col("timed") > 0).then(ranking.ZERO).otherwise(ranking.NO_DURATION)
    return (
        totals.SHAPES[tables.ENDPOINTS]
        .united(found)
        .with_columns(
            pl.col("bucket").fill_null(none),
            first=pl.col("first").rank("dense"),
            ns=durations.from_stored(("ns",))["ns"],
        )
        .select(*endpoints.KEYS, *_RANKED)
    )


def _latency(rollup: pl.DataFrame) -> pl.DataFrame:
    """→ the table that `latency.summarise` makes of rows."""
    return _BY_BUCKET.united(rollup.select("minute", "bucket", "count")).with_columns(
        first=pl.col("minute").rank("dense")
    )


def counts_of(
    archive: Archive,
    snapshot: Snapshot,
    since: datetime | None,
    until: datetime | None,
    *,
    anonymous: bool = False,
) -> Counts:
    """The counts of the lines of since ≤ t < until, with samples of rejected lines: if `anonymous`, without their text.

    A line that is not a row has the time in its text, or that of the lines around it (`ingest.line_times`). Sources and
    ignored lines are counted by whole minutes that begin in the range.
    """
    counts = Counts()
    if since is None and until is None:
        taken = ParsedChunk()
        for source in snapshot.sources.values():
            lines, size = source.counts.lines, source.counts.bytes
            counts.sources.append(SourceState(source.name, shown(source.format), lines=lines, bytes=size))
            taken += source.counts
        for name in ("lines", "requests", "events", "rejected", "ignored"):
            setattr(counts, name, getattr(taken, name))
        counts.reasons = dict(taken.reasons)
        counts.invalid = dict(taken.invalid)
        counts.invalid |= {"duration": taken.invalid_durations} if taken.invalid_durations else {}
    else:
        _count_lines(archive, snapshot, since, until, counts)
    _rejects(archive, snapshot, since, until, counts)
    if anonymous:
        counts.samples = [(*sample[:3], LEFT_OUT) for sample in counts.samples]
    return counts


def _count_lines(
    archive: Archive, snapshot: Snapshot, since: datetime | None, until: datetime | None, counts: Counts
) -> None:
    files = snapshot.select(tables.LINES, since=since and since.replace(second=0, microsecond=0), until=until)
    columns = list(tables.columns(tables.LINES))
    begin = pl.col("minute")
    table = read(archive, files, columns, tables.LINES).filter(_inside(begin, since, until))
    by_source = table.group_by("source", "format").agg(pl.col("lines", "bytes").sum(), begin.min())
    for row in by_source.sort("minute", "source", "format").iter_rows(named=True):
        counts.sources.append(SourceState(row["source"], row["format"], lines=row["lines"], bytes=row["bytes"]))
    counts.ignored = int(table["ignored"].sum())
    counts.requests = int(table["lines"].sum()) - int(table["rejected"].sum()) - counts.ignored  # events included
    counts.lines = int(table["lines"].sum())
    counted = {file.partition for file in snapshot.select(tables.TRAFFIC, since=since, until=until)}
    if unknown := len(counted - {file.partition for file in files}):
        days = f"{unknown} day{'s' if unknown != 1 else ''}"
        counts.notes.append(
            f"an earlier version added {days} without counts of lines: their sources and blank lines are not counted"
        )


def _inside(time: pl.Expr, since: datetime | None, until: datetime | None) -> pl.Expr:
    """Whether since ≤ time < until."""
    after = time >= since if since is not None else pl.lit(True)
    return after & (time < until) if until is not None else after


def _rejects(
    archive: Archive, snapshot: Snapshot, since: datetime | None, until: datetime | None, counts: Counts
) -> None:
    """Count the rejected lines of the range by reason, and collect the first of each reason as (source, line, reason,
    text)."""
    reasons: dict[str, int] = {}
    ranged = since is not None or until is not None
    time = pl.col("timestamp")
    for file in snapshot.select(tables.REJECTS, since=since, until=until):
        if not ranged and all(reasons.get(reason, 0) >= min(SAMPLES, n) for reason, n in counts.reasons.items()):
            break
        for whole in batches(archive, file, ["source", "line", "reason", "raw", "timestamp"], since, until):
            frame = whole.filter(_inside(time, since, until))
            few = frame.with_row_index("place").group_by("reason").head(SAMPLES).sort("place")
            shown: dict[str, int] = {}
            for source, line, reason, raw in few.select("source", "line", "reason", "raw").iter_rows():
                shown[reason] = shown.get(reason, 0) + 1
                if reasons.get(reason, 0) + shown[reason] <= SAMPLES:
                    text = Text.from_bytes(raw).pick([0])[0]
                    sample = text[:SAMPLE_TEXT] + "…" * (len(text) > SAMPLE_TEXT)
                    counts.samples.append((source, line, reason, sample))
            for reason, number in frame.group_by("reason").len().iter_rows():
                reasons[reason] = reasons.get(reason, 0) + number
    if ranged:
        counts.reasons = dict(sorted(reasons.items()))
        counts.rejected = sum(reasons.values())


def _text(span: Span) -> str:
    since, until = (time.isoformat().replace("+00:00", "Z") if time else "" for time in span)
    return f"{since} to {until}".strip() if since or until else "everything"
