"""Looking for things in the bytes of all lines at once, held against looking in each."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logstats.formats.buffer import Buffer

LINES = st.lists(st.text(st.sampled_from('ab "[]\\:é€\x01'), max_size=60), min_size=1, max_size=12)
LITERALS = st.sampled_from(
    ["a", " ", " [", '] "', "ab", "aba", "é", '":"', "ab ab ab", "aaaaaaaaaaaa", "ab ab ab ab ab ab"]
)


def spans(lines: list[str]) -> tuple[Buffer, np.ndarray, np.ndarray]:
    data = "".join(f"{line}\n" for line in lines).encode()
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    return Buffer(data), np.concatenate([[0], ends + 1])[:-1], ends


@settings(max_examples=300, deadline=None)
@given(LINES, LITERALS)
@example(["a" * 1000 + " [", "x"], " [")
@example(["a" * 15 + " [", "a" * 14 + " ["], " [")
def test_find_is_that_of_bytes(lines: list[str], literal: str) -> None:
    buffer, starts, ends = spans(lines)
    wanted = literal.encode()
    found, good = buffer.find(wanted, starts, ends)
    for line, start, place, sure in zip(lines, starts, found, good, strict=True):
        true = line.encode().find(wanted)
        head = line.encode().find(wanted[:8])
        if sure:
            assert place - start == true
        else:  # nothing, or something else that begins alike stands before it
            assert true < 0 or head < true
        assert start <= place <= start + len(line.encode())


@settings(max_examples=200, deadline=None)
@given(LINES, LITERALS, st.integers(0, 20))
def test_stands_is_startswith(lines: list[str], literal: str, shift: int) -> None:
    buffer, starts, _ = spans(lines)
    stands = buffer.stands(literal.encode(), starts + shift)
    true = [bytes(buffer.data[start + shift :]).startswith(literal.encode()) for start in starts.tolist()]
    assert stands.tolist() == true


@settings(max_examples=200, deadline=None)
@given(LINES, st.integers(0, 30))
def test_texts_are_slices(lines: list[str], cut: int) -> None:
    ascii_lines = [line.encode("ascii", "replace").decode() for line in lines]
    buffer, starts, ends = spans(ascii_lines)
    starts = np.minimum(starts + cut, ends)
    texts = buffer.texts(starts, ends)
    assert texts.dtype == pl.String
    assert texts.to_list() == [line[cut:] for line in ascii_lines]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 16, 17, (1 << 18) - 1, (1 << 18) + 1])
def test_places_of_bytes(size: int) -> None:
    data = (b'ab"c\n' * (size // 5 + 1))[:size]
    true = [place for place, byte in enumerate(data) if byte in b'"\n']
    assert Buffer(data).places_of(*b'"\n').tolist() == true
    assert Buffer(data).quotes.tolist() == true


def test_escapes_are_backslashes_and_control_characters() -> None:
    assert Buffer(b"plain\nlines\n").escapes.tolist() == []
    assert Buffer(b"a\\b\n\tc\x00\n").escapes.tolist() == [1, 4, 6]


NUMBERS = st.one_of(
    st.integers(-100, 10**18).map(str),
    st.floats(0, 1e6).map(lambda f: f"{f:.3f}"),
    st.text(st.sampled_from("0123456789.-e \x00é"), max_size=20),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=12))
@example(["0", "00", "0.5", ".5", "5.", "1.2.3", "", "1234567890123456", "12345678901234567", "1/2", "1:2", "true"])
def test_decimals_are_plain_numbers(texts: list[str]) -> None:
    buffer, starts, ends = spans(texts)
    plain = [bool(re.fullmatch(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", t, re.ASCII)) and len(t) <= 16 for t in texts]
    assert buffer.decimals(starts, ends).tolist() == plain
