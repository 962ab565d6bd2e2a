#!/usr/bin/env python3
"""Measure what it costs to ask for each column, and for what else a report can be asked: nanoseconds of CPU a line.

    python scripts/bench_columns.py --write && python scripts/generate.py     the tables of the README and the manual
    python scripts/bench_columns.py --lines 100000 --runs 3 --only query      a look at some of them

The log is of JSON lines that have every column of the request schema, of 1,000 clients with 300 agents. Since it has
upstream times and cache statuses, rows are made of its lines whatever is asked, so that a figure is what one more thing
costs. What the rows cost, and the two tables of upstreams and caches, is measured on a log without these two. Each
report takes turns with the one that nothing is asked of; the least of some runs of each is compared, user and system
time of all threads. Nothing fails here.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from mmdb_writer import MMDBWriter
from netaddr import IPSet

import logstats
from logstats import schema
from logstats.enrich import places

BEGIN: Final = datetime(2025, 1, 17, tzinfo=UTC)
KEPT: Final = Path(logstats.__file__).parent / "manual" / "column_costs.json"
FAMILIES: Final = {"query:NAME": "query:page", "ip/N": "ip/24"}  # one column of each family
CHROME: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
ABSENT: Final = ("upstream_response_time", "upstream_cache_status")  # in the log that rows can be spared of
ROWS: Final = "rows of the lines, for the first of these"
LOGGED: Final = "upstream times and cache statuses, where logged"


def row(number: int, random: Random, clients: list[str], agents: list[str]) -> dict[str, Any]:
    """A line of the log."""
    client = random.randrange(len(clients))
    return {
        "time": (BEGIN + timedelta(milliseconds=number * 200)).isoformat().replace("+00:00", "Z"),
        "method": random.choice(("GET", "GET", "GET", "POST")),
        "path": f"/api/items/{random.randrange(3000)}",
        "query": f"page={random.randrange(50)}",
        "protocol": "HTTP/2.0",
        "status": random.choice((200, 200, 200, 304, 404, 500)),
        "duration_ms": random.randrange(1, 900),
        "bytes": random.randrange(90_000),
        "user_id": f"user{client}",
        "client_ip": clients[client],
        "host": f"shop{client % 5}.example",
        "referer": f"https://shop.example/{random.randrange(200)}",
        "user_agent": agents[client % len(agents)],
        "app": f"app{client % 3}",
        "message": f"served from shelf {random.randrange(500)}",
        "trace_id": f"{random.getrandbits(128):032x}",
        "upstream_response_time": round(random.random(), 3),
        "upstream_cache_status": random.choice(("HIT", "MISS")),
        "upstream_addr": f"10.0.0.{client % 4}:8080",
        "ssl_protocol": "TLSv1.3",
        "request_length": random.randrange(2000),
        "shelf": random.randrange(500),
    }


def write(folder: Path, lines: int) -> None:
    """`every.log`, `lean.log` without what is `ABSENT`, `places.mmdb` and `googlebot.json`."""
    random = Random(1)
    agents = [CHROME.format(version) if version % 7 else f"Googlebot/{version}" for version in range(300)]
    clients = [f"{random.randrange(1, 224)}.{n % 256}.{n // 256}.{random.randrange(256)}" for n in range(1000)]
    with (folder / "every.log").open("w") as every, (folder / "lean.log").open("w") as lean:
        for number in range(lines):
            line = row(number, random, clients, agents)
            every.write(json.dumps(line) + "\n")
            lean.write(json.dumps({name: value for name, value in line.items() if name not in ABSENT}) + "\n")
    database = MMDBWriter(4, "GeoLite2-City", languages=["en"])
    for net in range(1, 224):
        place = {"country": {"iso_code": "ABCDEFG"[net % 7] + "E"}, "continent": {"code": "EU"}}
        as_number = {"autonomous_system_number": 64496 + net, "autonomous_system_organization": f"Net {net}"}
        database.insert_network(
            IPSet([f"{net}.0.0.0/8"]), place | {"city": {"names": {"en": f"City {net}"}}} | as_number
        )
    database.to_db_file(str(folder / "places.mmdb"))
    prefixes = [{"ipv4Prefix": f"{net}.0.0.0/8"} for net in range(1, 224, 2)]
    (folder / "googlebot.json").write_text(json.dumps({"prefixes": prefixes}), encoding="utf-8")


def questions(folder: Path) -> dict[str, dict[str, Any]]:
    """What is asked, as it is called, to the options of `logstats.report`."""
    geo, bots = {"geo": (folder / "places.mmdb",)}, {"verify_bots": (folder / "googlebot.json",)}
    found: dict[str, dict[str, Any]] = {}
    for name in schema.names():
        more = geo if name in places.COLUMNS else bots if name == "bot_verified" else {}
        found[f"--by {name}"] = {"by": [FAMILIES.get(name, name)], **more}
    return found | {
        "--by host,endpoint": {"by": ["host,endpoint"]},
        "--geo": {**geo},
        "--agents": {"agents": True},
        "--verify-bots": {**bots},
        "--bots exclude": {"bots": "exclude"},
        "--query page": {"query": ("page",)},
        "--slowest 10": {"slowest": 10},
        "--not-found": {"not_found": True},
        "--exact-users": {"exact_users": True},
        "--anonymize ip": {"anonymize": "ip"},
        "--anonymize prefix-preserving": {"anonymize": "prefix-preserving"},
        "--anonymize hash": {"anonymize": "hash"},
        "--where 'status >= 200'": {"where": "status >= 200"},
        "--where 'duration > 0ms'": {"where": "duration > 0ms"},
        "--where 'client_ip in 0.0.0.0/0'": {"where": "client_ip in 0.0.0.0/0"},
        "--where 'path ~ \"^/api/\"'": {"where": 'path ~ "^/api/"'},
        "--where 'user_agent contains \"o\"'": {"where": 'user_agent contains "o"'},
    }


def cpu(work: Callable[[], Any]) -> float:
    """Seconds of CPU that something takes."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(log: Path, asked: Mapping[str, Mapping[str, Any]], runs: int) -> dict[str, float]:
    """The least seconds of each report, and of the one that nothing is asked of (""), which is every fourth."""
    least: dict[str, float] = {}
    logstats.report(log)
    for _ in range(runs):
        for place, (name, options) in enumerate(asked.items()):
            for turn, more in (("", {}), (name, options)) if place % 3 == 0 else ((name, options),):
                taken = cpu(partial(logstats.report, log, **more))
                least[turn] = min(least.get(turn, taken), taken)
    return least


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="what has this text in its name")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {KEPT.name}")
    args = parser.parse_args()
    if args.write and args.only:
        parser.error("--write takes all figures, and --only leaves some out")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, args.lines)
        everything = {what: options for what, options in questions(folder).items() if args.only in what}
        passed = {ROWS: {"until": "2100-01-01"}}  # a filter that all lines pass
        lean, every = (folder / file for file in ("lean.log", "every.log"))
        seconds, without = measure(every, everything, args.runs), measure(lean, passed, args.runs)
    a_line = 1e9 / args.lines
    costs = {ROWS: without[ROWS] - without[""], LOGGED: seconds[""] - without[ROWS]}
    costs |= {what: seconds[what] - seconds[""] for what in everything}
    found = {what: max(round(cost * a_line), 0) for what, cost in costs.items()}
    print(f"{'nothing, of the lean log':50}{without[''] * a_line:8,.0f} ns a line")
    for what, cost in found.items():
        print(f"{what:50}{cost:+8,}")
    if args.write:
        kept = {"lines": args.lines, "runs": args.runs, "nanoseconds": found}
        KEPT.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
