"""What a rate limit is: so many requests in a period, by an algorithm, for some requests other than for the others."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import ExpressionError, UsageError
from logstats.expressions import predicates
from logstats.expressions.predicates import Predicate, Times

# In the order of their numbers in kernels/limits.c.
ALGORITHMS: Final = ("token-bucket", "sliding-window", "sliding-log", "fixed-window")
TOKEN_BUCKET, SLIDING_WINDOW, SLIDING_LOG, FIXED_WINDOW = ALGORITHMS
LARGEST: Final = 2**61  # requests times microseconds: what the algorithms count in
LOGGED: Final = 10_000_000  # requests that a sliding log remembers of a key
_LIMIT = re.compile(r"\s*([0-9]{1,12})\s*/\s*([0-9]{0,9})\s*(ms|s|m|h|d)\s*")
_MICROSECONDS: Final = {"ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}


@dataclass(frozen=True, slots=True)
class Limit:
    """`most` requests in `period` microseconds; a token bucket holds `burst`, as many as `most` if it is None."""

    text: str
    most: int
    period: int
    burst: int | None = None

    @property
    def room(self) -> int:
        """How many requests a full bucket is."""
        return self.most if self.burst is None else self.burst

    def of(self, most: int) -> Limit:
        """The same with another number of requests."""
        return replace(self, text=f"{most}/{self.text.partition('/')[2].strip()}", most=most)

    def fits(self, algorithm: str) -> bool:
        """Whether the algorithm can count so far."""
        return max(self.most, self.room) * self.period <= LARGEST and (algorithm != SLIDING_LOG or self.most <= LOGGED)


@dataclass(frozen=True, slots=True)
class Tier:
    """A limit of its own for the requests of which an expression holds."""

    text: str
    where: Predicate
    limit: Limit


@dataclass(frozen=True, slots=True)
class Rules:
    """A rate limit: each key (the values of `by`) is held to the first tier that is about it, or to `limit`."""

    limit: Limit
    by: tuple[str, ...]
    algorithm: str
    tiers: tuple[Tier, ...] = ()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limit, then those of the tiers."""
        return (self.limit, *(tier.limit for tier in self.tiers))


def rules(limit: str, by: tuple[str, ...], algorithm: str, burst: int | None, tiers: list[str], times: Times) -> Rules:
    """The rules, checked. Raises UsageError and ExpressionError."""
    from logstats import schema

    if algorithm not in ALGORITHMS:
        raise UsageError(f"no algorithm is called {algorithm!r}", f"choose among {', '.join(ALGORITHMS)}")
    if burst is not None and algorithm != TOKEN_BUCKET:
        raise UsageError(f"--burst is about a token-bucket, not a {algorithm}", "leave it out")
    for column in by:
        if not schema.is_column(column) or column in ("kind", "timestamp"):
            known = [name for name in schema.names() if name not in ("kind", "timestamp")]
            why = "time is what a limit is about" if column == "timestamp" else "no column is called so"
            raise UsageError(f"cannot limit by {column!r}: {why}", f"choose among {', '.join(known)}")
    made = Rules(_limit(limit, burst), tuple(dict.fromkeys(by)), algorithm, tuple(_tier(text, times) for text in tiers))
    for one in made.limits:
        if not one.fits(algorithm):
            raise UsageError(f"{one.text} is more than a {algorithm} can count", "take a smaller number, or period")
    return made


def share(text: str) -> Fraction:
    """A part of 1, as `0.1%`. Raises UsageError."""
    found = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,12})?)\s*%\s*", text)
    if not found or Fraction(found[1]) > 100:
        raise UsageError(f"--fit {text!r} is no share", "write 0.1%, or 0%")
    return Fraction(found[1]) / 100


def _limit(text: str, burst: int | None = None) -> Limit:
    found = _LIMIT.fullmatch(text)
    if not found or not int(found[1]) or found[2].strip("0") == "" != found[2]:
        raise UsageError(f"{text!r} is no limit", "write requests/period: 100/60s, 10/s, 1000/1h")
    return Limit(text.strip(), int(found[1]), int(found[2] or 1) * _MICROSECONDS[found[3]], burst)


def _tier(text: str, times: Times) -> Tier:
    where, colon, limit = text.rpartition(":")
    if not colon:
        raise UsageError(f"--tier {text!r} has no limit", "write a condition, : and a limit: user_id=gold:1000/60s")
    try:
        found = predicates.parse(text, times, end=len(where))
    except ExpressionError as error:
        raise UsageError(f"--tier: {error.what}", error.hint or "user_id=gold:1000/60s") from None
    return Tier(where.strip(), found, _limit(limit))
