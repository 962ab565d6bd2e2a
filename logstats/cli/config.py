"""The configuration file, and `logstats config`.

`~/.config/logstats/config.toml` holds defaults for options: `[defaults]` for all commands that have them, `[report]`
or `[archive.add]` for one. `LOGSTATS_CONFIG` names another file or, if it is empty, none. What the command line says
counts first, then the environment, then the table of the command, then `[defaults]`, then what is built in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from logstats.cli import options as shared
from logstats.cli.output import show
from logstats.dataclass import dataclass
from logstats.errors import ConfigError, ExitCode, UsageError
from logstats.home import user_folder, user_path

FILE: Final = "config.toml"
DEFAULTS: Final = "defaults"  # the table for all commands
_NEVER: Final = {"help", "version", "install_completion", "show_completion"}  # these do something else instead


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults in a configuration file, and its path; `values` are options by command (such as "archive add")."""

    file: Path | None = None
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """The values nested as the commands are, which is how Typer takes them."""
        made: dict[str, Any] = {}
        for command, values in self.values.items():
            place = made
            for word in command.split():
                place = place.setdefault(word, {})
            place.update(values)
        return made


def commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The commands below a group, by name: "report", "archive add"."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
    for word, sub in (below or {}).items():
        yield from commands(sub, f"{name} {word}".strip())


def configurable(command: Any) -> dict[str, Any]:
    """The options of a command that a file may set, by the key that they have there."""
    return {
        param.name: param
        for param in command.params
        if param.param_type_name == "option" and not param.hidden and param.name not in _NEVER
    }


def file() -> Path | None:
    """The configuration file in force, if there is one. Raises ConfigError if the one that is named is not there."""
    named = os.environ.get("LOGSTATS_CONFIG")
    if named is None:
        return user_path(FILE)
    if named and not Path(named).exists():
        raise ConfigError(f"{named}: no such file", "LOGSTATS_CONFIG names the configuration file; empty, none is read")
    return Path(named) if named else None


def load(program: Any) -> Defaults:
    """The defaults that the file sets for the commands of a program. Raises ConfigError."""
    path = file()
    if path is None:
        return Defaults()
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}", _NONE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", 'it is written in TOML: tz = "Europe/Berlin"') from None
    return Defaults(path, _values(path, table, dict(commands(program))))


_NONE = "LOGSTATS_CONFIG= (empty) goes without a configuration file"


