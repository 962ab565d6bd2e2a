"""Splits an expression into tokens from left to right, and reports errors with a caret under the place."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final, TypeVar

from logstats.errors import ExpressionError

# How a value is compared. `=` is another spelling of `==`.
OPS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
MILLISECONDS: Final = {
    "ns": Fraction(1, 1_000_000),
    "us": Fraction(1, 1000),
    "µs": Fraction(1, 1000),
    "ms": Fraction(1),
    "s": Fraction(1000),
    "m": Fraction(60_000),
    "h": Fraction(3_600_000),
}
_TOKEN = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(?P<op>[<>=!~]+)"
    r"|(?P<word>query:[^\s<>=!~%(),]+|ip/[0-9]+(?:/[0-9]+)?|[^\W\d]\w*)|(?P<sign>[%(),])"
)
_BARE = re.compile(r"""[^\s()",']+""")
_LONGEST: Final = 30  # digits of a number

Value = TypeVar("Value")


class Scanner:
    """Takes tokens from `text`, from `place` up to `end`."""

    def __init__(self, text: str, place: int = 0, end: int | None = None) -> None:
        self.text = text
        self.last = ""  # the token that was taken last
        self.at = place  # where it begins: errors point there
        self._next = place  # where the next token may begin
        self._end = len(text) if end is None else end

    def skip(self) -> int:
        """Go past blanks, and return the place."""
        while self._next < self._end and self.text[self._next].isspace():
            self._next += 1
        return self._next

    def move(self, end: int) -> None:
        """Take everything up to a place."""
        self.at, self._next = self._next, end
        self.last = self.text[self.at : end]

    def peek(self) -> str:
        """The next token, "" at the end."""
        match = _TOKEN.match(self.text, self.skip(), self._end)
        return match[0] if match else self.text[self._next : min(self._next + 1, self._end)]

    def next(self) -> str:
        """Take the next token."""
        token = self.peek()
        self.move(self._next + len(token))
        return token

    def accept(self, *tokens: str) -> bool:
        """Take the next token if it is one of these, whose case does not count."""
        if self.peek().lower() in tokens:
            self.next()
            return True
        return False

    def take(self, kind: str, expected: str) -> str:
        """Take a token of a kind. Raises ExpressionError."""
        match = _TOKEN.match(self.text, self.skip(), self._end)
        self.at = self._next
        if not match or match.lastgroup != kind:
            raise self.error(f"expected {expected}")
        return self.next()

    def operator(self) -> str:
        """Take a comparison, `=` as `==`. Raises ExpressionError."""
        expected = f"one of {' '.join(OPS)}"
        token = self.take("op", expected)
        if token == "=":
            return "=="
        if token not in OPS:
            raise self.error(f"expected {expected}")
        return token

    def number(self) -> Fraction:
        """Take a number. Raises ExpressionError."""
        token = self.take("number", "a number")
        if len(token) > _LONGEST:
            raise self.error(f"a number has at most {_LONGEST} digits")
        return Fraction(token)

    def unit(self, units: Mapping[str, Value], expected: str) -> Value:
        """Take a unit, and return what it stands for. Raises ExpressionError."""
        token = self.peek()
        if token not in units:
            self.at = self._next
            raise self.error(f"expected {expected}")
        return units[self.next()]

    def string(self, expected: str) -> tuple[str, bool]:
        """Take a text, and say whether it is in quotation marks. Raises ExpressionError.

        Between quotation marks (double or single) every character stands for itself, a backslash too; the quotation
        mark itself is written twice. Without them a text ends at a blank, a comma or a bracket.
        """
        start = self.skip()
        self.at = start
        quote = self.text[start : start + 1] if start < self._end else ""
        if quote not in ('"', "'") or not quote:
            bare = _BARE.match(self.text, start, self._end)
            if not bare:
                raise self.error(f"expected {expected}")
            self.move(bare.end())
            return bare[0], False
        parts, place = [], start + 1
        while True:
            end = self.text.find(quote, place, self._end)
            if end < 0:
                raise self.error(f"the quotation mark {quote} is not closed", "write it twice inside of a text", start)
            parts.append(self.text[place:end])
            if self.text[end + 1 : end + 2] != quote or end + 1 >= self._end:
                break
            parts.append(quote)
            place = end + 2
        self.move(end + 1)
        return "".join(parts), True

    def end(self) -> None:
        """Check that nothing is left. Raises ExpressionError."""
        if token := self.peek():
            self.at = self._next
            hint = "a quotation mark inside of a text is written twice" if self.last.endswith(('"', "'")) else ""
            raise self.error(f"nothing was expected after {self.last}, not {token}" if self.last else "too much", hint)

    def error(self, what: str, hint: str = "", place: int | None = None) -> ExpressionError:
        """An error that points at the last token, or at a place."""
        return ExpressionError(self.text, self.at if place is None else place, what, hint)
