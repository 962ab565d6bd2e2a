"""A policy: the objectives of a service, from a TOML file.

    window = "30d"                       # the error budget's period

    [[objective]]
    name = "availability"
    good = "status < 500"                # or "status < 400", or "duration < 300ms", combined by "and"
    target = 99.9                        # per cent of requests that must be good

    [[objective]]
    name = "bugs are fast"
    select = "GET /api/bugs*"
    require = "p95 < 200ms"

An objective has `good` and `target`, or `require`. Most requirements are the first in other words, and get an error
budget like it: `p95 < 200ms` holds exactly if 95 % of requests take less than 200 ms (by the nearest rank), and
`error_rate < 0.1%` if more than 99.9 % of them are answered with less than 500.
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NoReturn

from logstats.dataclass import dataclass
from logstats.errors import ExpressionError, ObjectiveError
from logstats.expressions import predicates
from logstats.expressions.predicates import Compare, Predicate, Times
from logstats.objectives.conditions import (
    PERCENTILE,
    Condition,
    Selector,
    parse_condition,
    parse_selector,
)

WINDOW: Final = "30d"
LONGEST: Final = 400 * 86_400
_KEYS: Final = ("window", "objective")
_OBJECTIVE_KEYS: Final = ("name", "select", "good", "target", "require")
_WINDOW = re.compile(r"([1-9][0-9]{0,6})(m|h|d|w)")
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_ANSWERED: Final = Compare("status", "<", Fraction(500))


@dataclass(frozen=True, slots=True)
class Objective:
    """What must hold for the selected requests.

    Either at least `target` (a part of 1; more than it if `strict`) of those that can be judged are `good`; or, without
    `good`, `condition` holds of all of them together. `text` is its text in the policy.
    """

    name: str
    text: str
    selector: Selector | None
    good: Predicate | None = None
    target: Fraction = Fraction(1)
    strict: bool = False
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Objectives, and the period of their error budgets in seconds."""

    window: int
    objectives: tuple[Objective, ...]


def load(file: str | Path, times: Times | None = None) -> Policy:
    """The policy of a file; `times` reads times in it (by default in UTC). Raises ObjectiveError."""
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise ObjectiveError(f"{path}: {why.lower()}", "--policy takes a TOML file") from None
    return parse(text, str(path), times)


def parse(text: str, place: str, times: Times | None = None) -> Policy:
    """A policy; `place` is named in errors. Raises ObjectiveError."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ObjectiveError(f"{place}: not TOML: {error}", "the README has an example") from None
    _known(place, data, _KEYS)
    window = _WINDOW.fullmatch(data.get("window", WINDOW)) if isinstance(data.get("window", WINDOW), str) else None
    if window is None:
        _wrong(f"{place}: window", 'must be a text such as "30d"', "the units are m, h, d and w")
    seconds = int(window[1]) * _SECONDS[window[2]]
    if seconds > LONGEST:
        _wrong(f"{place}: window", f"{window[0]} is longer than {LONGEST // 86_400}d")
    entries = data.get("objective")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        _wrong(f"{place}: objective", "there must be at least one", "begin each with [[objective]]")
    objectives: dict[str, Objective] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            _wrong(f"{place}: objective {number}: name", "must be there, and a text", 'name = "availability"')
        if name in objectives:
            _wrong(f"{place}: objective {number}: name", f"another one is called {name!r}")
        objectives[name] = _objective(f"{place}: objective {number} ({name})", entry, times)
    return Policy(seconds, tuple(objectives.values()))


def _objective(place: str, entry: dict[str, Any], times: Times | None) -> Objective:
    _known(place, entry, _OBJECTIVE_KEYS)
    for key in ("select", "good", "require"):
        if not isinstance(entry.get(key, ""), str):
            _wrong(f"{place}: {key}", "must be a text")
    if ("require" in entry) == ("good" in entry):
        _wrong(place, "needs `good` and `target`, or `require`", 'good = "status < 500" and target = 99.9')
    try:
        key = "select"
        selector = parse_selector(entry["select"], times=times) if "select" in entry else None
        key = "good"
        if "good" in entry:
            good = predicates.parse(entry["good"], times)
            return Objective(entry["name"], entry["good"], selector, good, _target(place, entry))
        key = "require"
        condition = parse_condition(entry["require"], times)
    except ExpressionError as error:
        raise ObjectiveError(f"{place}: {key}: {error.what}", error.hint) from None
    if "target" in entry:
        _wrong(f"{place}: target", "`require` has its own", "leave it out, or write `good` instead of `require`")
    return _required(f"{place}: require", entry["name"], condition, selector)


def _target(place: str, entry: dict[str, Any]) -> Fraction:
    target = entry.get("target")
    if isinstance(target, bool) or not isinstance(target, int | Decimal) or not Decimal(target).is_finite():
        _wrong(f"{place}: target", "must be there, and a number", "target = 99.9 is per cent")
    if not 1 < target <= 100:
        _wrong(f"{place}: target", f"{target} is not above 1 and at most 100", "it is per cent: 99.9, not 0.999")
    if -int(Decimal(target).as_tuple().exponent) > 12:
        _wrong(f"{place}: target", "has more than 12 decimals")
    return Fraction(target) / 100


def _required(place: str, name: str, condition: Condition, selector: Selector | None) -> Objective:
    """A requirement as a target of good requests, if it can be expressed as one."""
    if condition.selector:
        if selector:
            _wrong(place, "the selector is there twice", "leave it to `select`")
        selector = condition.selector
    if condition.hold is not None:
        _wrong(place, "`for` is for alerts", "leave it out")
    metric, op = condition.metric, condition.op
    if metric in ("users", "rejected"):
        _wrong(place, f"{metric} is no service level", "hold it against a limit with logstats report --fail-if")
    said = (name, condition.text, selector)
    if metric in (PERCENTILE, "error_rate"):
        if op not in ("<", "<="):
            _wrong(place, f"says what must hold, so {condition.name} needs an upper limit", f"{condition.name} < …")
        if metric == PERCENTILE:
            good = Compare("duration_ms", op, condition.limit)
            return Objective(*said, good, Fraction(condition.percentile or "") / 100)
        return Objective(*said, _ANSWERED, 1 - condition.limit, strict=op == "<")
    if metric == "availability":
        if op not in (">", ">="):
            _wrong(place, "says what must hold, so availability needs a lower limit", "availability >= 99.9%")
        return Objective(*said, _ANSWERED, condition.limit, strict=op == ">")
    return Objective(*said, condition=condition)


def _known(place: str, table: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            near = get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(keys)}"
            _wrong(f"{place}: {key}", "no such key", hint)


def _wrong(place: str, why: str, hint: str = "") -> NoReturn:
    raise ObjectiveError(f"{place}: {why}", hint)
