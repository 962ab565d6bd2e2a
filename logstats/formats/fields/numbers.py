"""Durations, sizes and statuses as servers and programs write them → whole numbers.

Nearly all values are plain numbers, which C reads. The others are read once for each distinct text, by `nanoseconds`,
`size` and `status_code`, which define the right result. They return None for a text without a meaning, or with more
than one, and the column is null there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Final

import numpy as np

from logstats.formats.model import UNITS
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import Mask, as_numbers

LONGEST_NS: Final = 2**53 * 1000  # 285 years: up to here, a Float64 of milliseconds is exact to the microsecond
MOST_BYTES: Final = 2**63 - 1
_LONGEST_TEXT: Final = 200  # characters of a number at most
_SURE: Final = 2**53  # sizes that C reads, at most

# Suffix → nanoseconds. `m` is a minute, as in Go.
_SUFFIXES: Final = {
    **dict.fromkeys(("ns", "nanos", "nanosecond", "nanoseconds"), 1),
    **dict.fromkeys(("us", "µs", "μs", "usec", "usecs", "micros", "microsecond", "microseconds"), 10**3),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 10**6),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 10**9),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60 * 10**9),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600 * 10**9),
    "d": 86_400 * 10**9,
}
_SIZES: Final = {
    **dict.fromkeys(("", "B", "b", "byte", "bytes", "Bytes"), 1),
    "kB": 1000,  # not KB, MB and GB: some mean 1000 by them, some 1024
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_DECIMAL: Final = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_PART: Final = re.compile(rf"({_DECIMAL}) ?([a-zµμ]+) ?")
_PLAIN: Final = re.compile(rf"\+?((?:{_DECIMAL})(?:[eE][+-]?[0-9]{{1,3}})?) ?([A-Za-zµμ]*)")
_ISO: Final = re.compile(  # ISO 8601-1, 5.5.2.4
    r"P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:[.,][0-9]+)?)S)?)?"
)
_CLOCK: Final = re.compile(  # .NET's TimeSpan, Python's timedelta
    r"(?:([0-9]+)(?:\.| days?, ))?([0-9]+):([0-5]?[0-9]):([0-5]?[0-9](?:[.,][0-9]+)?)"
)
_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(\.[0-9]+)?(?![0-9,.])")
_COMMA: Final = re.compile(r"([0-9]+),([0-9]+)(?![0-9,.])")
_STATUS: Final = re.compile(r"(?:HTTP/[0-9.]+ )?([1-9][0-9]{2})(?:\.0+)?(?:(?: -)? [A-Za-z][A-Za-z_' -]*)?")
_BETWEEN: Final = re.compile(r"[,:;] *| +")  # times of several upstreams


def durations(texts: pl.Series, unit: str, *, listed: bool = False) -> pl.Series:
    """Durations in nanoseconds (Int64). `unit` is that of numbers without one; if `listed`, lists of durations are
    added."""
    read = partial(nanoseconds, unit=unit, listed=listed)
    power = {"ns": 0, "us": 3, "ms": 6, "s": 9}[unit]
    return _read(texts, kernels.durations(texts, power, LONGEST_NS) if kernels.AVAILABLE else None, read)


def sizes(texts: pl.Series) -> pl.Series:
    """Sizes in bytes (Int64)."""
    return _read(texts, kernels.integers(texts, 0, _SURE) if kernels.AVAILABLE else None, size)


def statuses(texts: pl.Series) -> pl.Series:
    """Status codes (Int64); 0 for `000` and `0`, which mean that there was none."""
    return _read(texts, kernels.integers(texts, 100, 999) if kernels.AVAILABLE else None, status_code)


def _read(texts: pl.Series, known: tuple[pl.Series, Mask] | None, read: Callable[[str], int | None]) -> pl.Series:
    """Read a column by C, and the texts that C leaves by `read`."""
    if known is None:
        found, odd = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(texts)), texts.is_not_null().to_numpy()
    else:
        found, odd = known
    if not odd.any():
        return found
    places = as_numbers(np.flatnonzero(odd))
    left = texts.gather(places)
    distinct = left.unique()
    values = pl.Series([read(text) for text in distinct.to_list()], dtype=pl.Int64)
    return found.scatter(places, left.replace_strict(distinct, values, return_dtype=pl.Int64))


def nanoseconds(text: str, unit: str, *, listed: bool = False) -> int | None:
    """A duration: `125`, `0.125`, `12.5ms`, `1m2.5s`, `PT0.0125S`, `00:00:00.0125`, `0,0125`.

    Fractions of a nanosecond are rounded, halves up. A comma is a decimal comma, unless it could separate thousands as
    well (`1,234`): such a text is ambiguous.
    """
    text = text.strip()
    if len(text) > _LONGEST_TEXT:
        return None
    value = _nanoseconds(text, UNITS[unit])
    if value is None and listed:
        parts = [nanoseconds(part, unit) for part in _BETWEEN.split(text) if part not in ("", "-")]
        if parts and None not in parts:
            value = Decimal(sum(part for part in parts if part is not None))
    if value is None or value > LONGEST_NS:
        return None
    return int(value.to_integral_value(ROUND_HALF_UP))


def _nanoseconds(text: str, unit: int) -> Decimal | None:
    if match := _PLAIN.fullmatch(_with_point(text)):
        number, suffix = match.groups()
        scale = _SUFFIXES.get(suffix) if suffix else unit
        return None if scale is None else Decimal(number) * scale
    if match := _CLOCK.fullmatch(text):
        return _added(match.groups())
    if text[:1] == "P" and len(text) > 2 and (match := _ISO.fullmatch(text)) and text[-1] != "T":
        return _added(match.groups())
    whole, place = Decimal(0), 0
    for part in _PART.finditer(text):
        if part.start() != place or part[2] not in _SUFFIXES:
            return None
        whole += Decimal(part[1]) * _SUFFIXES[part[2]]
        place = part.end()
    return whole if place and place == len(text) else None


def _added(parts: tuple[str | None, ...]) -> Decimal:
    """The sum of days, hours, minutes and seconds, in nanoseconds."""
    numbers = [Decimal((part or "0").replace(",", ".")) for part in parts]
    seconds = sum((number * size for number, size in zip(numbers, (86_400, 3600, 60, 1), strict=True)), Decimal(0))
    return seconds * 10**9


def _with_point(text: str) -> str:
    """The number with a decimal point and without separators of thousands; None if a comma may be either."""
    if "," not in text:
        return text
    if match := _GROUPED.match(text):
        groups = match[0].count(",") > 1 or match[1]
        return match[0].replace(",", "") + text[match.end() :] if groups else text
    return _COMMA.sub(r"\1.\2", text, count=1)


def size(text: str) -> int | None:
    """A size in bytes: `512`, `5.0`, `1,024`, `5B`, `1.2 KiB`."""
    text = text.strip()
    if len(text) > _LONGEST_TEXT:
        return None
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    match = _PLAIN.fullmatch(text)
    if match is None or match[2] not in _SIZES:
        return None
    value = Decimal(match[1]) * _SIZES[match[2]]
    if value > MOST_BYTES or (_SIZES[match[2]] == 1 and value != value.to_integral_value()):
        return None
    return int(value.to_integral_value(ROUND_HALF_UP))


def status_code(text: str) -> int | None:
    """A status: `200`, `200.0`, `200 OK`, `404 NOT_FOUND`, `HTTP/1.1 200 OK`; 0 for `000` and `0`, and for `009`, which
    nginx writes for HTTP/0.9."""
    text = text[:_LONGEST_TEXT].strip()
    if match := _STATUS.fullmatch(text):
        return int(match[1])
    return 0 if re.fullmatch(r"0(?:0[09])?(?:\.0+)?", text) else None
