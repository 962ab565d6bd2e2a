"""Parsed expressions as Polars expressions over the request schema: true, false, or null where that depends on what
was not logged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from logstats import schema
from logstats.expressions.columns import ANY_CASE, Kind, kind
from logstats.expressions.patterns import regex_of
from logstats.expressions.predicates import (
    And,
    Between,
    Contains,
    Glob,
    In,
    IsNull,
    Matches,
    Network,
    Not,
    Or,
    Predicate,
    Value,
)
from logstats.expressions.scanner import OPS
from logstats.frames import pl

_LARGEST: Final = 2**63 - 1
_OCTET: Final = "(0|[1-9][0-9]{0,2})"
_IPV4: Final = rf"^{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}$"


def expression(predicate: Predicate) -> pl.Expr:
    """Whether an expression holds of a row."""
    if isinstance(predicate, Not):
        return ~expression(predicate.operand)
    if isinstance(predicate, And):
        return pl.all_horizontal([expression(operand) for operand in predicate.operands])
    if isinstance(predicate, Or):
        return pl.any_horizontal([expression(operand) for operand in predicate.operands])
    name = predicate.column
    if isinstance(predicate, IsNull):
        return pl.col(name).is_null()
    if isinstance(predicate, Contains):
        return pl.col(name).str.contains(predicate.text, literal=True)
    if isinstance(predicate, Matches):
        return pl.col(name).str.contains(predicate.pattern)
    if isinstance(predicate, In):
        return _is_one_of(name, predicate.values)
    if predicate.op in ("==", "!=") and not isinstance(predicate.value, Fraction | datetime):
        equal = _is_one_of(name, (predicate.value,))
        return equal if predicate.op == "==" else ~equal
    return _compared(name, predicate.op, predicate.value)


def _compared(name: str, op: str, value: Any) -> pl.Expr:
    """A number or a time against a value."""
    compare = OPS[op]
    if isinstance(value, datetime):
        at: pl.Expr = compare(pl.col(name), value)
        return at
    column, limit = pl.col(name), Fraction(value)
    if kind(name) is Kind.DURATION:  # whole nanoseconds
        column = (column * 1_000_000).round().clip(-(2**62), 2**62).cast(pl.Int64)
        limit *= 1_000_000
    # The column is whole, so the limit can be: x < 1.5 is x < 2, x <= 1.5 is x <= 1.
    whole = math.ceil(limit) if op in ("<", ">=") else math.floor(limit)
    if whole > _LARGEST or (limit.denominator != 1 and op in ("==", "!=")):
        return pl.when(column.is_not_null()).then(pl.lit(op in ("<", "<=", "!=")))
    verdict: pl.Expr = compare(column.cast(pl.Int64), whole)
    return verdict


def _is_one_of(name: str, values: Sequence[Value]) -> pl.Expr:
    """Whether a column is equal to one of some values."""
    texts = [value for value in values if isinstance(value, str)]
    globs = [value.pattern for value in values if isinstance(value, Glob)]
    networks = [value for value in values if isinstance(value, IPv4Network | IPv6Network)]
    column = pl.col(name)
    upper = name in ANY_CASE
    tests: list[pl.Expr] = []
    if texts:
        wanted = [text.upper() for text in texts] if upper else texts
        tests.append((column.str.to_uppercase() if upper else column).is_in(wanted))
        if name == "protocol":  # as it was logged, or as h1, h2, h3
            tests.append(schema.as_key(name).is_in(texts))
    if globs:
        tests.append(column.str.contains("|".join(f"(?:{'(?i)' if upper else ''}{regex_of(glob)})" for glob in globs)))
    if networks:
        tests.append(column.map_batches(lambda addresses: _within(addresses, networks), return_dtype=pl.Boolean))
    for value in values:
        if isinstance(value, Between):
            tests.append(column.is_between(value.low, value.high))
        elif isinstance(value, Fraction | datetime):
            tests.append(_compared(name, "==", value))
    return tests[0] if len(tests) == 1 else pl.any_horizontal(tests)


def _within(addresses: pl.Series, networks: Sequence[Network]) -> pl.Series:
    """Whether addresses lie in one of some networks; null stays null, and what is no address lies in none.

    Distinct addresses are looked at once: those of IPv4 in columns, the others by Python's `ipaddress`. An address of
    IPv4 that is written as one of IPv6 (::ffff:192.0.2.1) is both.
    """
    distinct = addresses.drop_nulls().unique().to_frame("address")
    parts = pl.col("address").str.extract_groups(_IPV4).struct.unnest().cast(pl.Int64)
    read = distinct.with_columns(parts).with_columns(
        number=pl.when(pl.max_horizontal("1", "2", "3", "4") < 256).then(
            pl.col("1") * 2**24 + pl.col("2") * 2**16 + pl.col("3") * 2**8 + pl.col("4")
        )
    )
    ranges = [
        pl.col("number").is_between(int(network.network_address), int(network.broadcast_address))
        for network in networks
        if isinstance(network, IPv4Network)
    ]
    inside = pl.any_horizontal(ranges) if ranges else pl.lit(value=False)
    found = read.filter(inside)["address"].to_list()
    for text in read.filter(pl.col("number").is_null())["address"].to_list():
        try:
            address = ip_address(text)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        if any(address in network or (mapped is not None and mapped in network) for network in networks):
            found.append(text)
    return addresses.is_in(found)
