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

This file is the command. What it makes is in the files beside it: sample_site (what can be asked, and by whom),
sample_lines (how each format writes a request), sample_traffic (a day of it), sample_truth (what is true of a file).
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` leaves out the folder of the script

from sample_lines import FORMATS
from sample_site import Person, people
from sample_traffic import Day, write
from sample_truth import Truth, truth_text

ROOT: Final = Path(__file__).resolve().parent.parent


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
