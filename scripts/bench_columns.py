#!/usr/bin/env python3
"""Measure what each column costs that is asked for: nanoseconds of CPU a line for `--by COLUMN`, and for other options.

    python scripts/bench_columns.py --geo FILE.mmdb
    python scripts/bench_columns.py --lines 100000 --runs 3

The log is of JSON lines that have every column of the request schema, of 1,000 clients with 300 agents. Each column
takes turns with the report that nothing is asked of; the least of some runs of each is compared, user and system time
of all threads. Nothing fails here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import logstats
from logstats import schema
from logstats.enrich.computed import Columns

BEGIN: Final = datetime(2025, 1, 17, tzinfo=UTC)
COMPUTED: Final = (
    *("browser", "os", "device", "bot", "bot_class", "source", "hour", "weekday", "ip/24", "query:page"),
    "host,endpoint",
)
NOT_RANKED: Final = ("kind", "timestamp", "duration_ms", "bytes", "query", "message", "extra", "upstream_ms")


def write(path: Path, lines: int) -> None:
    """The log."""
    random = Random(1)
    chrome = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
    )
    agents = [chrome.format(version) if version % 7 else f"SomeBot/{version}" for version in range(300)]
    clients = [f"{random.randrange(1, 224)}.{n % 256}.{n // 256}.{random.randrange(256)}" for n in range(1000)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            client = random.randrange(1000)
            row = {
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
                "user_agent": agents[client % 300],
                "app": f"app{client % 3}",
                "trace_id": f"{random.getrandbits(128):032x}",
                "upstream_cache_status": random.choice(("HIT", "MISS")),
                "upstream_addr": f"10.0.0.{client % 4}:8080",
                "ssl_protocol": "TLSv1.3",
                "request_length": random.randrange(2000),
            }
            file.write(json.dumps(row) + "\n")


def cpu(work: Callable[[], Any]) -> float:
    """Seconds of CPU that something takes."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--geo", help="a database of places, for their columns")
    args = parser.parse_args()
    columns = [name for name in schema.COLUMNS if name not in NOT_RANKED]
    asked: dict[str, dict[str, Any]] = {f"--by {name}": {"by": [name]} for name in (*columns, *COMPUTED)}
    if args.geo:
        known = Columns(geo=(args.geo,)).known_places()
        asked |= {f"--by {name}": {"by": [name], "geo": (args.geo,)} for name in known}
    asked |= {
        "--agents": {"agents": True},
        "--slowest 10": {"slowest": 10},
        "--not-found": {"not_found": True},
        "--anonymize hash": {"anonymize": "hash"},
        "--where": {"where": "status >= 500 and duration > 2ms"},
    }
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "a.log"
        write(log, args.lines)
        logstats.report(log)
        least: dict[str, float] = {}
        nothing = float("inf")
        for name, options in asked.items():
            for _ in range(args.runs):
                nothing = min(nothing, cpu(lambda: logstats.report(log)))
                taken = cpu(lambda options=options: logstats.report(log, **options))  # type: ignore[misc]
                least[name] = min(least.get(name, taken), taken)
        print(f"{'nothing':24}{nothing / args.lines * 1e9:8,.0f} ns a line")
        for name, taken in least.items():
            print(f"{name:24}{(taken - nothing) / args.lines * 1e9:+8,.0f}")


if __name__ == "__main__":
    main()
