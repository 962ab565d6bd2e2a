"""What bots and AI crawlers take: requests of each endpoint by who made them (`--agents`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from logstats.frames import pl
from logstats.summaries.agents import AI, BOTS, FALSE, NOBODY, PEOPLE, needs, with_who
from logstats.summaries.aggregate import Aggregate, CappedTable
from logstats.summaries.spec import ReportSpec

KEYS: Final = ("method", "endpoint")
_WHO: Final = {"bots": BOTS, "ai_crawlers": AI, "false_bots": FALSE, "people": PEOPLE, "no_agent": NOBODY}
_COUNTS: Final = {**dict.fromkeys(_WHO, "Int64"), "bots_bytes": "Int128"}


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Only where agents are asked for."""
    if spec.agents:
        state = partial(AgentEndpoints, spec.max_endpoints)
        yield Aggregate("agent_endpoints", needs(spec) | set(KEYS), summarise, state)


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (method, endpoint, a number for each of who, bots_bytes, first)."""
    counts = [(pl.col("who") == who).sum().cast(pl.Int64).alias(name) for name, who in _WHO.items()]
    automated = pl.col("who").is_in([BOTS, AI, FALSE])
    return (
        with_who(rows)
        .group_by(KEYS)
        .agg(*counts, pl.col("bytes").filter(automated).sum().alias("bots_bytes"), pl.col("line").min().alias("first"))
    )


class AgentEndpoints(CappedTable):
    """Requests of endpoints by who made them."""

    def __init__(self, cap: int) -> None:
        super().__init__(KEYS, _COUNTS, cap)

    def result(self) -> pl.DataFrame:
        """(endpoint, a number for each of who, bots_share, bots_bytes): the endpoints that bots asked for, with the
        method in front, the most of their requests first. `bots_share` is their part of the requests."""
        table = super().result()
        bots = pl.col("bots") + pl.col("ai_crawlers") + pl.col("false_bots")
        every = bots + pl.col("people") + pl.col("no_agent")
        table = table.with_columns(bots_share=bots / every, order=bots).filter(pl.col("order") > 0)
        table = table.sort("order", *KEYS, descending=[True, False, False], nulls_last=True)
        numbers = [name for name in _WHO if name != "false_bots" or table["false_bots"].sum()]
        name = pl.concat_str(KEYS, separator=" ", ignore_nulls=True).alias("endpoint")
        return table.select(name, *numbers, "bots_share", "bots_bytes")
