"""The site that the sample logs are of: what can be asked of it, how it answers, and who asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

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
PART: Final = re.compile("|".join(re.escape(part) for part in PARTS))


def template(pattern: str) -> str:
    """What all paths of a pattern have in common, as a report is to show it."""
    return PART.sub(lambda match: PARTS[match[0]][1], pattern)


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
