"""The little language of `--fail-if` and of policies. An error points at the place.

    condition  = [ selector ":" ] metric op value [ "for" duration ]
    selector   = [ METHOD ] path-glob | "host=" glob | "app=" glob
    metric     = "p" number | "avg" | "max" | "error_rate" | "availability" | "requests" | "rejected" | "users" | "rps"
    op         = "<" | "<=" | ">" | ">=" | "==" | "!="
    value      = number [ "ms" | "s" | "us" | "%" ]

    good       = test { "and" test }
    test       = ( "status" op number ) | ( "duration" op number ( "ms" | "s" | "us" ) )

Numbers are exact (fractions), so 1 % of 100 requests is one request and not a little more. The colon that ends a
selector is the last one. A figure that has a unit must be given one: `p99 > 5` is ambiguous.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from logstats.errors import ExpressionError
from logstats.sketches.loghist import parse_percentile

OPS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
PERCENTILE: Final = "percentile"
DURATIONS: Final = (PERCENTILE, "avg", "max")
RATES: Final = ("error_rate", "availability")
COUNTS: Final = ("requests", "rejected", "users", "rps")
METRICS: Final = ("p95 (any percentile)", "avg", "max", *RATES, *COUNTS)

_MILLISECONDS: Final = {"us": Fraction(1, 1000), "ms": Fraction(1), "s": Fraction(1000)}
_HOLD: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TOKEN = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(?P<op>[<>=!]=|[<>])|(?P<word>[A-Za-z_][A-Za-z_]*)|(?P<sign>%)"
)
_PERCENTILE = re.compile(r"p([0-9]+(?:\.[0-9]+)?)(?![A-Za-z_0-9.])")
_METHOD = re.compile(r"([A-Za-z][A-Za-z_-]*)(?:\s+|$)")
_LONGEST: Final = 30  # digits of a number


@dataclass(frozen=True, slots=True)
class Selector:
    """Which requests are meant: all that is not None must match. Globs; `*` also matches `/`.

    `path` is held against the path as logged and against the endpoint as reported, and one of the two is enough:
    `/api/bugs/{id}` is copied from a report, `/api/bugs/1*` is written by hand.
    """

    text: str
    method: str | None = None
    path: str | None = None
    host: str | None = None
    app: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A figure held against a limit. `limit` is in milliseconds for durations, a part of 1 for what is given in per
    cent (`ratio`), and plain otherwise. `hold` is the seconds after `for`, None without."""

    text: str
    selector: Selector | None
    metric: str
    percentile: str | None
    op: str
    limit: Fraction
    ratio: bool
    hold: int | None = None

    @property
    def name(self) -> str:
        """The metric as written: p99.9, error_rate."""
        return f"p{self.percentile}" if self.percentile else self.metric

    def holds(self, value: Fraction | float) -> bool:
        """Whether a value, in the unit of `limit`, fulfils it."""
        return bool(OPS[self.op](value, self.limit))


@dataclass(frozen=True, slots=True)
class Clause:
    """What must hold of a request: its status, or its duration in milliseconds, against a limit."""

    field: str
    op: str
    limit: Fraction


def parse_condition(text: str) -> Condition:
    """A condition. Raises ExpressionError."""
    colon = text.rfind(":")
    selector = parse_selector(text[:colon], text) if colon >= 0 else None
    scanner = _Scanner(text, colon + 1)
    metric, percentile = _metric(scanner)
    op = scanner.take("op", f"one of {' '.join(OPS)}")
    limit, ratio = _limit(scanner, metric)
    hold = None
    if scanner.peek() == "for":
        scanner.next()
        hold = int(scanner.number() * scanner.unit(_HOLD, "a time such as 5m"))
    scanner.end()
    if metric == "rejected" and selector:
        raise scanner.error(
            "a line that could not be read has no path, host or app", "write it without a selector", colon + 1
        )
    return Condition(text.strip(), selector, metric, percentile, op, limit, ratio, hold)


def parse_selector(text: str, whole: str | None = None) -> Selector:
    """A selector; `whole` is the text that it begins, for errors. Raises ExpressionError."""
    scanner = _Scanner(whole if whole is not None else text, 0)
    start = len(text) - len(text.lstrip())
    body = text.strip()
    for name in ("host", "app"):
        if body.startswith(f"{name}="):
            glob = body[len(name) + 1 :].strip()
            if not glob:
                raise scanner.error(f"{name}= needs a name or a glob", f"{name}=shop*", start + len(name) + 1)
            return Selector(body, host=glob) if name == "host" else Selector(body, app=glob)
    method = _METHOD.match(body)
    if method and method.end() == len(body) and not body.isupper():
        method = None  # more likely a path that lacks its slash
    path = body[method.end() :] if method else body
    place = start + len(body) - len(path)
    if method and not path:
        raise scanner.error("a path must follow the method", f"for all of them write {method[1]} *", place)
    if not path.startswith(("/", "*", "?", "(")):
        raise scanner.error("a path begins with /", "GET /api/*, /api/*, host=…, app=…", place)
    return Selector(body, method=method[1].upper() if method else None, path=path)


