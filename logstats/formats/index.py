"""The built-in formats as one file, `builtin.jsonl`, of which a line is parsed when it is needed.

Parsing and checking a hundred TOML files at each start takes longer than reading an ordinary log. scripts/generate.py
writes the file. Its lines are: the checksums of what all formats depend on (`SOURCES`); the vocabulary of `keys.toml`;
what detection looks for in lines of each regular expression (`screens`); an object of all formats by name, each with
the checksum of its TOML file, its roles, and all but its fields and samples; and then for each of them, in the same
order, one line of its fields and one of its samples.

A format is taken from it only if its TOML file has the checksum that the file had then, so the TOML files are what
counts: one that was changed or added is read itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from zlib import crc32

from logstats.formats.model import Field, Format, Sample, StoredFields, StoredSamples, with_tuples

NAME: Final = "builtin.jsonl"  # in this folder
SOURCES: Final = ("keys.toml",)  # what all formats depend on beside their own files


@cache
def _lines() -> list[bytes]:
    """The lines of the index; none if it is not there, or if what all formats depend on was changed."""
    folder = resources.files("logstats.formats")
    try:
        lines = (folder / NAME).read_bytes().split(b"\n")
        return lines if json.loads(lines[0]) == checksums() else []
    except (OSError, ValueError):
        return []


@cache
def _formats() -> dict[str, tuple[int, Format]]:
    """The formats of the index, each with the checksum of its file."""
    if not (lines := _lines()):
        return {}
    found = {}
    for number, (name, given) in enumerate(json.loads(lines[3]).items()):
        checksum, roles = given.pop("checksum"), frozenset(given.pop("roles"))
        stored, samples = lines[4 + 2 * number : 6 + 2 * number]
        found[name] = (
            checksum,
            Format(**with_tuples(given), fields=StoredFields(stored, roles), samples=StoredSamples(samples)),
        )
    return found


def checksums() -> dict[str, int]:
    """Of the files that all formats depend on."""
    return {name: crc32((resources.files("logstats.formats") / name).read_bytes()) for name in SOURCES}


def vocabulary() -> dict[str, Any] | None:
    """What `keys.toml` says; None if the index is of another one."""
    found: dict[str, Any] | None = json.loads(lines[1]) if (lines := _lines()) else None
    return found


@cache
def screens() -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """What each line has in it which a built-in regular expression matches, and what it begins with
    (`engines.regex.literals` and `opening`), by the expression."""
    stored = json.loads(lines[2]) if (lines := _lines()) else {}
    return {pattern: (tuple(texts), tuple(begins)) for pattern, (texts, begins) in stored.items()}


def indexed(name: str, content: bytes) -> Format | None:
    """A built-in format whose file has this content; None if the index has it not."""
    checksum, form = _formats().get(name, (None, None))
    return form if checksum == crc32(content) else None


def written(
    formats: Iterable[tuple[Format, bytes]],
    words: Mapping[str, Any],
    look_for: Callable[[str], tuple[tuple[str, ...], tuple[int, ...]]],
) -> str:
    """The text of the index of formats, each with the content of its file, and of the parsed `keys.toml`; `look_for`
    makes what `screens` has of a regular expression."""
    heads, bodies, found = {}, [], {}
    for form, content in formats:
        told = _told(form)
        given, samples = told.pop("fields"), told.pop("samples")
        heads[form.name] = {**told, "checksum": crc32(content), "roles": sorted(form.roles)}
        if form.engine == "regex":
            found[form.pattern] = look_for(form.pattern)
        bodies += [{name: _told(one) for name, one in given.items()}, [{"expect": {}, **_told(one)} for one in samples]]
    return "".join(f"{_json(line)}\n" for line in (checksums(), words, found, heads, *bodies))


def _told(value: Format | Field | Sample) -> dict[str, Any]:
    """The attributes that are not their defaults."""
    return {one.name: told for one in fields(value) if (told := getattr(value, one.name)) != one.default}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_time)


def _time(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is no value of a format")
    return value.isoformat()
