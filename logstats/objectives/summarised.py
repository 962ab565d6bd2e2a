"""What objectives are made of, from summary files.

A summary tells requests apart by minute, status, method, host and app, and by minute, endpoint, class of status and
bucket of the duration. So shares of good requests by status are exact, and so are averages, maxima and numbers of
requests; shares of fast requests come from buckets, with their bounds. What a `select` asks for by path is there if the
summary was made with a `--fail-if` about the same selector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.expressions import predicates
from logstats.expressions.compiled import expression
from logstats.expressions.predicates import Between, Compare, In, IsNull, Predicate
from logstats.filters import Filters
from logstats.frames import pl
from logstats.objectives import rows
from logstats.objectives.conditions import DURATIONS
from logstats.objectives.policy import Objective, Policy
from logstats.scale import merge, tables
from logstats.scale.merge import Merged
from logstats.scale.tables import Piece
from logstats.sketches import loghist
from logstats.summaries import ranking
from logstats.summaries.indicators import INDICATORS, Indicator, Indicators, summarise_counted
from logstats.summaries.spec import ReportSpec
from logstats.summaries.traffic import EPOCH

ALL: Final = ""  # stands for the selection of all requests
_FROM_BUCKETS: Final = "shares of fast requests come from the buckets of summaries, with their bounds"
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an objective is counted: in the traffic, or (`selection`) among the buckets of a selection."""

    indicator: Indicator
    selection: str | None
    figures: bool = False  # average or maximum, of the durations themselves


def collect(
    files: Sequence[tuple[str, Path]],
    policy: Policy,
    filters: Filters,
    progress: Callable[[float], None] | None = None,
) -> tuple[Indicators, Merged, list[str]]:
    """The indicators of all files, their counts, and what is to be said of where they come from.

    Raises UsageError for an objective that summaries cannot answer, and what `scale.merge` raises.
    """
    carried = merge.description_of(*files[0]).selections
    places = [_place(objective, frozenset(carried), files[0][0]) for objective in policy.objectives]
    places.append(_Place(Indicator(None, None, frozenset()), None))
    selectors = [one.selector for one, place in zip(policy.objectives, places, strict=False) if place.selection]
    wanted = ReportSpec(selections=tuple({s.text: rows.selection(s) for s in selectors if s}.values()))
    end = (filters.until - EPOCH) // _MINUTE - 1 if filters.until else None
    held = Indicators(policy.window // 60, end)

    def sink(piece: Piece) -> None:
        if piece.table == tables.TRAFFIC:
            counted = piece.frame.group_by("minute", "status", *tables.TOLD_APART).agg(pl.col("requests").sum())
            by_traffic = {n: place.indicator for n, place in enumerate(places) if place.selection is None}
            held.add(summarise_counted(counted, by_traffic))
        elif piece.table in (tables.ENDPOINTS, tables.SELECTIONS):
            for number, place in enumerate(places):
                if place.selection is None or (place.selection == ALL) != (piece.table == tables.ENDPOINTS):
                    continue
                frame = piece.frame
                if place.selection:
                    frame = frame.filter(pl.col("selection") == place.selection)
                held.add(_figures(frame, number) if place.figures else _shares(frame, number, place.indicator))

    merged = merge.merge(files, wanted, filters, sink, progress=progress)
    if merged.folded.get(tables.TRAFFIC) and any(
        place.selection is None and place.indicator.matches is not None for place in places
    ):
        raise UsageError("there are more methods, hosts or apps than a summary tells apart", "ask the logs themselves")
    by_bucket = any(place.selection is not None and not place.figures for place in places)
    return held, merged, [*merged.notes, *([_FROM_BUCKETS] if by_bucket else [])]


def _place(objective: Objective, carried: frozenset[str], file: str) -> _Place:
    selector = objective.selector
    selected = rows.selection(selector) if selector else None
    good = expression(objective.good) if objective.good else None
    fields = predicates.needs(objective.good) if objective.good else frozenset[str]()
    figures = objective.condition is not None and objective.condition.metric in DURATIONS
    columns = fields | (selected.columns if selected else frozenset())
    if not figures and columns <= {"status", *tables.TOLD_APART}:
        return _Place(Indicator(selected.matches if selected else None, good, columns), None)
    if selector is not None and selector.text not in carried:
        raise UsageError(
            f"objective {objective.name!r}: {file} does not tell requests to {selector.text} apart",
            f"make summaries with --fail-if '{selector.text}: requests == 0', or ask the logs themselves",
        )
    if objective.good and not (
        fields <= {"status", "duration_ms"} and _by_class(objective.good) and predicates.one_sided(objective.good)
    ):
        raise UsageError(
            f"objective {objective.name!r}: a summary tells durations apart by class of status only, and by buckets",
            "write status < 500 and duration < 1s or the like, or ask the logs themselves",
        )
    return _Place(Indicator(None, good, fields), selector.text if selector else ALL, figures)


def _by_class(good: Predicate) -> bool:
    """Whether an expression is the same for all statuses of a class."""
    for test in predicates.tests(good):
        if test.column == "status" and not isinstance(test, IsNull):
            values = test.values if isinstance(test, In) else (test.value,) if isinstance(test, Compare) else ()
            for value in values:
                edge = isinstance(test, Compare) and test.op in ("<", ">=")
                if not isinstance(value, Between) and not (edge and isinstance(value, Fraction) and not value % 100):
                    return False
    return True


def _shares(frame: pl.DataFrame, number: int, indicator: Indicator) -> pl.DataFrame:
    """INDICATORS of (minute, status_class, bucket, requests)."""
    counted = frame.group_by("minute", "status_class", "bucket").agg(pl.col("requests").sum())
    edges = pl.DataFrame(
        [(bucket, *_edges(bucket)) for bucket in counted["bucket"].unique().to_list()],
        schema={"bucket": pl.Int32(), "duration_ms": pl.Float64(), "low": pl.Float64(), "high": pl.Float64()},
        orient="row",
    )
    status = pl.when(pl.col("status_class") > 0).then(pl.col("status_class").cast(pl.UInt16) * 100).alias("status")
    return summarise_counted(counted.join(edges, on="bucket").with_columns(status), {number: indicator})


def _edges(bucket: int) -> tuple[float | None, float | None, float | None]:
    """What a duration in a bucket is taken for, and what it lies between."""
    if bucket == ranking.NO_DURATION:
        return None, None, None
    if bucket == ranking.ZERO:
        return 0.0, 0.0, 0.0
    return loghist.bucket_ms(bucket), loghist.upper_ms(bucket - 1), loghist.upper_ms(bucket)


def _figures(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    """INDICATORS of the durations themselves."""
    summed = frame.group_by("minute").agg(pl.col("requests", "timed", "ns").sum(), pl.col("ns_max").max())
    nothing = {name: pl.lit(0).alias(name) for name in ("good", "bad", "least", "most")}
    made = summed.with_columns(pl.lit(number).alias("objective"), *nothing.values())
    return made.select(pl.col(name).cast(kind) for name, kind in INDICATORS.schema.items())
