"""Looking through the rows, and the rejected lines, of an archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from logstats import schema
from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.query import holding, rows
from logstats.archive.query.pruning import Wanted
from logstats.enrich.computed import Columns
from logstats.filters import Filters
from logstats.frames import pl
from logstats.line_search.chunks import TIME
from logstats.line_search.pattern import Pattern

COLUMNS: Final = (*schema.COLUMNS, "source", "line")
# What a line said. (Not `kind` and `endpoint`, which it did not.)
_TEXTS: Final = (
    *("method", "protocol", "path", "query", "user_id", "client_ip", "host", "referer", "user_agent"),
    *("level", "app_name", "message", "trace_id", "extra", "cache", "upstream", "tls", "source"),
)


def find(
    archive: Archive, snapshot: Snapshot, pattern: Pattern | None, filters: Filters, computed: Columns
) -> Iterator[pl.DataFrame]:
    """Frames of what is found: `time`, `raw` (of a rejected line its bytes, else null), the request schema, `source`
    and `line`. Rejected lines are looked through, too, if there are no filters but of time.

    Raises ArchiveError for a file that cannot be read.
    """
    (since, until), keep = filters.span(), filters.expression()
    kinds = tables.columns(tables.LOGS)
    wanted = Wanted(since, until, filters.equal())
    needs = sorted(_columns(filters, computed))

    def passes(rows: pl.DataFrame) -> pl.Series:
        which = pl.lit(value=True) if keep is None else keep
        return computed.add(rows, filters.needs).select(which.alias("passes")).to_series()

    for file in snapshot.select(tables.LOGS, since=since, until=until):
        if pattern is None:
            frames = holding.rows_passing(archive, file, COLUMNS, wanted, needs, passes)
        else:
            frames = holding.rows_holding(
                archive, file, COLUMNS, wanted, _texts(pattern), pattern.matches, pattern.may_be_in
            )
        for frame in frames:
            whole = frame.with_columns(
                pl.lit(None, kinds[name]).alias(name) for name in COLUMNS if name not in frame.columns
            )
            if pattern is not None and keep is not None:
                whole = computed.add(whole, filters.needs).filter(keep)
            yield whole.select(pl.col("timestamp").alias("time"), pl.lit(None, pl.Binary).alias("raw"), *COLUMNS)
    during = Filters(filters.since, filters.until)
    if during != filters:
        return
    inside = during.expression()
    nothing = [pl.lit(None, kinds[name]).alias(name) for name in schema.COLUMNS]
    for file in snapshot.select(tables.REJECTS, since=since, until=until):
        for frame in rows.batches(archive, file, ["timestamp", "source", "line", "raw"], since, until):
            found = frame if inside is None else frame.filter(inside)
            if pattern is not None:
                texts = [raw.decode(errors="backslashreplace") for raw in found["raw"]]
                found = found.filter(pattern.matches(pl.Series(texts, dtype=pl.String)))
            time = pl.col("timestamp").cast(TIME).alias("time")
            yield found.select(time, "raw", *nothing, "source", "line")


def not_kept(snapshot: Snapshot, pattern: Pattern | None, filters: Filters, computed: Columns) -> dict[str, list[str]]:
    """The texts, if there is a pattern, and the columns of filters that were not kept, by the tier that dropped them:
    these find nothing."""
    asked = _columns(filters, computed)
    looked_at = dict.fromkeys((*(_TEXTS if pattern else ()), *sorted(asked)))
    dropped: dict[str, list[str]] = {}
    for file in snapshot.select(tables.LOGS, since=filters.since, until=filters.until):
        if file.columns is not None:
            dropped.setdefault(file.tier, file.dropped(looked_at))
    return {tier: names for tier, names in dropped.items() if names}


def _columns(filters: Filters, computed: Columns) -> set[str]:
    """The columns of an archive that filters read."""
    return {*computed.reads(filters.needs), *set(COLUMNS).intersection(filters.needs)}


def _texts(pattern: Pattern) -> tuple[str, ...]:
    """Where to look. A target is put together only if the pattern can be about both of its parts."""
    across = pattern.regex or "?" in pattern.text
    return (*_TEXTS, holding.TARGET) if across else _TEXTS


def as_text(found: pl.DataFrame) -> pl.DataFrame:
    """`raw` for rows, too: `column=value` of what is not null, a value with spaces in quotes, as in a logfmt line."""
    parts = []
    for name in (*schema.COLUMNS, "source", "line"):
        value = pl.col(name)
        if name == "timestamp":
            text = value.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
        elif found.schema[name] == pl.String:
            escaped = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
            quoted = pl.concat_str(pl.lit('"'), escaped, pl.lit('"'))
            text = pl.when(value.str.contains(r'[\s"=\\]|^$')).then(quoted).otherwise(value)
        else:
            text = value.cast(pl.String)
        parts.append(pl.lit(f"{name}=") + text)
    line = pl.concat_str(parts, separator=" ", ignore_nulls=True).cast(pl.Binary)
    return found.with_columns(raw=pl.coalesce("raw", line))
