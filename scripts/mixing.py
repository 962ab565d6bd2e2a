#!/usr/bin/env python3
"""Mix every two built-in formats in one file, nothing named, and say which lines are not read as their own format.

    scripts/mixing.py [--jobs 2] [--some N] [--seed N] [--out FILE] [NAME]...

For each pair: 150 lines of the one, then 150 of the other; the other way round; and one of each in turn. A line must
become the row that its own format makes of it, or be rejected. With names, only pairs that have one of them. The exit
status is 1 if a line is read otherwise, unless both formats write the same text (`mixtures.why_alike`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import mixtures  # noqa: E402

RUN = 20  # pairs that are read in one run


def pairs(names: list[str], some: int | None, seed: int) -> list[tuple[str, str]]:
    """The pairs of dialects, by name, in an order that tells something soon: all, or some of them."""
    found = [
        (one, two)
        for one, two in combinations(mixtures.names(), 2)
        if not names or {one, two, one.split(" ")[0], two.split(" ")[0]} & {*names}
    ]
    return random.Random(seed).sample(found, len(found) if some is None else min(some, len(found)))


def mixed(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """What becomes of both dialects in each mixture of them, for some pairs, which are read in one run."""
    dialects = [(mixtures.dialect(one), mixtures.dialect(two)) for one, two in pairs]
    tried = [(one, two, way, mixture) for one, two in dialects for way, mixture in mixtures.mixed(one, two).items()]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        all_read = mixtures.read_all([mixture for *_, mixture in tried], Path(folder))
    for (one, two, way, _), read in zip(tried, all_read, strict=True):
        for name, outcome in read.outcomes.items():
            wrong = [odd for odd in outcome.wrong if not mixtures.why_alike(one, two, odd[1])]
            found.append(
                {
                    "of": name,
                    "with": two.name if name == one.name else one.name,
                    "way": way,
                    "right": outcome.right,
                    "rejected": outcome.rejected,
                    "wrong": wrong,
                    "alike": len(outcome.wrong) - len(wrong),
                    "formats": read.formats,
                    "notes": read.notes,
                }
            )
    return found


_WORDS = {
    "right": "right",
    "rejected": "rejected",
    "alike": "read as the other format has it, which writes the same text",
    "wrong": "wrong",
}


def shown(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The figures, then what is wrong, then what is rejected, each kind once."""
    total = Counter[str]()
    for row in rows:
        total.update(right=row["right"], rejected=row["rejected"], alike=row["alike"])
        total["wrong"] += len(row["wrong"])
    mixtures_tried = len({(*sorted((row["of"], row["with"])), row["way"]) for row in rows})
    yield f"{mixtures_tried:,} mixtures, {total.total():,} lines"
    for word, words in _WORDS.items():
        yield f"{total[word]:>12,} {words}"
    for title, chosen in (
        ("wrong", [row for row in rows if row["wrong"]]),
        ("rejected", [row for row in rows if row["rejected"]]),
    ):
        groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for row in chosen:
            columns = ", ".join(sorted({wrong[1] for wrong in row["wrong"]})) if title == "wrong" else ""
            groups.setdefault((row["of"], row["way"], columns), []).append(row)
        yield f"\n{title}: {len(chosen):,} of {len(rows):,}"
        for (of, way, columns), some in sorted(groups.items(), key=lambda item: -len(item[1])):
            beside = ", ".join(row["with"] for row in some[:6])
            yield f"  {of}, {way}, beside {len(some)} ({beside}){': ' + columns if columns else ''}"
            if title == "wrong":
                row = some[0]
                line, column, want, have = row["wrong"][0]
                yield f"    {'|'.join(row['formats'])}: {column} is {have!r}, not {want!r}: {line[:200]}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--some", type=int, metavar="N", help="only so many pairs")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--out", type=Path, help="all outcomes as JSON lines, as they come")
    given = parser.parse_args()
    tried = pairs(given.names, given.some, given.seed)
    runs = [tried[place : place + RUN] for place in range(0, len(tried), RUN)]
    rows = []
    with (
        ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool,
        given.out.open("w") if given.out else nullcontext() as out,
    ):
        for found in pool.map(mixed, runs):
            rows += found
            if out:  # each as soon as it is known
                out.write("".join(json.dumps(row, default=str) + "\n" for row in found))
                out.flush()
    print("\n".join(shown(rows)))
    return int(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
