"""Requests and bytes of each bot, by what the user agent says (`--agents`)."""

from __future__ import annotations

from collections.abc import Iterable

from logstats.frames import pl
from logstats.summaries.agents import COUNTS, VERIFIED, needs, shares, with_who
from logstats.summaries.aggregate import Aggregate, CappedTable
from logstats.summaries.spec import ReportSpec

KEYS = (VERIFIED, "bot_class", "bot")


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Only where agents are asked for."""
    if spec.agents:
        yield Aggregate("bots", needs(spec), summarise, Bots)


def summarise(rows: pl.DataFrame) -> pl.DataFrame:
    """Requests of one chunk → (bot_verified, bot_class, bot, requests, bytes, first)."""
    return (
        with_who(rows)
        .filter(pl.col("bot").is_not_null())
        .group_by(KEYS)
        .agg(pl.len().cast(pl.Int64).alias("requests"), pl.col("bytes").sum(), pl.col("line").min().alias("first"))
    )


class Bots(CappedTable):
    """Requests and bytes by bot."""

    def __init__(self) -> None:
        super().__init__(KEYS, COUNTS)

    def result(self) -> pl.DataFrame:
        """(bot, bot_class, bot_verified, requests, share, bytes, bytes_share), the most requests first; shares are
        those of all bots. `bot_verified` is left out if nothing is known of it."""
        table = super().result()
        known = [VERIFIED] if table[VERIFIED].null_count() < table.height else []
        return shares(table.select("bot", "bot_class", *known, *COUNTS))
