"""The delimited engine: a line is literal text with variables in between.

    $client_ip $ident $user_id [$timestamp] "$request" $status $bytes

A variable extends to the first occurrence of the literal that follows it; between quotes, to the first such occurrence
whose quote is not escaped by a backslash; the last literal of all stands at the end of the line. That is the whole
definition, implemented by `scan`. The fast path does the same in columns, without copying, for lines in which every
quote is where the pattern has one and none is escaped. A `strict` engine does not accept a text between quotes that
contains a quote without a backslash: it is more likely that the line has other columns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache, cached_property

from logstats.dataclass import dataclass
from logstats.errors import FormatError
from logstats.formats.engines.program import Code, Program, Step
from logstats.formats.engines.scan import DOUBTFUL, Reject, Tokens, fast_then_reference
from logstats.formats.text import Text
from logstats.frames import pl

QUOTE = '"'


@dataclass(frozen=True, slots=True)
class Variable:
    """A named part of a line. If its name begins with `_`, it is read and dropped."""

    name: str


Pattern = tuple[str | Variable, ...]  # literals and variables, alternating

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ANY_VARIABLE = re.compile(r"\$(?:\{\w+\}|\w+)")


@cache
def parse_pattern(text: str) -> Pattern:
    """Parse a pattern: `$name` or `${name}` is a variable, the rest is literal. Raises FormatError if two variables
    touch."""
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


def literals_of(text: str) -> list[str]:
    """The literals of a pattern in order, beginning with the one before its first variable, which may be empty."""
    return _ANY_VARIABLE.split(text)


def check_pattern(pattern: Pattern) -> None:
    """Raise FormatError for a pattern that cannot split lines."""
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
    """The reference path: split one line. Raises Reject."""
    return _texts(_plan(pattern), line)


def _texts(plan: _Plan, line: str, *, strict: bool = False) -> dict[str, str | None]:
    return {name: line[start:end] for name, (start, end) in _spans(plan, line, strict=strict).items()}


def _spans(plan: _Plan, line: str, *, strict: bool = False) -> dict[str, tuple[int, int]]:
    """The begin and end of each variable in a line. Raises Reject."""
    begin, variables = plan
    if not line.startswith(begin):
        raise Reject("unexpected_text", 0)
    found: dict[str, tuple[int, int]] = {}
    place = len(begin)
    for name, literal, quoted, at_end, listed in variables:
        if at_end or quoted:
            end = _find(line, literal, place, quoted=quoted, at_end=at_end)
            if quoted and end >= 0 and literal == QUOTE and (more := _COLUMNS.match(line, place, end)):
                raise Reject("trailing_text", more.end())
        else:
            end = line.find(literal, place)
            while listed and end > place and line[end - 1] == ",":  # `client, proxy`
                end = line.find(literal, end + 1)
        if end < 0:
            if quoted and at_end:
                end = _find(line, literal, place, quoted=True, at_end=False)
                if end >= 0:
                    raise Reject("trailing_text", end + len(literal))
            reason = "unbalanced_quote" if quoted or line.count(QUOTE) % 2 else "missing_field"
            raise Reject(reason, place)
        if quoted and line.find(QUOTE, place, end) >= 0:
            if name != "payload" and (other := _ANOTHER.search(line, place, end)):
                raise Reject("trailing_text", other.start())
            if strict and not _ESCAPED.fullmatch(line, place, end):
                raise Reject(DOUBTFUL, place)
        found[name] = place, end
        place = end + len(literal)
    return found


# The literal that a line begins with; and for each variable: its name, the literal after it, whether it is between
# quotes, whether that literal ends the line, and whether the variable may be a list, `192.0.2.1, 192.0.2.2`.
_Plan = tuple[str, tuple[tuple[str, str, bool, bool, bool], ...]]

_ESCAPED = re.compile(r'(?:[^"\\]|\\.)*')

# The time of another line, which begins where this one breaks off.
_ANOTHER = re.compile(r'\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}\] "')

# A closing quote without an opening one: further columns follow it.
_COLUMNS = re.compile(r'(?:(?:[^"\\]|\\.)*(?:[^" \\]|\\.))?" ')


def _plan(pattern: Pattern, lists: Collection[str] = ()) -> _Plan:
    begin = pattern[0] if isinstance(pattern[0], str) else ""
    variables: list[tuple[str, str, bool, bool, bool]] = []
    quotes = 0
    for number, part in enumerate(pattern):
        if isinstance(part, str):
            quotes += part.count(QUOTE)
            continue
        literal = pattern[number + 1] if number + 1 < len(pattern) else ""
        assert isinstance(literal, str)
        quoted = quotes % 2 == 1 and literal.startswith(QUOTE)
        listed = part.name in lists and literal.startswith(" ")
        variables.append((part.name, literal, quoted, number + 2 >= len(pattern), listed))
    return begin, tuple(variables)


def _find(line: str, literal: str, place: int, *, quoted: bool, at_end: bool) -> int:
    """The place of the literal that ends a variable, or -1."""
    if at_end:
        end = len(line) - len(literal)
        found = end >= place and line.endswith(literal)
        return end if found and not (quoted and _escaped(line, place, end)) else -1
    end = line.find(literal, place)
    while quoted and end >= 0 and _escaped(line, place, end):
        end = line.find(literal, end + 1)
    return end


def _escaped(line: str, start: int, place: int) -> bool:
    """Whether the character at `place` is escaped: an odd number of backslashes precedes it."""
    before = place
    while before > start and line[before - 1] == "\\":
        before -= 1
    return (place - before) % 2 == 1


class Delimited:
    """The engine for one pattern; `names` are the variables to keep.

    The fast path leaves a line to the reference path if a variable contains a byte that `never` has for it. Variables
    in `lists` may be lists: a space after a comma does not end them.
    """

    def __init__(
        self,
        pattern: Pattern,
        names: Collection[str],
        never: Mapping[str, bytes] | None = None,
        lists: Collection[str] = (),
        *,
        strict: bool = False,
    ) -> None:
        self.pattern, self._plan, self._strict = pattern, _plan(pattern, lists), strict
        listed = {name: b"," for name, _, _, _, listed in self._plan[1] if listed}
        self._never = {**listed, **(never or {})}
        self.names = [p.name for p in pattern if isinstance(p, Variable) and p.name in names]

    def scan(self, line: str) -> dict[str, str | None]:
        """The reference path."""
        found = _texts(self._plan, line, strict=self._strict)
        last = self.pattern[-1]
        if isinstance(last, Variable) and last.name in self.names and _ANOTHER.search(found[last.name] or ""):
            raise Reject("trailing_text", len(line))
        return found

    def stop(self, line: str, name: str = "") -> int:
        """The position at which a line stops matching; or, in a line that matches, the begin of the variable of this
        name."""
        try:
            return _spans(self._plan, line).get(name, (0, 0))[0]
        except Reject as reject:
            return reject.column

    def __call__(self, text: Text) -> Tokens:
        """Both paths."""
        return fast_then_reference(text, self.fast(text), self.scan, self.names)

    def fast(self, text: Text) -> pl.DataFrame:
        """The fast path: the lines that it can read with certainty (`line`), and their variables."""
        return self._program(text)

    def program(self, text: Text) -> Program:
        """The program of the pattern, for any text."""
        return self._program

    @cached_property
    def _program(self) -> Program:
        """The program of the pattern. It splits the line at its quotes first: if there are as many as in the pattern,
        and none is escaped, each is at its place."""
        sections = self._sections
        count = len(sections) - 1
        last = self.pattern[-1]
        # The text after the last literal may contain quotes if it is not wanted.
        loose = count == 0 or (isinstance(last, Variable) and last.name not in self.names)
        steps = [Step(Code.PLAIN)]
        for number, section in enumerate(sections):
            if number == count:
                steps += [Step(Code.ANY if loose else Code.LAST), *self._cut(section)]
            elif number % 2 and len(section) == 1 and isinstance(section[0], Variable):
                name = section[0].name
                kept = name if name in self.names else None
                steps.append(Step(Code.QUOTED, QUOTE.encode(), kept, self._never.get(name, b"")))
            elif number % 2 == 0 and all(isinstance(part, str) for part in section):
                steps.append(Step(Code.LITERAL, "".join(map(str, (*section, QUOTE))).encode()))
            else:
                close = Step(Code.ESCAPED if number % 2 else Code.CLOSE)
                steps += [Step(Code.SECTION), *self._cut(section), close]
        return Program(steps)

    def _cut(self, section: Pattern) -> Iterator[Step]:
        """The steps for a section between two quotes."""
        parts = list(section)
        if parts and isinstance(parts[-1], str):
            yield Step(Code.ENDS, str(parts.pop()).encode())
        for number, part in enumerate(parts):
            if isinstance(part, str):
                if number == 0:
                    yield Step(Code.LITERAL, part.encode())
                continue
            name, never = part.name if part.name in self.names else None, self._never.get(part.name, b"")
            if number == len(parts) - 1:
                yield Step(Code.REST, name=name, never=never)
            else:
                yield Step(Code.UNTIL, str(parts[number + 1]).encode(), name, never)

    @cached_property
    def _sections(self) -> list[Pattern]:
        """The pattern, split at each quote like a line."""
        sections: list[list[str | Variable]] = [[]]
        for part in self.pattern:
            if isinstance(part, Variable):
                sections[-1].append(part)
                continue
            first, *others = part.split(QUOTE)
            if first:
                sections[-1].append(first)
            for other in others:
                sections.append([other] if other else [])
        return [tuple(section) for section in sections]
