"""The rankings by columns that were asked for (`--by`): see `ranking`.

The key of a ranking is one text, `value`. That of several columns is a JSON object of their texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from logstats import schema
from logstats.frames import pl
from logstats.summaries import ranking
from logstats.summaries.aggregate import Aggregate
from logstats.summaries.names import breakdown
from logstats.summaries.spec import ReportSpec

KEY: Final = "value"
_COUNTED: Final = ("line", "status", "bytes", "duration_ms")


def name(by: str) -> str:
    """The name of the aggregate that ranks by a column, or several: `host,endpoint`."""
    return f"by {by}"


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """One for each ranking."""
    for by in spec.by:
        state = partial(ranking.Ranking, (KEY,), spec.max_endpoints)
        yield Aggregate(name(by), ranking.needs(breakdown(by)), partial(summarise, by=by), state)


def summarise(rows: pl.DataFrame, by: str, also: Sequence[str] = ()) -> pl.DataFrame:
    """What `ranking.summarise` gives by the key of a breakdown, as text, and by other columns before it."""
    columns = breakdown(by)
    keys = [f"_{number}" for number in range(len(columns))]
    named = {key: schema.as_key(column) for key, column in zip(keys, columns, strict=True)}
    made = ranking.summarise(rows.select(*_COUNTED, *also, **named), (*also, *keys))
    if len(keys) == 1:
        return made.rename({keys[0]: KEY})
    # Of the distinct keys, which are few.
    whole = pl.struct(pl.col(key).alias(column) for key, column in zip(keys, columns, strict=True)).struct.json_encode()
    present = pl.any_horizontal(pl.col(keys).is_not_null())
    return made.with_columns(pl.when(present).then(whole).alias(KEY)).select(*also, KEY, pl.exclude(*also, KEY, *keys))
