"""Joins variables that belong together: an address and its port, the parts of a URL, the parts of a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from logstats.formats.log_format import shapes, strftime
from logstats.formats.log_format.shapes import Part, Shape, Slot
from logstats.formats.model import Field

_WITH_PORT: Final = "^(.*):(?:[0-9]*|-)$"
_NO_QUERY: Final = r"^([^?]*)-$"  # nginx writes `-` for an empty $args, but nothing for $is_args


def merged(parts: Sequence[Part], *, dashes: bool) -> list[Part]:
    """The parts, with those that belong together joined. `dashes` says that nginx writes `-` for absent values."""
    made = list(parts)
    made = _each(made, _time, 3)
    made = _each(made, _time, 2)
    made = _each(made, _address, 3)
    made = _each(made, lambda run: _query(run, dashes=dashes), 3)
    made = _each(made, lambda run: _query(run, dashes=dashes), 2)
    made = _each(made, lambda run: _url(run, dashes=dashes), 6)
    made = _each(made, lambda run: _url(run, dashes=dashes), 4)
    return _each(made, _request, 5)


def ignored_joined(parts: Sequence[Part]) -> list[Part]:
    """The parts, with each run of variables that are not kept as one of them: where one ends makes no difference."""
    made: list[Part] = []
    for part in parts:
        before = made[-1] if made else ""
        if isinstance(part, Slot) and isinstance(before, Slot) and not part.field and not before.field:
            both = {part.shape, before.shape}
            shape = shapes.TEXT if shapes.TEXT in both else shapes.VALUE
            made[-1] = replace(before, written=before.written + part.written, shape=shape, time=None)
        else:
            made.append(part)
    return made


def _each(parts: list[Part], join: Callable[[Sequence[Part]], Slot | None], size: int) -> list[Part]:
    """The parts, with each run of `size` parts joined where `join` can."""
    place = 0
    while place + size <= len(parts):
        one = join(parts[place : place + size])
        if one is None:
            place += 1
        else:
            run = parts[place : place + size]
            written = "".join(part.written if isinstance(part, Slot) else part for part in run)
            parts = [*parts[:place], replace(one, written=written), *parts[place + size :]]
    return parts


def _time(run: Sequence[Part]) -> Slot | None:
    """Two parts of one time, with text between them."""
    one, other = run[0], run[-1]
    literal = run[1] if len(run) == 3 else ""
    if not (isinstance(one, Slot) and isinstance(other, Slot) and isinstance(literal, str)):
        return None
    if one.time is None or other.time is None or one.time.says & other.time.says or '"' in literal:
        return None
    if one.time.moment != other.time.moment or not (one.time.form and other.time.form):
        return None
    spaces = -1 if min(one.shape.spaces, other.shape.spaces) < 0 else one.shape.spaces + other.shape.spaces
    shape = Shape(
        f"{one.shape.regex}{re.escape(literal)}{other.shape.regex}",
        one.shape.characters + other.shape.characters + "".join(re.escape(character) for character in literal),
        spaces=spaces + literal.count(" ") if spaces >= 0 else -1,
    )
    return replace(
        one, shape=shape, time=strftime.joined(one.time, literal, other.time), rank=min(one.rank, other.rank)
    )


def _address(run: Sequence[Part]) -> Slot | None:
    """`address:port`, where the address may have colons of its own."""
    match run:
        case [Slot(part="address" | "host") as one, ":", Slot(part="port")]:
            field = one.field and replace(one.field, extract=_WITH_PORT)
            shape = Shape(one.shape.regex + ":(?:[0-9]*|-)", one.shape.characters)
            return replace(one, shape=shape, field=field, part="host:port" if one.part == "host" else "")
    return None


def _query(run: Sequence[Part], *, dashes: bool) -> Slot | None:
    """A path and its query → a target."""
    match run:
        case [Slot(part="path") as path, Slot(part="question")]:
            extract = ""
        case [Slot(part="path") as path, Slot(part="is_args"), Slot(part="query")]:
            extract = _NO_QUERY if dashes else ""
        case _:
            return None
    field = Field("target", extract=extract) if path.field else None
    return replace(path, field=field, shape=shapes.PATH, part="target")


def _url(run: Sequence[Part], *, dashes: bool) -> Slot | None:
    """`scheme://host/target` → an absolute URL, whose authority is the host."""
    match run:
        case [
            Slot(part="scheme") as scheme,
            "://",
            Slot(part="host" | "host:port"),
            Slot(part="target" | "path") as last,
        ]:
            extract = last.field.extract if last.field else ""
        case [
            Slot(part="scheme") as scheme,
            "://",
            Slot(part="host" | "host:port"),
            Slot(part="path") as last,
            "?",
            Slot(part="query"),
        ]:
            extract = r"^(.*?)\?-$" if dashes else ""
        case _:
            return None
    field = Field("target", extract=extract) if last.field else None
    free = last.shape.free
    strict = "[a-z-]*://[^ ]*?|-"
    shape = Shape("[a-z-]*://.*?" if free else "[a-z-]*://[^ ]*?", "" if free else "^ ", free=free, strict=strict)
    return replace(scheme, name="url", field=field, shape=shape, part="url")


def _request(run: Sequence[Part]) -> Slot | None:
    """Method, target and protocol with a space in between → a request line."""
    match run:
        case [
            Slot(part="method") as method,
            " ",
            Slot(part="target" | "path" | "url") as target,
            " ",
            Slot(part="protocol") as protocol,
        ] if method.field and target.field and protocol.field and not target.field.extract:
            return replace(method, name="request", field=Field("request"), shape=shapes.REQUEST, part="")
    return None
