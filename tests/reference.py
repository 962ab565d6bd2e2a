"""The job restated so that anybody can see that it is right: `re`, a dict, a sorted list and a set. Slow."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network, ip_address
from math import ceil
from typing import Any

COMBINED = re.compile(
    r'^(\S*) (\S*) (.*?) \[([^\]]*)\] "((?:[^"\\]|\\.)*)" (\S+) (\S+)'
    r'(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?(?: (\S+))?$'
)
TIMED = re.compile(COMBINED.pattern.replace(r"(?: (\S+))?$", r"(?: (\S.*))?$"))  # whatever stands for the duration
REQUEST = re.compile(r"^([A-Za-z][A-Za-z_-]*) (.+?)( [A-Za-z]+/[0-9](?:\.[0-9]+)?)?$")
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def time_of(text: str) -> datetime | None:
    """CLF time."""
    match = re.match(r"^(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})$", text)
    if not match or match[2] not in MONTHS:
        return None
    day, month, year, *clock, zone = match.groups()
    stamp = f"{year}-{MONTHS.index(month) + 1:02d}-{day} {':'.join(clock)} {zone}"
    return datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)


def percentile(ordered: list[int], text: str) -> int:
    """Nearest rank."""
    return ordered[max(1, ceil(Fraction(text) * len(ordered) / 100)) - 1]


def reference(lines: list[str], unit_ns: int | None = None) -> dict[str, Any]:
    """Common and combined lines, with a last field in units of so many nanoseconds if it is given."""
    status: Counter[str] = Counter()
    minutes: Counter[datetime] = Counter()
    users: dict[datetime, set[str]] = defaultdict(set)
    endpoints: dict[tuple[str | None, str], list[int]] = defaultdict(list)
    durations, everybody, times = [], set(), []
    rejected = requests = size = invalid = 0
    for line in lines:
        match = (TIMED if unit_ns else COMBINED).match(line)
        if not match or not re.match(r"^(\d{3}|-)$", match[6]) or not re.match(r"^(\d+|-)$", match[7]):
            rejected += 1
            continue
        requests += 1
        ip, _, user, stamp, request, code, octets, _, _, took = match.groups()
        if code not in ("-", "000"):
            status[code] += 1
        size += int(octets) if octets != "-" else 0
        who = user if user not in ("-", "") else ip if ip != "-" else None
        time = time_of(stamp)
        if who is not None:
            everybody.add(who)
        if time:
            times.append(time)
            minutes[time.replace(second=0)] += 1
            if who is not None:
                users[time.replace(second=0)].add(who)
        asked = REQUEST.match(request)
        good = asked and (asked[3] or re.match(r"^(/|\*$|[A-Za-z][\w+.-]*://|[^/ ]+:\d+$)", asked[2]))
        path = asked[2].split("?")[0] if asked and good else None
        if path and "://" in path:
            path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/#]*", "", path) or "/"
        key = (asked[1], path) if asked and path is not None else (None, "(malformed)")
        # What is no number where the duration stands costs the duration, not the request.
        number = re.match(r"^\d+(\.\d+)?$", took or "")
        invalid += bool(unit_ns and took not in (None, "-") and not number)
        spent = Decimal(number[0]) * unit_ns if unit_ns and number else None
        ns = None if spent is None else int(spent.to_integral_value(ROUND_HALF_UP))
        endpoints[key].append(-1 if ns is None else ns)
        if ns is not None:
            durations.append(ns)
    return {
        "lines": len(lines), "requests": requests, "rejected": rejected, "bytes": size, "status": dict(status),
        "first": min(times, default=None), "last": max(times, default=None), "minutes": dict(minutes),
        "users": {minute: len(names) for minute, names in users.items()}, "unique": len(everybody), "invalid": invalid,
        "durations": sorted(durations), "endpoints": {k: len(v) for k, v in endpoints.items()},
        "endpoint_durations": {k: sorted(ns for ns in v if ns >= 0) for k, v in endpoints.items()},
    }  # fmt: skip


# ------------------------------------------------------------------ rate limits, of one key


def allowed_by_token_bucket(times: list[int], most: int, period: int, burst: int) -> list[bool]:
    """A bucket begins full with `burst` tokens, gains `most` in a period, and a request takes one."""
    found, tokens, before = [], Fraction(burst), times[0] if times else 0
    for now in times:
        tokens, before = min(Fraction(burst), tokens + Fraction((now - before) * most, period)), now
        found.append(tokens >= 1)
        tokens -= tokens >= 1
    return found


def allowed_by_sliding_log(times: list[int], most: int, period: int, _burst: int) -> list[bool]:
    """Fewer than `most` were allowed in the period that ends now."""
    found: list[bool] = []
    for now in times:
        found.append(sum(yes and now - period < then for then, yes in zip(times, found, strict=False)) < most)
    return found


def allowed_by_fixed_window(times: list[int], most: int, period: int, _burst: int) -> list[bool]:
    """At most `most` in each window, which begins at a multiple of its length since 1970."""
    count: Counter[int] = Counter()
    found = []
    for now in times:
        found.append(count[now // period] < most)
        count[now // period] += found[-1]
    return found


def allowed_by_sliding_window(times: list[int], most: int, period: int, _burst: int) -> list[bool]:
    """The window before counts by the part of it that the period which ends now still covers."""
    count: Counter[int] = Counter()
    found = []
    for now in times:
        window, gone = divmod(now, period)
        weight = 1 - Fraction(gone, period)
        found.append(count[window - 1] * weight + count[window] + 1 <= most)
        count[window] += found[-1]
    return found


# ------------------------------------------------------------------ expressions, row by row


def holds(tree: tuple[Any, ...], row: dict[str, Any]) -> bool | None:
    """Three-valued logic as in SQL: (not, t), (and, t…), (or, t…), (null, column), (test, column, value)."""
    what, *rest = tree
    if what == "not":
        inner = holds(rest[0], row)
        return None if inner is None else not inner
    if what in ("and", "or"):
        found, decides = [holds(part, row) for part in rest], what == "or"
        return decides if decides in found else None if None in found else not decides
    name, *value = rest
    if what == "null":
        return row[name] is None
    return None if row[name] is None else _test(what, row[name], value[0], any_case=name in ("method", "level"))


def _test(what: str, have: Any, value: Any, *, any_case: bool) -> bool:
    if what == "in":
        return any(_test("=", have, one, any_case=any_case) for one in value)
    if what == "contains":
        return value in have
    if what == "~":
        return re.search(value, have) is not None
    if isinstance(value, IPv4Network | IPv6Network):
        address = ip_address(have)
        mapped = getattr(address, "ipv4_mapped", None)
        side = 0 if address in value or (mapped is not None and mapped in value) else 1
    elif isinstance(value, str):
        have, value = (have.upper(), value.upper()) if any_case else (have, value)
        side = int(have != value)
    elif isinstance(value, tuple):  # from … to
        side = int(not value[0] <= have <= value[1])
    else:
        have = Fraction(repr(have)) if isinstance(have, float) else have
        side = (have > value) - (have < value)
    signs = {"<": [-1], "<=": [-1, 0], ">": [1], ">=": [1, 0], "=": [0], "==": [0], "!=": [-1, 1]}
    return side in signs[what]


# ------------------------------------------------------------------ what servers write for a value

_C_ESCAPES = {"\b": "\\b", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"', "\\": "\\\\"}


def nginx_default(value: str) -> str:
    """nginx, `escape=default`: https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format"""
    return "".join(
        f"\\x{byte:02X}" if byte < 32 or byte > 126 or chr(byte) in '"\\' else chr(byte) for byte in value.encode()
    )


def nginx_json(value: str) -> str:
    """nginx, `escape=json`: what JSON does not allow in a text is escaped, and nothing else."""
    short = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    return "".join(short.get(c, f"\\u{ord(c):04X}" if ord(c) < 32 else c) for c in value)


def apache(value: str) -> str:
    """Apache: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html, format notes."""
    return "".join(
        _C_ESCAPES.get(chr(byte), f"\\x{byte:02x}" if byte < 32 or byte > 126 else chr(byte)) for byte in value.encode()
    )


def sessions(requests: list[tuple[str, datetime]], gap: timedelta) -> list[tuple[str, datetime, datetime, int]]:
    """(client, time) of each request → (client, start, end, requests) of what each did without a longer pause."""
    found: list[tuple[str, datetime, datetime, int]] = []
    for client, time in sorted(requests):
        if found and found[-1][0] == client and time - found[-1][2] <= gap:
            _, start, _, count = found.pop()
            found.append((client, start, time, count + 1))
        else:
            found.append((client, time, time, 1))
    return found