def _values(path: Path, table: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    options = {name: configurable(command) for name, command in known.items()}
    everywhere = {key: param for params in options.values() for key, param in params.items()}
    found: dict[str, dict[str, Any]] = {name: {} for name in known}
    own: list[tuple[str, Mapping[str, Any]]] = []
    shared_values: Mapping[str, Any] = {}
    for name, values in table.items():
        below = [command for command in known if command.split()[0] == name]
        if not isinstance(values, dict):
            hint = (
                f"write it below [{DEFAULTS}]" if _key(name, everywhere) in everywhere else f"tables: {_tables(known)}"
            )
            raise ConfigError(f"{path}: {name} stands outside of a table", hint)
        if name == DEFAULTS:
            shared_values = values
        elif not below:
            raise ConfigError(f"{path}: [{name}] is no command", _nearest(name, _tables(known).split(", ")))
        elif below == [name]:
            own.append((name, values))
        else:
            for sub, inner in values.items():
                if f"{name} {sub}" not in known or not isinstance(inner, dict):
                    raise ConfigError(f"{path}: [{name}] {sub} is no command", f"write one of {_tables(below)}")
                own.append((f"{name} {sub}", inner))
    for key, value in shared_values.items():
        if _key(key, everywhere) not in everywhere:
            raise ConfigError(f"{path}: [{DEFAULTS}] {key} is no option", _nearest(key, sorted(everywhere)))
        takers = [name for name in known if _key(key, options[name]) in options[name]]
        problems = []
        for name in takers:
            try:
                found[name][_key(key, options[name])] = _value(path, DEFAULTS, key, value, known[name])
            except ConfigError as problem:  # `-o html` is nothing that `slo` knows: it keeps its own default
                problems.append(problem)
        if len(problems) == len(takers):
            raise problems[0]
    for name, values in own:
        for key, value in values.items():
            if _key(key, options[name]) not in options[name]:
                raise ConfigError(f"{path}: [{_table(name)}] {key} is no option", _nearest(key, sorted(options[name])))
            found[name][_key(key, options[name])] = _value(path, _table(name), key, value, known[name])
    return found


def _value(path: Path, table: str, key: str, value: Any, command: Any) -> Any:
    """A value as Typer takes it. Raises ConfigError."""
    options = configurable(command)
    param = options[_key(key, options)]
    where = f"{path}: [{table}] {key} = {json.dumps(value, default=str)}"
    kind = param.type.name
    if param.is_flag:
        if not isinstance(value, bool):
            raise ConfigError(where, "it is true or false")
        return value
    if param.multiple:
        value = value if isinstance(value, list) else [value]
    listed = value if param.multiple else [value]
    for each in listed:
        if kind.startswith("int"):
            if isinstance(each, bool) or not isinstance(each, int):
                raise ConfigError(where, "it is a whole number")
        elif not isinstance(each, str):
            raise ConfigError(where, 'it is a text: write it in quotes "…"' + (" or a list" if param.multiple else ""))
        try:
            param.type.convert(each, param, None)
        except Exception as error:  # Typer's BadParameter, which it does not export under its own name
            raise ConfigError(where, getattr(error, "message", str(error))) from None
    option = getattr(command.callback, "options", {}).get(param.name)
    if option is not None:
        try:
            option.check(value)
        except UsageError as error:
            raise ConfigError(f"{where}: {error.what}", error.hint) from None
    return value


def _key(name: str, options: Mapping[str, Any]) -> str:
    """`exclude-status` may also be written `exclude_status`, and an option that is repeatable in the plural."""
    key = name.replace("-", "_")
    single = key.removesuffix("s")
    return single if key not in options and single in options and options[single].multiple else key


def _table(command: str) -> str:
    return command.replace(" ", ".")


def _tables(names: Any) -> str:
    return ", ".join([DEFAULTS, *map(_table, names)])


def _nearest(word: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word.replace("-", "_"), known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "logstats config lists them all"


@shared.command()
def config(
    context: typer.Context,
    output: Annotated[str, shared.output_option("table", "json", "toml")] = "table",
) -> int:
    """Every default, and where it comes from: built in, the configuration file, the environment.

    `-o toml` writes a configuration file with all of them, commented out, to start from.
    """
    from logstats.manual.reference import ENVIRONMENT

    program = context.find_root().command
    defaults = load(program)
    rows = list(_rows(program, defaults))
    if output == "json":
        print(
            json.dumps(
                {
                    "file": str(defaults.file) if defaults.file else None,
                    "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                    "defaults": [
                        {"command": command, "option": key, "value": value, "from": source}
                        for command, key, value, source in rows
                    ],
                }
            )
        )
        return int(ExitCode.DONE)
    show(("\n".join(_toml(rows) if output == "toml" else _text(rows, defaults)) + "\n").encode())
    return int(ExitCode.DONE)


def _rows(program: Any, defaults: Defaults) -> Iterator[tuple[str, str, Any, str]]:
    """Command, option, value and where it comes from."""
    for name, command in commands(program):
        from_file = defaults.values.get(name, {})
        for key, param in configurable(command).items():
            value, source = param.default, "built in"
            if key in from_file:
                value, source = from_file[key], "file"
            if key == "archive" and os.environ.get("LOGSTATS_ARCHIVE"):
                value, source = os.environ["LOGSTATS_ARCHIVE"], "environment"
            yield name, key, value, source


def _text(rows: list[tuple[str, str, Any, str]], defaults: Defaults) -> Iterator[str]:
    from logstats.manual.reference import ENVIRONMENT
    from logstats.reports.printable import printable

    if defaults.file:
        yield f"Configuration file: {printable(str(defaults.file))}"
    else:
        place = None if os.environ.get("LOGSTATS_CONFIG") == "" else user_folder()
        none = "none is to be read (LOGSTATS_CONFIG is empty)"
        yield f"Configuration file: {f'none, it would be {printable(str(place / FILE))}' if place else none}"
    for variable, words in ENVIRONMENT.items():
        if variable in os.environ:
            yield f"{variable}={printable(os.environ[variable])}  ({words})"
    width = max(len(key) for _, key, _, _ in rows) + 2
    before = ""
    for command, key, value, source in rows:
        if command != before:
            yield f"\n{command}"
            before = command
        shown = "–" if value is None or value == [] else printable(json.dumps(value, ensure_ascii=False))
        yield f"  {'--' + key.replace('_', '-'):{width}}  {shown:30}  {source}".rstrip()


def _toml(rows: list[tuple[str, str, Any, str]]) -> Iterator[str]:
    yield "# Defaults of logstats: a line without its # is in force. [defaults] is for all commands."
    yield "[defaults]"
    before = ""
    for command, key, value, source in rows:
        if command != before:
            yield f"\n[{_table(command)}]"
            before = command
        mark = "" if source == "file" else "# "
        yield f"{mark}{key} = {'...' if value is None else json.dumps(value, ensure_ascii=False)}"
