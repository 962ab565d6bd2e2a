"""The options that commands share: one definition of each."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from logstats import allocators
from logstats.errors import LogstatsError, UsageError

if TYPE_CHECKING:
    from logstats.api import Options

Group = Mapping[str, tuple[Any, Any]]  # parameter → how Typer reads it, and its default
SharedOptions = Mapping[str, Any]
SHARED: Final[SharedOptions] = MappingProxyType({})  # stands where `shared_options` puts the shared options

_READING, _FILTERS, _OUTPUT = "How lines are read", "Which lines count", "Output"

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SOURCE]...",
        help="Files, globs, folders (their files, oldest first), or - for standard input. "
        "gzip, zstd, bzip2 and xz are known by their content.",
        show_default=False,
    ),
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="The format of the lines; found out if not given.",
        rich_help_panel=_READING,
    ),
]
LogFormat = Annotated[
    str | None,
    typer.Option(
        "--log-format",
        metavar="STRING",
        help="The server's own definition: an nginx log_format or an Apache LogFormat.",
        rich_help_panel=_READING,
    ),
]
FormatsDir = Annotated[
    str | None,
    typer.Option(
        "--formats-dir",
        metavar="DIR",
        help="A folder of formats of your own (.toml).",
        rich_help_panel=_READING,
    ),
]
Zone = Annotated[
    str,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="The zone of times without one, and where a day begins.",
        rich_help_panel=_READING,
    ),
]
App = Annotated[
    str | None,
    typer.Option("--app", metavar="NAME", help="app_name of lines that name none.", rich_help_panel=_READING),
]
TrustForwarded = Annotated[
    bool,
    typer.Option(
        "--trust-forwarded",
        help="The client is the first address of X-Forwarded-For, where it is logged.",
        rich_help_panel=_READING,
    ),
]
Route = Annotated[
    list[str] | None,
    typer.Option(
        "--route",
        metavar="ROUTE",
        help="An endpoint such as '/users/{id}'; repeatable.",
        show_default=False,
        rich_help_panel=_READING,
    ),
]
Routes = Annotated[
    str | None,
    typer.Option(
        "--routes",
        metavar="FILE",
        help="Endpoints from an OpenAPI or Swagger document.",
        rich_help_panel=_READING,
    ),
]
NoTemplates = Annotated[
    bool, typer.Option("--no-templates", help="Paths are endpoints as they are.", rich_help_panel=_READING)
]

Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="T",
        help="From this time: 2025-01-17T10:30, 15m, 2h, 7d, today, yesterday.",
        rich_help_panel=_FILTERS,
    ),
]
Until = Annotated[str | None, typer.Option("--until", metavar="T", help="Before this time.", rich_help_panel=_FILTERS)]


def _listed(name: str, metavar: str, words: str) -> Any:
    return typer.Option(name, metavar=metavar, help=words, show_default=False, rich_help_panel=_FILTERS)


Words = list[str] | None
Status = Annotated[Words, _listed("--status", "5xx,404", "Only these statuses.")]
Method = Annotated[Words, _listed("--method", "GET", "Only these methods.")]
PathGlob = Annotated[Words, _listed("--path", "GLOB", "Only these paths (* matches / too).")]
HostGlob = Annotated[Words, _listed("--host", "GLOB", "Only these hosts.")]
ExcludeStatus = Annotated[Words, _listed("--exclude-status", "5xx,404", "Not these statuses.")]
ExcludeMethod = Annotated[Words, _listed("--exclude-method", "GET", "Not these methods.")]
ExcludePath = Annotated[Words, _listed("--exclude-path", "GLOB", "Not these paths.")]
ExcludeHost = Annotated[Words, _listed("--exclude-host", "GLOB", "Not these hosts.")]

ArchiveDir = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        help="An archive's folder; LOGSTATS_ARCHIVE stands in for it.",
        show_default=False,
    ),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="Exit with 3 if this holds: 'p99 > 500ms', 'error_rate > 1%', 'GET /api/bugs*: p95 > 200ms'; repeatable.",
        show_default=False,
        rich_help_panel="Thresholds",
    ),
]

READING: Final[Group] = {
    "format": (FormatName, None),
    "log_format": (LogFormat, None),
    "formats_dir": (FormatsDir, None),
    "tz": (Zone, "UTC"),
    "app": (App, None),
    "trust_forwarded": (TrustForwarded, False),
    "route": (Route, None),
    "routes": (Routes, None),
    "no_templates": (NoTemplates, False),
}
FILTERS: Final[Group] = {
    "since": (Since, None),
    "until": (Until, None),
    "status": (Status, None),
    "method": (Method, None),
    "path": (PathGlob, None),
    "host": (HostGlob, None),
    "exclude_status": (ExcludeStatus, None),
    "exclude_method": (ExcludeMethod, None),
    "exclude_path": (ExcludePath, None),
    "exclude_host": (ExcludeHost, None),
}

Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write to a file, whole or not at all; %Y-%m-%d is the day of --since, or today.",
        rich_help_panel=_OUTPUT,
    ),
]
RejectsFile = Annotated[
    str | None,
    typer.Option(
        "--rejects",
        metavar="FILE",
        help="Write the lines that could not be read here, as they came.",
        rich_help_panel=_OUTPUT,
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 4 if a line could not be read.", rich_help_panel=_OUTPUT)
]
Progress = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Show progress on standard error; only ever on a terminal.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Say nothing but errors on standard error.", rich_help_panel=_OUTPUT),
]


def shared_options(*groups: Group) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A command that has the options of these groups where its signature says `given`, and gets their values in it.

    What is given but empty is a UsageError, whichever option it is.
    """
    shared = {name: option for group in groups for name, option in group.items()}

    def join(command: Callable[..., int]) -> Callable[..., int]:
        parameters: list[inspect.Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            if own.name != "given":
                parameters.append(own)
                continue
            for name, (kind, default) in shared.items():
                parameters.append(inspect.Parameter(name, own.kind, default=default, annotation=kind))

        @wraps(command)
        def run(**values: Any) -> int:
            _refuse_empty(values)
            allocators.configure()
            return command(given={name: values.pop(name) for name in shared}, **values)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return join


def _refuse_empty(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name != "sources" and (value == "" or (isinstance(value, list) and not all(v.strip(" ,") for v in value))):
            raise UsageError(f"--{name.replace('_', '-')} is given, but empty", "is a shell variable unset?")


def words(values: Sequence[str] | None) -> tuple[str, ...]:
    """`--status 5xx,404 --status 301` → ("5xx", "404", "301")."""
    return tuple(word.strip() for value in values or () for word in value.split(",") if word.strip())


def reading_options(given: Mapping[str, Any]) -> Options:
    """The library's options from those that a command `shared_options`."""
    from logstats.api import Options

    listed = ("status", "method", "exclude_status", "exclude_method")
    globs = ("path", "host", "exclude_path", "exclude_host")  # may hold a comma
    renamed = {"route": "routes", "routes": "openapi"}
    values = {renamed.get(name, name): value for name, value in given.items() if name != "no_templates"}
    values |= {name: words(given[name]) for name in listed if name in given}
    values |= {name: given[name] or () for name in globs if name in given}
    values["routes"] = given["route"] or ()
    return Options(**values, templates=not given["no_templates"])


@contextmanager
def rejects_file(path: str | None, sources: Sequence[str] | None) -> Iterator[Callable[[list[bytes]], None] | None]:
    """What writes rejected lines to a file, as they came; None without a file. Raises LogstatsError."""
    if path is None:
        yield None
        return
    spare(path, sources, "--rejects")
    try:
        file = Path(path).open("wb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise LogstatsError(
            f"{path}: {(error.strerror or str(error)).lower()}", "--rejects needs a place it may write to"
        ) from None
    with file:
        yield lambda lines: file.writelines(line + b"\n" for line in lines)


def spare(path: str | None, sources: Sequence[str] | None, option: str) -> None:
    """Never write over what is read. Raises UsageError."""
    if path is None or not Path(path).is_file():
        return
    from logstats.inputs import discover

    named = [source for source in sources or () if source != "-"]
    for source in discover(named)[0] if named else ():
        if source.path is not None and source.path.samefile(path):
            raise UsageError(f"{option} {path} would write over a source", "name another file")


def moment(chosen: Options) -> datetime:
    """The time whose fields stand in the name of `--out`: that of `--since`, or now, in the zone of `--tz`."""
    return (chosen.filters().since or datetime.now(UTC)).astimezone(ZoneInfo(chosen.zone()))


def archive_or_none(given: str | None, sources: Sequence[str] | None) -> str | None:
    """The archive that is asked, if one is: what is named counts before what the environment holds."""
    return given or (None if sources else os.environ.get("LOGSTATS_ARCHIVE")) or None


def archive_dir(given: str | None) -> str:
    """The archive that was asked for. Raises UsageError."""
    place = archive_or_none(given, None)
    if not place:
        raise UsageError("which archive?", "name its folder with --archive DIR, or in LOGSTATS_ARCHIVE")
    return place


def choice(name: str, value: str, known: Sequence[str]) -> str:
    """One of some words. Raises UsageError."""
    if value not in known:
        raise UsageError(f"{name} {value!r} is not known", f"choose among {', '.join(known)}")
    return value
