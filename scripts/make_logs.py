#!/usr/bin/env python3
"""Make the access logs of a bug tracker, and the truth about them. Python 3.11 and nothing else.

    python scripts/make_logs.py                                    sample_logs/, all formats, small
    python scripts/make_logs.py --format combined_time --lines 2000000 --out /tmp/logs
    python scripts/make_logs.py --format json --lines 100000 --stdout | logstats report -
    python scripts/make_logs.py --format combined_time --lines 2000000 --wide --users 50000 --stdout

Realistic: the curve of a day's traffic; users by Zipf's law, each with an address and a browser of its own; crawlers,
scanners and a health check with habits of their own; a log-normal latency per endpoint with a heavy tail; an incident
of 25 minutes with 5xx and slow answers; what servers write when clients talk nonsense; lines a second or two late;
about one line in 1,000 that is none. A small file has more of the odd and bad lines, so that it holds every kind.

With --wide, the hardest case for whatever counts by key: all users ask equally often, for 10,000 endpoints that no
template makes one (`/static/app.4711.js`). There is no truth about it.

Not realistic: nobody browses from page to page, every day is the same, an endpoint's load does not slow it down, all
times are whole seconds in UTC, 499 (nginx's own) is in Apache's formats too, and all addresses are from ranges reserved
for private use, tests and documentation.

NAME.expected.json says what is true of NAME. It is counted here from the values that were chosen, not from the lines,
and in the values as logged: a format of whole milliseconds has whole milliseconds in its truth.
The same arguments make the same bytes, with any Python from 3.11 on. Without truth, memory does not grow with --lines.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import re
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Any, BinaryIO, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
BLOCK: Final = 16_384  # lines made at a time
POOL: Final = 16_384  # different values of each varying part of a path
STEPS: Final = 4_096  # of a distribution of latencies; between steps it is a straight line
MALFORMED: Final = "(malformed)"

# ------------------------------------------------------------------ what there is to ask for, and how it is answered

API: Final = {200: 958, 400: 4, 401: 8, 403: 4, 404: 16, 499: 4, 500: 3, 502: 2, 503: 1}
CREATE: Final = {201: 955, 400: 24, 401: 8, 403: 5, 499: 2, 500: 4, 502: 1, 503: 1}
DELETE: Final = {204: 930, 403: 40, 404: 25, 500: 5}
LOGIN: Final = {302: 720, 401: 240, 400: 20, 403: 15, 500: 5}
PAGE: Final = {200: 900, 304: 60, 302: 30, 404: 4, 499: 3, 500: 2, 503: 1}
STATIC: Final = {200: 560, 304: 438, 404: 2}
SLOW: Final = {200: 900, 499: 60, 500: 15, 502: 15, 503: 10}


class Endpoint(NamedTuple):
    """One thing to ask for."""

    who: str  # p: people, c: crawlers, s: scanners, h: the health check
    method: str
    pattern: str  # the path with its varying parts; PARTS says how they are made and what the template calls them
    weight: int
    median_ms: float
    sigma: float  # of the log-normal distribution of its latency
    size: int  # of a good answer, on average
    statuses: dict[int, int]  # weights


ENDPOINTS: Final = (
    Endpoint("pc", "GET", "/", 50, 12, 0.4, 5200, PAGE),
    Endpoint("p", "GET", "/api/bugs", 80, 38, 0.5, 14000, API),
    Endpoint("p", "GET", "/api/bugs?{query}", 60, 55, 0.6, 14000, API),
    Endpoint("p", "POST", "/api/bugs", 12, 90, 0.4, 420, CREATE),
    Endpoint("p", "GET", "/api/bugs/{id}", 110, 22, 0.5, 3100, API),
    Endpoint("p", "PATCH", "/api/bugs/{id}", 14, 70, 0.5, 800, API),
    Endpoint("p", "DELETE", "/api/bugs/{id}", 2, 45, 0.4, 0, DELETE),
    Endpoint("p", "GET", "/api/bugs/{id}/comments", 45, 30, 0.5, 2600, API),
    Endpoint("p", "POST", "/api/bugs/{id}/comments", 9, 80, 0.4, 350, CREATE),
    Endpoint("p", "GET", "/api/bugs/{id}/attachments/{uuid}", 16, 60, 0.9, 180000, API),
    Endpoint("p", "PUT", "/api/attachments/{uuid}", 3, 240, 0.8, 90, CREATE),
    Endpoint("p", "GET", "/api/users/{id}", 50, 9, 0.4, 700, API),
    Endpoint("p", "GET", "/api/users/me", 70, 6, 0.4, 640, API),
    Endpoint("p", "GET", "/api/projects/{id}/bugs?{query}", 30, 110, 0.6, 21000, API),
    Endpoint("p", "GET", "/api/commits/{commit}", 10, 35, 0.5, 4100, API),
    Endpoint("p", "GET", "/api/search?{query}", 40, 180, 0.8, 9000, API),
    Endpoint("p", "GET", "/api/reports/{date}", 4, 420, 0.6, 52000, API),
    Endpoint("p", "GET", "/api/export.csv", 1, 4200, 0.5, 2400000, SLOW),
    Endpoint("p", "GET", "/login", 12, 8, 0.3, 2900, PAGE),
    Endpoint("p", "POST", "/login", 10, 130, 0.3, 300, LOGIN),
    Endpoint("p", "GET", "/assets/app.{hash}.js", 35, 2, 0.6, 310000, STATIC),
    Endpoint("p", "GET", "/assets/style.{hash}.css", 30, 1.2, 0.6, 42000, STATIC),
    Endpoint("p", "GET", "/favicon.ico", 12, 0.8, 0.5, 1150, STATIC),
    Endpoint("c", "GET", "/robots.txt", 12, 0.7, 0.5, 120, STATIC),
    Endpoint("c", "GET", "/bugs/{id}", 90, 48, 0.5, 18000, PAGE),
    Endpoint("c", "GET", "/bugs", 6, 5, 0.3, 162, {301: 1}),
    Endpoint("s", "GET", "/wp-login.php", 6, 3, 0.4, 0, {404: 1}),
    Endpoint("s", "GET", "/.env", 4, 2, 0.4, 0, {403: 3, 404: 1}),
    Endpoint("s", "POST", "/xmlrpc.php", 3, 3, 0.4, 0, {404: 1}),
    Endpoint("h", "GET", "/healthz", 1, 0.6, 0.5, 2, {200: 998, 503: 2}),
)
WIDE: Final = (Endpoint("pcsh", "GET", "/static/app.{bundle}.js", 1, 12, 0.8, 31000, STATIC),)
PAGES: Final = {301: 162, 302: 138, 400: 150, 401: 172, 403: 146, 404: 146, 500: 170, 502: 150, 503: 190}  # sizes
QUERIES: Final = (
    *("q=crash", "q=login+fails", "q=%22null+pointer%22", "q=caf%C3%A9", "q=timeout&in=comments", "q=100%25+cpu"),
    *(f"page={page}" for page in range(2, 30)),
    *(f"state={state}&sort={key}" for state in ("open", "closed", "all") for key in ("age", "votes", "-updated")),
)
BUNDLES: Final = ("3f9c2b7a", "8d41e0c6", "c07be915")  # one for every deployment


def _uuid(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


# A varying part of a path: how one is made, and what the path's template has in its place.
PARTS: Final[dict[str, tuple[Callable[[Random], str], str]]] = {
    "{id}": (lambda random: str(1 + int(random.random() ** 2 * 60_000)), "{id}"),
    "{uuid}": (_uuid, "{uuid}"),
    "{commit}": (lambda random: f"{random.getrandbits(152):040x}".replace("00", "e4", 1), "{hash}"),
    "{hash}": (lambda random: BUNDLES[int(random.random() * len(BUNDLES))], "{hash}"),
    "{date}": (lambda random: f"2025-{1 + int(random.random() * 12):02}-{1 + int(random.random() * 28):02}", "{date}"),
    "{bundle}": (lambda random: str(int(random.random() * 10_000)), "{bundle}"),
    "?{query}": (lambda random: f"?{QUERIES[int(random.random() * len(QUERIES))]}", ""),
}
_PART: Final = re.compile("|".join(re.escape(part) for part in PARTS))


def template(pattern: str) -> str:
    """What all paths of a pattern have in common, as a report is to show it."""
    return _PART.sub(lambda match: PARTS[match[0]][1], pattern)


# ---------------------------------------------------------------------------------------------------- who is asking

_CHROME: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0{} Safari/537.36"
_SYSTEMS: Final = ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64")
BROWSERS: Final = (
    *(f"Mozilla/5.0 ({s}) {_CHROME.format(v, '')}" for v in (131, 130, 129, 127) for s in _SYSTEMS),
    *(f"Mozilla/5.0 ({s}; rv:{v}.0) Gecko/20100101 Firefox/{v}.0" for v in (133, 132, 128) for s in _SYSTEMS),
    *(f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME.format(v, ' Mobile')}" for v in (131, 130)),
    *(
        f"Mozilla/5.0 (iPhone; CPU iPhone OS {v.replace('.', '_')} like Mac OS X) AppleWebKit/605.1.15 "
        f"(KHTML, like Gecko) Version/{v} Mobile/15E148 Safari/604.1"
        for v in ("18.1", "17.6")
    ),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15",
    *(
        "bugs-cli/2.4.1",
        "bugs-cli/2.4.0",
        "python-requests/2.32.3",
        "curl/8.5.0",
        "okhttp/4.12.0",
        "Go-http-client/2.0",
    ),
)
CRAWLERS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
)
SCANNERS: Final = ("Mozilla/5.0 zgrab/0.x", "-", "python-requests/2.27.1")
PROBES: Final = ("kube-probe/1.30",)
AGENTS: Final = {"p": BROWSERS, "c": CRAWLERS, "s": SCANNERS, "h": PROBES}
NAMES: Final = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "john smith")
REFERERS: Final = (
    *("-",) * 24,
    *("https://bugs.example.com/",) * 16,
    *(f"https://bugs.example.com/bugs/{number}" for number in range(4000, 4012)),
    *("https://bugs.example.com/board?sprint=42",) * 6,
    *("https://chat.example.com/", "https://www.google.com/") * 3,
)


class Person(NamedTuple):
    """Whoever sends requests."""

    kind: str  # a letter, as in Endpoint.who
    ip: str
    name: str  # for the server's own log-in; mostly none: ""
    account: str  # in the application; mostly there
    agent: str
    protocol: str


def people(number: int, seed: int) -> list[Person]:
    """Everybody, who asks most first. The same in every format."""
    random = Random(f"{seed} people")
    found = []
    for rank in range(number):
        bits = random.getrandbits(48)
        kind = "h" if rank == 0 else "c" if rank % 24 == 3 else "s" if rank % 80 == 41 else "p"
        a, b, c = bits & 255, bits >> 8 & 255, 1 + (bits >> 16) % 254
        if rank and bits >> 24 & 15 == 0:
            ip = f"2001:db8:{a:x}:{b:x}::{c:x}"
        else:
            ip = f"{('10.%d', '100.%d', '198.%d')[a % 3] % (18 + a % 2 if a % 3 == 2 else 64 + a % 64)}.{b}.{c}"
        agents = AGENTS[kind]
        named = kind == "p" and bits >> 28 & 15 == 0
        name = NAMES[(bits >> 40) % len(NAMES)] + (str(rank) if rank >= 100 else "") if named else ""
        account = f"u{100 + rank}" if kind == "p" and bits >> 33 & 3 else ""
        modern = kind == "p" and bits >> 35 & 3
        agent = agents[((bits >> 24) * (bits >> 36) >> 12) % len(agents)]
        found.append(Person(kind, ip, name, account, agent, "HTTP/2.0" if modern else "HTTP/1.1"))
    return found


# ------------------------------------------------------------------------------------------------------ one request


class Request(NamedTuple):
    """The values behind one line, each as the line tells it."""

    tick: int  # seconds from two before the minute
    time: str
    ip: str
    user: str  # "" if nobody
    method: str
    target: str
    line: str  # method, target and protocol
    endpoint: str  # method and template
    status: int
    size: int | None  # None: a line of `app` that tells neither size, user nor address
    micros: int
    referer: str
    agent: str
    host: str
    noise: int  # 16 random bits


class Odd(NamedTuple):
    """A request that few clients would send, but that a server answers and logs."""

    line: str
    method: str
    target: str
    endpoint: str
    status: int
    size: int
    micros: int = 0
    agent: str = "-"


_QUOTED: Final = 'Mozilla/5.0 (compatible; "Bug Finder" 2.0)'
_COMMON_ODDS: Final = (
    Odd("GET /", "GET", "/", "GET /", 400, 150),
    Odd("GET /old bugs/list HTTP/1.1", "GET", "/old bugs/list", "GET /old bugs/list", 404, 146, 900, "curl/8.5.0"),
    Odd("GET http://bugs.example.com/?a HTTP/1.1", "GET", "http://bugs.example.com/?a", "GET /", 200, 5200, 9000),
    Odd("GET / HTTP/1.1", "GET", "/", "GET /", 200, 5200, 11000, _QUOTED),
)
ODDS: Final = {
    "apache": (
        Odd("-", "", "", MALFORMED, 408, 0, 20_000_000),
        Odd(r"\x16\x03\x01", "", "", MALFORMED, 400, 226),
        Odd("OPTIONS * HTTP/1.0", "OPTIONS", "*", "OPTIONS *", 200, 0, 60, "Apache/2.4.62 (internal dummy connection)"),
        *_COMMON_ODDS,
    ),
    "nginx": (
        Odd("-", "", "", MALFORMED, 408, 0, 60_000_000),
        Odd("", "", "", MALFORMED, 400, 0),
        Odd(r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\x8B", "", "", MALFORMED, 400, 150),
        *_COMMON_ODDS,
    ),
    "application": (),  # its server answers nonsense itself
}
ESCAPES: Final[dict[str, Callable[[str], str]]] = {
    "apache": lambda text: text.replace("\\", "\\\\").replace('"', '\\"'),
    "nginx": lambda text: text.replace("\\", "\\x5C").replace('"', "\\x22"),
    "json": lambda text: json.dumps(text)[1:-1],
}

# ---------------------------------------------------------------------------------------------------------- formats

# English wherever this runs
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _clf_time(t: datetime) -> str:
    return f"{t.day:02}/{_MONTHS[t.month - 1]}/{t.year:04}:{t.hour:02}:{t.minute:02}:{t.second:02} +0000"


def _iso(t: datetime) -> str:
    return f"{t.replace(tzinfo=None).isoformat()}Z"


def _iso_offset(t: datetime) -> str:
    return t.isoformat()


def _plain_time(t: datetime) -> str:
    return t.replace(tzinfo=None).isoformat(" ")


def _level(status: int) -> str:
    return "error" if status >= 500 else "warn" if status >= 400 else "info"


def _common(r: Request) -> str:
    """Apache's: no size is `-`."""
    return f'{r.ip} - {r.user or "-"} [{r.time}] "{r.line}" {r.status} {r.size or "-"}'


