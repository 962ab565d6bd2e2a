"""The delimited engine: a line is literal text with variables in between.

    $client_ip $ident $user_id [$timestamp] "$request" $status $bytes

A variable extends to the first occurrence of the literal that follows it; between quotes, to the first such
occurrence whose quote is not escaped by a backslash; the last literal of all stands at the end of the line.
That is the whole definition, and `scan` is it. The fast lane does the same in columns for the lines of which
it can show that every quote is where the pattern has one and none is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, cached_property

import polars as pl

from logstats.errors import FormatError
from logstats.formats.text import Text
from logstats.formats.tokens import Reject, Tokens, two_lanes

QUOTE = '"'


@dataclass(frozen=True, slots=True)
class Variable:
    """A named part of a line; a name beginning with `_` is read and kept out."""

    name: str


Pattern = tuple[str | Variable, ...]  # literals and variables in turn, no two of a kind side by side

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@cache
def parse_pattern(text: str) -> Pattern:
    """`$name` or `${name}` is a variable, the rest is literal. Raises FormatError where two variables touch."""
    parts: list[str | Variable] = []
    place = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > place:
            parts.append(text[place : match.start()])
        parts.append(Variable(match[1] or match[2]))
        place = match.end()
    if place < len(text):
        parts.append(text[place:])
    check_pattern(tuple(parts))
    return tuple(parts)


def check_pattern(pattern: Pattern) -> None:
    """Raise FormatError for a pattern that no reader could take apart."""
    for left, right in zip(pattern, pattern[1:], strict=False):
        if isinstance(left, Variable) and isinstance(right, Variable):
            raise FormatError(
                f"nothing separates {left.name} from {right.name}",
                "put a space or another character between the two",
            )
    names = [part.name for part in pattern if isinstance(part, Variable)]
    if not names:
        raise FormatError("the pattern has no variable in it")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"{twice} stands in the pattern twice", "give each variable a name of its own")


def scan(pattern: Pattern, line: str) -> dict[str, str | None]:
    """The slow lane: take one line apart. Raises Reject."""
    return {name: line[start:end] for name, (start, end) in spans(pattern, line).items()}


def spans(pattern: Pattern, line: str) -> dict[str, tuple[int, int]]:
    """Where each variable begins and ends in a line. Raises Reject."""
    found: dict[str, tuple[int, int]] = {}
    place, quotes = 0, 0
    last = len(pattern) - 1
    for number, part in enumerate(pattern):
        if isinstance(part, str):
            if number == 0 and not line.startswith(part):
                raise Reject("unexpected_text", 0)
            if number == 0:
                place = len(part)
            quotes += part.count(QUOTE)
            continue
        if number == last:
            end, after = len(line), len(line)
        else:
            literal = pattern[number + 1]
            assert isinstance(literal, str)
            quoted = quotes % 2 == 1 and literal.startswith(QUOTE)
            end = _find(line, literal, place, quoted=quoted, at_end=number + 1 == last)
            if end < 0:
                if quoted and number + 1 == last:
                    end = _find(line, literal, place, quoted=True, at_end=False)
                    if end >= 0:
                        raise Reject("trailing_text", end + len(literal))
                reason = "unbalanced_quote" if quoted or line.count(QUOTE) % 2 else "missing_field"
                raise Reject(reason, place)
            after = end + len(literal)
        found[part.name] = (place, end)
        place = after
    return found


def _find(line: str, literal: str, place: int, *, quoted: bool, at_end: bool) -> int:
    """Where the literal that ends a variable begins, or -1."""
    if at_end:
        end = len(line) - len(literal)
        found = end >= place and line.endswith(literal)
        return end if found and not (quoted and _escaped(line, place, end)) else -1
    end = line.find(literal, place)
    while quoted and end >= 0 and _escaped(line, place, end):
        end = line.find(literal, end + 1)
    return end


def _escaped(line: str, start: int, place: int) -> bool:
    """Whether an odd number of backslashes stands directly before `place`."""
    before = place
    while before > start and line[before - 1] == "\\":
        before -= 1
    return (place - before) % 2 == 1


class Delimited:
    """The engine for one pattern; `names` are the variables to keep."""

    def __init__(self, pattern: Pattern, names: Collection[str]) -> None:
        self.pattern = pattern
        self.names = [p.name for p in pattern if isinstance(p, Variable) and p.name in names]

    @cached_property
    def _plan(self) -> _Plan:
        last = self.pattern[-1]
        # What stands behind the last literal may hold quotes if nobody wants to know what it is.
        loose = isinstance(last, Variable) and last.name not in self.names
        return _plan(_sections(self.pattern), loose=loose)

    def scan(self, line: str) -> dict[str, str | None]:
        """The slow lane."""
        return scan(self.pattern, line)

    def stop(self, line: str, name: str = "") -> int:
        """Where a line stops to fit, or where the variable of this name begins in one that fits."""
        try:
            return spans(self.pattern, line).get(name, (0, 0))[0]
        except Reject as reject:
            return reject.column

    def __call__(self, text: Text) -> Tokens:
        """Both lanes."""
        fast, proven = self.fast(text)
        return two_lanes(text, fast, proven, self.scan, self.names)

    def fast(self, text: Text) -> tuple[pl.DataFrame, pl.Series]:
        """The fast lane: the variables of every line, and which lines it vouches for."""
        plan = self._plan
        pieces = _pieces(text, plan.pieces)
        if pieces is None:
            nothing = pl.DataFrame(schema=dict.fromkeys(self.names, pl.String)).clear(len(text))
            return nothing, pl.Series([False]).new_from_index(0, len(text))
        query = pieces.lazy()
        for splits in plan.splits:
            query = query.with_columns(splits)
        found = query.select(plan.proven, *(plan.variables[name] for name in self.names)).collect()
        return found, found.drop_in_place(_PROVEN)


_SIZE, _PROVEN = "\0size", "\0proven"  # no variable is called so


@dataclass(frozen=True, slots=True)
class _Plan:
    """The expressions that take a pattern apart: a few rounds of splits, then all variables at once."""

    pieces: int
    splits: list[list[pl.Expr]]
    variables: dict[str, pl.Expr]
    proven: pl.Expr


def _pieces(text: Text, count: int) -> pl.DataFrame | None:
    """The lines split at every quote into columns 0, 1, …; what is missing or too much in a line is not said."""
    if count == 1:
        return pl.DataFrame([text.sizes.alias(_SIZE), text.lines.alias("0")])
    frame = pl.read_csv(
        text.data,
        has_header=False,
        separator=QUOTE,
        quote_char=None,
        schema={str(i): pl.String for i in range(count)},
        empty_string_is_null=False,
        extra_columns="ignore",
        missing_columns="insert",
    )
    return frame.hstack([text.sizes.alias(_SIZE)]) if frame.height == len(text) else None


def _plan(sections: list[Pattern], *, loose: bool) -> _Plan:
    count = len(sections)
    length = pl.sum_horizontal(pl.col(str(i)).str.len_bytes() for i in range(count))
    # With as many quotes as the pattern has, and only then, pieces and quotes add up to the line.
    checks = [pl.col(str(count - 1)).is_not_null() if loose else pl.col(_SIZE) == length + (count - 1)]
    splits: list[list[pl.Expr]] = []
    variables: dict[str, pl.Expr] = {}
    for number, section in enumerate(sections):
        piece = pl.col(str(number))
        if number % 2 == 1:  # between quotes: a backslash at the end escapes what looks like the closing one
            checks.append(~piece.str.ends_with("\\"))
        _plan_piece(str(number), section, splits, variables, checks)
    return _Plan(count, splits, variables, pl.all_horizontal(checks).alias(_PROVEN))


def _plan_piece(
    column: str,
    section: Pattern,
    splits: list[list[pl.Expr]],
    variables: dict[str, pl.Expr],
    checks: list[pl.Expr],
) -> None:
    piece = pl.col(column)
    if all(isinstance(part, str) for part in section):
        checks.append(piece.eq(section[0] if section else ""))
        return
    rest = piece
    first, last = section[0], section[-1]
    if isinstance(first, str):
        checks.append(piece.str.starts_with(first))
        rest = rest.str.strip_prefix(first)
    if isinstance(last, str):
        checks.append(rest.str.ends_with(last))
        rest = rest.str.strip_suffix(last)
    names = [part.name for part in section if isinstance(part, Variable)]
    between = [part for part in section[1:-1] if isinstance(part, str)]
    level = 0
    while between:
        # Variables with the same literal after each: one split.
        literal = between[0]
        run = next((i for i, other in enumerate(between) if other != literal), len(between))
        if len(splits) == level:
            splits.append([])
        column_of_parts = f"{column}/{level}"
        splits[level].append(rest.str.splitn(literal, run + 1).alias(column_of_parts))
        part = pl.col(column_of_parts).struct
        variables |= {name: part.field(f"field_{i}").alias(name) for i, name in enumerate(names[:run])}
        rest = part.field(f"field_{run}")
        checks.append(rest.is_not_null())
        del names[:run], between[:run]
        level += 1
    variables[names[0]] = rest.alias(names[0])


def _sections(pattern: Pattern) -> list[Pattern]:
    """The pattern split at each quote, as a line will be."""
    sections: list[list[str | Variable]] = [[]]
    for part in pattern:
        if isinstance(part, Variable):
            sections[-1].append(part)
            continue
        first, *others = part.split(QUOTE)
        if first:
            sections[-1].append(first)
        for other in others:
            sections.append([other] if other else [])
    return [tuple(section) for section in sections]
