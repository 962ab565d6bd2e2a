"""The regex engine: named groups of a regular expression, and key=value pairs in the group `fields` if it has one.

Rust's regular expressions take linear time for any line, so one path is enough. `scan` does the same for one line with
Python's, which can tell where a line stops matching.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import Final

import numpy as np
import polars as pl

from logstats.formats.engines.keyvalue import Pairs, pairs_of
from logstats.formats.engines.scan import REJECTED, Reject, Tokens, ignorable
from logstats.formats.model import Field
from logstats.formats.text import Text
from logstats.kernels.columns import as_numbers

TAIL = "fields"


class Regexes:
    """The engine for one regular expression, anchored at both ends."""

    program: Final = None  # it takes more than one

    def __init__(
        self, pattern: str, fields: Mapping[str, Field], names: Collection[str], *, extra: bool = False
    ) -> None:
        self._pattern = pattern
        self._pairs = Pairs(fields if f"(?P<{TAIL}>" in pattern else {}, names, extra=extra)
        self._names = [name for name in fields if name in names or name == TAIL]
        self.names = list(dict.fromkeys([*(n for n in self._names if n != TAIL), *self._pairs.names]))

    @cached_property
    def _literals(self) -> tuple[str, ...]:
        return literals(self._pattern)

    @cached_property
    def _python(self) -> re.Pattern[str]:
        return re.compile(self._pattern)

    def scan(self, line: str) -> dict[str, str | None]:
        """The reference path. Raises Reject."""
        # Compiling an expression takes as long as reading a thousand lines, and detection asks them all.
        match = self._python.fullmatch(line) if _in_order(self._literals, line) else None
        if match is None or not any(value is not None for value in match.groups()):
            raise Reject("no_match")
        groups = match.groupdict()
        pairs = self._pairs.choose(self._pairs.find(groups.get(TAIL) or "")) if TAIL in groups else {}
        found = {name: groups[name] for name in self._names if name in groups and name != TAIL}
        return {**pairs, **{name: value if value is not None else pairs.get(name) for name, value in found.items()}}

    def stop(self, line: str, name: str = "") -> int:
        """The position at which a line stops matching: the end of the longest beginning of the pattern that it matches;
        or, in a line that matches, the begin of the group of this name."""
        if whole := self._python.fullmatch(line):
            return max(whole.start(name), 0) if name in whole.groupdict() else 0
        for part in _beginnings(self._pattern):
            if match := re.match(part, line):
                return match.end()
        return 0

    def __call__(self, text: Text) -> Tokens:
        groups = text.lines.to_frame("line").select(pl.col("line").str.extract_groups(self._pattern)).to_series()
        whole = groups.struct.unnest()
        matched = ~pl.select(pl.all_horizontal(column.is_null() for column in whole.get_columns())).to_series()
        numbered = whole.with_columns(line=pl.int_range(pl.len(), dtype=pl.UInt32))
        rejected = pl.DataFrame(schema=REJECTED)
        ignored = 0
        if not matched.all():
            left = (~matched).arg_true()
            blank = [ignorable(line) for line in text.lines.gather(left).to_list()]
            ignored = sum(blank)
            refused = left.filter(~pl.Series(blank, dtype=pl.Boolean))
            rejected = pl.DataFrame({"line": refused, "reason": "no_match"}, schema=REJECTED)
            numbered = numbered.filter(matched)
        return Tokens(self._with_pairs(numbered), rejected, ignored)

    def _with_pairs(self, frame: pl.DataFrame) -> pl.DataFrame:
        own = [name for name in self._names if name in frame.columns and name != TAIL]
        if TAIL not in frame.columns:
            return frame.select("line", *own)
        read = self._tail(frame[TAIL])
        both = [name for name in own if name in read.columns]
        frame = frame.select(*("line", *own)).with_columns(read.drop(both))
        return frame.with_columns(pl.coalesce(name, read[name]).alias(name) for name in both)

    def _tail(self, tails: pl.Series) -> pl.DataFrame:
        read = self._pairs.columns(tails)
        easy = read["line"]
        left = (tails.fill_null("") != "").to_numpy().copy()
        left[easy.to_numpy()] = False
        hard = as_numbers(np.flatnonzero(left))
        slow = [self._pairs.choose(pairs_of(tail)) for tail in tails.gather(hard).to_list()]
        found = pl.DataFrame(schema=dict.fromkeys(self._pairs.names, pl.String)).clear(tails.len())
        for places, columns in (
            (easy, read),
            (hard, pl.DataFrame(slow, schema=found.schema, orient="row")),
        ):
            if len(places):
                found = found.with_columns(found[name].scatter(places, columns[name]) for name in found.columns)
        return found


def _in_order(texts: Iterable[str], line: str) -> bool:
    place = 0
    for text in texts:
        place = line.find(text, place) + len(text)
        if place < len(text):
            return False
    return True


# One token of a regular expression: a class, an escape, a beginning of a group, a repetition, any other character.
_TOKEN: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|\((?:\?(?:P<\w+>|:))?|\{[0-9,]*\}|.", re.DOTALL)


@cache
def literals(pattern: str) -> tuple[str, ...]:
    """Texts that each line that matches the pattern contains, in this order: what stands in it outside of groups. None,
    where groups have flags or look around."""
    runs, depth = [""], 0
    tokens = _TOKEN.findall(pattern)
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if token == "|" and not depth:
            return ()
        if token[0] == "(":
            depth += 1
            if token == "(" and following == "?":
                return ()
        depth -= token == ")"
        character = token[1:] if token[0] == "\\" and not token[1:].isalnum() else token
        if depth or len(character) > 1 or token in ".^$+)|" or following[:1] in ("?", "*", "{"):
            runs += [""] if runs[-1] else []
        elif token not in "?*":
            runs[-1] += character
            runs += [""] if following == "+" else []
    return tuple(filter(None, runs))


@cache
def prefix(pattern: str) -> str:
    """The beginning of an expression up to the first choice or repetition in it, itself an expression that each line
    that matches begins with; empty if there is none."""
    tokens = _TOKEN.findall(pattern)
    groups: list[int] = []  # the places of groups that are open
    optional: set[int] = set()  # the places of groups that may be absent, or are one of several
    for place, token in enumerate(tokens):
        if token[0] == "(":
            groups.append(place)
        elif token == "|":
            if not groups:
                return ""
            optional.add(groups[-1])
        elif token == ")" and groups:
            begin = groups.pop()
            if _may_be_absent(tokens[place + 1 : place + 2]):
                optional.add(begin)
    taken = ""
    for place, token in enumerate(tokens):
        if token == "^" and place == 0:
            continue
        following = tokens[place + 1 : place + 2]
        repeated = bool(following) and following[0][0] in "+{"
        if token == "(?:" or token.startswith("(?P<"):
            if place in optional:
                break
        elif token == ")":
            if repeated:
                break
        elif token[0] != "{" or len(token) == 1:  # otherwise the number of what was taken just now
            escape = token[0] == "\\" and token[1:].isalnum()
            if escape or token in _SPECIAL or token[0] in "({" or _may_be_absent(following):
                break
            number = following[0] if repeated and following[0][1:-1].isdigit() else ""
            taken += token + number
            if repeated and not number:
                break
    return taken


_SPECIAL: Final = ("^", "$", ".", "|", "?", "*", "+")


def _may_be_absent(following: list[str]) -> bool:
    """Whether what stands before this token may be absent."""
    return bool(following) and (following[0] in ("?", "*") or following[0].startswith(("{0", "{,")))


def _beginnings(pattern: str) -> Iterator[str]:
    """The beginnings of the pattern, up to the end of each outermost group, longest first."""
    depth, in_class, place = 0, False, 0
    ends = []
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\":
            place += 1
        elif in_class:
            in_class = letter != "]"
        elif letter == "[":
            in_class = True
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                end = place + 1
                while pattern[end : end + 1] in ("?", "*", "+"):
                    end += 1
                ends.append(end)
        place += 1
    return (pattern[:end] for end in reversed(ends))