def _combined(r: Request) -> str:
    """Of nginx: no size is 0."""
    return f'{r.ip} - {r.user or "-"} [{r.time}] "{r.line}" {r.status} {r.size} "{r.referer}" "{r.agent}"'


def _combined_time(r: Request) -> str:
    return (
        f'{r.ip} - {r.user or "-"} [{r.time}] "{r.line}" {r.status} {r.size} "{r.referer}" "{r.agent}" '
        f"{r.micros / 1e6:.3f}"
    )


def _combined_us(r: Request) -> str:
    return f'{_common(r)} "{r.referer}" "{r.agent}" {r.micros}'


def _vhost_combined(r: Request) -> str:
    return f'{r.host} {_common(r)} "{r.referer}" "{r.agent}"'


def _json(r: Request) -> str:
    return (
        f'{{"time_iso8601":"{r.time}","remote_addr":"{r.ip}","remote_user":"{r.user}",'
        f'"request_method":"{r.method}","request_uri":"{r.target}","status":{r.status},'
        f'"body_bytes_sent":{r.size},"request_time":{r.micros / 1e6:.3f},'
        f'"http_referer":"{"" if r.referer == "-" else r.referer}","http_user_agent":"{r.agent}"}}'
    )


def _json_nested(r: Request) -> str:
    user = f'"{r.user}"' if r.user else "null"
    return (
        f'{{"@timestamp":"{r.time}","level":"{_level(r.status)}","message":"request completed",'
        f'"request":{{"method":"{r.method}","path":"{r.target}","duration_ms":{r.micros / 1000}}},'
        f'"response":{{"status":{r.status},"bytes":{r.size}}},"user":{{"id":{user}}},'
        f'"client":{{"ip":"{r.ip}"}},"service":"bugs","trace_id":"{_trace(r)}"}}'
    )


