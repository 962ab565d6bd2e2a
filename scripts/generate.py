#!/usr/bin/env python3
"""Write the parts of README.md that are made from the program: between `<!-- NAME -->` and `<!-- /NAME -->`.

`--check` writes nothing, and exits with 1 if something is not as it would be written, or if nothing was found.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def formats() -> str:
    """The table of formats, then that of wrappers."""
    from logstats.formats.registry import builtin

    def table(head: str, *, wraps: bool) -> list[str]:
        rows = [f"| {head} | what |", "| --- | --- |"]
        for name, form in builtin().items():
            if form.wraps == wraps:
                also = f" (also {', '.join(f'`{alias}`' for alias in form.aliases)})" if form.aliases else ""
                rows.append(f"| `{name}`{also} | [{form.title.replace('|', '/')}]({form.link}) |")
        return rows

    return "\n".join([*table("format", wraps=False), "", *table("wrapper", wraps=True)])


def options() -> str:
    """The options that commands share, once; then every command and what it has of its own."""
    from typer.main import get_command

    from logstats.cli.main import app

    commands = dict(_commands("logstats", get_command(app)))
    rows = {name: [_row(param) for param in command.params if _is_option(param)] for name, command in commands.items()}
    number = Counter(row for table in rows.values() for row in table)
    shared = [row for row in number if number[row] >= SHARED]
    parts = ["### Options that commands share", "", *_HEAD, *shared]
    for name, command in commands.items():
        arguments = [param.make_metavar(typer.Context(command)) for param in command.params if not _is_option(param)]
        own = [row for row in rows[name] if row not in shared]
        parts += ["", f"### `{' '.join([name, *arguments])}`", "", _first(command.help)]
        parts += ["", *_HEAD, *own] if own else []
    return "\n".join(parts)


SHARED = 2  # commands that have an option in common from which on it is written once
_HEAD = ("| option | what it does |", "| --- | --- |")


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below one, with their full names."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
    for word, sub in (below or {}).items():
        yield from _commands(f"{name} {word}", sub)


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option" and param.name != "help")


def _row(param: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts])
    value = f" `{param.metavar}`" if param.metavar else ""
    default = f" (default `{param.default}`)" if param.show_default and param.default not in (None, False) else ""
    return f"| {names}{value} | {param.help}{default} |".replace("…", "...")


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
