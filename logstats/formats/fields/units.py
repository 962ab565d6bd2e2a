"""The units of durations. The unit of a number whose text and key do not name one is decided by evidence.

In this order: the unit that a known product writes (`keys.toml`, fingerprints), another duration in the line that names
its unit, the usual unit of the key, and the durations that requests plausibly take. The last only says which unit is
likely: 0.012 and 12 may be seconds of a slow service, or milliseconds of a fast one. So the user is told.
Settled units are part of a format's name, `json{duration=us}`, so that later reads use the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from logstats.dataclass import dataclass
from logstats.formats.fields import numbers
from logstats.formats.model import UNITS, Field, Format
from logstats.formats.vocabulary import fingerprints
from logstats.frames import pl

AUTO: Final = "ms"  # the unit if there is no evidence for another one
_BARE: Final = r"^[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?$"
_ZERO: Final = r"^0*\.?0*$"  # no duration, in whatever unit; or no text
_TELLS: Final = rf"[^0-9.eE+-]|{_ZERO}"  # a text that means the same whatever the unit of bare numbers is
_SHORT, _LONG = 0.05, 60_000.0  # milliseconds: hardly any request takes less, or more than these,
_LEAST, _MOST = 0.001, 600_000.0  # none takes less, and half of them do not take more
_TYPICAL: Final = math.log10(50)
_RULED_OUT: Final = 0.125  # share of implausible durations above which the unit is ruled out
_SAME: Final = 0.02  # relative difference below which two durations of a line are the same
UNTOLD: Final = "?"  # instead of a unit, in the spelling of a format,
FRACTIONS: Final = "."  # and of seconds that have fractions
_FRACTION: Final = r"^(?:[0-9]+\.[0-9]+|-)$"
_NAME: Final = re.compile(r"(.*)\{([^{}]*)\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OpenUnit:
    """A duration whose unit is open: the unit in which it is read, and the others that are possible."""

    field: str
    unit: str
    others: tuple[str, ...]


def default_unit(field: Field) -> str:
    """The unit of a number without one, unless there is evidence for another."""
    return AUTO if field.unit == "auto" else field.unit


def with_units(form: Format, units: Mapping[str, str]) -> Format:
    """The format with these units of durations, by variable; its name contains them."""
    if not units:
        return form
    fields = {n: replace(f, unit=units[n], usual=False) if n in units else f for n, f in form.fields.items()}
    name, settled = parse_name(form.name)
    spelled = ",".join(f"{one}={unit}" for one, unit in {**settled, **units}.items())
    return replace(form, name=f"{name}{{{spelled}}}", fields=fields, samples=())


def parse_name(name: str) -> tuple[str, dict[str, str]]:
    """(the name of a format without the units in it, the units)."""
    match = _NAME.fullmatch(name)
    if match is None:
        return name, {}
    return match[1], dict(part.split("=", 1) for part in match[2].split(",") if "=" in part)


def asked(form: Format, units: Mapping[str, str]) -> dict[str, Field]:
    """The fields of a format with the units that the user gave by the name of a duration or one of its keys; `duration`
    means every duration whose key names no unit."""
    fields: dict[str, Field] = {}
    for name, field in form.fields.items():
        left = field
        if field.role == "duration":
            for key in units.keys() & {*field.all_keys} - {name}:
                fields[f"{name}_{key}"] = _told(replace(field, keys=(key,), spellings=()), units[key])
                others = [tuple(other for other in keys if other != key) for keys in (left.keys, left.spellings)]
                left = replace(left, keys=others[0], spellings=others[1])
            sure = bool(field.keys) and field.unit != "auto" and not field.usual
            if name in units or ("duration" in units and not sure):
                left = _told(left, units.get(name) or units["duration"])
        if left.all_keys or not field.keys:
            fields[name] = left
    return fields


def _told(field: Field, unit: str) -> Field:
    """The duration in a unit that the user gave."""
    return replace(field, unit=unit, usual=False, looks=None if field.looks == _TELLS else field.looks)


def names_of(form: Format) -> set[str]:
    """The names that a user can give for the durations of a format."""
    durations = {name: field for name, field in form.fields.items() if field.role == "duration"}
    keys = (key for field in durations.values() for key in field.all_keys)
    return {"duration", *durations, *keys} if durations else set()


def unsettled(form: Format) -> list[str]:
    """The durations of a format whose unit its lines have to settle."""
    return [n for n, f in form.fields.items() if f.role == "duration" and (f.unit == "auto" or f.usual)]


def silent(form: Format, texts: pl.DataFrame) -> list[str]:
    """The durations of which these lines do not tell the unit: they have to be settled by the lines, and these have no
    number of them but 0. `texts` as in `settle`."""
    return [n for n in unsettled(form) if n in texts.columns and not _numbers(texts[n]).any()]


def _numbers(texts: pl.Series) -> pl.Series:
    """Which texts are numbers that need a unit."""
    return texts.str.contains(_BARE) & ~texts.str.contains(_ZERO)


def undetermined(form: Format, names: Iterable[str]) -> Format:
    """The format, to which no line belongs that has a number other than 0 of one of these durations: its unit is not
    told yet."""
    fields = {name: replace(form.fields[name], looks=_TELLS) for name in names}
    return replace(form, fields={**form.fields, **fields}) if fields else form


def of_undetermined(form: Format) -> list[str]:
    """The durations whose unit the lines of a format have not told yet."""
    return [name for name, field in form.fields.items() if field.looks == _TELLS]


def fractional(form: Format, names: Iterable[str]) -> Format:
    """The format, to which no line belongs in which one of these durations is a whole number: all that its lines have
    shown are seconds with a fraction, and 1200 behind 0.012 is something else."""
    fields = {name: replace(form.fields[name], looks=_FRACTION) for name in names}
    return replace(form, fields={**form.fields, **fields}) if fields else form


def of_fractional(form: Format) -> list[str]:
    """The durations of which all have a fraction."""
    return [name for name, field in form.fields.items() if field.looks == _FRACTION]


def spelling(form: Format) -> str:
    """The name of a format with the units in it, also of those that are undetermined (`json{duration=?}`), and what
    else its lines have shown (`combined_time{duration=.}`)."""
    marks = {**dict.fromkeys(of_undetermined(form), UNTOLD), **dict.fromkeys(of_fractional(form), FRACTIONS)}
    if not marks:
        return form.name
    name, settled = parse_name(form.name)
    return f"{name}{{{','.join(f'{n}={unit}' for n, unit in {**settled, **marks}.items())}}}"


def without_marks(spelled: str) -> str:
    """The name of a format in its `spelling`."""
    name, found = parse_name(spelled)
    settled = ",".join(f"{n}={unit}" for n, unit in found.items() if unit not in (UNTOLD, FRACTIONS))
    return (f"{name}{{{settled}}}" if settled else name) if {UNTOLD, FRACTIONS} & {*found.values()} else spelled


def settle(form: Format, texts: pl.DataFrame, lines: Sequence[str]) -> tuple[dict[str, str], list[OpenUnit]]:
    """(the units of durations that a sample settles, if they differ from the default; the durations that stay open).
    `texts` has a column for each duration of the format."""
    units: dict[str, str] = {}
    left: list[OpenUnit] = []
    doubtful = [name for name in unsettled(form) if name in texts.columns]
    for name in doubtful:
        field = form.fields[name]
        bare = texts.filter(pl.col(name).str.contains(_BARE).fill_null(value=False))
        if bare.is_empty():
            continue
        values = bare[name].cast(pl.Float64)
        of_product = next(
            (k["unit"] for k in fingerprints() if any(re.search(k["pattern"], line) for line in lines)), None
        )
        unit = of_product or _by_others(form, bare, name, values, doubtful)
        others: tuple[str, ...] = ()
        if unit is None:
            unit, others = _plausible(values, default_unit(field), usual=field.usual)
        if unit != default_unit(field):
            units[name] = unit
        if others:
            left.append(OpenUnit(name, unit, others))
    return units, left


def _by_others(form: Format, bare: pl.DataFrame, name: str, values: pl.Series, doubtful: Sequence[str]) -> str | None:
    """The unit in which a duration equals another one in the line, whose unit is known."""
    for other in bare.columns:
        if other == name or other not in form.fields or form.fields[other].role != "duration":
            continue
        texts = bare[other]
        if other in doubtful:
            texts = texts.set(texts.str.contains(_BARE).fill_null(value=True), None)
        spans = numbers.durations(texts, default_unit(form.fields[other]))
        ratio = (spans / values).filter((values > 0) & (spans > 0))
        for unit, size in UNITS.items():
            same = int(((ratio / size - 1).abs() < _SAME).sum())
            if same and same > (1 - _RULED_OUT) * len(ratio):
                return unit
    return None


def _plausible(values: pl.Series, default: str, *, usual: bool) -> tuple[str, tuple[str, ...]]:
    """(the unit in which the numbers are plausible durations of requests, others that are possible)."""
    some = values.filter(values > 0)
    if some.is_empty():
        return default, ()
    spans = {unit: some * (size / UNITS["ms"]) for unit, size in UNITS.items()}
    odd = {unit: 1 - span.is_between(_SHORT, _LONG).sum() / len(span) for unit, span in spans.items()}
    possible = [unit for unit in UNITS if odd[unit] <= _RULED_OUT]
    if usual and (default in possible or not possible):
        return default, ()
    middle = _middle(some)

    def distance(unit: str) -> float:
        return abs(math.log10(middle * UNITS[unit] / UNITS["ms"]) - _TYPICAL)

    best = min(possible or UNITS, key=distance)
    left = [unit for unit, span in spans.items() if conceivable(span)]
    return best, tuple(unit for unit in left or UNITS if unit != best)


def conceivable(spans: pl.Series) -> bool:
    """Whether some service may have taken so many milliseconds for its requests."""
    return spans.len() > 0 and not spans.is_between(0, _LEAST, closed="none").any() and _middle(spans) <= _MOST


def _middle(values: pl.Series) -> float:
    middle = values.median()
    assert isinstance(middle, float)
    return middle