def _app(r: Request) -> str:
    line = f"{r.time} {r.method} {r.target} {r.status} {r.micros // 1000}ms"
    if r.size is None:
        return line
    user = f" user={r.user}" if r.user else ""
    return f"{line}{user} ip={r.ip} bytes={r.size} trace={_trace(r)}"


def _logfmt(r: Request) -> str:
    user = f" user_id={r.user}" if r.user else ""
    return (
        f'time={r.time} level={_level(r.status)} msg="request completed" method={r.method} path={r.target} '
        f"status={r.status} duration={r.micros / 1000:.1f}ms bytes={r.size}{user} ip={r.ip}"
    )


def _kv(r: Request) -> str:
    user = f" user_id={r.user}" if r.user else ""
    return (
        f"[{r.time}] {_level(r.status).upper()} Request completed method={r.method} path={r.target} "
        f"status={r.status} duration_ms={r.micros // 1000}{user}"
    )


def _trace(r: Request) -> str:
    return f"{(r.noise << 32 | r.micros) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFF:012x}"


def _json_event(time: str, noise: int) -> str:
    return (
        f'{{"@timestamp":"{time}","level":"warn","message":"cache miss rate is high","ratio":{noise % 100 / 100},'
        f'"service":"bugs"}}'
    )


def _kv_event(time: str, noise: int) -> str:
    return f"[{time}] WARN Cache miss rate high ratio={noise % 100 / 100}"


