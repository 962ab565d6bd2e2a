"""The indicators of objectives, computed from an archive.

Conditions about status, method, host and app are counted exactly from the rollup `traffic`. Durations are read from the
rows; if these were deleted, the durations of all requests are taken from the rollup `latency`, with the bounds of its
buckets. Conditions about paths need the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.query.report import counts_of
from logstats.archive.query.rows import Gone, read, unreadable
from logstats.archive.query.rows import rows as read_rows
from logstats.enrich.computed import Columns
from logstats.filters import Filters
from logstats.frames import pl
from logstats.pipeline import Counts, Interrupt
from logstats.sketches import loghist
from logstats.summaries.indicators import (
    BEFORE,
    INDICATORS,
    Indicator,
    Indicators,
    needs,
    summarise,
    summarise_counted,
)
from logstats.summaries.traffic import EPOCH, MINUTE_US, moment

TOLD_APART: Final = frozenset({"status", "method", "host", "app_name"})  # keys of the rollup `traffic`
_MINUTE: Final = timedelta(minutes=1)


def collect(
    archive: Archive,
    snapshot: Snapshot,
    wanted: Sequence[Indicator],
    filters: Filters,
    window: int,
    *,
    computed: Columns | None = None,
    interrupt: Interrupt | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Indicators, Counts, list[str]]:
    """(the indicators over the `window` minutes that end at `filters.until` or with the archive's last line, the counts
    of lines, notes about where the figures come from). The last of the indicators must be of all requests.

    Raises Gone if rows that are needed were deleted.
    """
    counts = counts_of(archive, snapshot, filters.since, filters.until)
    files = list(snapshot.select(tables.TRAFFIC))
    if not files:
        return Indicators(window), counts, []
    ends = filters.until - timedelta(microseconds=1) if filters.until else max(file.last for file in files)
    last = (ends - EPOCH) // _MINUTE
    held = Indicators(window, last)
    begin, until = moment(last + 1 - window), moment(last + 1)
    since = max(begin, filters.since or begin)
    if since == begin and min(file.first for file in files) < begin:
        held.add(_older(len(wanted) - 1))
    numbered = dict(enumerate(wanted))
    whole = filters == Filters(filters.since, filters.until) and not any(
        time and (time - EPOCH) % _MINUTE for time in (filters.since, filters.until)
    )
    by_status = {n: i for n, i in numbered.items() if whole and i.columns <= TOLD_APART}
    if by_status:
        held.add(_from_traffic(_scan(archive, snapshot, tables.TRAFFIC, since, until), by_status))
    rest = {n: i for n, i in numbered.items() if n not in by_status}
    notes: list[str] = []
    if rest:
        columns = needs(list(rest.values())) | filters.needs | {"kind", "timestamp"}
        try:
            end = filters.until or until
            frames = read_rows(
                archive,
                since,
                end,
                sorted(columns),
                snapshot=snapshot,
                within=filters.span(),
                computed=computed,
            )
        except Gone:
            if not whole or not all(i.one_sided and i.columns == {"duration_ms"} for i in rest.values()):
                raise
            held.add(_from_latency(_scan(archive, snapshot, tables.LATENCY, since, until), rest))
            notes.append(
                "rows of the window were deleted: shares of fast requests come from buckets, with their bounds"
            )
        else:
            _add_rows(frames, held, rest, filters, counts, interrupt, progress)
    return held, counts, notes


def _older(number: int) -> pl.DataFrame:
    """A row which says that the archive goes back further than the window."""
    return pl.DataFrame({"objective": [number], "minute": [BEFORE]}).select(
        pl.col(name).cast(kind) if name in ("objective", "minute") else pl.lit(0, kind).alias(name)
        for name, kind in INDICATORS.schema.items()
    )


def _scan(archive: Archive, snapshot: Snapshot, table: str, since: datetime, until: datetime) -> pl.LazyFrame:
    """Rows of a rollup of since ≤ minute < until, `minute` as minutes since 1970."""
    files = snapshot.select(table, since=since, until=until)
    return (
        read(archive, files, list(tables.columns(table)), table)
        .lazy()
        .filter(pl.col("minute").is_between(since, until, closed="left"))
        .with_columns(minute=pl.col("minute").to_physical().floordiv(MINUTE_US))
    )


def _collected(lazy: pl.LazyFrame) -> pl.DataFrame:
    try:
        return lazy.collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(error) from None


def _from_traffic(rollup: pl.LazyFrame, wanted: Mapping[int, Indicator]) -> pl.DataFrame:
    """The indicators that the rollup `traffic` gives exactly."""
    columns = sorted(frozenset[str]().union(*(indicator.columns for indicator in wanted.values())))
    requests = rollup.filter(pl.col("kind") == "request")
    counted = _collected(requests.group_by("minute", *columns).agg(pl.col("requests").sum()))
    return summarise_counted(counted, wanted)


def _from_latency(rollup: pl.LazyFrame, wanted: Mapping[int, Indicator]) -> pl.DataFrame:
    """The indicators about durations, with the bounds of the buckets in the rollup `latency`."""
    counted = _collected(rollup.group_by("minute", "bucket").agg(requests=pl.col("count").sum()))
    known = counted["bucket"].unique().to_list()
    edges = pl.DataFrame(
        [(b, loghist.bucket_ms(b), loghist.upper_ms(b if b is None else b - 1), loghist.upper_ms(b)) for b in known],
        schema={"bucket": pl.Int32(), "duration_ms": pl.Float64(), "low": pl.Float64(), "high": pl.Float64()},
        orient="row",
    )
    return summarise_counted(counted.join(edges, on="bucket", how="left", nulls_equal=True), wanted)


def _add_rows(
    frames: Iterator[pl.DataFrame],
    held: Indicators,
    wanted: Mapping[int, Indicator],
    filters: Filters,
    counts: Counts,
    interrupt: Interrupt | None,
    progress: Callable[[float], None] | None,
) -> None:
    keep, read = filters.expression(), 0
    for frame in frames:
        if interrupt is not None and interrupt.asked:
            counts.interrupted = True
            return
        read += frame.height
        requests = frame.filter(pl.col("kind") == "request")
        held.add(summarise(requests if keep is None else requests.filter(keep), wanted))
        if progress is not None:
            progress(100 * read / max(counts.requests + counts.events, 1))
