"""The traffic of the sample logs: when somebody asks, what, and how long the answer takes; and the writing of it."""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from statistics import NormalDist
from typing import BinaryIO, Final

from sample_lines import ESCAPES, FORMATS, ODDS, Format, Odd, Request
from sample_site import AGENTS, ENDPOINTS, PAGES, PART, PARTS, REFERERS, WIDE, Endpoint, Person, template
from sample_truth import Truth

BLOCK: Final = 16_384  # lines made at a time
POOL: Final = 16_384  # different values of each varying part of a path
STEPS: Final = 4_096  # of a distribution of latencies; between steps it is a straight line

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
    marks = list(PART.finditer(endpoint.pattern))
    if not marks:
        return endpoint.pattern, [""], ""
    start, end = marks[0].start(), marks[-1].end()
    middle = endpoint.pattern[start:end]
    if middle not in pools:
        random = Random(middle)
        size = max(256, min(POOL, lines))
        pools[middle] = [PART.sub(lambda match: PARTS[match[0]][0](random), middle) for _ in range(size)]
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
