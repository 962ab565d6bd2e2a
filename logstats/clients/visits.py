"""Requests → sessions: what a client did without a pause.

Requests are put in order by client and time, in a temporary folder if they are many, and cut where a client paused for
longer than the gap. What is held is one frame of them, whatever the length of the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from logstats.clients.pages import is_page
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.ordered import Ordered
from logstats.summaries.names import USER_KEYS
from logstats.summaries.users import user

GAP: Final = timedelta(minutes=30)
UNIX: Final = pl.Datetime("us", "UTC")
# A session: when it began and ended (the time of its last request), how many requests, pages, answers with 4xx and with
# 5xx, how many bytes, the endpoints of its first and last page (of its first and last request if it has no page), and
# the agent of its first request.
SESSIONS: Final = {
    "client": pl.String(),
    "start": UNIX,
    "end": UNIX,
    "requests": pl.Int64(),
    "pages": pl.Int64(),
    "refused": pl.Int64(),
    "errors": pl.Int64(),
    "bytes": pl.Int64(),
    "entry": pl.String(),
    "exit": pl.String(),
    "user_agent": pl.String(),
}


@dataclass(slots=True)
class Left:
    """Requests that belong to no session: those without a time, and those that say nothing of who asked."""

    untimed: int = 0
    unknown: int = 0


def needs(user_key: str) -> frozenset[str]:
    """The columns of the request schema that sessions are made of."""
    columns = {"kind", "timestamp", "method", "path", "endpoint", "status", "bytes", "user_agent"}
    return USER_KEYS[user_key] | columns


def sessions(rows: Iterable[pl.DataFrame], user_key: str, gap: timedelta, left: Left) -> Iterator[pl.DataFrame]:
    """Frames of SESSIONS, by client and start. `rows` are frames of `needs`, in any order."""
    with Ordered(("client", "time", "number")) as ordered:
        number = 0
        for frame in rows:
            requests = frame.filter(pl.col("kind") == "request")
            chosen = requests.select(
                user(user_key).alias("client"),
                pl.col("timestamp").alias("time"),
                pl.int_range(pl.len(), dtype=pl.Int64).alias("number") + number,
                is_page().alias("page"),
                "endpoint",
                "status",
                "bytes",
                "user_agent",
            )
            number += requests.height
            left.untimed += chosen["time"].null_count()
            known = chosen.drop_nulls("time")
            left.unknown += known["client"].null_count()
            ordered.add(known.drop_nulls("client"))
        yield from _joined((_cut(frame, gap) for frame in ordered.frames()), gap)


def _cut(requests: pl.DataFrame, gap: timedelta) -> pl.DataFrame:
    """The sessions of requests in order, as far as these are all of them."""
    new = (pl.col("client") != pl.col("client").shift()) | (pl.col("time").diff() > gap)
    page, status = pl.col("page"), pl.col("status")
    endpoint = pl.col("endpoint")
    return (
        requests.with_columns(session=new.fill_null(value=True).cum_sum())
        .group_by("session", maintain_order=True)
        .agg(
            pl.col("client").first(),
            start=pl.col("time").first(),
            end=pl.col("time").last(),
            requests=pl.len().cast(pl.Int64),
            pages=page.sum().cast(pl.Int64),
            refused=status.is_between(400, 499).sum().cast(pl.Int64),
            errors=(status >= 500).sum().cast(pl.Int64),
            bytes=pl.col("bytes").sum(),
            entry=pl.coalesce(endpoint.filter(page).first(), endpoint.first()),
            exit=pl.coalesce(endpoint.filter(page).last(), endpoint.last()),
            user_agent=pl.col("user_agent").first(),
        )
        .drop("session")
    )


def _joined(frames: Iterable[pl.DataFrame], gap: timedelta) -> Iterator[pl.DataFrame]:
    """The last session of a frame goes on in the next if that begins with the same client, in time."""
    held: pl.DataFrame | None = None
    for frame in frames:
        if held is not None:
            both = pl.concat([held, frame[:1]])
            goes_on = both["client"][0] == both["client"][1] and both["start"][1] - both["end"][0] <= gap
            frame = pl.concat([_one(both), frame[1:]]) if goes_on else pl.concat([held, frame])
        if frame.height > 1:
            yield frame[:-1].cast(pl.Schema(SESSIONS))
        held = frame[-1:]
    if held is not None:
        yield held.cast(pl.Schema(SESSIONS))


def _one(parts: pl.DataFrame) -> pl.DataFrame:
    """Two parts of a session as one. A part without pages says nothing of the first and last page if there are any."""
    told = parts.filter(pl.col("pages") > 0) if parts["pages"].sum() else parts
    sums = parts.select(pl.col("requests", "pages", "refused", "errors", "bytes").sum())
    return parts[:1].with_columns(
        parts["end"][-1:],
        *sums.get_columns(),
        entry=pl.lit(told["entry"][0], pl.String),
        exit=pl.lit(told["exit"][-1], pl.String),
    )
