#!/usr/bin/env python3
"""Damage lines of every format, for as long as you like, and hold both paths and detection to their promises.

    scripts/fuzz.py [--seconds 60] [--seed 0] [NAME]...

For each round: the fast path and the reference path say the same of every line; a report of lines that are counted
without rows is that of their rows; every line is a row, rejected or left out; a wrapper keeps every line; the prefilter
rules out no line that its format reads; detection ends, and trying all formats would say the same; a report of such a
file ends. What breaks a promise is printed with its seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import logstats  # noqa: E402
from logstats.formats.detection.detect import Detector  # noqa: E402
from logstats.formats.registry import builtin  # noqa: E402
from logstats.formats.text import Text  # noqa: E402
from logstats.formats.wrappers.wrapper import Wrapper  # noqa: E402


def one_round(name: str, seed: int, folder: Path) -> None:
    """One file of one format. Raises AssertionError, or whatever breaks."""
    from test_line_counter import check as check_counted
    from test_paths_agree import check_prefilter, damaged, fast, slow

    draw = random.Random(f"{name} {seed}")
    lines = damaged(name, draw, draw.choice((1, 7, 60, 400)))
    form = builtin()[name]
    if form.wraps:
        text = Text.from_bytes("\n".join(lines).encode())
        inside = Wrapper(form)(text)
        assert len(inside) == len(text) == inside.lines.len()
    else:
        check_prefilter(name, [line for line in lines if not line.startswith("#")])
        rows, rejected, ignored, _ = found = fast(name, lines)
        assert slow(name, lines) == found, "the two paths differ"
        assert len(rows) + len(rejected) + ignored == len(lines), "a line is missing"
        check_counted(name, [lines[: len(lines) // 2], lines[len(lines) // 2 :]])
    detector = Detector(builtin().values())
    few, thorough = detector.detect(lines), detector.detect(lines, thorough=True)
    assert (few and (few.name, few.sure)) == (thorough and (thorough.name, thorough.sure))
    path = folder / "a.log"
    path.write_bytes(("\n".join(lines) + "\n").encode())
    report = logstats.report(path)
    counted = report.requests + report.events + report.rejected + report.ignored
    assert counted == report.lines == len(lines), "a line is not accounted for"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = given.names or list(builtin())
    end, seed, broken = time.monotonic() + given.seconds, given.seed, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            for name in names:
                try:
                    one_round(name, seed, Path(folder))
                except Exception as error:
                    broken += 1
                    print(f"{name} --seed {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            seed += 1
    print(f"{(seed - given.seed) * len(names):,} files, {broken} broken")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
