"""Split block Bloom filters, as Parquet files hold them: whether a value can be among the values of a column.

The specification is apache/parquet-format, BloomFilter.md. A filter is a header in Thrift's compact protocol, whose
first field is the number of bytes that follow it, and then blocks of eight 32-bit words. A value sets one bit in each
word of one block: the upper half of its hash (XXH64, seed 0) chooses the block, the lower half times an odd constant
for each word chooses the bits. A value with a bit that is not set was never added.
"""

from __future__ import annotations

import struct
from typing import Final

_BLOCK: Final = 32  # bytes
_SALTS: Final = (
    *(0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D),
    *(0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31),
)
_NUM_BYTES: Final = 0x15  # the header's first field: number 1, a 32-bit integer
_MASK: Final = 2**64 - 1
_PRIMES: Final = (
    *(0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9),
    *(0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5),
)


def bits_of(data: bytes) -> bytes | None:
    """The blocks of a filter as it stands in a file, its header included; None if this is none."""
    if len(data) < 2 or data[0] != _NUM_BYTES:
        return None
    number = 0
    for place, byte in enumerate(data[1:6]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            size = number >> 1  # integers are zigzag-coded, and this one is not negative
            return data[-size:] if size and size % _BLOCK == 0 and size + place + 2 <= len(data) else None
    return None


def may_hold(bits: bytes, hashed: int) -> bool:
    """Whether a value of this hash can have been added to a filter with these blocks. If it was, it is true."""
    block = (hashed >> 32) * (len(bits) // _BLOCK) >> 32
    low = hashed & 0xFFFFFFFF
    words = struct.unpack_from("<8I", bits, block * _BLOCK)
    return all(word >> ((low * salt & 0xFFFFFFFF) >> 27) & 1 for word, salt in zip(words, _SALTS, strict=True))


def hash_of(value: bytes) -> int:
    """XXH64 of a value with seed 0, by its specification (Cyan4973/xxHash, doc/xxhash_spec.md)."""
    first, second, third, fourth, fifth = _PRIMES
    place, size = 0, len(value)
    if size >= 32:
        lanes = [(first + second) & _MASK, second, 0, -first & _MASK]
        while place + 32 <= size:
            lanes = [
                _round(lane, word) for lane, word in zip(lanes, struct.unpack_from("<4Q", value, place), strict=True)
            ]
            place += 32
        found = sum(_rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            found = ((found ^ _round(0, lane)) * first + fourth) & _MASK
    else:
        found = fifth
    found = (found + size) & _MASK
    while place + 8 <= size:
        (word,) = struct.unpack_from("<Q", value, place)
        found = (_rotated(found ^ _round(0, word), 27) * first + fourth) & _MASK
        place += 8
    if place + 4 <= size:
        (word,) = struct.unpack_from("<I", value, place)
        found = (_rotated(found ^ (word * first & _MASK), 23) * second + third) & _MASK
        place += 4
    for byte in value[place:]:
        found = _rotated(found ^ (byte * fifth & _MASK), 11) * first & _MASK
    found = (found ^ found >> 33) * second & _MASK
    found = (found ^ found >> 29) * third & _MASK
    return found ^ found >> 32


def _round(lane: int, word: int) -> int:
    return _rotated((lane + word * _PRIMES[1]) & _MASK, 31) * _PRIMES[0] & _MASK


def _rotated(number: int, by: int) -> int:
    return (number << by | number >> 64 - by) & _MASK
