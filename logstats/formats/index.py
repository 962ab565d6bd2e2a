"""The built-in formats as one file, `builtin.json`, with one line per format.

Parsing and checking a hundred TOML files at each start takes longer than reading an ordinary log. scripts/generate.py
writes the file.

A format is taken from it only if its TOML file has the checksum that the file had then, so the TOML files are what
counts: one that was changed or added is read itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from zlib import crc32

from logstats.formats.model import Field, Format, Sample

NAME: Final = "builtin.json"  # in this folder
SOURCES: Final = ("keys.toml",)  # what all formats depend on beside their own files


@cache
def _read() -> dict[str, Any]:
    """The index; it is empty if it is not there, or if what all formats depend on was changed."""
    folder = resources.files("logstats.formats")
    try:
        read: dict[str, Any] = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return read if read["sources"] == checksums() else {}


def checksums() -> dict[str, int]:
    """Of the files that all formats depend on."""
    return {name: crc32((resources.files("logstats.formats") / name).read_bytes()) for name in SOURCES}


def vocabulary() -> dict[str, Any] | None:
    """What `keys.toml` says; None if the index is of another one."""
    found: dict[str, Any] | None = _read().get("vocabulary")
    return found


def indexed(name: str, content: bytes) -> Format | None:
    """A built-in format whose file has this content; None if the index has it not."""
    entry = _read().get("formats", {}).get(name)
    if entry is None or entry["checksum"] != crc32(content):
        return None
    given = _with_tuples(entry["format"])
    given["fields"] = {key: Field(**_with_tuples(value)) for key, value in given["fields"].items()}
    given["samples"] = tuple(_sample(**value) for value in given["samples"])
    return Format(**given)


def _with_tuples(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def _sample(line: str, expect: dict[str, Any], **more: Any) -> Sample:
    time = {"timestamp": datetime.fromisoformat(expect["timestamp"])} if "timestamp" in expect else {}
    return Sample(line, {**expect, **time}, **more)


def written(formats: Iterable[tuple[Format, bytes]], words: Mapping[str, Any]) -> str:
    """The text of the index of formats, each with the content of its file, and of the parsed `keys.toml`."""
    entries = {
        form.name: {
            "checksum": crc32(content),
            "format": {
                **_told(form),
                "fields": {name: _told(field) for name, field in form.fields.items()},
                "samples": [{"expect": {}, **_told(sample)} for sample in form.samples],
            },
        }
        for form, content in formats
    }
    lines = (f"{_json(name)}: {_json(entry)}" for name, entry in entries.items())
    head = f'"sources": {_json(checksums())},\n"vocabulary": {_json(words)},\n'
    return "{" + head + '"formats": {\n' + ",\n".join(lines) + "\n}}\n"


def _told(value: Format | Field | Sample) -> dict[str, Any]:
    """The attributes that are not their defaults."""
    return {one.name: told for one in fields(value) if (told := getattr(value, one.name)) != one.default}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_time)


def _time(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is no value of a format")
    return value.isoformat()
