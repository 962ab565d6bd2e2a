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
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def formats() -> str:
    """The table of formats."""
    from logstats.formats.registry import builtin

    rows = [f"| `{name}` | [{form.title}]({form.link}) | {form.engine} |" for name, form in builtin().items()]
    return "\n".join(["| name | what | engine |", "| --- | --- | --- |", *rows])


def options() -> str:
    """The options of every command, by panel."""
    from typer.main import get_command

    from logstats.cli.main import app

    command: Any = get_command(app)
    parts = []
    for name, sub in command.commands.items():
        parts += [f"### `logstats {name}`", "", _first(sub.help), "", "| option | what it does |", "| --- | --- |"]
        for param in sub.params:
            if param.param_type_name != "option" or param.name == "help":
                continue
            names = ", ".join(f"`{n}`" for n in [*param.opts, *param.secondary_opts])
            value = f" `{param.metavar}`" if param.metavar else ""
            default = (
                f" (default `{param.default}`)" if param.show_default and param.default not in (None, False) else ""
            )
            parts.append(f"| {names}{value} | {param.help}{default} |".replace("…", "..."))
        parts.append("")
    return "\n".join(parts).rstrip()


def keys() -> str:
    """The keys of the JSON report, from its schema."""
    import json

    from logstats.reports.schema import load_schema

    schema = json.loads(load_schema())
    rows = [f"| `{key}` | {value['description']} |" for key, value in schema["properties"].items()]
    return "\n".join(["| key | what it holds |", "| --- | --- |", *rows])


def example() -> str:
    """The report of a sample, as a terminal of 80 columns shows it."""
    run = [sys.executable, "-m", "logstats", "report", "-q", "sample_logs/combined_time.log", "--top", "5"]
    shown = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    return f"```console\n$ logstats report sample_logs/combined_time.log --top 5\n{shown}```"


def _first(text: str | None) -> str:
    return (text or "").split("\n\n")[0].replace("\n", " ")


PARTS: dict[str, Callable[[], str]] = {"formats": formats, "options": options, "keys": keys, "example": example}


def main() -> int:
    """Write, or check."""
    before = README.read_text(encoding="utf-8")
    after = before
    for name, make in PARTS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(after):
            print(f"README.md has no part called {name}", file=sys.stderr)
            return 1
        text = make()
        after = pattern.sub(lambda match, text=text: f"{match[1]}{text}{match[2]}", after)  # type: ignore[misc]
    if "--check" in sys.argv:
        if after != before:
            print("README.md is not up to date: run scripts/generate.py", file=sys.stderr)
        return int(after != before)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
