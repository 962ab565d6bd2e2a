#!/usr/bin/env python3
"""Write the parts of README.md that are made from the program: between `<!-- NAME -->` and `<!-- /NAME -->`.

`--check` writes nothing, and exits with 1 if something is not as it would be written, or if nothing was found.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def topics() -> str:
    """The pages of the manual."""
    from logstats.manual.topics import titles

    rows = [f"| `{name}` | {title} |" for name, title in titles().items()]
    return "\n".join(["| topic | what it is about |", "| --- | --- |", *rows])


def example() -> str:
    """The report of a sample, as a terminal of 80 columns shows it."""
    run = [sys.executable, "-m", "logstats", "report", "-q", "sample_logs/combined_time.log", "--top", "5"]
    shown = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    return f"```console\n$ logstats report sample_logs/combined_time.log --top 5\n{shown}```"


PARTS: dict[str, Callable[[], str]] = {"example": example, "topics": topics}


def main() -> int:
    """Write, or check."""
    before = README.read_text(encoding="utf-8")
    after = before
    for name, make in PARTS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(after):
            print(f"README.md has no part called {name}", file=sys.stderr)
            return 1
        text = make()
        after = pattern.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", after)  # type: ignore[misc]
    if "--check" in sys.argv:
        if after != before:
            print("README.md is not up to date: run scripts/generate.py", file=sys.stderr)
        return int(after != before)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
