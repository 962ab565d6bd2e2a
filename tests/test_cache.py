"""What is remembered is what would be made anew."""

from __future__ import annotations

import threading

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logstats import cache
from logstats.cache import BoundedCache


def lengths(texts: pl.Series) -> pl.DataFrame:
    assert texts.null_count() == 0
    assert texts.n_unique() == len(texts)
    return pl.DataFrame([texts.str.len_bytes().alias("size"), texts.str.to_uppercase().alias("upper")])


@settings(deadline=None)
@given(st.lists(st.lists(st.none() | st.text(max_size=20), max_size=30), max_size=8))
def test_any_series_of_texts(chunks: list[list[str | None]]) -> None:
    memory = BoundedCache(lengths)
    for chunk in chunks:
        found = memory.lookup(pl.Series(chunk, dtype=pl.String))
        assert found["size"].to_list() == [None if text is None else len(text.encode()) for text in chunk]
        assert found["upper"].to_list() == pl.Series(chunk, dtype=pl.String).str.to_uppercase().to_list()


def test_each_text_is_made_once() -> None:
    made: list[str] = []

    def count(texts: pl.Series) -> pl.DataFrame:
        made.extend(texts.to_list())
        return texts.to_frame("text")

    memory = BoundedCache(count)
    for start in range(0, 1000, 100):
        memory.lookup(pl.Series([f"/{n % 300}" for n in range(start, start + 400)]))
    assert sorted(made) == sorted(f"/{n}" for n in range(300))


def test_it_forgets_when_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BYTES", 5_000)
    memory = BoundedCache(lengths)
    for start in range(0, 3000, 20):
        texts = [f"/path/{n}" for n in range(start, start + 40)]
        assert memory.lookup(pl.Series(texts))["size"].to_list() == [len(text) for text in texts]
    assert memory._known is None or len(memory._known) <= 100


def test_threads_may_ask_at_once() -> None:
    memory = BoundedCache(lengths)
    wrong: list[int] = []

    def work(number: int) -> None:
        for step in range(30):
            texts = [f"{number % 2}-{n}" for n in range(step * 50, step * 50 + 500)]
            if memory.lookup(pl.Series(texts))["size"].to_list() != [len(text) for text in texts]:
                wrong.append(step)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_fails_is_made_anew() -> None:
    failing = True

    def make(texts: pl.Series) -> pl.DataFrame:
        if failing and texts.len() > 1:
            raise ValueError("no")
        return lengths(texts)

    memory = BoundedCache(make)
    memory.lookup(pl.Series(["one"]))
    with pytest.raises(ValueError, match="no"):
        memory.lookup(pl.Series(["two", "four"]))
    failing = False
    assert memory.lookup(pl.Series(["three", "one", "four"]))["size"].to_list() == [5, 3, 4]
