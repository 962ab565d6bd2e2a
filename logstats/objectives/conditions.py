"""Conditions: figures held against limits, as `--fail-if` and policies write them. An error points at the place.

    condition  = [ selector ":" ] metric op value [ "for" duration ]
    selector   = [ METHOD ] path-glob | "host=" glob | "app=" glob | expression
    metric     = "p" number | "avg" | "max" | "error_rate" | "availability" | "requests" | "rejected" | "users" | "rps"
    op         = "<" | "<=" | ">" | ">=" | "=" | "==" | "!="
    value      = number [ "ms" | "s" | "us" | "%" ]

    good       = expression

An expression is that of `--where` (`logstats.expressions`). Numbers are exact (fractions), so 1 % of 100 requests is
one request and not a little more. The colon that ends a selector is the last one. A figure that has a unit must be
given one: `p99 > 5` is ambiguous.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from logstats.dataclass import dataclass
from logstats.expressions import predicates
from logstats.expressions.predicates import Predicate, Times
from logstats.expressions.scanner import MILLISECONDS, OPS, Scanner
from logstats.sketches.loghist import parse_percentile

PERCENTILE: Final = "percentile"
DURATIONS: Final = (PERCENTILE, "avg", "max")
RATES: Final = ("error_rate", "availability")
COUNTS: Final = ("requests", "rejected", "users", "rps")
METRICS: Final = ("p95 (any percentile)", "avg", "max", *RATES, *COUNTS)

_HOLD: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PERCENTILE = re.compile(r"p([0-9]+(?:\.[0-9]+)?)(?![A-Za-z_0-9.])")
_METHOD = re.compile(r"([A-Za-z][A-Za-z_-]*)(?:\s+|$)")
_WORD = re.compile(r"\s(?:and|or|not|in|is|contains)\s|[\"']", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Selector:
    """Which requests are meant: all that is not None must match. Globs, in which `*` also matches `/`, or `where`.

    `path` is held against the path as logged and against the endpoint as reported, and one of the two is enough:
    `/api/bugs/{id}` is copied from a report, `/api/bugs/1*` is written by hand.
    """

    text: str
    method: str | None = None
    path: str | None = None
    host: str | None = None
    app: str | None = None
    where: Predicate | None = None


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


def parse_condition(text: str, times: Times | None = None) -> Condition:
    """A condition; `times` reads times in its selector (by default in UTC). Raises ExpressionError."""
    colon = text.rfind(":")
    selector = parse_selector(text[:colon], text, times) if colon >= 0 else None
    scanner = Scanner(text, colon + 1)
    metric, percentile = _metric(scanner)
    op = scanner.operator()
    limit, ratio = _limit(scanner, metric)
    hold = None
    if scanner.peek() == "for":
        scanner.next()
        length = scanner.number() * scanner.unit(_HOLD, "a time such as 5m")
        if length.denominator != 1:
            raise scanner.error("this is no whole number of seconds", "for 30s, for 5m")
        hold = int(length)
    scanner.end()
    if metric == "rejected" and selector:
        raise scanner.error(
            "a line that could not be read has no path, host or app", "write it without a selector", colon + 1
        )
    return Condition(text.strip(), selector, metric, percentile, op, limit, ratio, hold)


def parse_selector(text: str, whole: str | None = None, times: Times | None = None) -> Selector:
    """A selector; `whole` is the text that it begins, for errors. Raises ExpressionError."""
    whole = whole if whole is not None else text
    scanner = Scanner(whole)
    start = len(text) - len(text.lstrip())
    body = text.strip()
    for name in ("host", "app"):
        if body.startswith(f"{name}=") and not body.startswith(f"{name}==") and not _WORD.search(body):
            glob = body[len(name) + 1 :].strip()
            if not glob:
                raise scanner.error(f"{name}= needs a name or a glob", f"{name}=shop*", start + len(name) + 1)
            return Selector(body, host=glob) if name == "host" else Selector(body, app=glob)
    if predicates.begins_one(body):
        return Selector(body, where=predicates.parse(whole, times, place=start, end=start + len(body)))
    method = _METHOD.match(body)
    if method and method.end() == len(body) and not body.isupper():
        method = None  # more likely a path that lacks its slash
    path = body[method.end() :] if method else body
    place = start + len(body) - len(path)
    if method and not path:
        raise scanner.error("a path must follow the method", f"for all of them write {method[1]} *", place)
    if not path.startswith(("/", "*", "?", "(")):
        raise scanner.error("a path begins with /", "GET /api/*, /api/*, host=…, status = 404 and not bytes = 0", place)
    return Selector(body, method=method[1].upper() if method else None, path=path)


def _metric(scanner: Scanner) -> tuple[str, str | None]:
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


def _limit(scanner: Scanner, metric: str) -> tuple[Fraction, bool]:
    number = scanner.number()
    if metric in DURATIONS:
        return number * scanner.unit(MILLISECONDS, f"a unit: {scanner.last}ms or {scanner.last}s"), False
    if metric in RATES:
        return number * scanner.unit({"%": Fraction(1, 100)}, f"per cent: {scanner.last}%"), True
    if metric == "rejected" and scanner.peek() == "%":
        scanner.next()
        return number / 100, True
    if scanner.peek() not in ("", "for"):
        scanner.next()
        raise scanner.error(f"{metric} is a number without a unit")
    return number, False
