"""Memory of chunks: what is in use is never given out again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstats.inputs.memory import KEPT, LEAST, Memory


def test_memory_that_nothing_refers_to_is_given_out_again() -> None:
    memory = Memory()
    first = memory.take(LEAST)
    place = id(first)
    del first
    assert id(memory.take(LEAST + 100)) == place


def test_memory_in_use_is_not() -> None:
    memory = Memory()
    whole = memory.take(1000)
    whole[:] = b"a" * 1000
    array = np.frombuffer(whole, np.uint8)[10:]
    del whole  # the array still refers to it
    assert all(memory.take(1000) is not array.base for _ in range(3))
    other = memory.take(1000)
    other[:] = b"b" * 1000
    assert bytes(array) == b"a" * 990


@given(st.lists(st.integers(0, 3 * KEPT), min_size=1, max_size=60), st.data())
def test_no_two_that_are_held_are_one(releases: list[int], data: st.DataObject) -> None:
    memory, held = Memory(), list[bytearray]()
    for number, release in enumerate(releases):
        if release < len(held):
            del held[release]
        size = data.draw(st.integers(0, 5000))
        new = memory.take(size)
        assert len(new) == size and all(new is not one for one in held)
        new[:] = bytes([number]) * size
        held.append(new)
        for one in held:
            assert len(set(one)) <= 1  # nobody else has written to it


@pytest.mark.parametrize("size", [10, LEAST])
def test_parts_are_joined_in_order(size: int) -> None:
    memory = Memory()
    parts = [b"x" * size, memoryview(b"abc")[1:], bytearray(b"last")]
    assert memory.joined([*parts]) == b"x" * size + b"bc" + b"last"
    assert memory.joined([parts[0]]) is parts[0]
