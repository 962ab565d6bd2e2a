"""The tables of the manual that are made from the code: formats, options, JSON keys, SQL macros, exit codes, …

Each is a function that gives Markdown; a page asks for one by its name, alone on a line: `<!-- formats -->`.
`program` is the command line, as Typer makes it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import zip_longest
from typing import Any, Final

SHARED: Final = 2  # commands that have an option in common from which on it is written once

# Environment variables, and what they do.
ENVIRONMENT: Final = {
    "LOGSTATS_ARCHIVE": "the archive, where --archive is not given and no source is named",
    "AWS_ENDPOINT_URL": "where s3:// is, if not at AWS; AWS_REGION, AWS_PROFILE and credentials are heeded, too",
    "LOGSTATS_CONFIG": "the configuration file; empty for none",
    "LOGSTATS_PAGER": "the pager of a report that is taller than the terminal; empty or cat for none",
    "PAGER": "the pager, if LOGSTATS_PAGER is not set",
    "NO_COLOR": "no colours",
    "XDG_CONFIG_HOME": "where the folder logstats/ with the configuration and your own formats is (~/.config)",
}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def formats(program: Any) -> str:
    """Every format that ships."""
    return _formats("format", wraps=False)


def wrappers(program: Any) -> str:
    """What is taken off around a line."""
    return _formats("wrapper", wraps=True)


def _formats(head: str, *, wraps: bool) -> str:
    from logstats.formats.registry import builtin

    rows = []
    for name, form in builtin().items():
        if form.wraps == wraps:
            also = f" (also {', '.join(f'`{alias}`' for alias in form.aliases)})" if form.aliases else ""
            rows.append([f"`{name}`{also}", f"[{form.title.replace('|', '/')}]({form.link})"])
    return _table([head, "what"], rows)


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below one, with their full names."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
    for word, sub in (below or {}).items():
        yield from commands(f"{name} {word}", sub)


def visible(command: Any) -> list[Any]:
    """The options of a command that are shown."""
    return [
        param
        for param in command.params
        if param.param_type_name == "option" and param.name != "help" and not param.hidden
    ]


def usage(name: str, command: Any) -> str:
    """A command with its arguments: `logstats parse [SOURCE]...`."""
    from typer import Context

    arguments = [param for param in command.params if param.param_type_name != "option"]
    return " ".join([name, *(param.make_metavar(Context(command)) for param in arguments)])


def spelled(param: Any) -> str:
    """An option as it is typed: `-o, --output KIND`."""
    names = ", ".join([*param.opts, *param.secondary_opts])
    return f"{names} {param.metavar}" if param.metavar else names


def described(param: Any) -> str:
    """What an option does, and what it is if it is not given."""
    shown = param.show_default and not param.is_flag and param.default not in (None, False)
    return f"{param.help} (default `{param.default}`)" if shown else str(param.help)


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a text, in one line."""
    return " ".join((text or "").split("\n\n")[0].split())


def options(program: Any) -> str:
    """The options that commands share, once; then every command and what it has of its own."""
    every = dict(commands("logstats", program))
    rows = {name: [(spelled(param), described(param)) for param in visible(command)] for name, command in every.items()}
    number = Counter(row for table in rows.values() for row in table)
    common = [row for row in number if number[row] >= SHARED]
    head = ["option", "what it does"]

    def table(some: Sequence[tuple[str, str]]) -> str:
        return _table(head, [[f"`{names}`", words] for names, words in some])

    parts = ["## Options that commands share", table(common)]
    for name, command in every.items():
        own = [row for row in rows[name] if row not in common]
        parts += [f"## `{usage(name, command)}`", "\n\n".join(_paragraphs(command.help))]
        parts += [table(own)] if own else []
    return "\n\n".join(parts)


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(part.split()) for part in (text or "").split("\n\n")]


def keys(program: Any) -> str:
    """The keys of the JSON report, from its schema."""
    from logstats.reports.schema import load_schema

    schema = json.loads(load_schema())
    return _table(
        ["key", "what it holds"], [[f"`{key}`", value["description"]] for key, value in schema["properties"].items()]
    )


def exit_codes(program: Any) -> str:
    """What each exit code means."""
    from logstats.errors import MEANINGS

    return _table(["code", "meaning"], [[str(int(code)), words] for code, words in MEANINGS.items()])


def macros(program: Any) -> str:
    """The SQL macros, from the comments above each of them."""
    sql = (resources.files("logstats.archive") / "publish" / "macros.sql").read_text(encoding="utf-8")
    found = re.findall(r"((?:^-- .*\n)+)(?:^--> (.*)\n)?CREATE OR REPLACE MACRO (\w+\(.*?\)) AS", sql, re.MULTILINE)
    rows = []
    for comment, example, name in found:
        words = " ".join(line.removeprefix("-- ") for line in comment.splitlines())
        rows.append([f"`{name}`", words + (f" Example: `{example}`." if example else "")])
    return _table(["macro", "what it gives"], rows)


def columns(program: Any) -> str:
    """The columns of the request schema."""
    from logstats import schema

    return ", ".join(f"`{column}`" for column in schema.COLUMNS)


def reasons(program: Any) -> str:
    """Why a line is rejected."""
    from logstats.reports.reasons import REASONS

    return _table(["reason", "what it means"], [[f"`{reason}`", words] for reason, words in REASONS.items()])


def environment(program: Any) -> str:
    """The environment variables that are heeded."""
    return _table(["variable", "what it does"], [[f"`{name}`", words] for name, words in ENVIRONMENT.items()])


def column_costs(program: Any) -> str:
    """What asking for a column costs, as scripts/bench_columns.py has kept it."""
    kept = json.loads((resources.files("logstats.manual") / "column_costs.json").read_text(encoding="utf-8"))
    cells = [
        [f"`{what}`" if what.startswith("--") else what, f"{cost:,}"] for what, cost in kept["nanoseconds"].items()
    ]
    half = (len(cells) + 1) // 2
    rows = [left + right for left, right in zip_longest(cells[:half], cells[half:], fillvalue=["", ""])]
    return _table(["asked for", "ns", "asked for", "ns"], rows)


PARTS: Final[Mapping[str, Callable[[Any], str]]] = {
    "column-costs": column_costs,
    "formats": formats,
    "wrappers": wrappers,
    "options": options,
    "keys": keys,
    "exit-codes": exit_codes,
    "macros": macros,
    "environment": environment,
    "columns": columns,
    "reasons": reasons,
}
