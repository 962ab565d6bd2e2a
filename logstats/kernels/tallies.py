"""Tallies: sorted distinct numbers, and how often each was counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from logstats.kernels import library as kernels

Codes = NDArray[np.uint64]
Counts = NDArray[np.int64]
Tally = tuple[Codes, Counts]


def tally(codes: Codes, counts: Counts | None = None) -> Tally:
    """The tally of numbers that may repeat; each counts once, or as often as is said. The arrays are not kept, but they
    are used up."""
    if not kernels.AVAILABLE:
        distinct, places = np.unique(codes, return_inverse=True)
        sums = np.zeros(len(distinct), np.int64)
        np.add.at(sums, places, 1 if counts is None else counts)
        return distinct, sums
    codes, counts = _sorted(codes, counts)
    sums = np.empty(len(codes), np.int64)
    found = kernels.call("tally", codes, 0 if counts is None else counts, len(codes), sums)
    return kernels.copied(codes[:found]), kernels.copied(sums[:found])


def highest(codes: Codes) -> Codes:
    """Of numbers, the highest of those that are the same but for their low 6 bits; in order. The array is used up."""
    if not kernels.AVAILABLE:
        codes = np.sort(codes)
        ends: NDArray[np.bool_] = np.diff(codes >> np.uint64(6), append=np.uint64(2**63)) != 0
        return codes[ends]
    codes, _ = _sorted(codes, None)
    return kernels.copied(codes[: kernels.call("highest", codes, len(codes))])


def merged(one: Tally, other: Tally) -> Tally:
    """One tally of two."""
    if not kernels.AVAILABLE:
        return tally(np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]]))
    size = len(one[0]) + len(other[0])
    codes, counts = np.empty(size, np.uint64), np.empty(size, np.int64)
    found = kernels.call("merge_tallies", *one, len(one[0]), *other, len(other[0]), codes, counts)
    return (codes, counts) if found == size else (kernels.copied(codes[:found]), kernels.copied(counts[:found]))


def order(codes: Codes) -> Counts:
    """The places of the numbers in order; of equal ones, the first one first. The array is used up."""
    if not kernels.AVAILABLE:
        return np.argsort(codes, kind="stable")
    _, places = _sorted(codes, np.arange(len(codes)))
    assert places is not None
    return places


def _sorted(codes: Codes, counts: Counts | None) -> tuple[Codes, Counts | None]:
    room = np.empty_like(codes)
    more: Any = 0 if counts is None else np.empty_like(counts)
    swapped = kernels.call("sort", codes, 0 if counts is None else counts, len(codes), room, more)
    if not swapped:
        return codes, counts
    return room, None if counts is None else more
