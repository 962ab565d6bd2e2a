"""A rate limit replayed over the requests of a log.

Requests are put in order by key and time, in a temporary folder if they are many, so one key's state is held at a time
however many keys there are. Out-of-order lines come in their place; with a lateness, one that comes later than that is
taken for one that came just in time, as a limiter would see it whose clock does not go back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import field
from datetime import timedelta
from fractions import Fraction
from types import TracebackType
from typing import IO, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from logstats.critical import uninterrupted
from logstats.dataclass import dataclass
from logstats.expressions import predicates
from logstats.expressions.compiled import expression
from logstats.frames import pl
from logstats.ordered import Ordered
from logstats.rate_limits.algorithms import Limiter
from logstats.rate_limits.limit import Limit, Rules
from logstats.sketches import loghist

KEYS: Final = 100_000  # keys held with their figures; beyond, those with the fewest refused become one
MINUTES: Final = 500_000  # intervals held; beyond, they become longer
PERCENTILES: Final = ("50", "95", "99")
_HELD: Final = ("requests", "refused", "wait", "first", "last")
_MICRO: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Left:
    """Requests that are not replayed: those without a time, and those without a value of any key column; and `late`
    ones, which are, at another time than theirs."""

    untimed: int = 0
    unkeyed: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """The smallest limit that refuses at most `asked` of the requests (a part of 1), and how many it refuses; None if
    there is none. `refused_with` it, tiers included."""

    asked: Fraction
    limit: Limit | None
    refused: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the requests.

    `per_key` has (tier, the columns of the rules…, requests, refused, wait, first, last), those with the most refused
    first: the longest wait, and when the first and last was refused, in microseconds. `others` adds up the keys that
    are not held. `over_time` has (time in microseconds, requests, refused) for intervals of `step` minutes. `waits` are
    buckets of the waits in milliseconds (loghist). `refused_in_tiers` were held to another limit than that of all.
    """

    rules: Rules
    requests: int
    refused: int
    refused_in_tiers: int
    keys: int
    keys_refused: int
    per_key: pl.DataFrame
    others: dict[str, int]
    over_time: pl.DataFrame
    step: int
    waits: list[tuple[int | None, int]]
    wait_min: int
    wait_max: int
    left: Left
    fit: Fit | None = None
    notes: list[str] = field(default_factory=list)

    def wait_ms(self, percentile: str) -> float:
        """A percentile of the waits of those that were refused, within 1 %."""
        ends = self.wait_min / 1000, self.wait_max / 1000
        return loghist.within(self.waits, loghist.parse_percentile(percentile), *ends)[0]


def needs(rules: Rules) -> frozenset[str]:
    """The columns of the request schema that a replay reads."""
    of_tiers = (predicates.needs(tier.where) for tier in rules.tiers)
    return frozenset({"kind", "timestamp", *rules.by}).union(*of_tiers)


def replay(
    rows: Iterable[pl.DataFrame], rules: Rules, lateness: timedelta | None = None, fit: Fraction | None = None
) -> Outcome:
    """Replay frames of `needs`. With a lateness they also have `source`, and come in the order of its lines."""
    left = Left()
    with Ordered(("tier", *rules.by, "time")) as ordered, _Spool() as spool:
        reached: dict[str, int] = {}
        for frame in rows:
            ordered.add(_requests(frame if lateness is None else _in_time(frame, lateness, reached, left), rules, left))
        made = _Sums(rules)
        limiters = [Limiter(rules.algorithm, limit) for limit in rules.limits]
        for frame, begins in _marked(ordered.frames(), ("tier", *rules.by)):
            waits = np.empty(frame.height, np.int64)
            times = frame["time"].to_numpy()
            tiers = frame["tier"].to_numpy()
            for number in range(int(tiers[0]), int(tiers[-1]) + 1):  # in order, so each is one run
                first, end = np.searchsorted(tiers, [number, number + 1])
                part = slice(int(first), int(end))
                waits[part] = limiters[number].waits(np.ascontiguousarray(times[part]), begins[part].copy())
                if fit is not None and number == 0:
                    spool.add(times[part], begins[part])
            made.add(frame.with_columns(wait=pl.Series(waits)), begins)
        outcome = made.outcome(left, None)
        if fit is None:
            return outcome
        return made.outcome(left, _fitted(spool, outcome, fit))


