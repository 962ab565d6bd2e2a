"""What a summary file says of itself, in its metadata: how it was made, and every line accounted for.

It is JSON under the key `logstats`, with `schema_version` first; `from_json` believes nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.errors import SourceError, UsageError
from logstats.pipeline import Counts, SourceState
from logstats.scale import tables
from logstats.sketches import hll, loghist
from logstats.summaries.names import USER_KEYS, breakdown

SCHEMA_VERSION: Final = 1
SKETCHES: Final = {"latency_relative_error": loghist.ALPHA, "users_precision": hll.PRECISION}
_TOTALS: Final = ("lines", "requests", "events", "rejected", "filtered", "ignored")
_MOST: Final = 2**62


class Unreadable(ValueError):
    """A description that is not one of this version, and why."""


@dataclass(frozen=True, slots=True)
class Making:
    """The options that decide what a figure means: only summaries that were made alike can be added up.

    `filters` are as `Filters.describe` gives them, without `since` and `until`: days make a month. `anonymize` is the
    method and which key it had, for pseudonyms of two keys are two users. `zone` is that of hours and days, if
    something is told apart by them; `verify_bots` are the names of the files that tell genuine bots, `geo` those of the
    databases of places.
    """

    user_key: str = "auto"
    exact_users: bool = False
    trust_forwarded: bool = False
    templates: bool = True
    routes: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    anonymize: str = ""
    zone: str = ""
    verify_bots: tuple[str, ...] = ()
    geo: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)

    def difference(self, other: Making) -> tuple[str, str, str] | None:
        """The first option in which two differ, and its two values; None if they are alike."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if mine != theirs:
                return one.name, _shown(mine), _shown(theirs)
        return None


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"--{name} {words}" for name, words in value.items()) or "none"
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"


