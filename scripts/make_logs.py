#!/usr/bin/env python3
"""Make logs of a bug tracker's day, and the truth about them. Python 3.11 and nothing else.

    python scripts/make_logs.py                                     the files in sample_logs/
    python scripts/make_logs.py --format combined_time --lines 2000000 --users 200000 --out /tmp/logs

Realistic: a daily curve of traffic, users by Zipf's law, a latency of its own for every endpoint with a heavy tail, an
incident with 5xx and slow answers, bots, bad lines, lines a second or two late, what servers write when a client talks
nonsense. Not realistic: users do not browse from page to page, and every day is the same.

NAME.expected.json holds what is true of NAME: counted here, from the values that were chosen, not from the lines.
The same arguments make the same bytes, with any Python.
"""

from __future__ import annotations

import argparse
import bisect
import json
import math
import random
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, TextIO

PERCENTILES: Final = ("50", "90", "95", "99", "99.9")
BLOCK: Final = 20_000

# method, path (N: a number, U: a UUID, H: a content hash, D: a date, Q: a query), endpoint, weight, median ms, size
ENDPOINTS: Final = (
    ("GET", "/", "/", 60, 12, 5200),
    ("GET", "/api/bugs", "/api/bugs", 90, 38, 14000),
    ("GET", "/api/bugs?Q", "/api/bugs", 60, 55, 14000),
    ("POST", "/api/bugs", "/api/bugs", 12, 90, 420),
    ("GET", "/api/bugs/N", "/api/bugs/{id}", 120, 22, 3100),
    ("PATCH", "/api/bugs/N", "/api/bugs/{id}", 14, 70, 800),
    ("DELETE", "/api/bugs/N", "/api/bugs/{id}", 2, 45, 0),
    ("GET", "/api/bugs/N/comments", "/api/bugs/{id}/comments", 45, 30, 2600),
    ("POST", "/api/bugs/N/comments", "/api/bugs/{id}/comments", 9, 80, 350),
    ("GET", "/api/users/N", "/api/users/{id}", 50, 9, 700),
    ("GET", "/api/users/me", "/api/users/me", 70, 6, 640),
    ("GET", "/api/projects/N/bugs?Q", "/api/projects/{id}/bugs", 30, 110, 21000),
    ("GET", "/api/attachments/U", "/api/attachments/{uuid}", 18, 60, 180000),
    ("PUT", "/api/attachments/U", "/api/attachments/{uuid}", 3, 240, 90),
    ("GET", "/api/search?Q", "/api/search", 40, 180, 9000),
    ("GET", "/api/reports/D", "/api/reports/{date}", 4, 420, 52000),
    ("GET", "/api/export.csv", "/api/export.csv", 1, 4200, 2400000),
    ("POST", "/login", "/login", 10, 130, 300),
    ("GET", "/login", "/login", 12, 8, 2900),
    ("GET", "/assets/app.H.js", "/assets/app.{hash}.js", 35, 2, 310000),
    ("GET", "/assets/style.H.css", "/assets/style.{hash}.css", 35, 1, 42000),
    ("GET", "/favicon.ico", "/favicon.ico", 15, 1, 1150),
    ("GET", "/robots.txt", "/robots.txt", 3, 1, 120),
    ("GET", "/healthz", "/healthz", 40, 1, 2),
    ("GET", "/wp-login.php", "/wp-login.php", 4, 3, 146),
    ("GET", "/.env", "/.env", 2, 2, 146),
)
HASHES: Final = ("3f9c2b7a", "5d8f3c2b1a", "9b1c44e0")
AGENTS: Final = (
    *(
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        for system in (
            "Windows NT 10.0; Win64; x64",
            "Macintosh; Intel Mac OS X 10_15_7",
            "X11; Linux x86_64",
        )
        for version in range(124, 132)
    ),
    *(f"Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0" for v in range(126, 134)),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.2 Mobile/15E148 Safari/604.1",
    "curl/8.5.0",
    "python-requests/2.32.3",
)
BOTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    'A \\"quoted\\" agent/1.0',
)
NAMES: Final = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "john smith")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NONSENSE: Final = (  # what servers log when a client does not speak HTTP: request, status
    ("-", 408),
    ("", 400),
    ("\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xFC\\x03\\x03", 400),
    ("GET /", 400),  # HTTP/0.9, and well-formed
)


