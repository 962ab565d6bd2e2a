#!/usr/bin/env python3
"""Write what is made from the program: the parts of README.md between `<!-- NAME -->` and `<!-- /NAME -->`, and the
index of the built-in formats, logstats/formats/builtin.jsonl.

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


def column_costs() -> str:
    """What asking for a column costs."""
    from logstats.manual import reference

    return reference.column_costs(None)


PARTS: dict[str, Callable[[], str]] = {"example": example, "topics": topics, "column-costs": column_costs}


def readme() -> str:
    """README.md with its parts."""
    text = README.read_text(encoding="utf-8")
    for name, make in PARTS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no part called {name}")
        part = make()
        text = pattern.sub(lambda match, part=part: f"{match[1]}{part}\n{match[2]}", text)  # type: ignore[misc]
    return text


def index() -> str:
    """The index of the built-in formats."""
    from logstats.formats import registry

    return registry.index()


FILES: dict[Path, Callable[[], str]] = {ROOT / "logstats" / "formats" / "builtin.jsonl": index, README: readme}


def main() -> int:
    """Write, or check."""
    stale = False
    for path, make in FILES.items():
        made = make()
        if path.exists() and made == path.read_text(encoding="utf-8"):
            continue
        stale = True
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is not up to date: run scripts/generate.py", file=sys.stderr)
        else:
            path.write_text(made, encoding="utf-8")
    return int(stale and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
