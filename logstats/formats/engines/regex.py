"""The regex engine: named groups of a regular expression, and key=value pairs in the group `fields` if it has one.

Rust's regular expressions take linear time for any line, so one path is enough. `scan` does the same for one line with
Python's, which can tell where a line stops matching.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Final

import numpy as np

from logstats.formats.engines.keyvalue import Pairs, pairs_of
from logstats.formats.engines.scan import Reject, Tokens, ignorable, rejects
from logstats.formats.engines.tails import HEAD, TOKEN, apart, without_rest
from logstats.formats.model import FOREIGN, Field
from logstats.formats.text import Text
from logstats.frames import pl
from logstats.kernels.columns import as_numbers

TAIL = "fields"


class Regexes:
    """The engine for one regular expression, anchored at both ends."""

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

    def program(self, text: Text) -> None:
        """There is none: it takes more than one."""

    def __call__(self, text: Text) -> Tokens:
        shorter = without_rest(self._pattern, TAIL)
        whole = _groups(text.lines, shorter or self._pattern)
        groups = [column for column in whole.get_columns() if column.name != HEAD]
        matched = ~pl.select(pl.all_horizontal(column.is_null() for column in groups)).to_series()
        numbered = whole.with_columns(line=pl.int_range(pl.len(), dtype=pl.UInt32))
        rejected = rejects()
        ignored = 0
        if not matched.all():
            left = (~matched).arg_true()
            blank = [ignorable(line) for line in text.lines.gather(left).to_list()]
            ignored = sum(blank)
            refused = left.filter(~pl.Series(blank, dtype=pl.Boolean))
            rejected = pl.DataFrame({"line": refused, "reason": "no_match"}, schema=rejects().schema)
            numbered = numbered.filter(matched)
        if TAIL not in whole.columns:
            return Tokens(numbered.select("line", *self._own(numbered)), rejected, ignored)
        tails = _rests(text, numbered) if shorter else Text.from_lines(numbered[TAIL].fill_null(""))
        return Tokens(self._with_pairs(numbered, tails), rejected, ignored)

    def _own(self, frame: pl.DataFrame) -> list[str]:
        return [name for name in self._names if name in frame.columns and name != TAIL]

    def _with_pairs(self, frame: pl.DataFrame, tails: Text) -> pl.DataFrame:
        own, read = self._own(frame), self._tail(tails)
        both = [name for name in own if name in read.columns]
        frame = frame.select(*("line", *own)).with_columns(read.drop(both))
        return frame.with_columns(pl.coalesce(name, read[name]).alias(name) for name in both)

    def _tail(self, tails: Text) -> pl.DataFrame:
        read = self._pairs.columns(tails)
        easy = read["line"]
        left = tails.ends > tails.starts
        left[easy.to_numpy()] = False
        hard = as_numbers(np.flatnonzero(left))
        slow = [self._pairs.choose(pairs_of(tail)) for tail in tails.pick(hard.to_list())]
        if easy.len() == len(tails):
            return read.drop("line")
        found = pl.DataFrame(schema=dict.fromkeys(self._pairs.names, pl.String)).clear(len(tails))
        for places, columns in (
            (easy, read),
            (hard, pl.DataFrame(slow, schema=found.schema, orient="row")),
        ):
            if len(places):
                found = found.with_columns(found[name].scatter(places, columns[name]) for name in found.columns)
        return found


def _groups(lines: pl.Series, pattern: str) -> pl.DataFrame:
    """The groups of a pattern (String) in each line, null in lines that do not match."""
    parts = apart(pattern, FOREIGN)
    if parts is None:
        return lines.to_frame("line").select(pl.col("line").str.extract_groups(pattern)).to_series().struct.unnest()
    foreign, other = parts  # few lines are foreign, and to ask whether one is costs far less than its groups
    found = _groups(lines, other).with_columns(pl.lit(None, pl.String).alias(FOREIGN))
    places = lines.str.contains(foreign).arg_true()
    if not len(places):
        return found
    some = lines.gather(places).to_frame("line").select(pl.col("line").str.extract_groups(pattern))
    few = some.to_series().struct.unnest()
    return found.with_columns(found[name].scatter(places, few[name]) for name in found.columns)


def _rests(text: Text, frame: pl.DataFrame) -> Text:
    """What each line has from the begin of the last group on; nothing where it has no such group."""
    lines = frame["line"].to_numpy()
    ends = text.ends[lines]
    before = frame.select(pl.col(HEAD).str.len_bytes() - pl.col(TAIL).str.len_bytes()).to_series()
    starts = np.where(before.is_null(), ends, text.starts[lines] + before.fill_null(0).to_numpy())
    return text.between(starts, ends)


def _in_order(texts: Iterable[str], line: str) -> bool:
    place = 0
    for text in texts:
        place = line.find(text, place) + len(text)
        if place < len(text):
            return False
    return True


@cache
def literals(pattern: str) -> tuple[str, ...]:
    """Texts that each line that matches the pattern contains, in this order: what stands in it outside of groups. None,
    where groups have flags or look around."""
    runs, depth = [""], 0
    tokens = TOKEN.findall(pattern)
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


OPENING: Final = 12  # characters of a line at most
_OTHERS: Final = 1 << 128  # the bit of all characters that are not ASCII
_ANY: Final = (_OTHERS << 1) - 1


@cache
def opening(pattern: str) -> tuple[int, ...]:
    """What each line that matches the pattern begins with: for each of its first characters, those that may stand
    there, as a set of bits (bit 128 is any character that is not ASCII). It ends where any may stand, or where a line
    may end."""
    tokens = TOKEN.findall(pattern)
    if ("(", "?") in zip(tokens, tokens[1:], strict=False):  # flags, or looking around
        return ()
    masks = [0] * OPENING
    ends = _choice(tokens, {0}, masks)
    known = min([OPENING, *ends, *(place for place, mask in enumerate(masks) if mask == _ANY)])
    return tuple(masks[:known])


def codes(line: str) -> list[int]:
    """The first characters of a line, as `opening` numbers them."""
    return [min(ord(character), 128) for character in line[:OPENING]]


def fits(opening: Sequence[int], begins: Sequence[int]) -> bool:
    """Whether a line with these first characters (`codes`) has an opening."""
    for mask, code in zip(opening, begins, strict=False):
        if not mask >> code & 1:
            return False
    return len(begins) >= len(opening)


def _choice(tokens: list[str], starts: set[int], masks: list[int]) -> set[int]:
    """Take tokens up to the parenthesis that closes them, and add to `masks` what they match. `starts` are the places
    in a line at which that may begin; those at which it may end are returned, as far as `masks` goes."""
    ends: set[int] = set()
    places = starts
    while tokens and tokens[0] != ")":
        token = tokens.pop(0)
        if token == "|":
            ends |= places
            places = starts
        elif token not in ("^", "$"):
            body = _body(tokens) if token[0] == "(" else []
            least, most = _times(tokens)
            reached, now = set[int](), places
            for number in range(min(most, len(masks)) + 1):
                reached |= now if number >= least else set()
                now = _choice([*body], now, masks) if body else _one(token, now, masks)
            places = reached
    return ends | places


def _body(tokens: list[str]) -> list[str]:
    """Take the tokens of a group, with the parenthesis that closes it."""
    body, depth = list[str](), 1
    while depth:
        body.append(tokens.pop(0))
        depth += (body[-1][0] == "(") - (body[-1] == ")")
    return body


def _times(tokens: list[str]) -> tuple[int, int]:
    """Take a repetition: how often at least, and at most."""
    if not tokens or not (tokens[0] in ("?", "*", "+") or (tokens[0][0] == "{" and len(tokens[0]) > 1)):
        return 1, 1
    token = tokens.pop(0)
    if tokens and tokens[0] in ("?", "+"):  # it takes as few, or as many, as it can
        tokens.pop(0)
    if token[0] != "{":
        return int(token == "+"), 1 if token == "?" else OPENING
    least, comma, most = token[1:-1].partition(",")
    return int(least or 0), int(most) if most else OPENING if comma else int(least)


def _one(token: str, starts: set[int], masks: list[int]) -> set[int]:
    """As `_choice`, for a token of one character."""
    inside = [place for place in starts if place < len(masks)]
    if inside:
        mask = _mask(token)
        for place in inside:
            masks[place] |= mask
    return {place + 1 for place in inside}


@cache
def _mask(token: str) -> int:
    one = re.compile(token if len(token) > 1 or token == "." else re.escape(token))
    return _OTHERS | sum(1 << code for code in range(128) if one.fullmatch(chr(code)))


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
