"""The bytes of a chunk, looked at in columns: where something stands in every line at once, sixteen bytes at a time.

Nothing is copied: places are indexes into the chunk, and the texts between two of them are views of it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]
Words = NDArray[np.uint64]
Span = tuple[Places, Places]  # where something begins and ends in each line

_NEWLINE, _SPACE, _BACKSLASH = b"\n \\"
_WORD: Final = 8
_WINDOW: Final = 2 * _WORD
_BLOCK: Final = 1 << 18  # bytes whose comparison stays in the processor's cache
_ROUNDS: Final = 32  # windows of a line that are searched together with those of others
_INLINE: Final = 12  # bytes of a text that a view holds itself (Arrow's columnar format, variable-size binary view)

_POINT, _ZERO = b".0"
_ZEROS: Final = np.uint64(0x3030303030303030)
_NINES: Final = np.uint64(0x7676767676767676)  # of what is above 9, it makes the highest bit 1
_ONES: Final = np.uint64(0x0101010101010101)
_LOW: Final = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE: Final = np.uint64(1)
_HALF: Final = np.uint64(32)
# The first n bytes of a word, for n up to 8.
_FIRST: Final = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], np.uint64)
# Of a text of n bytes, what its first four and the eight that follow hold.
_HEAD: Final = _FIRST[np.minimum(np.arange(_INLINE + 1), 4)]
_REST: Final = _FIRST[np.maximum(np.arange(_INLINE + 1) - 4, 0)]


class Buffer:
    """Some UTF-8 text, below 2 GiB."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        self.bytes = np.frombuffer(data, np.uint8)

    def places_of(self, *wanted: int) -> Places:
        """Where any of these bytes stands, in order."""
        found = []
        for start in range(0, len(self.data), _BLOCK):
            block = self.bytes[start : start + _BLOCK]
            hit = block == wanted[0]
            for byte in wanted[1:]:
                hit |= block == byte
            found.append(np.flatnonzero(hit) + start)
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    @cached_property
    def quotes(self) -> Places:
        """Where double quotes and newlines stand, in order."""
        return self.places_of(*b'"\n')

    @cached_property
    def escapes(self) -> Places:
        """Where backslashes stand, and control characters but for newlines, in order."""
        found = []
        for start in range(0, len(self.data), _BLOCK):
            block = self.bytes[start : start + _BLOCK]
            odd = block < _SPACE
            odd &= block != _NEWLINE
            odd |= block == _BACKSLASH
            if odd.any():
                found.append(np.flatnonzero(odd) + start)
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    @cached_property
    def _windows(self) -> NDArray[np.void]:
        """The sixteen bytes from each byte on, as long as so many are left."""
        return np.ndarray((max(0, len(self.data) - _WINDOW + 1),), f"V{_WINDOW}", self.data, strides=(1,))

    @cached_property
    def _last_windows(self) -> NDArray[np.void]:
        """The windows behind these, filled up with zeros."""
        tail = bytes(self.data[len(self._windows) :]) + bytes(_WINDOW)
        return np.ndarray((len(tail) - _WINDOW + 1,), f"V{_WINDOW}", tail, strides=(1,))

    def windows(self, places: Places) -> tuple[Words, Words]:
        """The sixteen bytes from each place on as two words, the first byte lowest; zeros behind the end."""
        count = len(self._windows)
        if not len(places) or places.max() < count:
            found = self._windows[places]
        else:
            behind = places >= count
            found = np.zeros(len(places), f"V{_WINDOW}")
            found[~behind] = self._windows[places[~behind]]
            found[behind] = self._last_windows[np.minimum(places[behind] - count, len(self._last_windows) - 1)]
        words = found.view("<u8").reshape(-1, 2)
        return words[:, 0], words[:, 1]

    def stands(self, literal: bytes, places: Places) -> Mask:
        """Whether it stands at each place."""
        good = np.ones(len(places), np.bool_)
        for start in range(0, len(literal), _WINDOW):
            part = literal[start : start + _WINDOW]
            for word, bytes_ in zip(self.windows(places + start), (part[:_WORD], part[_WORD:]), strict=True):
                if bytes_:
                    good &= (word & _FIRST[len(bytes_)]) == np.uint64(int.from_bytes(bytes_, "little"))
        return good

    def find(self, literal: bytes, starts: Places, ends: Places) -> tuple[Places, Mask]:
        """Where it first stands between each start and end, as a whole, and whether that is certain.

        It may be further on where something else stands that begins with the same eight bytes.
        """
        found = ends.copy()
        head = literal[:_WORD]
        step = _WINDOW - len(head) + 1  # of a window, so far it is certain whether the head begins
        left: Places | None = None  # the rows that are not decided, when that is no longer all
        places = starts
        for _ in range(_ROUNDS):
            low, high = _begins(head, *self.windows(places))
            offset = _first_byte(low)
            offset += np.where(low == 0, _first_byte(high), 0)
            over = offset < step
            if left is None:
                found[over] = places[over] + offset[over]
            else:
                found[left[over]] = places[over] + offset[over]
            places = places + step
            open_ = ~over & (places < (ends if left is None else ends[left]))
            left = np.flatnonzero(open_) if left is None else left[open_]
            if not len(left):
                break
            places = places[open_]
        else:
            assert left is not None
            for row in left.tolist():
                place = bytes(self.data[starts[row] : ends[row]]).find(literal)
                found[row] = starts[row] + place if place >= 0 else ends[row]
        good = found + len(literal) <= ends
        if len(literal) > _WORD:
            good &= self.stands(literal, found)
        if not good.all():
            found[~good] = ends[~good]
        return found, good

    def decimals(self, starts: Places, ends: Places) -> Mask:
        """Whether a plain number stands between start and end: digits, of which the first is no idle zero, and perhaps
        a fraction; up to sixteen characters."""
        sizes = ends - starts
        first, second = self.windows(starts)
        points = np.zeros(len(starts), np.uint8)
        good = (sizes > 0) & (sizes <= _WINDOW)
        for word, inside in ((first, np.minimum(sizes, _WORD)), (second, np.clip(sizes - _WORD, 0, _WORD))):
            point = _equal(word, _POINT)
            digit = word ^ _ZEROS
            other = ((digit + _NINES) | digit) & ~_LOW & ~point
            own = _FIRST[inside]
            good &= (other & own) == 0
            points += np.bitwise_count(point & own)
        initial, last = self.bytes[starts], self.bytes[ends - 1]
        next_ = (first >> np.uint64(8)) & np.uint64(0xFF)
        idle = (initial == _ZERO) & (sizes > 1) & (next_ != _POINT)
        good &= (points <= 1) & (initial != _POINT) & (last != _POINT) & ~idle
        return good

    def texts(self, starts: Places, ends: Places) -> pl.Series:
        """What stands between each start and end (String), as views."""
        import pyarrow as pa

        sizes = (ends - starts).astype(np.uint64)
        first, second = self.windows(starts)
        views = np.empty((len(starts), 2), np.uint64)
        long = starts.astype(np.uint64) << _HALF
        is_short = sizes <= _INLINE
        if is_short.any():
            inline = np.minimum(sizes, _INLINE).astype(np.intp)
            views[:, 0] = sizes | (first & _HEAD[inline]) << _HALF
            short = (first >> _HALF | second << _HALF) & _REST[inline]
            views[:, 1] = short if is_short.all() else np.where(is_short, short, long)
        else:
            views[:, 0] = sizes | first << _HALF
            views[:, 1] = long
        buffers = [None, pa.py_buffer(views), pa.py_buffer(self.data)]
        return pl.Series(pa.Array.from_buffers(pa.string_view(), len(starts), buffers))


def _begins(literal: bytes, first: Words, second: Words) -> tuple[Words, Words]:
    """The highest bit of every byte of two words at which a literal may begin: what follows them is not looked at."""
    low, high = _equal(first, literal[0]), _equal(second, literal[0])
    for number, byte in enumerate(literal[1:], 1):
        bits = np.uint64(8 * number)
        rest = ~np.uint64(0) << np.uint64(64 - 8 * number)
        next_low, next_high = _equal(first, byte), _equal(second, byte)
        low = low & (next_low >> bits | next_high << np.uint64(64 - 8 * number))
        high = high & (next_high >> bits | rest)
    return low, high


def _equal(words: Words, byte: int) -> Words:
    """The highest bit of every byte that is this one, and nothing else."""
    other = words ^ (np.uint64(byte) * _ONES)
    return np.asarray(~(((other & _LOW) + _LOW) | other | _LOW))


def _first_byte(hits: Words) -> Places:
    """Which byte of each word the lowest bit is in; 8 if there is none."""
    below = (hits & (~hits + _ONE)) - _ONE
    return (np.bitwise_count(below) >> 3).astype(np.int64)
