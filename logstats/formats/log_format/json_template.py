"""nginx's JSON templates, `log_format … escape=json '{"status":$status,…}'` → the keys of the variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from logstats.formats.log_format.shapes import Part, Slot
from logstats.formats.model import Field

# Variables whose values are always JSON numbers, even if nginx has no value for them.
_NUMBERS: Final = frozenset({"status", "body_bytes_sent", "bytes_sent", "request_length", "request_time", "msec"}) | {
    "connection",
    "connection_requests",
    "pid",
}


def json_fields(body: str, parts: Sequence[Part]) -> dict[str, Field]:
    """The fields of a template's variables, with their keys. Empty if the template need not give JSON, or if a variable
    that is kept is only part of a value."""
    text, marks = "", dict[str, Slot]()
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        mark = f"variable-{part.place}"
        marks[mark] = part
        if _inside_quotes(text):
            text += mark
        elif part.written.strip("${}") in _NUMBERS:
            text += f'"{mark}"'
        else:
            return {}
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    paths = dict(_leaves(tree, ""))
    kept = {mark: slot for mark, slot in marks.items() if slot.field}
    if not isinstance(tree, dict) or not kept.keys() <= paths.keys():
        return {}
    return {
        slot.name: replace(slot.field, keys=(paths[mark],), role=slot.field.role)
        for mark, slot in kept.items()
        if slot.field
    }


def _inside_quotes(text: str) -> bool:
    """Whether the text ends inside a JSON text."""
    inside = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = inside
        elif character == '"':
            inside = not inside
    return inside


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each text value of a template, and its key."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            name = key.replace(".", "\\.")
            yield from _leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{path}[{number}]")
    elif isinstance(tree, str):
        yield tree, path
