"""Tallies: sorted distinct numbers, and how often each was counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from logstats.kernels import library as kernels

Codes = NDArray[np.uint64]
Counts = NDArray[np.int64]
Tally = tuple[Codes, Counts]


def tally(codes: Codes, counts: Counts | None = None) -> Tally:
    """The tally of numbers that may repeat; each counts once, or as often as is said. The codes are used up."""
    least, most = (1, 0) if counts is None else (int(counts.min(initial=0)), int(counts.max(initial=1)))
    bits = most.bit_length()
    if kernels.AVAILABLE and least >= 0 and (not bits or _fits(codes, bits)):
        if counts is not None:
            _append(codes, counts, bits)
        kernels.sort(codes)
        sums = np.empty(len(codes), np.int64)
        found = kernels.call("tally", codes, len(codes), bits, sums)
        return kernels.copied(codes[:found]), kernels.copied(sums[:found])
    places = np.argsort(codes)
    codes = codes[places]
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1])[: len(codes)])
    each = np.ones(len(codes), np.int64) if counts is None else counts[places]
    return codes[starts], np.add.reduceat(each, starts) if len(codes) else each


def highest(codes: Codes) -> Codes:
    """Of numbers, the highest of those that are the same but for their low 6 bits; in order. The array is used up."""
    kernels.sort(codes)
    if not kernels.AVAILABLE:
        ends: NDArray[np.bool_] = np.diff(codes >> np.uint64(6), append=np.uint64(2**63)) != 0
        return codes[ends]
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
    """The places of the numbers in order, those of equal ones in any. The array is used up."""
    bits = len(codes).bit_length()
    if not _fits(codes, bits):
        return np.argsort(codes)
    _append(codes, np.arange(len(codes)), bits)
    kernels.sort(codes)
    codes &= np.uint64((1 << bits) - 1)
    return codes.view(np.int64)


def _fits(codes: Codes, bits: int) -> bool:
    return int(codes.max(initial=0)).bit_length() + bits <= 64


def _append(codes: Codes, low: Counts, bits: int) -> None:
    """Append the bits of other numbers. (What has 64 bits is sorted several times as fast as pairs, or places.)"""
    codes <<= np.uint64(bits)
    codes |= low.view(np.uint64)
