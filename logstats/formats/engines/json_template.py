"""The template of a JSON line: everything but the texts and numbers in it.

    {"time":"…","request":{"method":"…"},"status":…}

Lines that differ only in these (texts without escapes, and plain numbers) have the same structure, so a program can
read them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Final

from logstats.dataclass import dataclass
from logstats.formats.engines.program import Code, Program, Step
from logstats.formats.text import Text
from logstats.frames import pl

Path = tuple[str | int, ...]

LONGEST: Final = 500_000  # characters of a line,
VALUES: Final = 200  # values in it, and
LITERALS: Final = 8_000  # characters between them; a line with more has no template

_TOKEN = re.compile(r'[ \t]*(?:"([^"\\\x00-\x1f]*)"|(-?[0-9][0-9.]*|true|false|null)|([\[\]{},:]))[ \t]*')


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of a line: its path in the object, and whether it is in quotes."""

    path: Path
    quoted: bool


@dataclass(frozen=True, slots=True)
class JsonTemplate:
    """The template of lines: literal texts, with values in between."""

    literals: tuple[str, ...]
    leaves: tuple[Leaf, ...]

    @classmethod
    def from_line(cls, line: str) -> JsonTemplate | None:
        """The template of a line; None if it cannot be read with certainty."""
        if len(line) > LONGEST or not _is_json(line):
            return None
        literals = [""]
        leaves: list[Leaf] = []
        stack: list[str | int | None] = []  # the current key or index in each open object or list
        seen: list[set[str]] = []  # the keys of each
        is_key, place = False, 0
        while place < len(line):
            match = _TOKEN.match(line, place)
            if match is None or len(leaves) > VALUES:
                return None
            text, bare, mark = match.groups()
            place = match.end()
            if text is not None and is_key:
                if text in seen[-1]:
                    return None  # for a key that occurs twice, the reference path decides
                seen[-1].add(text)
                stack[-1], is_key = text, False
                literals[-1] += match[0]
            elif mark is not None:
                literals[-1] += match[0]
                if mark in "{[":
                    seen.append(set())
                    stack.append(None if mark == "{" else 0)
                elif mark in "}]":
                    if not stack:
                        return None
                    stack.pop()
                    seen.pop()
                elif mark == ",":
                    if not stack:
                        return None
                    stack[-1] = stack[-1] + 1 if isinstance(stack[-1], int) else None
                is_key = mark == "{" or (mark == "," and stack[-1] is None)
            else:
                path = tuple(step for step in stack if step is not None)
                if not path or len(path) != len(stack):
                    return None
                leaves.append(Leaf(path, text is not None))
                before, _, after = match[0].partition(f'"{text}"' if text is not None else bare)
                quote = '"' if text is not None else ""
                literals[-1] += before + quote
                literals.append(quote + after)
        if stack or not leaves or sum(map(len, literals)) > LITERALS:
            return None
        return cls(tuple(literals), tuple(leaves))


class TemplateReader:
    """Reads variables from lines of one template: each from the first of its paths that is present and not null.

    At a path of `objects`, a text that begins with a brace is no value. `numeric` variables are read as numbers; those
    that are `times`, by their spelling. Of `marks`, only their presence matters.
    """

    def __init__(
        self,
        template: JsonTemplate,
        keys: Mapping[str, Sequence[Path]],
        objects: Collection[Path],
        numeric: Collection[str],
        times: Collection[str],
        marks: Collection[str],
    ) -> None:
        places = {leaf.path: number for number, leaf in enumerate(template.leaves)}
        codes = [Code.TEXT if leaf.quoted else Code.NUMBER for leaf in template.leaves]
        shown: set[int] = set()
        self._values: list[pl.Expr] = []
        named: dict[int, str] = {}
        plain = True
        for name, paths in keys.items():
            values, found = [], list[int]()
            for path in paths:
                if path not in places:
                    continue
                place = places[path]
                found.append(place)
                shown.add(place)
                value = pl.col(f"v{place}")
                if not template.leaves[place].quoted:
                    if name not in numeric:
                        codes[place] = Code.SPELLED
                    elif name in times and codes[place] is Code.NUMBER:
                        codes[place] = Code.TIME
                    value = pl.when(value != "").then(value)
                elif path in objects:
                    value = pl.when(~value.str.starts_with("{")).then(value)
                values.append(value)
            if name in marks:
                plain = plain and all(template.leaves[place].quoted for place in found[:1])
            elif found:
                # The first text is the value; the first number may be null, and then the next one is.
                alone = len(found) == 1 or template.leaves[found[0]].quoted
                plain = plain and alone and template.leaves[found[0]].path not in objects and found[0] not in named
                named[found[0]] = name
            self._values.append((pl.coalesce(values) if values else pl.lit(None, pl.String)).alias(name))
        self._codes, self._literals, self._named = codes, template.literals, named if plain else None
        self._program = self._made({number: f"v{number}" for number in shown})

    def _made(self, names: Mapping[int, str]) -> Program:
        steps = [Step(Code.LITERAL, self._literals[0].encode())]
        for number, (code, bone) in enumerate(zip(self._codes, self._literals[1:], strict=True)):
            steps += [Step(code, name=names.get(number)), Step(Code.LITERAL, bone.encode())]
        return Program(steps)

    @cached_property
    def program(self) -> Program | None:
        """The program that reads the variables but for the marks, if each is one value as it stands in the line, or
        missing in all; and if the marks are, too, there in all lines or in none."""
        return None if self._named is None else self._made(self._named)

    def columns(self, text: Text) -> pl.DataFrame:
        """The lines that certainly have this template (`line`), with one column for each variable."""
        return self._program(text).select("line", *self._values)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
