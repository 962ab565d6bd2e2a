"""Significance tests: is a difference more than chance? Pure maths: counts → p-values.

All tests are two-sided and conditional: given what both sides hold together, how likely is it that dealing it out at
random makes sides that differ so much. So the choice of what is tested may depend on both sides together, but not on
one.

- Shares: Fisher's exact test; from a support of 20,000 on its normal approximation, with a continuity correction. -
Latencies as wholes: the Mann–Whitney U test with tie correction and continuity correction, by its normal approximation.
Where that is none, because a side has fewer than 30 values or one bucket holds more than half of all, Mood's median
test, by Fisher's. - Tails: Fisher's test of the share above the 95th percentile of both together. - Several tests at
once: Holm's step-down correction, which bounds the probability of any false alarm whatever the dependence between the
tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from logstats.dataclass import dataclass

SUPPORT: Final = 20_000  # possible tables for which Fisher's test is exact
SMALL: Final = 30  # values of a side from which on the normal approximation of U is good even far out in its tails

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two histograms on the same ordered buckets: `places` are the buckets' numbers, ascending."""

    places: Counts
    before: Counts
    after: Counts

    @property
    def sizes(self) -> tuple[int, int]:
        """Values on either side."""
        return int(self.before.sum()), int(self.after.sum())


def two_sided(z: float) -> float:
    """The probability that a standard normal value is as far from 0."""
    return math.erfc(abs(z) / math.sqrt(2))


def fisher(hits_before: int, before: int, hits_after: int, after: int) -> float:
    """The p-value of two shares: the probability of all tables with these margins that are no more likely."""
    hits, total = hits_before + hits_after, before + after
    low, high = max(0, hits - after), min(hits, before)
    if high <= low:
        return 1.0
    if high - low > SUPPORT:
        mean = hits * before / total
        variance = mean * (1 - hits / total) * after / (total - 1)
        return two_sided(max(0.0, abs(hits_before - mean) - 0.5) / math.sqrt(variance))
    k = np.arange(low, high, dtype=np.float64)
    ratios = np.log((hits - k) * (before - k)) - np.log((k + 1) * (after - hits + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(ratios)])
    weights = np.exp(logs - logs.max())
    seen = weights[hits_before - low]
    return min(1.0, float(weights[weights <= seen * (1 + 1e-7)].sum() / weights.sum()))


def mann_whitney(pair: Pair) -> float:
    """The p-value of U, with the corrections for ties and continuity (Mann, Whitney 1947; Lehmann, Nonparametrics)."""
    n, m = pair.sizes
    total = n + m
    below = np.cumsum(pair.before) - pair.before
    halves = zip(pair.after.tolist(), below.tolist(), pair.before.tolist(), strict=True)
    twice_u = sum(after * (2 * lower + same) for after, lower, same in halves)  # beyond 64 bits for billions
    ties = sum(t**3 - t for t in (pair.before + pair.after).tolist())
    variance = n * m * (total**3 - total - ties) / (12 * total * (total - 1))
    if variance <= 0:
        return 1.0
    return two_sided(max(0.0, abs(twice_u - n * m) / 2 - 0.5) / math.sqrt(variance))


def above(pair: Pair, place: int) -> tuple[int, int]:
    """(the numbers of values of either side in buckets after this place)."""
    return int(pair.before[place + 1 :].sum()), int(pair.after[place + 1 :].sum())


def quantile_place(pair: Pair, quantile: float) -> int:
    """The last bucket that counts as below, so that the part above is nearest to 1 − `quantile` of both sides."""
    running = np.cumsum(pair.before + pair.after)
    return int(np.argmin(np.abs(running[:-1] - quantile * running[-1]))) if len(running) > 1 else 0


def shares_above(pair: Pair, quantile: float) -> float:
    """The p-value of the shares above a quantile of both sides together: 0.5 is Mood's median test."""
    (n, m), (high_before, high_after) = pair.sizes, above(pair, quantile_place(pair, quantile))
    return fisher(high_before, n, high_after, m)


def latency(pair: Pair) -> float:
    """The p-value of one side being slower as a whole, by whichever test suits it."""
    both = pair.before + pair.after
    if min(pair.sizes) < SMALL or 2 * int(both.max()) > int(both.sum()):
        return shares_above(pair, 0.5)
    return mann_whitney(pair)


def shift(pair: Pair) -> float:
    """By how many buckets the values after lie above those before: the median of all pairwise differences (Hodges,
    Lehmann 1963), interpolated within a bucket."""
    low = int(pair.places[0])
    width = int(pair.places[-1]) - low + 1
    dense = np.zeros((2, width))
    dense[0, pair.places - low] = pair.before
    dense[1, pair.places - low] = pair.after
    differences = np.correlate(dense[1], dense[0], mode="full")  # of places, from -(width - 1) on
    running = np.cumsum(differences)
    middle = int(np.searchsorted(running, running[-1] / 2))
    inside = (running[-1] / 2 - (running[middle] - differences[middle])) / differences[middle]
    return float(middle - (width - 1) - 0.5 + inside)


def holm(ps: Sequence[float]) -> list[float]:
    """P-values adjusted for multiple testing (Holm 1979), in the same order."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted = [0.0] * len(ps)
    so_far = 0.0
    for rank, i in enumerate(order):
        so_far = max(so_far, min(1.0, ps[i] * (len(ps) - rank)))
        adjusted[i] = so_far
    return adjusted