# Lines that no reader of the format may take for a request: cut off, of something else, with a quote that is not
# closed. The last only where a quote is what holds the line together: readers of logfmt rightly differ about it.
def _cut(length: int) -> Callable[[str], str]:
    return lambda line: line[:length]


def _cut_in_request(line: str) -> str:
    return line[: line.index('"') + 5]


def _garbage(_: str) -> str:
    return "*** log rotated ***"


def _trace_back(_: str) -> str:
    return '  File "/srv/bugs/search.py", line 88, in run'


def _open_request(line: str) -> str:
    start = line.index('"') + 1
    return line[:start] + re.sub(r'(?<!\\)"', "", line[start:], count=1)


def _open_string(line: str) -> str:
    return line.replace('","', ",", 1)


_BAD_CLF: Final = (_cut_in_request, _garbage, _open_request)
_BAD_JSON: Final = (_cut(60), _garbage, _open_string)
_BAD_PLAIN: Final = (_cut(20), _garbage, _trace_back)


@dataclass(frozen=True)
class Format:
    """How a request becomes a line, and what of it the line tells."""

    line: Callable[[Request], str]
    time: Callable[[datetime], str]
    server: str  # a key of ODDS
    bad: tuple[Callable[[str], str], ...]
    unit: int | None = None  # microseconds that durations are logged in, if they are
    escape: str = ""  # a key of ESCAPES, if not that of the server
    ip: bool = True
    size: bool = True
    headers: int = 0  # bytes counted besides the body
    bare: int = 0  # one line in so many tells neither size, user nor address
    event: Callable[[str, int], str] | None = None