@dataclass(frozen=True, slots=True)
class Description:
    """What is in a summary file.

    `span` are the filters `since` and `until` that it was made with. A ranking holds `held` keys; `folded` counts the
    requests beyond, by table or column. `pieces` are the row groups: (table, column or selection, rows). `said` are
    notes about how lines are read. `others` are aggregates that have no table of their own in `scale.tables`.
    """

    making: Making
    counts: Counts
    by: tuple[str, ...] = ()
    selections: Mapping[str, bool] = field(default_factory=dict)  # name to whether their users were counted
    slowest: int = 0  # how many of the slowest requests are there
    span: Mapping[str, str] = field(default_factory=dict)
    held: int = 0
    folded: Mapping[str, int] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    pieces: tuple[tuple[str, str | None, int], ...] = ()
    others: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The metadata, ASCII only."""
        counts = self.counts
        made = {
            "schema_version": SCHEMA_VERSION,
            **SKETCHES,
            "options": {
                "user_key": self.making.user_key,
                "exact_users": self.making.exact_users,
                "trust_forwarded": self.making.trust_forwarded,
                "templates": self.making.templates,
                "routes": list(self.making.routes),
                "query": list(self.making.query),
                "anonymize": self.making.anonymize,
                "zone": self.making.zone,
                "verify_bots": list(self.making.verify_bots),
                "geo": list(self.making.geo),
                "filters": {**self.making.filters, **self.span},
                "by": list(self.by),
                "selections": dict(self.selections),
                "slowest": self.slowest,
            },
            "counts": {name: getattr(counts, name) for name in _TOTALS}
            | {
                "invalid": counts.invalid,
                "reasons": counts.reasons,
                "samples": [list(sample) for sample in counts.samples],
                "unopened": counts.unopened,
            },
            "sources": [_source(state) for state in counts.sources],
            "notes": counts.notes,
            "said": list(self.said),
            "held": self.held,
            "folded": dict(self.folded),
            "aggregates": list(self.others),
            "pieces": [list(piece) for piece in self.pieces],
        }
        return json.dumps(made, allow_nan=False)


def _source(state: SourceState) -> dict[str, Any]:
    problem = state.problem
    return {
        "name": state.name,
        "format": state.format,
        "lines": state.lines,
        "bytes": state.bytes,
        "problem": problem and [problem.source, str(problem).removeprefix(f"{problem.source}: "), problem.hint],
    }


def from_json(text: str | bytes) -> Description:
    """The description again. Raises Unreadable."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("its description is not JSON") from None
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise Unreadable(f"a summary of schema version {version!r}; this logstats reads {SCHEMA_VERSION}")
    for name, value in SKETCHES.items():
        if found.get(name) != value:
            raise Unreadable(f"its sketches have {name} {found.get(name)!r}; those of this logstats {value}")
    try:
        return _description(found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Unreadable(f"its description is not whole ({type(error).__name__}: {error})") from None


def _description(found: dict[str, Any]) -> Description:
    options, counted = found["options"], found["counts"]
    filters = _mapping(options["filters"], _text)
    making = Making(
        _one_of(options["user_key"], USER_KEYS),
        _truth(options["exact_users"]),
        _truth(options["trust_forwarded"]),
        _truth(options["templates"]),
        tuple(_text(route) for route in _list(options["routes"])),
        tuple(_text(name) for name in _list(options.get("query", []))),  # an earlier version kept none
        _text(options["anonymize"]),
        _text(options.get("zone", "")),  # an earlier version told nothing apart by hours
        tuple(_text(name) for name in _list(options.get("verify_bots", []))),
        tuple(_text(name) for name in _list(options.get("geo", []))),
        {name: words for name, words in filters.items() if name not in ("since", "until")},
    )
    lines, requests, events, rejected, filtered, ignored = (_number(counted[name]) for name in _TOTALS)
    counts = Counts(lines, requests, events, rejected, filtered, ignored)
    counts.invalid = _mapping(counted["invalid"], _number)
    counts.reasons = _mapping(counted["reasons"], _number)
    for source, line, reason, shown in _list(counted["samples"]):
        counts.sample(_text(source), _number(line), _text(reason), _text(shown))
    counts.sources = [_state(one) for one in _list(found["sources"])]
    counts.unopened = _number(counted["unopened"])
    counts.notes = [_text(note) for note in _list(found["notes"])]
    if counts.lines != sum(getattr(counts, name) for name in _TOTALS[1:]):
        raise ValueError("its lines do not add up")
    if counts.rejected != sum(counts.reasons.values()) or counts.unopened > len(counts.sources):
        raise ValueError("its rejected lines do not add up")
    if counts.lines != sum(state.lines for state in counts.sources):
        raise ValueError("the lines of its sources do not add up")
    by = tuple(_breakdown(one) for one in _list(options["by"]))
    selections = _mapping(options["selections"], _truth)
    others = tuple(_text(name) for name in _list(found["aggregates"]))
    pieces = []
    for table, of, rows in _list(found["pieces"]):
        own: dict[str, tuple[str | None, ...]] = {tables.BREAKDOWN: by, tables.USERS: (None, *selections)}
        if of not in own.get(_one_of(table, (*tables.TABLES, *others)), (None,)):
            raise ValueError(f"table {table} of {of!r}")
        pieces.append((str(table), of, _number(rows)))
    return Description(
        making,
        counts,
        by,
        selections,
        _number(options.get("slowest", 0)),
        {name: words for name, words in filters.items() if name in ("since", "until")},
        _number(found["held"]),
        _mapping(found["folded"], _number),
        tuple(_text(note) for note in _list(found["said"])),
        tuple(pieces),
        others,
    )


def _state(found: dict[str, Any]) -> SourceState:
    state = SourceState(_text(found["name"]), None if found["format"] is None else _text(found["format"]))
    state.lines, state.bytes = _number(found["lines"]), _number(found["bytes"])
    if found["problem"] is not None:
        state.problem = SourceError(*(_text(part) for part in _list(found["problem"])))
    return state


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise ValueError(f"{value!r} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return value


def _mapping(value: Any, each: Callable[[Any], Any]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is no object")
    return {name: each(one) for name, one in value.items()}


def _breakdown(value: Any) -> str:
    try:
        return ",".join(breakdown(_text(value)))
    except UsageError as error:
        raise ValueError(error.what) from None


def _one_of(value: Any, known: Any) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{value!r} is not known")
    return value
