"""The skeleton of a JSON line: everything but the texts and numbers in it.

    {"time":"…","request":{"method":"…"},"status":…}

Lines which are the same but for these, texts without escapes and numbers as everybody writes them, say what their
skeleton says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from logstats.formats.buffer import Buffer, Mask, Places, Span
from logstats.formats.text import Text

Path = tuple[str | int, ...]

LONGEST: Final = 500_000  # characters of a line,
VALUES: Final = 200  # values in it, and
BONES: Final = 8_000  # characters between them; a line with more has no skeleton

_TOKEN = re.compile(r'[ \t]*(?:"([^"\\\x00-\x1f]*)"|(-?[0-9][0-9.]*|true|false|null)|([\[\]{},:]))[ \t]*')
# Numbers without an exponent; -0 is written otherwise by whoever writes it again.
_BARE: Final = r"^(?:-?[1-9][0-9]*(?:\.[0-9]+)?|-?0\.[0-9]+|0|true|false|null)$"
# Of a number that is a text (a user's, say) zeros at the end and more digits than a double holds are not certain.
_SPELLED: Final = r"^(?:0|-?[1-9][0-9]{0,14}|-?[1-9][0-9]{0,6}\.[0-9]{0,6}[1-9]|true|false|null)$"
_TOO_LONG: Final = r"[0-9]{16}\."  # such a fraction gets an exponent when it is written again


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
        self._bones = [bone.encode() for bone in skeleton.bones]
        self._tabs = sum(bone.count("\t") for bone in skeleton.bones)
        self._quoted = [leaf.quoted for leaf in skeleton.leaves]
        self._shown: set[int] = set()
        self._checks: list[pl.Expr] = []
        self._names = list(keys)
        self._values: list[pl.Expr] = []
        for name, paths in keys.items():
            values = []
            for path in paths:
                if path not in places:
                    continue
                self._shown.add(places[path])
                value = pl.col(f"v{places[path]}")
                if not skeleton.leaves[places[path]].quoted:
                    if name not in numeric:
                        self._checks.append(value.str.contains(_SPELLED))
                    elif name in times:
                        self._checks.append(~value.str.contains(_TOO_LONG))
                    value = pl.when(value != "null").then(value)
                elif path in objects:
                    value = pl.when(~value.str.starts_with("{")).then(value)
                values.append(value)
            self._values.append((pl.coalesce(values) if values else pl.lit(None, pl.String)).alias(name))

    def columns(self, text: Text) -> tuple[pl.DataFrame, Mask]:
        """Which lines certainly have this skeleton, and one column per variable of those."""
        buffer = text.buffer
        sure = buffer.stands(self._bones[0], text.starts)
        if len(buffer.escapes):
            odd = np.searchsorted(buffer.escapes, text.ends) - np.searchsorted(buffer.escapes, text.starts)
            sure &= odd == self._tabs
        rows = np.flatnonzero(sure)
        starts, line_ends = text.starts[rows] + len(self._bones[0]), text.ends[rows]
        spans: list[Span] = []
        for number, bone in enumerate(self._bones[1:]):
            # A text ends at the next quote, a number at what stands behind it.
            ends, good = buffer.find(bone[:1], starts, line_ends)
            good &= buffer.stands(bone, ends)
            if not self._quoted[number]:
                good &= self._is_value(buffer, starts, ends)
            if number == len(self._bones) - 2:
                good &= ends + len(bone) == line_ends
            spans.append((starts, ends))
            starts = ends + len(bone)
            if not good.all():
                rows, starts, line_ends = rows[good], starts[good], line_ends[good]
                spans = [(start[good], end[good]) for start, end in spans]
        shown = (buffer.texts(*spans[number]).alias(f"v{number}") for number in self._shown)
        texts = pl.DataFrame([pl.Series("\0row", rows), *shown])
        if self._checks:
            good = texts.select(pl.all_horizontal(self._checks)).to_series().to_numpy()
            if not good.all():
                rows, texts = rows[good], texts.filter(pl.Series(good))
        sure = np.zeros(len(text), np.bool_)
        sure[rows] = True
        return texts.with_columns(self._values).select(self._names), sure

    @staticmethod
    def _is_value(buffer: Buffer, starts: Places, ends: Places) -> Mask:
        """Whether a number stands there as everybody writes it, or true, false or null."""
        good = buffer.decimals(starts, ends)
        others = np.flatnonzero(~good)
        if len(others):
            good[others] = buffer.texts(starts[others], ends[others]).str.contains(_BARE).to_numpy()
        return good


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