def _requests(frame: pl.DataFrame, rules: Rules, left: Left) -> pl.DataFrame:
    """(tier, key columns…, time in microseconds) of what is replayed."""
    requests = frame.filter(pl.col("kind") == "request")
    tier = pl.lit(0, pl.UInt16)
    for number in range(len(rules.tiers), 0, -1):
        holds = expression(rules.tiers[number - 1].where).fill_null(value=False)
        tier = pl.when(holds).then(pl.lit(number, pl.UInt16)).otherwise(tier)
    chosen = requests.select(tier.alias("tier"), *rules.by, time=pl.col("timestamp").to_physical())
    left.untimed += chosen["time"].null_count()
    timed = chosen.drop_nulls("time")
    keyed = timed.filter(pl.any_horizontal(pl.col(rules.by).is_not_null()))
    left.unkeyed += timed.height - keyed.height
    return keyed


def _in_time(frame: pl.DataFrame, lateness: timedelta, reached: dict[str, int], left: Left) -> pl.DataFrame:
    """The requests of a frame of one source, none earlier than `lateness` before the latest time up to it."""
    requests = frame.filter(pl.col("kind") == "request")
    if not requests.height:
        return requests
    source, time = str(requests["source"][0]), pl.col("timestamp").to_physical()
    latest = pl.max_horizontal(time.cum_max().forward_fill(), pl.lit(reached.get(source), pl.Int64()))
    found = requests.with_columns(latest=latest).with_columns(least=pl.col("latest") - lateness // _MICRO)
    reached[source] = found["latest"][-1]
    left.late += int((found["least"] > found["timestamp"].to_physical()).sum())
    in_time = pl.when(pl.col("timestamp").is_not_null()).then(pl.max_horizontal(time, "least"))
    return found.with_columns(timestamp=in_time.cast(pl.Datetime("us", "UTC"))).drop("latest", "least")


def _marked(frames: Iterable[pl.DataFrame], keys: tuple[str, ...]) -> Iterator[tuple[pl.DataFrame, NDArray[np.bool_]]]:
    """Each frame with the rows at which a key begins."""
    before: tuple[Any, ...] | None = None
    for frame in frames:
        others = pl.any_horizontal([pl.col(key).ne_missing(pl.col(key).shift()) for key in keys])
        begins = frame.select(others.alias("begins"))["begins"].to_numpy().copy()
        begins[0] = frame.select(keys).row(0) != before
        before = frame.select(keys).row(-1)
        yield frame, begins


class _Sums:
    """What becomes of the requests, added up."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._keys: list[pl.DataFrame] = []
        self._times: list[pl.DataFrame] = []
        self._waits: list[pl.DataFrame] = []
        self._others = {"keys": 0, "requests": 0, "refused": 0}
        self._step = 1
        self._requests = self._refused = self._refused_in_tiers = 0
        self._distinct = self._distinct_refused = self._wait_min = self._wait_max = 0

    def add(self, frame: pl.DataFrame, begins: NDArray[np.bool_]) -> None:
        """Add requests with (tier, key…, time, wait); keys come in order."""
        refused = pl.col("wait") > 0
        self._requests += frame.height
        self._refused += int((frame["wait"] > 0).sum())
        self._refused_in_tiers += frame.filter(refused & (pl.col("tier") > 0)).height
        self._distinct += int(begins.sum())
        shortest, longest = (
            frame.filter(refused).select(pl.col("wait").min(), pl.col("wait").max().alias("most")).row(0)
        )
        if longest is not None:
            self._wait_min = min(self._wait_min or shortest, shortest)
            self._wait_max = max(self._wait_max, longest)
        keys = ["tier", *self._rules.by]
        by_key = frame.group_by(keys, maintain_order=True).agg(
            pl.len().cast(pl.Int64).alias("requests"),
            refused.sum().cast(pl.Int64).alias("refused"),
            pl.col("wait").max(),
            pl.col("time").filter(refused).min().alias("first"),
            pl.col("time").filter(refused).max().alias("last"),
        )
        self._keys.append(by_key)
        minutes = frame.group_by(time=pl.col("time").floordiv(60_000_000 * self._step)).agg(
            pl.len().cast(pl.Int64).alias("requests"), refused.sum().cast(pl.Int64).alias("refused")
        )
        self._times.append(minutes)
        self._waits.append(
            frame.filter(refused)
            .group_by(loghist.bucket(pl.col("wait") / 1000).alias("bucket"))
            .agg(pl.len().cast(pl.Int64).alias("count"))
        )
        if sum(part.height for part in self._keys) > 2 * KEYS:
            self._fold()
        if sum(part.height for part in self._times) > 2 * MINUTES:
            self._lengthen()

    def _fold(self) -> None:
        """Keep the keys with the most refused, and the last one, which may go on."""
        if not self._keys:
            return
        keys = ["tier", *self._rules.by]
        held = (
            pl.concat(self._keys)
            .group_by(keys, maintain_order=True)
            .agg(
                pl.col("requests", "refused").sum(),
                pl.col("wait").max(),
                pl.col("first").min(),
                pl.col("last").max(),
            )
        )
        last, ranked = held.tail(1), held.head(-1).sort("refused", "requests", descending=True, maintain_order=True)
        gone = ranked.slice(KEYS)
        self._others["keys"] += gone.height
        self._others["requests"] += int(gone["requests"].sum())
        self._others["refused"] += int(gone["refused"].sum())
        self._distinct_refused += int((gone["refused"] > 0).sum())
        self._keys = [ranked.head(KEYS), last]

    def _lengthen(self) -> None:
        held = pl.concat(self._times).group_by("time").agg(pl.col("requests", "refused").sum())
        while held.height > MINUTES:
            self._step *= 60
            held = held.with_columns(pl.col("time").floordiv(60)).group_by("time").agg(pl.exclude("time").sum())
        self._times = [held]

    def outcome(self, left: Left, fit: Fit | None) -> Outcome:
        """All of it."""
        self._fold()
        kinds = {"tier": pl.UInt16(), **dict.fromkeys(self._rules.by, pl.String())}
        empty = pl.DataFrame(schema={**kinds, **dict.fromkeys(_HELD, pl.Int64())})
        held = pl.concat(self._keys) if self._keys else empty
        held = held.sort(
            "refused", "requests", *self._rules.by, descending=[True, True, *[False] * len(self._rules.by)]
        )
        times = pl.concat(
            [pl.DataFrame(schema=dict.fromkeys(("time", "requests", "refused"), pl.Int64())), *self._times]
        )
        over_time = times.group_by("time").agg(pl.col("requests", "refused").sum()).sort("time")
        waits = pl.concat([pl.DataFrame(schema={"bucket": pl.Int32(), "count": pl.Int64()}), *self._waits])
        buckets = waits.group_by("bucket").agg(pl.col("count").sum()).sort("bucket")
        return Outcome(
            self._rules,
            self._requests,
            self._refused,
            self._refused_in_tiers,
            self._distinct,
            self._distinct_refused + int((held["refused"] > 0).sum()),
            held,
            dict(self._others),
            over_time.with_columns(pl.col("time") * 60_000_000 * self._step),
            self._step,
            list(buckets.iter_rows()),
            self._wait_min,
            self._wait_max,
            left,
            fit,
        )


class _Spool:
    """The times of requests, and where keys begin, in temporary files: what is looked at many times."""

    def __init__(self) -> None:
        self._files: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for file in self._files:
            file.close()

    def add(self, times: NDArray[np.int64], begins: NDArray[np.bool_]) -> None:
        """Keep requests."""
        if not self._files:
            with uninterrupted():
                self._files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 (closed above)
        times.tofile(self._files[0])
        begins.tofile(self._files[1])

    def all(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """All of them; what is not in use is on the disk."""
        if not self._files or not self._files[0].tell():
            return np.zeros(0, np.int64), np.zeros(0, np.bool_)
        for file in self._files:
            file.flush()
        return np.memmap(self._files[0], np.int64, "r"), np.memmap(self._files[1], np.bool_, "r")


def _fitted(spool: _Spool, outcome: Outcome, asked: Fraction) -> Fit:
    """By bisection, as a larger limit never refuses more."""
    times, begins = spool.all()
    rules = outcome.rules
    allowed = int(asked * outcome.requests)

    def refused(most: int) -> int:
        return outcome.refused_in_tiers + Limiter(rules.algorithm, rules.limit.of(most)).refused(times, begins)

    below, enough = 0, 1
    while rules.limit.of(enough).fits(rules.algorithm) and refused(enough) > allowed:
        below, enough = enough, enough * 2
    if not rules.limit.of(enough).fits(rules.algorithm):
        return Fit(asked, None, 0)
    while enough - below > 1:
        middle = (below + enough) // 2
        if refused(middle) > allowed:
            below = middle
        else:
            enough = middle
    return Fit(asked, rules.limit.of(enough), refused(enough))
