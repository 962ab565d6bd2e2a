"""Merged summaries → the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from logstats import schema
from logstats.pipeline import Counts
from logstats.reports.model import (
    BreakdownRow,
    EndpointRow,
    Latency,
    Minute,
    Rejects,
    RejectSample,
    Report,
    SourceInfo,
    UniqueUsers,
)
from logstats.reports.over_time import gather
from logstats.sketches import loghist
from logstats.summaries.ranking import Ranking
from logstats.summaries.statistics import Statistics
from logstats.summaries.traffic import moment


def build(
    statistics: Statistics,
    counts: Counts,
    *,
    percentiles: Sequence[str] = ("50", "90", "95", "99", "99.9"),
    sort: str = "avg",
    top: int | None = None,
    filters: dict[str, str] | None = None,
    generated_at: datetime | None = None,
) -> Report:
    """Read the statistics out. `top` cuts every ranking; None carries all that is held."""
    minutes = statistics.traffic.by_class()
    statuses = [(status, n) for status, n in statistics.traffic.statuses().iter_rows() if status is not None]
    overall = _overall(statistics.endpoints, percentiles, counts.invalid.get("duration", 0))
    # The columns that a sort needs are computed whether or not they are shown.
    ps = tuple(dict.fromkeys([*percentiles, *([sort[1:]] if sort.startswith("p") else [])]))
    rows = _ranked(statistics.endpoints, ps, sort)
    total_us = overall.sum_us if overall else 0
    endpoints = [
        EndpointRow(
            row["method"],
            schema.OTHER if row["folded"] else row["endpoint"],
            row["requests"],
            row["errors"],
            row["bytes"],
            row["classes"],
            _without(row["latency"], ps, percentiles),
            row["latency"].sum_us / total_us if row["latency"] and total_us else None,
        )
        for row in rows
        if row["folded"] or row["endpoint"] is not None
    ]
    breakdowns = {column: _ranked(held, ps, sort) for column, held in statistics.breakdowns.items()}
    notes, folded = _folded(statistics, rows, breakdowns)
    untimed = int(minutes.filter(pl.col("minute").is_null())["requests"].sum())
    return Report(
        generated_at=(generated_at or datetime.now(UTC)).replace(microsecond=0),
        sources=[
            SourceInfo(s.name, s.format, s.lines, s.bytes, str(s.problem) if s.problem else None)
            for s in counts.sources
        ],
        lines=counts.lines,
        requests=counts.requests,
        events=counts.events,
        rejected=counts.rejected,
        filtered=counts.filtered,
        ignored=counts.ignored,
        untimed=untimed,
        invalid=dict(sorted(counts.invalid.items())),
        bytes=int(minutes["bytes"].sum()) + statistics.traffic.folded_bytes,
        first=statistics.first,
        last=statistics.last,
        status={str(status): n for status, n in statuses},
        status_classes=_classes((status // 100, n) for status, n in statuses),
        levels=dict(sorted(statistics.levels.counts.items())),
        latency=overall,
        endpoints=endpoints[:top],
        endpoints_total=len(endpoints) - bool(folded),
        endpoints_folded=folded,
        breakdowns={
            column: [
                BreakdownRow(
                    schema.OTHER if row["folded"] else row[column],
                    row["requests"],
                    row["errors"],
                    row["bytes"],
                    _without(row["latency"], ps, percentiles),
                )
                for row in table
                if row["folded"] or row[column] is not None
            ][:top]
            for column, table in breakdowns.items()
        },
        unique_users=UniqueUsers(
            statistics.users.total(),
            statistics.users.standard_error,
            statistics.users.exact,
            [(moment(m), users) for m, users in statistics.users.per_minute().iter_rows()],
        ),
        minutes=_minutes(minutes.drop_nulls("minute")),
        rejects=Rejects(dict(sorted(counts.reasons.items())), [RejectSample(*sample) for sample in counts.samples]),
        notes=notes,
        interrupted=counts.interrupted,
        filters=filters or {},
        over_time=gather(statistics, percentiles, _classes),
    )


def by_selection(statistics: Statistics) -> dict[str, BreakdownRow]:
    """The figures of selections with requests, by name."""
    rows = _ranked(statistics.selections.ranking, ("50",), "requests")
    return {
        row["selection"]: BreakdownRow(row["selection"], row["requests"], row["errors"], row["bytes"], row["latency"])
        for row in rows
    }


def _minutes(by_class: pl.DataFrame) -> list[Minute]:
    """(minute, status_class, requests, bytes), in order, as one value per minute."""
    minutes = by_class.group_by("minute", maintain_order=True).agg(
        pl.col("requests").sum().alias("all"), pl.col("bytes").sum(), pl.col("status_class", "requests")
    )
    return [
        Minute(moment(minute), requests, (by := _classes(zip(classes, counts, strict=True))).get("5xx", 0), size, by)
        for minute, requests, size, classes, counts in minutes.iter_rows()
    ]


def _classes(pairs: Any) -> dict[str, int]:
    classes: dict[str, int] = {}
    for digit, count in pairs:
        if digit:
            classes[f"{digit}xx"] = classes.get(f"{digit}xx", 0) + count
    return dict(sorted(classes.items()))


def _overall(ranking: Ranking, percentiles: Sequence[str], invalid: int) -> Latency | None:
    counts = ranking.counts().select(pl.col("timed", "us").sum(), pl.col("us_min").min(), pl.col("us_max").max())
    row = counts.row(0, named=True)
    if not row["timed"]:
        # A format without durations has no latency; one whose durations are all invalid says so.
        return None
    histogram = ranking.histogram().group_by("bucket").agg(pl.col("count").sum()).sort("bucket", nulls_last=False)
    stats = pl.DataFrame({"count": [row["timed"]], "min_ms": [row["us_min"] / 1000], "max_ms": [row["us_max"] / 1000]})
    values = loghist.percentiles(histogram, [], stats, list(percentiles)).row(0)
    return Latency(
        count=row["timed"],
        avg=row["us"] / row["timed"] / 1000,
        min=row["us_min"] / 1000,
        max=row["us_max"] / 1000,
        percentiles=dict(zip(percentiles, values, strict=True)),
        relative_error=loghist.ALPHA,
        invalid=invalid,
        buckets=list(histogram.iter_rows()),
        sum_us=int(row["us"]),
    )


def _ranked(ranking: Ranking, percentiles: Sequence[str], sort: str) -> list[dict[str, Any]]:
    """One dict per key, in the order asked for; what was folded comes last."""
    keys = [*ranking.keys.columns, "folded"]
    counts = ranking.counts()
    totals = counts.group_by(keys).agg(
        pl.col("requests", "bytes", "timed", "us").sum(),
        pl.col("requests").filter(pl.col("status_class") == 5).sum().alias("errors"),
        pl.col("us_min").min(),
        pl.col("us_max").max(),
        pl.struct("status_class", "requests").sort_by("status_class").alias("classes"),
    )
    histogram = ranking.histogram().sort("bucket", nulls_last=False)
    stats = totals.filter(pl.col("timed") > 0).select(
        *keys, count="timed", min_ms=pl.col("us_min") / 1000, max_ms=pl.col("us_max") / 1000
    )
    # The keys may be null: number them, so that joining needs no care.
    numbered = totals.select(keys).with_row_index("key")
    histogram = histogram.join(numbered, on=keys, how="left", nulls_equal=True).select("key", "bucket", "count")
    stats = stats.join(numbered, on=keys, how="left", nulls_equal=True).drop(keys)
    values = loghist.percentiles(histogram, ["key"], stats, list(percentiles))
    names = [column for column in values.columns if column != "key"]
    buckets = histogram.group_by("key", maintain_order=True).agg(pl.struct("bucket", "count").alias("buckets"))
    table = (
        totals.with_row_index("key").join(values, on="key", how="left").join(buckets, on="key", how="left").drop("key")
    )
    rows = []
    for row in table.iter_rows(named=True):
        row["classes"] = _classes((c["status_class"], c["requests"]) for c in row["classes"])
        row["latency"] = None
        if row["timed"]:
            row["latency"] = Latency(
                count=row["timed"],
                avg=row["us"] / row["timed"] / 1000,
                min=row["us_min"] / 1000,
                max=row["us_max"] / 1000,
                percentiles={p: row[name] for p, name in zip(percentiles, names, strict=True)},
                relative_error=loghist.ALPHA,
                invalid=0,
                buckets=[(b["bucket"], b["count"]) for b in row["buckets"]],
                sum_us=int(row["us"]),
            )
        row["bytes"] = int(row["bytes"])
        rows.append(row)
    measure = _measure(sort)
    texts = ranking.keys.columns

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            row["folded"],
            -measure(row),
            -row["requests"],
            *((row[t] is not None, row[t] or "") for t in texts),
        )

    return sorted(rows, key=order)


def _measure(sort: str) -> Callable[[dict[str, Any]], float]:
    if sort in ("requests", "errors"):
        return lambda row: float(row[sort])

    def latency(row: dict[str, Any]) -> float:
        held: Latency | None = row["latency"]
        if held is None:
            return -1.0
        if sort == "total":
            return float(held.sum_us)
        if sort in ("avg", "max"):
            return float(getattr(held, sort))
        return held.percentiles[sort[1:]]

    return latency


def _without(latency: Latency | None, computed: Sequence[str], shown: Sequence[str]) -> Latency | None:
    """Drop the percentile that only the sort needed."""
    if latency is None or set(computed) == set(shown):
        return latency
    from dataclasses import replace

    return replace(latency, percentiles={p: latency.percentiles[p] for p in shown})


def _folded(
    statistics: Statistics, endpoints: list[dict[str, Any]], breakdowns: dict[str, list[dict[str, Any]]]
) -> tuple[list[str], int]:
    """What is said of the caps, and the requests of endpoints beyond theirs."""
    notes = []
    folded = sum(row["requests"] for row in endpoints if row["folded"])
    cap = f"{statistics.wanted.max_endpoints:,}"
    if folded:
        notes.append(f"{folded:,} requests to endpoints beyond the first {cap} are counted as {schema.OTHER}")
    for column, rows in breakdowns.items():
        over = sum(row["requests"] for row in rows if row["folded"])
        if over:
            notes.append(f"{over:,} requests of {column} values beyond the first {cap} are counted as {schema.OTHER}")
    if statistics.traffic.folded:
        notes.append(
            f"{statistics.traffic.folded:,} requests are in minutes beyond the first million, not shown by minute"
        )
    if statistics.latency is not None and statistics.latency.folded:
        notes.append(
            f"{statistics.latency.folded:,} durations are in minutes beyond the first million, not shown over time"
        )
    return notes, folded
