"""Which requests are meant: the expression of `--where`, parsed into a tree.

    expression = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation   = "not" negation | "(" expression ")" | test
    test       = column
               | column ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") value
               | column ["not"] "in" ( value | "(" value { "," value } ")" )
               | column ["not"] "contains" text
               | column ("~" | "!~") regular expression
               | column "is" ["not"] "null"
    value      = number | number unit | 5xx | address | network | time | text | glob

A column alone is true where it has a value. A text is equal to a glob (a text without quotation marks in which `*` is
any run of characters and `?` any one) if it matches, and to any other text if it is the same. A test of what was not
logged is neither true nor false, as in SQL: `not host = a` leaves requests without a host out, `host is null` finds
them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.expressions.columns import ANY_CASE, Kind, column, kind, suggestion, wrong_value
from logstats.expressions.scanner import MILLISECONDS, OPS, Scanner
from logstats.expressions.times import parse_time

Network = IPv4Network | IPv6Network
Times = Callable[[str], datetime]

_BYTES: Final = {
    "b": 1,
    **{prefix + "b": 1000**power for power, prefix in enumerate("kmgt", 1)},
    **{prefix + "ib": 1024**power for power, prefix in enumerate("kmgt", 1)},
}
_STATUS = re.compile(r"[1-9][0-9]{2}|[1-9]xx", re.IGNORECASE)
_DEEPEST: Final = 50  # brackets in brackets
_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # addresses of IPv4, written as some of IPv6
_WORDS: Final = ("and", "or", "not", "in", "contains", "is", "null")


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern in which `*` is any run of characters and `?` any one."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Between:
    """All whole numbers from `low` to `high`."""

    low: int
    high: int


# A number of milliseconds or bytes, a status or class of them, a time, a network (an address is one of one), a text.
Value = Fraction | Between | datetime | Network | Glob | str


@dataclass(frozen=True, slots=True)
class Compare:
    """A column against a value; `op` is one of scanner.OPS, and only == or != for texts, networks and classes."""

    column: str
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """A column is equal to one of some values."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """A column holds a text."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Matches:
    """A regular expression matches somewhere in a column."""

    column: str
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """A column has no value."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    operand: Predicate


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold."""

    operands: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds."""

    operands: tuple[Predicate, ...]


Test = Compare | In | Contains | Matches | IsNull
Predicate = Test | Not | And | Or


def parse(text: str, times: Times | None = None, *, place: int = 0, end: int | None = None) -> Predicate:
    """The expression in `text`, from `place` to `end`. `times` reads times (by default in UTC).

    Raises ExpressionError.
    """
    scanner = Scanner(text, place, end)
    if not scanner.peek():
        raise scanner.error("expected an expression", "status >= 500 and duration > 2s", scanner.skip())
    found = _Parser(scanner, times or _in_utc).either(0)
    scanner.end()
    return found


def begins_one(text: str) -> bool:
    """Whether a text is meant as an expression, not as the glob of a path or METHOD path."""
    first = re.match(r"\s*\(*\s*(?:not\b\s*\(*\s*)?(query:[^\s<>=!~%(),]+|ip/[0-9/]+|[^\W\d]\w*)\s*", text)
    if first is None:
        return False
    rest = text[first.end() :]
    follows = re.match(r"[<>=!~]|(?:not|in|is|contains|and|or)\b", rest)
    return follows is not None or (column(first[1]) is not None and rest.strip(" )") == "")


def tests(predicate: Predicate) -> Iterator[Test]:
    """What an expression is combined of."""
    if isinstance(predicate, Not):
        yield from tests(predicate.operand)
    elif isinstance(predicate, And | Or):
        for operand in predicate.operands:
            yield from tests(operand)
    else:
        yield predicate


def needs(predicate: Predicate) -> frozenset[str]:
    """The columns that an expression reads."""
    return frozenset(test.column for test in tests(predicate))


def span(predicate: Predicate | None) -> tuple[datetime | None, datetime | None]:
    """The span, since ≤ time < until, of whatever an expression can be true of; None is no bound."""
    if isinstance(predicate, Compare) and predicate.column == "timestamp" and isinstance(predicate.value, datetime):
        after = predicate.value if predicate.op in (">", ">=") else None
        before = predicate.value if predicate.op == "<" else None  # `<=` would have to reach a microsecond further
        return after, before
    if isinstance(predicate, And):
        spans = [span(operand) for operand in predicate.operands]
        since = max((begin for begin, _ in spans if begin is not None), default=None)
        until = min((end for _, end in spans if end is not None), default=None)
        return since, until
    if isinstance(predicate, Or):
        spans = [span(operand) for operand in predicate.operands]
        begins, ends = [begin for begin, _ in spans if begin], [end for _, end in spans if end]
        return (
            min(begins) if len(begins) == len(spans) else None,
            max(ends) if len(ends) == len(spans) else None,
        )
    return None, None


def equal(predicate: Predicate) -> dict[str, frozenset[str]]:
    """Columns of texts, each with the texts of which it has one in whatever an expression can be true of.

    Addresses are texts here as they are usually written. (One of IPv4 is also true of `::ffff:192.0.2.1`; networks and
    addresses of IPv6, which have several spellings, are left out.)
    """
    if isinstance(predicate, And):
        found: dict[str, frozenset[str]] = {}
        for name, texts in (item for operand in predicate.operands for item in equal(operand).items()):
            found[name] = found[name] & texts if name in found else texts
        return found
    if isinstance(predicate, Or):
        some = [equal(operand) for operand in predicate.operands]
        shared = set(some[0]).intersection(*some[1:])
        return {name: frozenset().union(*(one[name] for one in some)) for name in shared}
    if isinstance(predicate, Compare) and predicate.op == "==":
        values: tuple[Value, ...] = (predicate.value,)
    elif isinstance(predicate, In):
        values = predicate.values
    else:
        return {}
    known = frozenset(text for value in values if (text := _only_text(value)) is not None)
    of_any_case = predicate.column in ANY_CASE or predicate.column == "protocol"
    return {} if of_any_case or len(known) < len(set(values)) else {predicate.column: known}


def _only_text(value: Value) -> str | None:
    if isinstance(value, IPv4Network) and value.num_addresses == 1:
        return str(value.network_address)
    return value if isinstance(value, str) else None


def one_sided(predicate: Predicate) -> bool:
    """Whether an expression that is the same of two durations is the same of all between: none that both asks for more
    than one duration and for less than another."""
    return len(_sides(predicate)) < 2


def _sides(predicate: Predicate) -> frozenset[int]:
    """Whether an expression becomes true by longer durations (1), by shorter ones (-1)."""
    if isinstance(predicate, Not):
        return frozenset(-side for side in _sides(predicate.operand))
    if isinstance(predicate, And | Or):
        return frozenset[int]().union(*(_sides(operand) for operand in predicate.operands))
    if predicate.column != "duration_ms" or isinstance(predicate, IsNull):
        return frozenset()
    if isinstance(predicate, Compare) and predicate.op[0] in "<>":
        return frozenset({1 if predicate.op[0] == ">" else -1})
    return frozenset({1, -1})


def _in_utc(text: str) -> datetime:
    return parse_time(text, "UTC", datetime.now(UTC))


class _Parser:
    """Recursive descent; `depth` counts brackets."""

    def __init__(self, scanner: Scanner, times: Times) -> None:
        self._scanner, self._times = scanner, times

    def either(self, depth: int) -> Predicate:
        """An expression."""
        operands = [self._all(depth)]
        while self._scanner.accept("or"):
            operands.append(self._all(depth))
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _all(self, depth: int) -> Predicate:
        operands = [self._negation(depth)]
        while self._scanner.accept("and"):
            operands.append(self._negation(depth))
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _negation(self, depth: int) -> Predicate:
        scanner = self._scanner
        negated = False
        while scanner.accept("not"):
            negated = not negated
        if scanner.accept("("):
            if depth == _DEEPEST:
                raise scanner.error(f"more than {_DEEPEST} brackets in one another")
            found = self.either(depth + 1)
            if not scanner.accept(")"):
                raise scanner.error("expected )", "", scanner.skip())
        else:
            found = self._test()
        return Not(found) if negated else found

    def _test(self) -> Predicate:
        scanner = self._scanner
        word = scanner.take("word", "a column")
        name = column(word)
        if word.lower() in _WORDS and name is None:
            raise scanner.error("expected a column")
        if name is None:
            raise scanner.error(f"no column is called {word}", suggestion(word))
        following = scanner.peek().lower()
        if following in ("", ")", "and", "or"):
            return Not(IsNull(name))
        if following == "is":
            return self._null(name)
        negated = scanner.accept("not")
        if scanner.accept("in"):
            found: Predicate = In(name, self._list(name))
        elif scanner.accept("contains"):
            self._only_texts(word, name, "contains")
            found = Contains(name, scanner.string("a text")[0])
        elif negated:
            raise scanner.error("expected in or contains after not", f"not {word} = …", scanner.skip())
        elif scanner.peek() in ("~", "!~"):
            negated = scanner.next() == "!~"
            self._only_texts(word, name, "~")
            found = Matches(name, self._pattern())
        else:
            return self._comparison(word, name)
        return Not(found) if negated else found

    def _null(self, name: str) -> Predicate:
        scanner = self._scanner
        scanner.next()
        negated = scanner.accept("not")
        if not scanner.accept("null"):
            raise scanner.error("expected null, or not null", f"{name} is null", scanner.skip())
        return Not(IsNull(name)) if negated else IsNull(name)

    def _only_texts(self, word: str, name: str, test: str) -> None:
        if kind(name) not in (Kind.TEXT, Kind.ADDRESS):
            raise self._scanner.error(f"{word} is {kind(name).value}: {test} is for texts")

    def _pattern(self) -> str:
        from logstats.expressions.patterns import wrong_pattern

        pattern, _ = self._scanner.string("a regular expression in quotation marks")
        if why := wrong_pattern(pattern):
            raise self._scanner.error(f"this is no regular expression: {why}", "the syntax is that of Rust's regex")
        return pattern

    def _comparison(self, word: str, name: str) -> Predicate:
        scanner = self._scanner
        if scanner.peek() not in ("=", *OPS):
            raise scanner.error(f"expected one of = {' '.join(reversed(OPS))} ~ !~ in contains is", "", scanner.skip())
        op = scanner.operator()
        place = scanner.at
        value = self._value(name)
        if op not in ("==", "!=") and not isinstance(value, Fraction | datetime):
            what = "a class of statuses" if isinstance(value, Between) else kind(name).value
            raise scanner.error(f"{word}: {what} is not more or less than another", "compare it with = or !=", place)
        return Compare(name, op, value)

    def _list(self, name: str) -> tuple[Value, ...]:
        scanner = self._scanner
        if not scanner.accept("("):
            return (self._value(name),)
        values = [self._value(name)]
        while scanner.accept(","):
            values.append(self._value(name))
        if not scanner.accept(")"):
            raise scanner.error("expected , or )", "", scanner.skip())
        return tuple(values)

    def _value(self, name: str) -> Value:
        scanner, what = self._scanner, kind(name)
        if scanner.peek().lower() == "null":
            raise scanner.error("nothing is equal to null", f"{name} is null, {name} is not null", scanner.skip())
        if what is Kind.DURATION:
            number = scanner.number()
            return number * scanner.unit(MILLISECONDS, f"a unit, such as {scanner.last}ms or {scanner.last}s")
        if what is Kind.SIZE:
            number = scanner.number()
            if scanner.peek().lower() in _BYTES:
                number *= _BYTES[scanner.next().lower()]
            return number
        if what is Kind.NUMBER:
            number = scanner.number()
            if wrong := wrong_value(name, scanner.last):
                raise scanner.error(*wrong)
            return number
        text, quoted = scanner.string(what.value)
        if what is Kind.STATUS:
            return self._status(text)
        if what is Kind.TIME:
            try:
                return self._times(text)
            except UsageError as error:
                raise scanner.error(error.what, error.hint) from None
        if not quoted and set(text) & {"*", "?"}:
            return Glob(text)
        if what is Kind.ADDRESS:
            return self._network(text, quoted=quoted)
        if name.startswith("ip/"):
            return self._network_of(name, text, quoted=quoted)
        if wrong := wrong_value(name, text):
            raise scanner.error(*wrong)
        return text

    def _status(self, text: str) -> Value:
        if not _STATUS.fullmatch(text):
            raise self._scanner.error("a status is a number from 100 to 999, or a class such as 5xx", "status < 500")
        if text.isdigit():
            return Fraction(text)
        return Between(int(text[0]) * 100, int(text[0]) * 100 + 99)

    def _network(self, text: str, *, quoted: bool) -> Network | str:
        """An address or network; one of IPv4 that is written as one of IPv6 (::ffff:192.0.2.1) is one of IPv4."""
        try:
            found = ip_network(text, strict=False)
            if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
                return IPv4Network((int(found.network_address) % 2**32, found.prefixlen - 96))
            return found
        except ValueError:
            if quoted:
                return text  # the name of a host, as a server logs it that looks names up
            raise self._scanner.error(
                "this is no address and no network", '192.0.2.7, 192.0.2.0/24, 2001:db8::/32; a name: "host.example"'
            ) from None

    def _network_of(self, name: str, text: str, *, quoted: bool) -> str:
        """The value of a column such as `ip/24` that an address or network stands for."""
        found = self._network(text, quoted=quoted)
        if not isinstance(found, IPv4Network | IPv6Network):
            return text
        bits, *of_ipv6 = (int(number) for number in name.split("/")[1:])
        if found.version == 6:
            bits = of_ipv6[0] if of_ipv6 else 2 * bits
        if not 1 <= bits <= found.max_prefixlen:
            return text  # there is no such column, as whoever computes it says
        if found.prefixlen not in (bits, found.max_prefixlen):
            raise self._scanner.error(f"{name} has networks of {bits} bits", f"client_ip in {text}")
        return str(found if found.prefixlen == bits else found.supernet(new_prefix=bits))