FORMATS: Final = {
    "app": Format(_app, _plain_time, "application", _BAD_PLAIN, unit=1000, bare=6),
    "common": Format(_common, _clf_time, "apache", _BAD_CLF),
    "combined": Format(_combined, _clf_time, "nginx", _BAD_CLF),
    "combined_time": Format(_combined_time, _clf_time, "nginx", _BAD_CLF, unit=1000),
    "combined_us": Format(_combined_us, _clf_time, "apache", _BAD_CLF, unit=1),
    "vhost_combined": Format(_vhost_combined, _clf_time, "apache", _BAD_CLF, headers=240),
    "json": Format(_json, _iso_offset, "nginx", _BAD_JSON, unit=1000, escape="json"),
    "json_nested": Format(_json_nested, _iso, "application", _BAD_JSON, unit=1, event=_json_event),
    "logfmt": Format(_logfmt, _iso_offset, "application", (_cut(3), _garbage, _trace_back), unit=100),
    "kv": Format(
        _kv, _plain_time, "application", _BAD_PLAIN, unit=1000, ip=False, size=False, event=_kv_event
    ),
}  # fmt: skip

# --------------------------------------------------------------------------------------------------------- the truth


class Truth:
    """Counts what is true of a file. Grows with the durations (4 bytes each), the users and the minutes."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._kinds = {"lines": 0, "requests": 0, "events": 0, "rejected": 0}
        self._answers: Counter[tuple[str, int]] = Counter()  # (endpoint, status)
        self._bytes: Counter[str] = Counter()
        self._micros: dict[str, array[int]] = {}
        self._users: set[str] = set()
        self._minutes: dict[datetime, int] = {}
        self._open: dict[datetime, set[str]] = {}  # minutes that a late line can still fall into
        self._first: datetime | None = None
        self._last: datetime | None = None

    def requests(self, minute: datetime, found: list[Request]) -> None:
        """Count requests of one minute, those that are late included."""
        answers, size, micros = self._answers, self._bytes, self._micros
        with_ip, with_size = self._form.ip, self._form.size
        now, before = self._users_of(minute), self._users_of(minute - timedelta(minutes=1))
        for r in found:
            key = r.endpoint
            answers[key, r.status] += 1
            if r.size is not None:
                if with_size:
                    size[key] += r.size
                if user := r.user or (with_ip and r.ip):
                    (now if r.tick >= 2 else before).add(user)
            if key not in micros:
                micros[key] = array("I")
            micros[key].append(r.micros)
        self._kinds["requests"] += len(found)
        if found:
            self._seen(minute, min(r.tick for r in found))
            self._seen(minute, max(r.tick for r in found))

    def event(self, minute: datetime, tick: int) -> None:
        """Count a line without a request."""
        self._kinds["events"] += 1
        self._seen(minute, tick)

    def rejected(self) -> None:
        """Count a line that is none."""
        self._kinds["rejected"] += 1

    def to_dict(self) -> dict[str, Any]:
        """The content of NAME.expected.json."""
        for minute in list(self._open):
            self._close(minute)
        self._kinds["lines"] = sum(self._kinds.values())
        status: Counter[int] = Counter()
        requests: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        for (endpoint, code), count in self._answers.items():
            status[code] += count
            requests[endpoint] += count
            errors[endpoint] += count if code >= 500 else 0
        classes: Counter[str] = Counter()
        for code, count in status.items():
            classes[f"{code // 100}xx"] += count
        timed = self._form.unit is not None
        micros = {key: Counter(values) for key, values in self._micros.items()} if timed else {}
        overall: Counter[int] = Counter()
        for values in micros.values():
            overall.update(values)
        return {
            **self._kinds,
            "untimed": 0,
            "bytes": self._bytes.total(),
            "time": {"first": self._first and _iso(self._first), "last": self._last and _iso(self._last)},
            "status": {str(code): count for code, count in sorted(status.items())},
            "status_classes": dict(sorted(classes.items())),
            "latency_ms": _latency(overall, ("50", "90", "95", "99", "99.9")),
            "endpoints": {
                key: {
                    "requests": count,
                    "errors": errors[key],
                    "bytes": self._bytes[key],
                    "latency_ms": _latency(micros.get(key, Counter()), ("50", "95", "99")),
                }
                for key, count in sorted(requests.items())
            },
            "unique_users": {
                "total": len(self._users),
                "per_minute": {_iso(minute): count for minute, count in sorted(self._minutes.items())},
            },
        }

    def _users_of(self, minute: datetime) -> set[str]:
        for other in [m for m in self._open if m < minute - timedelta(minutes=1)]:
            self._close(other)
        return self._open.setdefault(minute, set())

    def _close(self, minute: datetime) -> None:
        if users := self._open.pop(minute):
            self._users |= users
            self._minutes[minute] = len(users)

    def _seen(self, minute: datetime, tick: int) -> None:
        time = minute + timedelta(seconds=tick - 2)
        self._first = time if self._first is None else min(self._first, time)
        self._last = time if self._last is None else max(self._last, time)


def _latency(micros: Counter[int], percentiles: tuple[str, ...]) -> dict[str, Any] | None:
    """Milliseconds, and percentiles by nearest rank, of how often there is which number of microseconds."""
    if not micros:
        return None
    values = sorted(micros)
    upto = list(accumulate(micros[value] for value in values))
    count = upto[-1]

    def nearest_rank(percentile: str) -> float:
        rank = math.ceil(Fraction(percentile) * count / 100)
        return values[bisect_right(upto, rank - 1)] / 1000

    return {
        "count": count,
        "avg": sum(value * times for value, times in micros.items()) / (1000 * count),
        "min": values[0] / 1000,
        "max": values[-1] / 1000,
        "percentiles": {p: nearest_rank(p) for p in percentiles},
    }


def truth_text(truth: dict[str, Any]) -> str:
    """The truth as JSON, one endpoint to a line."""
    parts = []
    for key, value in truth.items():
        if key == "endpoints":
            rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in value.items())
            parts.append(f' "endpoints": {{\n{rows}\n }}')
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


# ------------------------------------------------------------------------------------------------------- the traffic

# Requests by hour of the day, in proportion.
_CURVE: Final = (30, 22, 16, 13, 12, 14, 20, 38, 70, 96, 105, 102, 94, 100, 108, 104, 98, 88, 76, 66, 60, 54, 46, 38)


@dataclass(frozen=True)
class Day:
    """What traffic there is to be."""

    lines: int
    users: int
    seed: int
    start: datetime
    minutes: int
    wide: bool = False

    def incident(self) -> range:
        """The minutes in which things go wrong: 25, or a fifth of a shorter time."""
        first = self.minutes * 59 // 100
        return range(first, first + min(25, self.minutes // 5))

    def per_minute(self, random: Random) -> Iterator[int]:
        """How many lines each minute has: by the curve, with the scatter that independent arrivals have."""
        weights = []
        for minute in range(self.minutes):
            now = (self.start.hour * 60 + self.start.minute + minute) % 1440
            a, b = _CURVE[now // 60], _CURVE[(now // 60 + 1) % 24]
            weights.append(a * (60 - now % 60) + b * (now % 60))
        mean = self.lines / sum(weights)
        for minute, weight in enumerate(weights):
            normal = sum(random.random() for _ in range(12)) - 6
            weights[minute] = int(1000 * weight * max(0.05, 1 + normal / math.sqrt(max(mean * weight, 1e-9))))
        upto = list(accumulate(weights))
        before = 0
        for sum_of_weights in upto:
            after = self.lines * sum_of_weights // upto[-1]
            yield after - before
            before = after


def _spread(weights: dict[int, int], places: int) -> list[int]:
    """A table of so many places, in which each key stands as often as its weight says."""
    keys, upto = list(weights), list(accumulate(weights.values()))
    return [keys[bisect_right(upto, (2 * i + 1) * upto[-1] // (2 * places))] for i in range(places)]


def _zipf(users: int) -> array[int]:
    """At i of 65,536 equal steps of probability, the first user beyond it: weights 1 / (rank + 10)."""
    upto = list(accumulate(1 / (rank + 10) for rank in range(users)))
    return array("I", [bisect_right(upto, upto[-1] * i / 65536, 0, users - 1) for i in range(65536)] + [users])


def _even(users: int) -> array[int]:
    """The same for users of one weight."""
    return array("I", [users * i // 65536 for i in range(65537)])


def _latencies(endpoint: Endpoint, deviates: list[float]) -> list[int]:
    """Microseconds at STEPS equal steps of probability: log-normal, above the 99th percentile a power law on top."""
    found = []
    for i, deviate in enumerate(deviates):
        above = max(1 - i / STEPS, 1 / 65536)
        tail = (0.01 / above) ** 0.45 if above < 0.01 else 1.0
        found.append(min(55_000_000, int(1000 * endpoint.median_ms * math.exp(endpoint.sigma * deviate) * tail)))
    return found


def _targets(endpoint: Endpoint, lines: int, pools: dict[str, list[str]]) -> tuple[str, list[str], str]:
    """A path in three parts, of which that in the middle varies."""
    marks = list(_PART.finditer(endpoint.pattern))
    if not marks:
        return endpoint.pattern, [""], ""
    start, end = marks[0].start(), marks[-1].end()
    middle = endpoint.pattern[start:end]
    if middle not in pools:
        random = Random(middle)
        size = max(256, min(POOL, lines))
        pools[middle] = [_PART.sub(lambda match: PARTS[match[0]][0](random), middle) for _ in range(size)]
    return endpoint.pattern[:start], pools[middle], endpoint.pattern[end:]


class Traffic:
    """Draws the requests of one file. Eight times 16 random bits decide a request."""

    def __init__(self, day: Day, everybody: list[Person], form: Format, random: Random) -> None:
        self._day, self._form, self._random = day, form, random
        deviates = [
            NormalDist().inv_cdf(min(max(i / STEPS, 0.5 / STEPS), 65535 / 65536)) for i in range(STEPS + 1)
        ]  # fmt: skip
        asked = WIDE if day.wide else ENDPOINTS
        pools = {"{bundle}": [str(number) for number in range(10_000)]}
        self._choices = {
            kind: bytes(_spread({i: e.weight for i, e in enumerate(asked) if kind in e.who}, 65536)) for kind in AGENTS
        }
        self._endpoints = [
            (
                e.method,
                *_targets(e, day.lines, pools),
                f"{e.method} {template(e.pattern)}",
                "static.example.com" if e.pattern.startswith("/assets/") else "bugs.example.com",
                e.size,
                _latencies(e, deviates),
                e.pattern.startswith("/api/"),
            )
            for e in asked
        ]
        self._calm = [_spread(e.statuses, 1024) for e in asked]
        self._storm = [
            [(500, 502, 503)[i % 3] if i % 4 == 0 and e.pattern.startswith("/api/") else s for i, s in enumerate(calm)]
            for e, calm in zip(asked, self._calm, strict=True)
        ]
        escape = ESCAPES[form.escape or ("json" if form.server == "application" else form.server)]
        self.escape = escape
        agents = {agent: escape(agent) for some in AGENTS.values() for agent in some}
        choices = self._choices
        self._people = [
            (
                choices[p.kind],
                p.kind == "p",
                p.ip,
                p.account if form.server == "application" else p.name,
                agents[p.agent],
                p.protocol,
            )
            for p in everybody
        ]
        self._zipf = (_even if day.wide else _zipf)(len(everybody))

    def block(self, minute: int, ticks: list[int], times: list[str]) -> list[Request]:
        """The requests of these seconds of a minute, `times` being how the format writes a second."""
        number = len(ticks)
        bits = array("H", self._random.randbytes(16 * number))
        if sys.byteorder == "big":
            bits.byteswap()
        bad = minute in self._day.incident()
        statuses, earliest = self._storm if bad else self._calm, 0 if minute else 2
        zipf, everybody, endpoints = self._zipf, self._people, self._endpoints
        unit, headers, bare = self._form.unit or 1, self._form.headers, self._form.bare
        found = []
        for tick, a, b, c, d, e, f, g, h in zip(
            ticks, *(bits[i * number : (i + 1) * number] for i in range(8)), strict=True
        ):
            low = zipf[a]
            choice, person, ip, user, agent, protocol = everybody[low + ((zipf[a + 1] - low) * b >> 16)]
            chosen = choice[c]
            method, start, pool, end, endpoint, host, size, latencies, api = endpoints[chosen]
            target = f"{start}{pool[d * len(pool) >> 16]}{end}"
            status = statuses[chosen][e >> 6]
            fast = latencies[f >> 4]
            micros = fast + ((latencies[(f >> 4) + 1] - fast) * g >> 16)
            if bad and api:
                micros = min(6 * micros, 60_000_000)
            body = size * (32768 + g) >> 16 if status < 204 else PAGES.get(status, 0)
            octets = None if bare and h % bare == 0 else headers + body
            if h < 655:  # one in a hundred is written a second or two late
                tick = max(earliest, tick - 1 - h % 2)
            found.append(
                Request(
                    tick,
                    times[tick],
                    ip,
                    user,
                    method,
                    target,
                    f"{method} {target} {protocol}",
                    endpoint,
                    status,
                    octets,
                    micros - micros % unit,
                    REFERERS[h >> 10] if person else "-",
                    agent,
                    host if h & 3 else f"{host}:443",
                    h,
                )
            )
        return found


def _places(random: Random, every: int) -> Iterator[int]:
    """One place in each stretch of so many lines, for ever."""
    start = 0
    while True:
        yield start + int(random.random() * every)
        start += every


def write(out: BinaryIO, name: str, day: Day, everybody: list[Person], truth: Truth | None) -> None:
    """Write the lines of one format, and count them in `truth`."""
    form = FORMATS[name]
    random = Random(f"{day.seed} {name}")
    traffic = Traffic(day, everybody, form, random)
    odds = ODDS[form.server]
    kinds: dict[str, Iterator[int]] = {}
    if odds:
        kinds["odd"] = _places(Random(f"{day.seed} odd"), min(700, max(day.lines // len(odds), 50)))
    if form.event:
        kinds["event"] = _places(Random(f"{day.seed} event"), 30)
    kinds["bad"] = _places(Random(f"{day.seed} bad"), min(1000, max(day.lines // len(form.bad), 100)))
    next_place = {kind: next(places) for kind, places in kinds.items()}
    made = dict.fromkeys(kinds, 0)
    written = 0
    for minute, count in enumerate(day.per_minute(Random(f"{day.seed} {name} minutes"))):
        if not count:
            continue
        time = day.start + timedelta(minutes=minute)
        times = [form.time(time + timedelta(seconds=tick - 2)) for tick in range(62)]
        bits = array("H", random.randbytes(2 * count))
        if sys.byteorder == "big":
            bits.byteswap()
        seconds = sorted(bits)
        for start in range(0, count, BLOCK):
            requests = traffic.block(minute, [2 + (s * 60 >> 16) for s in seconds[start : start + BLOCK]], times)
            special: dict[int, str] = {}  # place in the block → kind; of two the later one
            for kind, places in kinds.items():
                while next_place[kind] < written + len(requests):
                    special[next_place[kind] - written] = kind
                    next_place[kind] = next(places)
            for place, kind in special.items():
                if kind == "odd":
                    requests[place] = _odd(requests[place], odds[made["odd"] % len(odds)], form, traffic.escape)
                    made["odd"] += 1
            lines = list(map(form.line, requests))
            for place in sorted(special, reverse=True):  # from behind, because places of requests shift
                kind, request = special[place], requests[place]
                if kind == "event" and form.event:
                    lines[place] = form.event(request.time, request.noise)
                    if truth:
                        truth.event(time, request.tick)
                elif kind == "bad":
                    lines[place] = form.bad[made["bad"] % len(form.bad)](lines[place])
                    made["bad"] += 1
                    if truth:
                        truth.rejected()
                else:
                    continue
                del requests[place]
            if truth:
                truth.requests(time, requests)
            lines.append("")
            out.write("\n".join(lines).encode("ascii"))
            written += len(lines) - 1


def _odd(request: Request, odd: Odd, form: Format, escape: Callable[[str], str]) -> Request:
    """The same client at the same time, but an odd request."""
    return request._replace(
        user="",
        method=odd.method,
        target=odd.target,
        line=odd.line,
        endpoint=odd.endpoint,
        status=odd.status,
        size=odd.size + form.headers,
        micros=odd.micros - odd.micros % (form.unit or 1),
        referer="-",
        agent=escape(odd.agent),
    )


# ---------------------------------------------------------------------------------------------------- the command line


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _start(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 date or time") from None
    return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).replace(second=0, microsecond=0)


def _minutes(text: str) -> int:
    hours = float(text)
    if not 1 / 60 <= hours <= 24 * 3660:
        raise argparse.ArgumentTypeError("must be from a minute to ten years")
    return round(hours * 60)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the access logs of a bug tracker, and the truth about them.")
    parser.add_argument("--out", type=Path, default=ROOT / "sample_logs", help="the folder (default: sample_logs)")
    parser.add_argument("--format", action="append", choices=FORMATS, help="repeatable (default: all)")
    parser.add_argument("--lines", type=_positive, default=900, help="of each file (default: 900)")
    parser.add_argument("--users", type=_positive, help="(default: a fifth of the lines, at most 200000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another day (default: 1)")
    parser.add_argument("--start", type=_start, default="2025-01-17", help="UTC (default: 2025-01-17)")
    parser.add_argument("--hours", type=_minutes, default="24", help="that the lines are spread over (default: 24)")
    parser.add_argument(
        "--wide", action="store_true", help="users evenly, 10,000 endpoints; needs --no-truth or --stdout"
    )
    parser.add_argument("--no-truth", action="store_true", help="no NAME.expected.json: faster, and in bounded memory")
    parser.add_argument("--stdout", action="store_true", help="the lines of one --format to standard output, no truth")
    given = parser.parse_args()
    names = list(dict.fromkeys(given.format or FORMATS))
    if given.stdout and len(names) != 1:
        parser.error("--stdout takes one --format: name it")
    if given.wide and not (given.no_truth or given.stdout):
        parser.error("there is no truth about --wide: add --no-truth")
    users = given.users or min(200_000, max(50, given.lines // 5))
    day = Day(given.lines, users, given.seed, given.start, given.hours, given.wide)
    everybody = people(users, given.seed)
    if given.stdout:
        return _to_stdout(names[0], day, everybody)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = given.out / f"{name}.log"
        truth = None if given.no_truth else Truth(FORMATS[name])
        with path.open("wb") as out:
            write(out, name, day, everybody, truth)
        expected = path.with_name(f"{path.name}.expected.json")
        if truth:
            expected.write_text(truth_text(truth.to_dict()), encoding="ascii", newline="\n")
        else:
            expected.unlink(missing_ok=True)  # what an earlier run left there is not true of this one
    return 0


def _to_stdout(name: str, day: Day, everybody: list[Person]) -> int:
    try:
        with io.BufferedWriter(io.FileIO(sys.stdout.fileno(), "wb", closefd=False), 1 << 20) as out:
            write(out, name, day, everybody, None)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
