"""The options that commands share: one definition of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logstats.errors import LogstatsError, UsageError

if TYPE_CHECKING:
    from logstats.api import Options

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


def words(values: Sequence[str] | None) -> tuple[str, ...]:
    """`--status 5xx,404 --status 301` → ("5xx", "404", "301")."""
    return tuple(word.strip() for value in values or () for word in value.split(",") if word.strip())


def reading_options(given: dict[str, Any]) -> Options:
    """The library's options from those of a command (its `locals()`). Raises UsageError."""
    from logstats.api import Options

    for name, value in given.items():
        if name != "sources" and (value == "" or (isinstance(value, list) and not all(v.strip(" ,") for v in value))):
            raise UsageError(f"--{name.replace('_', '-')} is given, but empty", "is a shell variable unset?")

    return Options(
        format=given["format"],
        log_format=given["log_format"],
        formats_dir=given["formats_dir"],
        tz=given["tz"],
        app=given["app"],
        since=given["since"],
        until=given["until"],
        status=words(given["status"]),
        method=words(given["method"]),
        path=given["path"] or (),  # a glob may hold a comma
        host=given["host"] or (),
        exclude_status=words(given["exclude_status"]),
        exclude_method=words(given["exclude_method"]),
        exclude_path=given["exclude_path"] or (),
        exclude_host=given["exclude_host"] or (),
        trust_forwarded=given["trust_forwarded"],
        routes=given["route"] or (),
        openapi=given["routes"],
        templates=not given["no_templates"],
    )


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


def archive_dir(given: str | None) -> str:
    """The archive that was asked for. Raises UsageError."""
    place = given or os.environ.get("LOGSTATS_ARCHIVE")
    if not place:
        raise UsageError("which archive?", "name its folder with --archive DIR, or in LOGSTATS_ARCHIVE")
    return place


def choice(name: str, value: str, known: Sequence[str]) -> str:
    """One of some words. Raises UsageError."""
    if value not in known:
        raise UsageError(f"{name} {value!r} is not known", f"choose among {', '.join(known)}")
    return value
