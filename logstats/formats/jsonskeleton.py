"""The skeleton of a JSON line: everything but the texts and numbers in it.

    {"time":"…","request":{"method":"…"},"status":…}

It becomes a regular expression that matches lines which are the same but for these: texts without escapes, and numbers
as everybody writes them. What matches says what its skeleton says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from logstats.formats.text import Text

Path = tuple[str | int, ...]

LONGEST: Final = 500_000  # characters of a line,
VALUES: Final = 200  # values in it, and
BONES: Final = 8_000  # characters between them; a line with more has no skeleton

_TOKEN = re.compile(r'[ \t]*(?:"([^"\\\x00-\x1f]*)"|(-?[0-9][0-9.]*|true|false|null)|([\[\]{},:]))[ \t]*')
_TEXT: Final = r'[^"\\\x00-\x1f]*'
_ASCII: Final = r"[ !#-\[\]-~]*"  # the same of a chunk that is ASCII: a smaller automaton, twice as fast
# Numbers without an exponent; -0 is written otherwise by whoever writes it again. Where an alternative begins, the next
# character decides: such expressions are matched in one pass.
_BARE: Final = r"-(?:[1-9][0-9]*(?:\.[0-9]+)?|0\.[0-9]+)|[1-9][0-9]*(?:\.[0-9]+)?|0(?:\.[0-9]+)?|true|false|null"
# Of a number that is a text (a user's, say) zeros at the end and more digits than a double holds are not certain.
_SPELLED: Final = r"^(?:0|-?[1-9][0-9]{0,14}|-?[1-9][0-9]{0,6}\.[0-9]{0,6}[1-9]|true|false|null)$"
_TOO_LONG: Final = r"[0-9]{16}\."  # such a fraction gets an exponent when it is written again
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of a line: where it stands in the object, and whether in quotes."""

    path: Path
    quoted: bool


@dataclass(frozen=True, slots=True)
class JsonSkeleton:
    """Lines that are the same but for their values: texts, and values in between."""

    bones: tuple[str, ...]
    leaves: tuple[Leaf, ...]

    @classmethod
    def of(cls, line: str) -> JsonSkeleton | None:
        """What a line looks like, or None if that is not certain."""
        if len(line) > LONGEST or not _is_json(line):
            return None
        bones = [""]
        leaves: list[Leaf] = []
        stack: list[str | int | None] = []  # the key or the index that each open object or list is at
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
                    return None  # which of the two counts is not for a skeleton to say
                seen[-1].add(text)
                stack[-1], is_key = text, False
                bones[-1] += match[0]
            elif mark is not None:
                bones[-1] += match[0]
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
                bones[-1] += before + quote
                bones.append(quote + after)
        if stack or not leaves or sum(map(len, bones)) > BONES:
            return None
        return cls(tuple(bones), tuple(leaves))


class SkeletonReader:
    """Takes variables out of lines of one skeleton: of each the first of its paths that is there and not null.

    Under a path of `objects` a text that begins with a brace is no value. `numeric` variables are read as numbers,
    those of them that are `times` by how they are spelled.
    """

    def __init__(
        self,
        skeleton: JsonSkeleton,
        keys: Mapping[str, Sequence[Path]],
        objects: Collection[Path],
        numeric: Collection[str],
        times: Collection[str],
    ) -> None:
        places = {leaf.path: number for number, leaf in enumerate(skeleton.leaves)}
        self._names = list(keys)
        self._values: list[pl.Expr] = []
        checks: list[pl.Expr] = []
        wanted = {0}
        for name, paths in keys.items():
            values = []
            for path in paths:
                if path not in places:
                    continue
                wanted.add(places[path])
                value = pl.col(f"v{places[path]}")
                if not skeleton.leaves[places[path]].quoted:
                    if name not in numeric:
                        checks.append(~value.str.contains(_SPELLED))
                    elif name in times:
                        checks.append(value.str.contains(_TOO_LONG))
                    value = pl.when(value != "null").then(value)
                elif path in objects:
                    value = pl.when(~value.str.starts_with("{")).then(value)
                values.append(value)
            self._values.append((pl.coalesce(values) if values else pl.lit(None, pl.String)).alias(name))
        self._sure = ~pl.any_horizontal(checks) if checks else pl.lit(value=True)
        parts: list[str] = []
        for number, (bone, leaf) in enumerate(zip(skeleton.bones, skeleton.leaves, strict=False)):
            name = f"?P<v{number}>" if number in wanted else "?:"
            parts += [_SPECIAL.sub(r"\\\g<0>", bone), f"({name}{_TEXT if leaf.quoted else _BARE})"]
        parts.append(_SPECIAL.sub(r"\\\g<0>", skeleton.bones[-1]))
        self._pattern = f"^{''.join(parts)}$"

    def columns(self, text: Text) -> tuple[pl.DataFrame, pl.Series]:
        """One column per variable for every line, and of which lines that is certain."""
        pattern = self._pattern.replace(_TEXT, _ASCII) if text.data.isascii() else self._pattern
        groups = text.lines.to_frame("\0line").select(pl.col("\0line").str.extract_groups(pattern)).to_series()
        read = groups.struct.unnest().with_columns(
            *self._values, (pl.col("v0").is_not_null() & self._sure).alias("\0sure")
        )
        return read.select(self._names), read["\0sure"].fill_null(value=False)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
