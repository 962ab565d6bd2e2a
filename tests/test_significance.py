"""Tests of significance against scipy's values, against counting all cases, and against the definitions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats.objectives import significance
from logstats.objectives.significance import Pair


def pair(before: list[int], after: list[int]) -> Pair:
    """Counts in neighbouring buckets."""
    return Pair(np.arange(len(before)), np.array(before), np.array(after))


# scipy 1.17.1: scipy.stats.fisher_exact([[hits, others], [hits, others]]).pvalue
FISHER = {
    (3, 10, 8, 12): 0.19838056680161942,
    (0, 100, 7, 100): 0.014017765516375317,
    (1, 1000, 15, 900): 0.00014693252204026592,
    (5, 20, 5, 2000): 1.358003722072701e-08,
    (120, 1000, 171, 1100): 0.019355274787376753,
    (0, 30, 3, 5000): 1.0,
    (60_000, 200_000, 61_000, 200_000): 0.0005843759332799259,
}


@pytest.mark.parametrize("table", FISHER)
def test_fisher_as_scipy_has_it(table: tuple[int, int, int, int]) -> None:
    approximate = min(table[1], table[3]) > significance.SUPPORT
    assert significance.fisher(*table) == pytest.approx(FISHER[table], rel=1e-3 if approximate else 1e-9)


@given(st.integers(0, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 9))
def test_fisher_by_its_definition(hits_before: int, before: int, hits_after: int, after: int) -> None:
    hits_before, hits_after = min(hits_before, before), min(hits_after, after)
    hits = hits_before + hits_after

    def ways(k: int) -> int:
        return math.comb(before, k) * math.comb(after, hits - k)

    tables = range(max(0, hits - after), min(hits, before) + 1)
    unlikely = sum(ways(k) for k in tables if ways(k) <= ways(hits_before))
    expected = float(Fraction(unlikely, math.comb(before + after, hits)))
    assert significance.fisher(hits_before, before, hits_after, after) == pytest.approx(expected, rel=1e-9)


# scipy 1.17.1: scipy.stats.mannwhitneyu(before, after, method="asymptotic").pvalue
MANN_WHITNEY = [
    ([10, 20, 30, 40, 30, 20, 10], [5, 10, 30, 40, 40, 30, 20], 0.002125077008358277),
    ([500, 30, 0, 0, 4], [300, 40, 12, 1, 0], 1.8837889846663923e-05),
    ([1] * 50, [0] * 10 + [2] * 30 + [0] * 10, 1.0),
]


@pytest.mark.parametrize(("before", "after", "p"), MANN_WHITNEY)
def test_mann_whitney_as_scipy_has_it(before: list[int], after: list[int], p: float) -> None:
    assert significance.mann_whitney(pair(before, after)) == pytest.approx(p, rel=1e-9)
    assert significance.mann_whitney(pair(after, before)) == pytest.approx(p, rel=1e-9)


counts = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=8).filter(
    lambda both: sum(b for b, _ in both) > 0 and sum(a for _, a in both) > 0 and sum(b + a for b, a in both) > 2
)


@given(counts)
def test_mann_whitney_by_its_definition(both: list[tuple[int, int]]) -> None:
    """U counts pairs, and the variance is that of dealing the midranks out, without replacement."""
    before, after = ([i for i, c in enumerate(both) for _ in range(c[side])] for side in (0, 1))
    u = sum(Fraction((a > b) + (a >= b), 2) for b, a in product(before, after))
    n, m = len(before), len(after)
    everything = sorted([*before, *after])
    ranks = [Fraction(2 * everything.index(x) + everything.count(x) + 1, 2) for x in everything]
    middle = Fraction(n + m + 1, 2)
    spread = sum((rank - middle) ** 2 for rank in ranks)
    variance = Fraction(n * m, (n + m) * (n + m - 1)) * spread
    if not variance:
        assert significance.mann_whitney(pair(*map(list, zip(*both, strict=True)))) == 1.0
        return
    z = max(Fraction(0), abs(u - Fraction(n * m, 2)) - Fraction(1, 2)) / math.sqrt(variance)
    expected = math.erfc(z / math.sqrt(2))
    assert significance.mann_whitney(pair(*map(list, zip(*both, strict=True)))) == pytest.approx(expected, rel=1e-9)


@given(counts)
def test_the_shift_is_the_median_of_all_differences(both: list[tuple[int, int]]) -> None:
    before, after = ([i for i, c in enumerate(both) for _ in range(c[side])] for side in (0, 1))
    differences = sorted(a - b for b, a in product(before, after))
    found = significance.shift(pair(*map(list, zip(*both, strict=True))))
    low, high = differences[(len(differences) - 1) // 2], differences[len(differences) // 2]
    assert low - 0.5 - 1e-9 <= found <= high + 0.5 + 1e-9, "within the bucket, or between two, of the median"
    assert abs(found - median(differences)) <= 0.5 + (high - low) / 2 + 1e-9


def test_which_test_is_taken() -> None:
    """U's normal approximation would see a miracle in one odd value among two of a thousand."""
    odd = pair([1000, 0], [1, 1])
    assert significance.mann_whitney(odd) < 1e-20
    assert significance.latency(odd) == pytest.approx(2 / 1002)  # the odd one is one of two in 1,002
    few = pair([5, 5, 5, 5], [0, 0, 10, 10])
    assert significance.latency(few) == significance.shares_above(few, 0.5)
    many = pair([50, 50, 50, 50], [0, 10, 100, 100])
    assert significance.latency(many) == significance.mann_whitney(many)


def test_the_tail() -> None:
    both = pair([90, 5, 4, 1], [80, 5, 10, 5])
    assert significance.quantile_place(both, 0.95) == 2  # 6 of 200 above, not 20
    assert significance.above(both, 2) == (1, 5)
    assert significance.shares_above(both, 0.95) == significance.fisher(1, 100, 5, 100)


def test_holm_by_its_table() -> None:
    """Five p-values and what R's p.adjust(p, "holm") makes of them."""
    assert significance.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert significance.holm([0.04, 0.001, 0.6]) == pytest.approx([0.08, 0.003, 0.6])
    assert significance.holm([]) == []


def test_billions_do_not_overflow() -> None:
    huge = pair([4_000_000_000, 1_000_000_000], [1_000_000_000, 4_000_000_000])
    assert significance.mann_whitney(huge) == 0
    assert significance.fisher(10**9, 10**10, 10**9 + 10**4, 10**10) == pytest.approx(0.8137, abs=1e-3)
    assert significance.shift(huge) == pytest.approx(0.5 + (0.5 - 0.36) / 0.64)