@dataclass(slots=True)
class Request:
    """The values behind one line."""

    second: int  # since 1970
    ip: str
    user: str | None  # a named one
    method: str | None
    target: str
    endpoint: str
    status: int
    size: int | None
    micros: int
    agent: str
    referer: str
    host: str
    raw: str | None = None  # the request line, where it is nonsense


@dataclass
class Truth:
    """What is true of a file."""

    counts: Counter[str] = field(default_factory=Counter)
    status: Counter[int] = field(default_factory=Counter)
    users: set[str] = field(default_factory=set)
    minutes: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    durations: array[int] = field(default_factory=lambda: array("q"))
    endpoints: dict[str, list[Any]] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None

    def add(self, request: Request, micros: int | None, *, ip: bool, user: bool, size: bool) -> None:
        """Count a request of which the line tells these things."""
        self.counts["requests"] += 1
        self.status[request.status] += 1
        who = (request.user if user else None) or (request.ip if ip else None)
        if who:
            self.users.add(who)
            self.minutes[request.second // 60].add(who)
        octets = (request.size or 0) if size else 0
        self.counts["bytes"] += octets
        key = f"{request.method} {request.endpoint}" if request.method else request.endpoint
        held = self.endpoints.setdefault(key, [0, 0, 0, array("q")])
        held[0] += 1
        held[1] += request.status >= 500
        held[2] += octets
        if micros is not None:
            self.durations.append(micros)
            held[3].append(micros)
        self.seen(request.second)

    def seen(self, second: int) -> None:
        """A time was logged."""
        self.first = second if self.first is None else min(self.first, second)
        self.last = second if self.last is None else max(self.last, second)

    def to_dict(self) -> dict[str, Any]:
        """The content of NAME.expected.json."""
        classes = Counter[str]()
        for status, number in self.status.items():
            classes[f"{status // 100}xx"] += number
        names = ("lines", "requests", "events", "rejected", "bytes")
        return {
            **{name: self.counts[name] for name in names},
            "time": {"first": _iso(self.first), "last": _iso(self.last)},
            "status": {str(k): v for k, v in sorted(self.status.items())},
            "status_classes": dict(sorted(classes.items())),
            "latency_ms": _latency(self.durations),
            "unique_users": {
                "total": len(self.users),
                "per_minute": {_iso(m * 60): len(u) for m, u in sorted(self.minutes.items())},
            },
            "endpoints": {
                key: {"requests": n, "errors": e, "bytes": b, "latency_ms": _latency(us)}
                for key, (n, e, b, us) in sorted(self.endpoints.items())
            },
        }


def _iso(second: int | None) -> str | None:
    return None if second is None else datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _latency(micros: array[int]) -> dict[str, Any] | None:
    if not micros:
        return None
    ordered = sorted(micros)
    n = len(ordered)

    def nearest_rank(percentile: str) -> float:
        tenths = round(float(percentile) * 10)  # whole numbers: 99.9 is not a binary fraction
        return ordered[-(-tenths * n // 1000) - 1] / 1000

    return {
        "count": n,
        "avg": sum(ordered) / n / 1000,
        "min": ordered[0] / 1000,
        "max": ordered[-1] / 1000,
        "percentiles": {p: nearest_rank(p) for p in PERCENTILES},
    }


class Day:
    """Draws requests, in order of time."""

    def __init__(self, seed: int, users: int, start: datetime, hours: float, lines: int) -> None:
        self.random = random.Random(seed)
        self.start, self.seconds, self.lines = int(start.timestamp()), int(hours * 3600), lines
        draw = self.random.random
        self._weights = list(accumulate(e[3] for e in ENDPOINTS))
        self._ips = [
            f"2001:db8:{int(draw() * 65536):x}::{int(draw() * 65536):x}"
            if draw() < 0.06
            else f"{10 + int(draw() * 180)}.{int(draw() * 256)}.{int(draw() * 256)}.{1 + int(draw() * 254)}"
            for _ in range(users)
        ]
        self._zipf = list(accumulate(1 / (rank + 3) ** 0.9 for rank in range(users)))
        self._names = {i: NAMES[i % len(NAMES)] + ("" if i < 90 else str(i)) for i in range(0, users, 10)}
        self._incident = (0.58, 0.58 + min(0.05, 1500 / self.seconds))

    def requests(self) -> Iterator[Request]:
        """As many requests as there are lines to be."""
        draw, normal = self.random.random, self._normal
        curve = list(accumulate(1.15 - math.cos(2 * math.pi * (m / 288 - 0.08)) for m in range(288)))
        per_slot = [round(self.lines * c / curve[-1]) for c in curve]
        made, slot = 0, 0
        users, total = len(self._ips), self._zipf[-1]
        while made < self.lines:
            while made >= per_slot[slot]:
                slot += 1
            before = per_slot[slot - 1] if slot else 0
            part = (slot + (made - before) / (per_slot[slot] - before)) / 288
            made += 1
            second = self.start + int(part * self.seconds)
            if draw() < 0.01:
                second = max(self.start, second - 1 - int(draw() * 2))  # logged late
            user = min(bisect.bisect_left(self._zipf, draw() * total), users - 1)
            method, path, endpoint, _, median, size = ENDPOINTS[
                bisect.bisect_right(self._weights, draw() * self._weights[-1])
            ]
            bad = self._incident[0] <= part < self._incident[1]
            micros = int(1000 * median * math.exp(0.55 * normal())) + 200
            chance = draw()
            if chance < 0.012:
                micros *= 4 + int(draw() * 30)  # the tail
            if bad and endpoint.startswith("/api"):
                micros *= 6
            status = self._status(method, endpoint, draw(), bad)
            octets: int | None = (
                int(size * (0.5 + draw())) if status < 300 else 0 if status in (304, 499) else 150 + int(draw() * 60)
            )
            bot = draw() < 0.04
            agent = BOTS[int(draw() * len(BOTS))] if bot else AGENTS[(user * 7) % len(AGENTS)]
            referer = (
                "-"
                if bot or draw() < 0.4
                else "https://bugs.example.com" + ("/", "/login", "/board?sprint=42")[int(draw() * 3)]
            )
            host = ("bugs.example.com", "bugs.example.com:443", "static.example.com")[user % 3]
            request = Request(
                second,
                self._ips[user],
                self._names.get(user),
                method,
                self._target(path, draw),
                endpoint,
                status,
                octets,
                micros,
                agent,
                referer,
                host,
            )
            if draw() < 0.0015:
                raw, status = NONSENSE[int(draw() * len(NONSENSE))]
                request.raw, request.status, request.size = raw, status, None if raw == "-" else 157
                request.method, request.endpoint = ("GET", "/") if raw == "GET /" else (None, "(malformed)")
                request.micros, request.user = 0, None
            yield request

    def _normal(self) -> float:
        # Irwin-Hall: the same on every machine, which math.log and cos of Box-Muller need not be.
        draw = self.random.random
        return (draw() + draw() + draw() + draw() + draw() + draw() - 3) * 1.414

    @staticmethod
    def _status(method: str, endpoint: str, chance: float, bad: bool) -> int:
        if endpoint in ("/wp-login.php", "/.env"):
            return 404
        if bad and endpoint.startswith("/api") and chance < 0.22:
            return (500, 502, 503)[int(chance * 1000) % 3]
        for limit, status in (
            (0.0025, 500),
            (0.004, 502),
            (0.006, 499),
            (0.012, 400),
            (0.03, 404),
            (0.04, 401),
        ):
            if chance < limit:
                return status
        if endpoint == "/login" and method == "POST":
            return 302 if chance < 0.85 else 401
        if endpoint.startswith("/assets") or endpoint == "/favicon.ico":
            return 304 if chance < 0.4 else 200
        if method == "POST":
            return 201
        return 204 if method == "DELETE" else 200

    @staticmethod
    def _target(path: str, draw: Callable[[], float]) -> str:
        for mark in ("N", "U", "H", "D", "Q"):
            if f"/{mark}" in path or f".{mark}." in path or f"?{mark}" in path:
                place = path.rindex(mark)
                path = path[:place] + _MAKERS[mark](draw) + path[place + 1 :]
        return path


def _uuid(draw: Callable[[], float]) -> str:
    digits = f"{int(draw() * 2**52):013x}{int(draw() * 2**52):013x}{int(draw() * 2**24):06x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


_MAKERS: Final[dict[str, Callable[[Callable[[], float]], str]]] = {
    "N": lambda draw: str(1 + int(draw() ** 3 * 40_000)),
    "U": _uuid,
    "H": lambda draw: HASHES[int(draw() * len(HASHES))],
    "D": lambda draw: f"2025-01-{1 + int(draw() * 28):02d}",
    "Q": lambda draw: ("page=" + str(1 + int(draw() * 30)), "q=crash+on+start", "state=open&sort=age")[int(draw() * 3)],
}


# ---------------------------------------------------------------------------- formats


class Clock:
    """Times as text; neighbours mostly share one."""

    def __init__(self, form: Callable[[datetime], str]) -> None:
        self._form, self._known = form, {}  # type: tuple[Callable[[datetime], str], dict[int, str]]

    def __call__(self, second: int) -> str:
        text = self._known.get(second)
        if text is None:
            if len(self._known) > 10_000:
                self._known.clear()
            text = self._known[second] = self._form(datetime.fromtimestamp(second, UTC))
        return text


CLF: Final = Clock(lambda t: f"{t.day:02d}/{MONTHS[t.month - 1]}/{t:%Y:%H:%M:%S} +0000")
ISO: Final = Clock(lambda t: t.strftime("%Y-%m-%dT%H:%M:%S+00:00"))
PLAIN: Final = Clock(lambda t: t.strftime("%Y-%m-%d %H:%M:%S"))


def _request_line(r: Request) -> str:
    return r.raw if r.raw is not None else f"{r.method} {r.target} HTTP/1.1"


def _clf(r: Request) -> str:
    size = "-" if r.size is None else r.size
    return f'{r.ip} - {r.user or "-"} [{CLF(r.second)}] "{_request_line(r)}" {r.status} {size}'


def _combined(r: Request) -> str:
    return f'{_clf(r)} "{r.referer}" "{r.agent}"'


def _json(r: Request) -> str:
    record = {
        "time_iso8601": ISO(r.second),
        "remote_addr": r.ip,
        "remote_user": r.user or "",
        "request_method": r.method,
        "request_uri": r.target,
        "status": r.status,
        "body_bytes_sent": r.size or 0,
        "request_time": r.micros // 1000 / 1000,
        "http_referer": r.referer,
        "http_user_agent": r.agent.replace("\\", ""),
    }
    return json.dumps(record)


def _nested(r: Request) -> str:
    record = {
        "@timestamp": ISO(r.second).replace("+00:00", "Z"),
        "level": "error" if r.status >= 500 else "info",
        "message": "request completed",
        "service": "bugs",
        "request": {"method": r.method, "path": r.target, "duration_ms": r.micros / 1000},
        "response": {"status": r.status, "bytes": r.size or 0},
        "user": {"id": r.user},
        "client": {"ip": r.ip},
        "trace_id": f"{r.micros * 2654435761 % 2**32:08x}{r.second % 2**32:08x}",
    }
    return json.dumps(record)


def _app(r: Request) -> str:
    line = f"{PLAIN(r.second)} {r.method} {r.target} {r.status} {r.micros // 1000}ms"
    if r.micros % 10 == 0:
        return line
    user = f" user={r.user.replace(' ', '_')}" if r.user else ""
    return f"{line}{user} ip={r.ip} bytes={r.size or 0} trace={r.micros * 2654435761 % 2**32:08x}"


def _logfmt(r: Request) -> str:
    user = f" user_id={r.user.replace(' ', '_')}" if r.user else ""
    return (
        f'time={ISO(r.second)} level={"error" if r.status >= 500 else "info"} msg="request completed" '
        f"method={r.method} path={r.target} status={r.status} "
        f"duration={r.micros // 100 / 10}ms bytes={r.size or 0}{user} ip={r.ip}"
    )


def _kv(r: Request) -> str:
    user = f" user_id={r.user.replace(' ', '_')}" if r.user else ""
    level = "ERROR" if r.status >= 500 else "INFO"
    return (
        f"[{PLAIN(r.second)}] {level} Request completed method={r.method} path={r.target} status={r.status} "
        f"duration_ms={r.micros // 1000}{user}"
    )


def _no_time(_: Request) -> None:
    return None


def _milli(r: Request) -> int:
    return r.micros // 1000 * 1000


@dataclass(frozen=True)
class Format:
    """How a request becomes a line, and what of it the line tells."""

    line: Callable[[Request], str]
    micros: Callable[[Request], int | None] = _no_time
    ip: bool = True
    user: bool = True
    size: bool = True
    nonsense: bool = True  # whether a server writes this format, and so whatever clients send
    sometimes_bare: bool = False  # app: the pairs are missing in a tenth of the lines
    event: Callable[[int], str] | None = None


FORMATS: Final = {
    "app": Format(_app, _milli, nonsense=False, sometimes_bare=True),
    "common": Format(_clf),
    "combined": Format(_combined),
    "combined_time": Format(lambda r: f"{_combined(r)} {r.micros // 1000 / 1000:.3f}", _milli),
    "combined_us": Format(lambda r: f"{_combined(r)} {r.micros}", lambda r: r.micros),
    "vhost_combined": Format(lambda r: f"{r.host} {_combined(r)}"),
    "json": Format(_json, _milli, nonsense=False),
    "json_nested": Format(
        _nested,
        lambda r: r.micros,
        nonsense=False,
        event=lambda s: json.dumps(
            {"@timestamp": ISO(s), "level": "warn", "message": "cache miss rate is high", "ratio": 0.4}
        ),
    ),
    "logfmt": Format(_logfmt, lambda r: r.micros // 100 * 100, nonsense=False),
    "kv": Format(
        _kv,
        _milli,
        ip=False,
        size=False,
        nonsense=False,
        event=lambda s: f"[{PLAIN(s)}] WARN Cache miss rate high ratio=0.4",
    ),
}
# A cut-off line, lines of something else, a quote that is not closed: every reader must refuse these.
BAD: Final[tuple[Callable[[str], str], ...]] = (
    lambda line: line[:10],
    lambda line: "*** log rotated ***",
    lambda line: line.replace('"', "", 1) if '"' in line else "}{ " + line[:20],
    lambda line: "\x00\x00\x00\x00",
)


def write(name: str, day: Day, out: TextIO, *, truth: bool) -> dict[str, Any] | None:
    """Write one file; returns what is true of it."""
    form, told = FORMATS[name], Truth()
    draw = day.random.random
    block: list[str] = []
    for number, request in enumerate(day.requests()):
        if request.raw is not None and not form.nonsense:
            request.raw, request.method, request.endpoint, request.target = (
                None,
                "GET",
                "/healthz",
                "/healthz",
            )
        if form is FORMATS["app"] or name in ("logfmt", "kv"):
            request.user = request.user and request.user.replace(" ", "_")
        line = form.line(request)
        if draw() < 0.001 or number == 400:
            line = BAD[number % len(BAD)](line)
            told.counts["rejected"] += 1
        elif form.event and draw() < 0.03:
            line = form.event(request.second)
            told.counts["events"] += 1
            told.seen(request.second)
        elif truth:
            bare = form.sometimes_bare and request.micros % 10 == 0
            told.add(
                request,
                form.micros(request),
                ip=form.ip and not bare,
                user=form.user and not bare,
                size=form.size and not bare,
            )
        block.append(line)
        if len(block) == BLOCK:
            out.write("\n".join(block) + "\n")
            block.clear()
    if block:
        out.write("\n".join(block) + "\n")
    told.counts["lines"] = day.lines
    return told.to_dict() if truth else None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make logs of a bug tracker's day, and the truth about them.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "sample_logs")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="which (default: all)")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=lambda t: datetime.fromisoformat(t).replace(tzinfo=UTC), default="2025-01-17")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--no-truth", action="store_true", help="faster, and in little memory")
    parser.add_argument("--stdout", action="store_true", help="one format, to standard output")
    given = parser.parse_args()
    names = given.format or list(FORMATS)
    for name in names:
        day = Day(given.seed + sorted(FORMATS).index(name), given.users, given.start, given.hours, given.lines)
        if given.stdout:
            write(name, day, sys.stdout, truth=False)
            continue
        given.out.mkdir(parents=True, exist_ok=True)
        path = given.out / f"{name}.log"
        with path.open("w", encoding="utf-8", newline="\n") as out:
            told = write(name, day, out, truth=not given.no_truth)
        if told is not None:
            expected = path.with_name(f"{path.name}.expected.json")
            expected.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
