#!/usr/bin/env python3
"""How fast every format is read: lines a second of `logstats report`, and how that compares with combined.

    scripts/bench_formats.py [--lines N] [NAME]...

The lines are the first sample of the format, over and over, with another path and another second each. Figures are
those of the best of three runs, in turns with combined; they fail nothing.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import logstats
from logstats.formats.model import Format
from logstats.formats.registry import builtin

_SECOND = re.compile(r"([0-9]{2}:[0-9]{2}:)[0-9]{2}")
RUNS = 3


def lines_of(form: Format, number: int) -> Iterator[str]:
    """So many lines of a format."""
    samples = [sample for sample in form.samples if not sample.rejected][:1]
    head: list[str] = []
    samples_lines: list[tuple[str, str]] = []
    for sample in samples:
        *directives, line = sample.line.split("\n")
        if not samples_lines or not directives:  # one set of W3C columns is enough
            head += directives
            samples_lines.append((line, str(sample.expect.get("path", ""))))
    yield from head
    for i in range(number):
        line, path = samples_lines[i % len(samples_lines)]
        if len(path) > 1:
            line = line.replace(path, f"{path}/{i % 997}", 1)
        yield _SECOND.sub(lambda match, i=i: f"{match[1]}{i // 20 % 60:02d}", line, count=1)  # type: ignore[misc]


def seconds(path: Path, name: str) -> float:
    """How long a report of a file takes."""
    began = time.perf_counter()
    report = logstats.report(path, format=name)
    taken = time.perf_counter() - began
    if report.rejected:
        raise SystemExit(f"{name}: {report.rejected} lines of its own samples are rejected: {report.rejects}")
    return taken


def table(names: Sequence[str], number: int) -> None:
    """Print lines a second of each format, and the ratio to combined, with which it takes turns."""
    formats = {name: form for name, form in builtin().items() if not form.wraps}
    print(f"{'format':20} {'engine':10} {'lines/s':>12}  of combined")
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.log" for name in ["combined", *(names or formats)]}
        for name, path in paths.items():
            path.write_text("\n".join(lines_of(formats[name], number)) + "\n", encoding="utf-8")
            turns = [(seconds(path, name), seconds(paths["combined"], "combined")) for _ in range(RUNS)]
            own, combined = (min(taken) for taken in zip(*turns, strict=True))
            print(f"{name:20} {formats[name].engine:10} {number / own:12,.0f}  {combined / own:6.2f}", flush=True)
            if name != "combined":
                path.unlink()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--lines", type=int, default=200_000)
    given = parser.parse_args()
    table(given.names, given.lines)


if __name__ == "__main__":
    main()