def parse_good(text: str) -> tuple[Clause, ...]:
    """What makes a request a good one: tests that must all hold. Raises ExpressionError."""
    scanner = _Scanner(text, 0)
    tests = []
    while True:
        field = scanner.take("word", "status or duration")
        if field not in ("status", "duration"):
            raise scanner.error("only status and duration can be tested", "status < 500 and duration < 300ms")
        op = scanner.take("op", f"one of {' '.join(OPS)}")
        limit = scanner.number()
        if field == "duration":
            limit *= scanner.unit(_MILLISECONDS, "a unit, such as 300ms")
        elif not 100 <= limit <= 999 or limit.denominator != 1:
            raise scanner.error("a status is a number from 100 to 999", "status < 500")
        tests.append(Clause(field, op, limit))
        if scanner.peek() != "and":
            scanner.end()
            return tuple(tests)
        scanner.next()


def _metric(scanner: _Scanner) -> tuple[str, str | None]:
    match = _PERCENTILE.match(scanner.text, scanner.skip())
    if match:
        scanner.move(match.end())
        try:
            parse_percentile(match[1])
        except ValueError:
            raise scanner.error("a percentile is above 0 and at most 100", "p50, p99.9") from None
        return PERCENTILE, match[1]
    metric = scanner.take("word", "a figure")
    if metric not in (*DURATIONS[1:], *RATES, *COUNTS):
        raise scanner.error("no figure is called so", f"figures are {', '.join(METRICS)}")
    return metric, None


def _limit(scanner: _Scanner, metric: str) -> tuple[Fraction, bool]:
    number = scanner.number()
    if metric in DURATIONS:
        return number * scanner.unit(_MILLISECONDS, f"a unit: {scanner.last}ms or {scanner.last}s"), False
    if metric in RATES:
        return number * scanner.unit({"%": Fraction(1, 100)}, f"per cent: {scanner.last}%"), True
    if metric == "rejected" and scanner.peek() == "%":
        scanner.next()
        return number / 100, True
    if scanner.peek() not in ("", "for"):
        scanner.next()
        raise scanner.error(f"{metric} is a number without a unit")
    return number, False


class _Scanner:
    """Takes a text apart from left to right, and knows where it is."""

    def __init__(self, text: str, place: int) -> None:
        self.text = text
        self.last = ""  # the token that was taken last …
        self._at = place  # … where it began, for errors …
        self._next = place  # … and where the next one may begin

    def skip(self) -> int:
        """Go past blanks."""
        while self._next < len(self.text) and self.text[self._next].isspace():
            self._next += 1
        return self._next

    def move(self, end: int) -> None:
        """Take everything up to a place."""
        self._at, self._next = self._next, end
        self.last = self.text[self._at : end]

    def peek(self) -> str:
        """The next token, "" at the end."""
        match = _TOKEN.match(self.text, self.skip())
        return match[0] if match else self.text[self._next : self._next + 1]

    def next(self) -> str:
        """Take the next token."""
        token = self.peek()
        self.move(self._next + len(token))
        return token

    def take(self, kind: str, expected: str) -> str:
        """Take a token of a kind. Raises ExpressionError."""
        match = _TOKEN.match(self.text, self.skip())
        self._at = self._next
        if not match or match.lastgroup != kind:
            raise self.error(f"expected {expected}")
        return self.next()

    def number(self) -> Fraction:
        """Take a number. Raises ExpressionError."""
        token = self.take("number", "a number")
        if len(token) > _LONGEST:
            raise self.error(f"a number has at most {_LONGEST} digits")
        return Fraction(token)

    def unit(self, units: dict[str, Any], expected: str) -> Any:
        """Take a unit, and return what it stands for. Raises ExpressionError."""
        token = self.peek()
        if token not in units:
            self._at = self._next
            raise self.error(f"expected {expected}")
        return units[self.next()]

    def end(self) -> None:
        """Check that nothing is left. Raises ExpressionError."""
        if token := self.peek():
            self._at = self._next
            raise self.error(f"nothing was expected after {self.last}, not {token}" if self.last else "too much")

    def error(self, what: str, hint: str = "", place: int | None = None) -> ExpressionError:
        """An error that points at the last token, or at a place."""
        return ExpressionError(self.text, self._at if place is None else place, what, hint)
