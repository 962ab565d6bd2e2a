"""Times as servers write them → UTC microseconds. Rarer forms are read by `spelled_times`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np

from logstats.formats.fields.spelled_times import as_iso
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import Strings, as_numbers
from logstats.schema import dtype

# Each is tried on the texts that those before it could not read. `%.f` also matches the absence of a fraction.
_ZONED = (
    "%d/%b/%Y:%H:%M:%S %z",  # CLF
    "%Y-%m-%dT%H:%M:%S%.f%#z",  # RFC 3339, ISO 8601
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%Y/%m/%d %H:%M:%S%.f %#z",
    "%d/%b/%Y:%H:%M:%S%.f %z",
    "%a, %d %b %Y %H:%M:%S %#z",  # RFC 1123 with a numeric zone
    "%d/%b/%Y %H:%M:%S %#z",
)
_LOCAL = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%d/%b/%Y:%H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S%.f",
    "%a %b %d %H:%M:%S%.f %Y",  # asctime
    "%d/%b/%Y %H:%M:%S%.f",
)
_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000  # in microseconds since 1970
SHAPES: Final = 256  # distinct texts that are cached
_DIGIT = re.compile("[1-9]")
_shapes: dict[tuple[str, str], int] = {}
_BASIC_DATE = r"[0-9]{14}(?:[0-9]{3}|\.[0-9]+)?$"
_NUMBER = r"^[0-9]{9,19}(\.[0-9]+)?$"
# A text with such characters, or without a `:` if it is not a number, matches no form except months in other languages
# and basic ISO 8601.
_HOPELESS = r"[^\w/:.,+=\s\\−-]|^[^:]{0,14}[^0-9.:T][^:]*$"
# In brackets, or with a name or a remark behind its offset: `2025-01-17T11:30:00+01:00[Europe/Berlin]` (java.time),
# `Fri Jan 17 2025 10:30:00 GMT+0000 (Coordinated Universal Time)` (JavaScript), `/Date(1737109800123+0000)/` (.NET).
_BRACKETS = r"^\[([^\[\]]+)\]$"
_DOT_NET = r"^/Date\(([0-9]+)(?:[+-][0-9]{4})?\)/$"
_REMARK = r"(Z|[+-][0-9]{2}:?[0-9]{2})(?:\[[\w+/-]+\]| \([^()]+\))$"


def parse(texts: pl.Series, zone: str = "UTC", form: str = "") -> pl.Series:
    """Times of any form that servers write → Datetime(µs, UTC), null where there is none.

    A time without a zone is read in `zone` (an hour that a zone skips or repeats when clocks change is read
    as the earlier possibility, or null). A number is seconds, milliseconds, microseconds or nanoseconds
    since 1970 by its size: below 1e11, 1e14, 1e17. With a `form` (chrono's, of %Y, %b and so on) nothing else is read.
    """
    return _within_calendar(_by_form(texts, form, zone) if form else _parse(texts, zone))


def certain_form(texts: pl.Series, zone: str = "UTC", form: str = "") -> str | None:
    """The form in which C reads the first of these texts, if `parse` reads each text that C reads in it the same."""
    return certain_form_of(texts.head(100).drop_nulls().to_list(), zone, form)


def certain_form_of(texts: Iterable[str], zone: str = "UTC", form: str = "") -> str | None:
    """The same of Python's texts."""
    first = Strings([next((text for text in texts if len(text.encode()) > 1), "")])
    forms = [form] if form else [*_ZONED, *_LOCAL]
    sure = (one for one in forms if re.search("%#?z", one) or (zone == "UTC" and not re.search("%[Zekls]", one)))
    return next((one for one in sure if kernels.times(first, one)[1].any()), None)


def within_calendar() -> tuple[int, int]:
    """The first and the last microsecond of the years 1 to 9999."""
    return _YEAR_1, _YEAR_10000 - 1


def _by_form(texts: pl.Series, form: str, zone: str) -> pl.Series:
    """Read times of one form. The name of a zone in it is UTC's or that of `zone`."""
    if "%e" in form or "%k" in form or "%l" in form:  # padded with a space
        texts, form = texts.str.replace_all(" +", " "), re.sub(" +", " ", form)
    if "%z" in form or "%#z" in form or "%:z" in form:
        return _strptime(texts, dtype("Datetime"), form)
    if "%s" in form:
        return _strptime(texts, pl.Datetime("us"), form).dt.replace_time_zone("UTC")
    if "%Z" not in form:
        return _try_local(texts, form, zone)
    named = texts.str.replace(r"\b(?:UTC|GMT|Z)\b", "+0000")
    return _strptime(named, dtype("Datetime"), form.replace("%Z", "%z")).fill_null(_try_local(texts, form, zone))


def with_year(texts: pl.Series, latest: datetime, zone: str = "UTC") -> pl.Series:
    """Times without a year (`Jan  7 10:30:00`) → Datetime(µs, UTC), in the last year that is not after `latest`."""
    months = texts.str.replace_all(" +", " ")
    found = pl.Series(texts.name, [None], dtype=dtype("Datetime")).new_from_index(0, texts.len())
    for year in range(latest.year, max(latest.year - 9, 0), -1):  # nine years always hold a 29 February
        left = found.is_null() & months.is_not_null()
        if not left.any():
            break
        dated = pl.select(pl.lit(f"{year:04d} ") + months.filter(left)).to_series()
        times = _try_local(dated, "%Y %b %d %H:%M:%S%.f", zone)
        times = times.set(times > latest, None)
        if times.null_count() == times.len() and year < latest.year - 1:
            continue
        found = found.scatter(left.arg_true(), times)
    return found


def _parse(texts: pl.Series, zone: str) -> pl.Series:
    found = _bare(texts, zone)
    if found.null_count() > texts.null_count():
        odd = [texts.str.contains(form) for form in (_BRACKETS, _REMARK, _DOT_NET)]
        left = (found.is_null() & (odd[0] | odd[1] | odd[2])).arg_true()
        if left.len():
            bare = texts.gather(left)
            for form in (_BRACKETS, _REMARK, _DOT_NET):
                bare = bare.str.replace(form, "$1")
            found = found.scatter(left, _bare(bare, zone))
    return found


def _bare(texts: pl.Series, zone: str) -> pl.Series:
    attempts: list[Callable[[pl.Series], pl.Series]] = [
        *(partial(_try_zoned, form=form) for form in _ZONED),
        *(partial(_try_local, form=form, zone=zone) for form in _LOCAL),
        _try_named_zone,
        partial(_try_spelled, zone=zone),
        _try_number,
    ]
    likely = _likely(texts, attempts, zone)
    if likely is not None:
        found = likely(texts)
        if not found.null_count():
            return found  # one form throughout, as in nearly all logs
    else:
        found = pl.Series(texts.name, [None], dtype=dtype("Datetime")).new_from_index(0, texts.len())
    left = (found.is_null() & ~texts.str.contains(_HOPELESS)).arg_true()
    for attempt in attempts:
        if not left.len():
            break
        times = attempt(texts.gather(left))
        hit = times.is_not_null()
        if hit.any():
            found = found.scatter(left.filter(hit), times.filter(hit))
            left = left.filter(~hit)
    return found


def _likely(
    texts: pl.Series, attempts: Sequence[Callable[[pl.Series], pl.Series]], zone: str
) -> Callable[[pl.Series], pl.Series] | None:
    """The form that reads the first text mostly reads all, and the form that read a text of this shape before reads
    this one."""
    first = texts.drop_nulls().head(1)
    if not first.len():
        return None
    if re.match(_BASIC_DATE, first[0]):
        return None  # fourteen digits may be a date or a number, which is decided text by text
    shape = _DIGIT.sub("0", first[0]), zone
    known = _shapes.get(shape)
    if known is None:
        if re.search(_HOPELESS, first[0]):
            return None
        known = next((n for n, attempt in enumerate(attempts) if attempt(first).is_not_null().any()), None)
        if known is None:
            return None
        if len(_shapes) >= SHAPES:
            _shapes.clear()
        _shapes[shape] = known
    return attempts[known]


def _within_calendar(times: pl.Series) -> pl.Series:
    """Null for times that their offset moves out of the years 1 to 9999, where they could not be shown."""
    micros = times.to_physical()
    first, last = micros.min(), micros.max()
    if not isinstance(first, int) or not isinstance(last, int) or (first >= _YEAR_1 and last < _YEAR_10000):
        return times
    return times.set(~micros.is_between(_YEAR_1, _YEAR_10000, closed="left"), None)


def _strptime(texts: pl.Series, kind: pl.DataType, form: str) -> pl.Series:
    """`Series.str.strptime`, but ten times as fast for times that are spelled in full."""
    if not kernels.AVAILABLE:
        return texts.str.strptime(kind, form, strict=False)  # type: ignore[arg-type]
    micros, certain = kernels.times(texts, form)
    times = as_numbers(micros, certain).cast(kind)
    if certain.all():
        return times
    left = as_numbers(np.flatnonzero(~certain))
    return times.scatter(left, texts[left].str.strptime(kind, form, strict=False))  # type: ignore[arg-type]


def _try_zoned(texts: pl.Series, form: str) -> pl.Series:
    return _strptime(texts, dtype("Datetime"), form)


def _try_local(texts: pl.Series, form: str, zone: str) -> pl.Series:
    local = _strptime(texts, pl.Datetime("us"), form)
    if zone == "UTC":
        return local.dt.replace_time_zone("UTC")
    return local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


def _try_named_zone(texts: pl.Series) -> pl.Series:
    """Read times with the name of a zone (`Z` after a space, `UTC`, `GMT`), or with a comma before the fraction."""
    plain = (
        texts.str.replace(r"(?i) ?(?:UTC|GMT|Z)$", "+00:00")
        .str.replace(",", ".", literal=True)
        .str.replace(r" ([+-][0-9]{2}:?[0-9]{2})$", "$1")
        .str.replace(r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[ t]", "${1}T")
    )
    times = _try_zoned(plain, "%Y-%m-%dT%H:%M:%S%.f%#z")
    if times.null_count():
        times = times.fill_null(_try_local(plain, "%Y-%m-%dT%H:%M:%S%.f", "UTC"))
    return times


def _try_spelled(texts: pl.Series, zone: str) -> pl.Series:
    plain = as_iso(texts)
    times = _try_zoned(plain, "%Y-%m-%dT%H:%M:%S%.f%#z")
    if times.null_count() > plain.null_count():
        times = times.fill_null(_try_local(plain, "%Y-%m-%dT%H:%M:%S%.f", zone))
    return times


def _try_number(texts: pl.Series) -> pl.Series:
    number = texts.set(~texts.str.contains(_NUMBER), None)
    found = _micros(number.cast(pl.Int64, strict=False))
    if found.null_count() > number.null_count():  # fractions; and 19 digits, which are more than an Int64 holds
        found = found.fill_null(_micros(number.cast(pl.Float64, strict=False)))
    return found.cast(dtype("Datetime"))


def _micros(number: pl.Series) -> pl.Series:
    """Numbers since 1970 → microseconds (Int64). Nanoseconds are truncated, as in all other times."""
    whole = number // 1000 if number.dtype.is_integer() else number / 1000
    micros = (
        pl.when(number < 10**11)
        .then(number * 10**6)
        .when(number < 10**14)
        .then(number * 10**3)
        .when(number < 10**17)
        .then(number)
        .otherwise(whole)
    )
    return pl.select(micros.round().cast(pl.Int64)).to_series()
