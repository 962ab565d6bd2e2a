"""Requests and bytes of people, of bots, and of AI crawlers among these, by what the user agent says (`--agents`).

`who` is one of `WHO`: each request counts once. A bot whose address is not among those that its operator publishes
(`--verify-bots`) is a false one, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from logstats.frames import pl
from logstats.summaries.aggregate import Aggregate, MergedTable
from logstats.summaries.spec import ReportSpec
from logstats.summaries.tables import Shape

PEOPLE, BOTS, AI, FALSE, NOBODY = WHO = ("people", "bots", "AI crawlers", "false bots", "no user agent")
COUNTS: Final = {"requests": "Int64", "bytes": "Int128"}
VERIFIED: Final = "bot_verified"


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Only where agents are asked for."""
    if spec.agents:
        yield Aggregate("agents", needs(spec), summarise, Agents)


def needs(spec: ReportSpec) -> frozenset[str]:
    """The columns that tell who it was, and those that are counted."""
    return frozenset({"user_agent", "bot", "bot_class", "bytes", *([VERIFIED] if spec.verify_bots else [])})


def with_who(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `who`, with `bot_verified` (null if that is not asked for), and with `bytes` that can be summed."""
    if VERIFIED not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.String).alias(VERIFIED))
    column, said = pl.col, partial(pl.lit, dtype=pl.String)
    who = (
        pl.when(column(VERIFIED) == "false")
        .then(said(FALSE))
        .when(column("bot_class").str.starts_with("ai "))
        .then(said(AI))
        .when(column("bot").is_not_null())
        .then(said(BOTS))
        .when(column("user_agent").is_null())
        .then(said(NOBODY))
        .otherwise(said(PEOPLE))
    )
    return rows.with_columns(who.alias("who"), column("bytes").fill_null(0).cast(pl.Int128))


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (who, requests, bytes)."""
    return with_who(rows).group_by("who").agg(pl.len().cast(pl.Int64).alias("requests"), pl.col("bytes").sum())


class Agents(MergedTable):
    """Requests and bytes by who made them."""

    def __init__(self) -> None:
        super().__init__(Shape({"who": "String"}, COUNTS, {}, {}))

    def result(self) -> pl.DataFrame:
        """(agents, requests, share, bytes, bytes_share), in the order of `WHO`."""
        order = pl.col("who").replace_strict({who: place for place, who in enumerate(WHO)}, return_dtype=pl.Int8)
        return shares(self._held.table().sort(order).rename({"who": "agents"}))


def shares(table: pl.DataFrame) -> pl.DataFrame:
    """The table with the share of the requests, and of the bytes, beside them."""
    others = [name for name in table.columns if name not in COUNTS]
    parts = {name: pl.col(name).cast(pl.Float64) / pl.max_horizontal(pl.col(name).sum(), 1) for name in COUNTS}
    return table.select(
        *others, "requests", parts["requests"].alias("share"), "bytes", parts["bytes"].alias("bytes_share")
    )
