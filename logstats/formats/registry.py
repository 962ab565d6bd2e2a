"""The registry of formats: the TOML files in `builtin/`, and a user's own.

A file that is broken, or has no sample, does not load; the error says which key and why.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from logstats.errors import FormatError
from logstats.formats.model import ENGINES, ROLES, UNITS, Field, Format, Sample

_KEYS = {"title", "link", "engine", "pattern", "fields", "sample", "priority"}
_FIELD_KEYS = {"role", "unit", "keys", "port", "looks"}


@cache
def builtin() -> Mapping[str, Format]:
    """The formats that ship with logstats, by name."""
    return dict(_load_all(resources.files("logstats.formats") / "builtin"))


def formats(extra_dir: Path | None = None) -> Mapping[str, Format]:
    """Built-in formats and those of a folder, which win where names meet. Raises FormatError."""
    if extra_dir is None:
        return builtin()
    if not extra_dir.is_dir():
        raise FormatError(f"{extra_dir}: no such folder", "--formats-dir takes a folder of .toml files")
    return {**builtin(), **dict(_load_all(extra_dir))}


def named(name: str, extra_dir: Path | None = None) -> Format:
    """The format of that name. Raises FormatError, with the nearest names."""
    known = formats(extra_dir)
    if name in known:
        return known[name]
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
    raise FormatError(f"no format is called {name!r}", f"did you mean {', '.join(near)}?")


def _load_all(folder: Path | Traversable) -> Iterator[tuple[str, Format]]:
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            yield name, load(name, file.read_text(encoding="utf-8"), str(file))


def load(name: str, text: str, place: str) -> Format:
    """Read one format file; `place` is said in errors. Raises FormatError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{place}: not TOML: {error}", "see the built-in formats for examples") from None

    def demand(condition: bool, key: str, why: str) -> None:
        if not condition:
            raise FormatError(f"{place}: {key}: {why}", "see the built-in formats for examples")

    for key in data:
        demand(key in _KEYS, key, f"no such key; the keys are {', '.join(sorted(_KEYS))}")
    for key in ("title", "link", "engine"):
        demand(isinstance(data.get(key), str), key, "must be there, and a text")
    engine = data["engine"]
    demand(engine in ENGINES, "engine", f"must be one of {', '.join(ENGINES)}")
    pattern = data.get("pattern", "")
    demand(isinstance(pattern, str), "pattern", "must be a text")
    demand(bool(pattern) == (engine in ("delimited", "regex")), "pattern", f"does not go with engine {engine}")
    fields = {}
    for key, value in data.get("fields", {}).items():
        demand(isinstance(value, dict), f"fields.{key}", "must be a table")
        for part in value:
            known = ", ".join(sorted(_FIELD_KEYS))
            demand(part in _FIELD_KEYS, f"fields.{key}.{part}", f"no such key; the keys are {known}")
        role, unit = value.get("role", key), value.get("unit", "ms")
        demand(role in ROLES, f"fields.{key}.role", f"no such role; the roles are {', '.join(sorted(ROLES))}")
        demand(unit in UNITS or unit == "auto", f"fields.{key}.unit", "must be s, ms, us, ns or auto")
        fields[key] = Field(role, unit, tuple(value.get("keys", ())), value.get("port", False), value.get("looks", ""))
    if engine == "delimited":
        fields = _with_pattern(place, pattern, fields)
    demand(bool(fields), "fields", "must name at least one field")
    demand(bool(data.get("sample")), "sample", "a format without samples does not load: add a line and its row")
    samples = tuple(_sample(entry, place) for entry in data["sample"])
    return Format(name, data["title"], data["link"], engine, pattern, fields, samples, data.get("priority", 0))


def _with_pattern(place: str, pattern: str, fields: dict[str, Field]) -> dict[str, Field]:
    """The variables of a pattern that are named like a role need no entry of their own."""
    from logstats.formats.delimited import Variable, parse_pattern

    try:
        names = [part.name for part in parse_pattern(pattern) if isinstance(part, Variable)]
    except FormatError as error:
        raise FormatError(f"{place}: pattern: {error.what}", error.hint) from None
    for name in fields:
        if name not in names:
            raise FormatError(f"{place}: fields.{name}: the pattern has no ${name}")
    return {name: fields.get(name) or Field(name) for name in names if name in fields or name in ROLES}


def _sample(entry: Any, place: str) -> Sample:
    match entry:
        case {"line": str(line), "expect": dict(expect), **rest} if not rest:
            return Sample(line, expect)
        case {"line": str(line), "rejected": str(reason), **rest} if not rest:
            return Sample(line, {}, reason)
    raise FormatError(f"{place}: sample: needs `line`, and either `expect` or `rejected`")
