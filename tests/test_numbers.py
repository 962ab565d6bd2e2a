"""Durations, sizes and statuses: what is written has one meaning, or none."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logstats.durations import milliseconds
from logstats.formats.fields import numbers
from logstats.kernels import library as kernels

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "unit", "nanoseconds"),
    [
        ("0.000024323", "s", 24_323),  # Caddy
        ("6781", "us", 6_781_000),
        ("1499", "ns", 1_499),
        ("1.45540128e+08", "ns", 145_540_128),  # kube2iam
        ("0.4", "ns", 0), ("0.5", "ns", 1),
        ("12.5ms", "s", 12_500_000), ("1.574238 ms", "s", 1_574_238), ("24.3µs", "s", 24_300), ("24.3μs", "s", 24_300),
        ("2 seconds", "ms", 2 * SECOND), ("3m", "ms", 180 * SECOND),
        ("1m2.5s", "ms", 62_500_000_000), ("1h0m0.000000001s", "ms", 3600 * SECOND + 1),  # Go's time.Duration
        ("1h 2m 3s", "ms", 3723 * SECOND), ("1s500ms", "s", 1_500_000_000),
        ("PT0.0125S", "s", 12_500_000), ("PT1M0,5S", "ms", 60_500_000_000), ("P1DT1S", "s", 86_401 * SECOND),
        ("00:00:00.0125", "s", 12_500_000), ("1.00:00:01", "ms", 86_401 * SECOND),  # .NET
        ("0:00:00.123456", "s", 123_456_000), ("2 days, 0:00:01", "s", 172_801 * SECOND),  # Python's timedelta
        ("0,0125", "s", 12_500_000), ("12,5 ms", "s", 12_500_000),
        ("1,234,567", "ns", 1_234_567), ("1,234.5", "ms", 1_234_500_000),
        ("+7", "ms", 7_000_000), (" 7 ", "ms", 7_000_000), (".5", "s", 500_000_000),
        ("9007199254740992", "us", 2**53 * 1000),
    ],
)  # fmt: skip
def test_durations(text: str, unit: str, nanoseconds: int) -> None:
    assert numbers.nanoseconds(text, unit) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "", "abc", "true", "nan", "inf", "-1", "-0.5ms", "1,234", "0.001, 0.002", "2025-01-17T10:30:00Z", "P", "PT",
        "P1M", "1.2.3", "1_0", "5 apples", "5 MS", "1e400", "9007199254740993us", "10:30", "12.5ms and more", "٣",
        "9" * 300, '{"secs": 1}', "1s2", "h",
    ],
)  # fmt: skip
def test_what_is_no_duration(text: str) -> None:
    assert numbers.nanoseconds(text, "us") is None


def test_times_of_several_upstreams_are_added_up() -> None:
    """As nginx writes `$upstream_response_time`."""
    read = [
        numbers.nanoseconds(t, "s", listed=True) for t in ("0.001, 0.002", "0.001, -, 0.002 : 1.000", "0.004", "x, 1")
    ]
    assert read == [3_000_000, 1_003_000_000, 4_000_000, None]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512), ("5.0", 5), ("5B", 5), ("5 bytes", 5), ("1.2 KiB", 1229), ("1 MiB", 2**20), ("3kB", 3000),
        ("1,024", 1024), ("9223372036854775807", 2**63 - 1), ("9223372036854775808", None), ("-1", None), ("5.5", None),
        ("5KB", None), ("large", None), ("true", None), ("1,02", None), ("5.5B", None),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int | None) -> None:
    assert numbers.size(text) == size


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("200", 200), ("200.0", 200), ("200 OK", 200), ("404 Not Found", 404), ("000", 0), ("0", 0), ("20", None),
        ("1000", None), ("ok", None), ("200.5", None), ("2e2", None), ("-200", None), ("200, 404", None), ("099", None),
    ],
)  # fmt: skip
def test_statuses(text: str, status: int | None) -> None:
    assert numbers.status_code(text) == status


WORDS = st.sampled_from(["0", "7", "12", ".5", "1e3", "-3", "nan", "", "+7", "1_0", "200 OK", "1,5", "007", "3.25"])
ENDS = st.sampled_from(["", "s", "ms", " ms", "us", "µs", "ns", "m", "h", " s", "B", "x"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | st.tuples(WORDS, ENDS).map("".join), max_size=12), st.sampled_from(["s", "ms", "us", "ns"]))
def test_columns_say_what_each_text_says(texts: list[str | None], unit: str) -> None:
    """Whatever stands beside it, and whether C or Python reads it."""
    column = pl.Series(texts, dtype=pl.String).replace("", None)
    given_texts = column.to_list()
    for available in {kernels.AVAILABLE, False}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "AVAILABLE", available)
            made = numbers.durations(column, unit), numbers.sizes(column), numbers.statuses(column)
        expected = [None if t is None else numbers.nanoseconds(t, unit) for t in given_texts]
        assert made[0].to_list() == expected
        assert made[1].to_list() == [None if t is None else numbers.size(t) for t in given_texts]
        assert made[2].to_list() == [None if t is None else numbers.status_code(t) for t in given_texts]


@given(st.decimals(0, 10**6, places=12), st.sampled_from(["s", "ms", "us", "ns"]))
def test_a_duration_is_rounded_once(number: Decimal, unit: str) -> None:
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    assert numbers.nanoseconds(f"{number:f}", unit) == (number * scale).to_integral_value(ROUND_HALF_UP)


@given(st.lists(st.none() | st.integers(0, 2**52), max_size=8))
def test_milliseconds_are_the_nearest_to_what_was_logged(nanoseconds: list[int | None]) -> None:
    """6781 µs are 6.781 ms, 12.3456 s are 12345.6 ms: as Python's decimals have it."""
    found = milliseconds(pl.Series("ms", nanoseconds, dtype=pl.Int64))
    assert found.to_list() == [None if n is None else float(Decimal(n).scaleb(-6)) for n in nanoseconds]


def test_milliseconds_of_seconds() -> None:
    found = milliseconds(numbers.durations(pl.Series(["12.3456", None, "0.3456", "0.006781"]), "s"))
    assert found.to_list() == [12345.6, None, 345.6, 6.781]
