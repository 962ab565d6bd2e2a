"""The declaration of options, and the options that commands share: each is declared once.

A command takes the groups `READING` and `FILTERS` by `command`, and names others in its signature as
`Annotated[TYPE, Option(SPELLING, WORDS)]`. Nothing else of an option is written anywhere.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from operator import getitem
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args
from zoneinfo import ZoneInfo

import typer
from typer.models import OptionInfo

from logstats import allocators
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError, UsageError
from logstats.summaries.names import USER_KEYS

if TYPE_CHECKING:
    from logstats.options import Options

SharedOptions = Mapping[str, Any]
SHARED: Final[SharedOptions] = MappingProxyType({})  # the default of the parameter that gets the shared options

Words = Sequence[str] | Callable[[], Sequence[str]]  # what a value may be, or what finds that out


class Option(OptionInfo):
    """The declaration of an option: parsing, `--help`, completion, the configuration file, the man page and the README
    are all made from it.

    `spelling` is what one types: "--format NAME", "-o, --output KIND", "--progress/--no-progress". `values` are the
    words it takes, which completion offers; if they are `closed`, any other is a UsageError. `least` is the smallest
    number. `only_with` names options without any of which this one means nothing: it is a UsageError then. Further
    things are about defaults from the configuration file: `outputs` are the kinds of `-o` that the option is for, and
    `yields_to` names options and arguments that exclude it; with another output, when one of these is typed, or
    without any of `only_with`, a default is left alone.
    """

    def __init__(
        self,
        spelling: str,
        words: str,
        panel: str | None = None,
        *,
        values: Words | None = None,
        closed: bool = False,
        least: int | None = None,
        hidden: bool = False,
        outputs: Sequence[str] = (),
        yields_to: Sequence[str] = (),
        only_with: Sequence[str] = (),
    ) -> None:
        match = re.fullmatch(r"([^ ,]+(?:, [^ ,]+)*)(?: (.+))?", spelling)
        assert match, spelling
        self.values, self.closed = values, closed
        self.outputs, self.yields_to, self.only_with = frozenset(outputs), frozenset(yields_to), tuple(only_with)
        super().__init__(
            default=...,
            param_decls=match[1].split(", "),
            metavar=match[2],
            help=words,
            min=least,
            hidden=hidden,
            rich_help_panel=panel,
            autocompletion=None if values is None else self.complete,
        )

    @property
    def name(self) -> str:
        """How it is spelled in full: `--log-format`."""
        return max(self.param_decls or (), key=len).partition("/")[0]

    def check(self, value: Any) -> None:
        """Raise UsageError for an empty value, and for a word that the option does not know."""
        if value == "" or (isinstance(value, list) and not all(each.strip(" ,") for each in value)):
            raise UsageError(f"{self.name} is given, but empty", "is a shell variable unset?")
        if self.closed and value is not None:
            choice(self.name, value, self.words())

    def words(self) -> Sequence[str]:
        """The values that it takes, or those that are known."""
        return self.values() if callable(self.values) else self.values or ()

    def complete(self, incomplete: str) -> list[str]:
        """The values that begin like this; of a list such as `5xx,404`, its last one."""
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + word for word in self.words() if word.startswith(last)]

    # Typer reads them for each option; if they were texts, it would compile them each time.
    complete.__annotations__.update({"incomplete": str, "return": list[str]})


@dataclass(frozen=True, slots=True)
class Shared:
    """An option that many commands have: its type as Typer reads it, and its default."""

    kind: Any
    option: Option
    default: Any = None

    @property
    def name(self) -> str:
        """As a parameter: `--log-format` is `log_format`."""
        return self.option.name.lstrip("-").replace("-", "_")


Group = Sequence[Shared]


def formats() -> Sequence[str]:
    from logstats.formats.registry import builtin_names

    return builtin_names()


def _zones() -> Sequence[str]:
    from zoneinfo import available_timezones

    return sorted(available_timezones())


# How options are grouped in --help, the man page and `logstats help options`.
READING_PANEL: Final = "How lines are read"
FILTERS_PANEL: Final = "Which lines count"
STATISTICS_PANEL: Final = "Statistics"
OUTPUT_PANEL: Final = "Output"
_TIMES = ("today", "yesterday", "15m", "2h", "7d")
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(ms|s|m|h)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE")
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


def _reading(
    kind: Any, spelling: str, words: str, default: Any = None, *, values: Words | None = None, instead_of: str = ""
) -> Shared:
    return Shared(kind, Option(spelling, words, READING_PANEL, values=values, yields_to=[instead_of]), default)


def _filter(spelling: str, words: str, *, kind: Any = list[str], values: Words | None = None) -> Shared:
    return Shared(kind | None, Option(spelling, words, FILTERS_PANEL, values=values))


READING: Final[Group] = (
    _reading(
        str | None,
        "--format NAME",
        "The format of the lines; found out if not given.",
        values=formats,
        instead_of="log_format",
    ),
    _reading(
        str | None,
        "--log-format STRING",
        "The server's own definition: an nginx log_format or an Apache LogFormat.",
        instead_of="format",
    ),
    _reading(bool, "--allow-unknown", "Ignore variables of --log-format that no server has.", False),
    _reading(str | None, "--formats-dir DIR", "A folder of formats of your own (.toml)."),
    _reading(
        list[str] | None,
        "--label NAME=FILE",
        "What the column source says of a file, glob or folder, which is also read; repeatable.",
    ),
    _reading(str, "--tz ZONE", "The zone of times without one, and where a day begins.", "UTC", values=_zones),
    _reading(str | None, "--app NAME", "app_name of lines that name none."),
    _reading(
        str | None,
        "--endpoint-url URL",
        "Where s3:// is, if not at AWS; AWS_ENDPOINT_URL stands in for it.",
    ),
    _reading(
        bool, "--trust-forwarded", "The client is the first address of X-Forwarded-For, where it is logged.", False
    ),
    _reading(
        str | None,
        "--anonymize METHOD",
        "Take out what identifies a person: ip, prefix-preserving or hash.",
        values=("ip", "prefix-preserving", "hash"),
    ),
    _reading(str | None, "--anonymize-key FILE", "The key of the pseudonyms; without it, they are of this run."),
    _reading(list[str] | None, "--secret NAME", "A parameter whose value is masked, too; repeatable."),
    _reading(
        list[str] | None,
        "--unit FIELD=UNIT",
        "The unit of durations that say none: s, ms, us, ns; repeatable.",
    ),
    _reading(
        list[str] | None,
        "--verify-bots FILE",
        "Addresses that an operator publishes, to tell genuine bots from false ones: googlebot.json, NAME=FILE; "
        "repeatable.",
    ),
    _reading(
        list[str] | None,
        "--geo FILE.mmdb",
        "A database of places, for country, continent, city, asn, as_name; or auto: those in /usr/share/GeoIP and "
        "/var/lib/GeoIP; repeatable (extra `geo`).",
    ),
    _reading(list[str] | None, "--route ROUTE", "An endpoint such as '/users/{id}'; repeatable."),
    _reading(str | None, "--routes FILE", "Endpoints from an OpenAPI or Swagger document."),
    _reading(list[str] | None, "--query NAME,…", "Parameters of the query that are part of the endpoint."),
    _reading(bool, "--no-templates", "Paths are endpoints as they are.", False),
)
FILTERS: Final[Group] = (
    _filter("--since T", "From this time: 2025-01-17T10:30, 15m, 2h, 7d, today, yesterday.", kind=str, values=_TIMES),
    _filter("--until T", "Before this time.", kind=str, values=_TIMES),
    _filter("--status 5xx,404", "Only these statuses.", values=_CLASSES),
    _filter("--method GET", "Only these methods.", values=_METHODS),
    _filter("--path GLOB", "Only these paths (* matches / too)."),
    _filter("--host GLOB", "Only these hosts."),
    _filter("--exclude-status 5xx,404", "Not these statuses.", values=_CLASSES),
    _filter("--exclude-method GET", "Not these methods.", values=_METHODS),
    _filter("--exclude-path GLOB", "Not these paths."),
    _filter("--exclude-host GLOB", "Not these hosts."),
    _filter(
        "--bots exclude|only",
        "Without requests of bots, or those alone, as the user agent says (extra `agents`).",
        kind=str,
        values=("exclude", "only"),
    ),
    _filter(
        "--where EXPRESSION",
        "Only what this holds of: 'status >= 500 and client_ip in 10.0.0.0/8', 'duration > 2s'; repeatable.",
    ),
)
WORKERS: Final[Group] = (
    Shared(
        int | None,
        Option(
            "--workers N",
            "Processes that read; as many as pay if not given.",
            READING_PANEL,
            least=1,
            yields_to=["archive", "cluster"],
        ),
    ),
    Shared(
        str | None,
        Option(
            "--cluster URL",
            "Read on a Dask cluster: tcp://SCHEDULER:8786.",
            READING_PANEL,
            yields_to=["archive", "workers"],
        ),
    ),
)
ALERTS_PANEL: Final = "Alerts"
_RULES: Final = ("alert", "policy")


def _alerting(kind: Any, spelling: str, words: str, default: Any = None, **more: Any) -> Shared:
    return Shared(kind, Option(spelling, words, ALERTS_PANEL, **more), default)


ALERTS: Final[Group] = (
    _alerting(
        list[str] | None,
        "--alert CONDITION",
        "Tell when this holds: 'p99 > 500ms for 2m', 'requests == 0 for 1m', "
        "'GET /pay*: availability < 99.9% for 10m'; repeatable.",
    ),
    _alerting(str | None, "--policy FILE", "Tell when the error budgets of these objectives (TOML) burn too fast."),
    _alerting(
        str | None,
        "--exec COMMAND",
        "Run this when an alert fires or is resolved, with it as JSON on standard input.",
        only_with=_RULES,
    ),
    _alerting(str | None, "--webhook URL", "Post it here, as JSON.", only_with=_RULES),
    _alerting(
        str,
        "--webhook-format KIND",
        "json, or slack for its incoming webhooks.",
        "json",
        values=("json", "slack"),
        closed=True,
        only_with=("webhook",),
    ),
    _alerting(bool, "--fail-fast", "End when an alert fires, and exit with 3.", False, only_with=_RULES),
)
_BY_NAME: Final = {shared.name: shared.option for shared in (*READING, *FILTERS)}

# Those that commands name in their signatures, where the default stands, too.
Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SOURCE]...",
        help="Files, globs, folders (their files, oldest first), or - for standard input. "
        "gzip, zstd, bzip2 and xz are known by their content.",
        show_default=False,
    ),
]
EndlessSources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SOURCE]...",
        help="Files, globs and folders, which are followed; syslog://HOST:PORT; or - for standard input.",
        show_default=False,
    ),
]
PartialTimeout = Annotated[
    str | None,
    Option("--partial-timeout TIME", "Take a last line without its newline after this time; else it waits.", "Sources"),
]
Allow = Annotated[
    list[str] | None,
    Option("--allow NETWORK", "Who may send to syslog://, such as 10.0.0.0/8; else this machine alone.", "Sources"),
]
FormatsDir = Annotated[str | None, _BY_NAME["formats_dir"]]
Zone = Annotated[str, _BY_NAME["tz"]]
ArchiveDir = Annotated[
    str | None, Option("--archive DIR", "An archive's folder or URL; LOGSTATS_ARCHIVE stands in for it.")
]
FAIL_IF: Final = Option(
    "--fail-if CONDITION",
    "Exit with 3 if this holds: 'p99 > 500ms', 'error_rate > 1%', 'GET /api/bugs*: p95 > 200ms'; repeatable.",
    "Thresholds",
)
Out = Annotated[
    str | None,
    Option(
        "--out FILE",
        "Write to a file, whole or not at all; %Y-%m-%d is the day of --since, or today.",
        OUTPUT_PANEL,
    ),
]
RejectsFile = Annotated[
    str | None,
    Option(
        "--rejects FILE",
        "Write the lines that could not be read here, as they came.",
        OUTPUT_PANEL,
        yields_to=("archive",),
    ),
]
UserKey = Annotated[
    str,
    Option(
        "--user-key KEY",
        "Who is one user: auto (user_id, else client_ip), user_id, client_ip, ip+agent.",
        STATISTICS_PANEL,
        values=tuple(USER_KEYS),
    ),
]
ExactUsers = Annotated[bool, Option("--exact-users", "Count users exactly; memory grows with them.", STATISTICS_PANEL)]
Strict = Annotated[bool, Option("--strict", "Exit with 4 if a line could not be read.", OUTPUT_PANEL)]
Progress = Annotated[
    bool | None,
    Option("--progress/--no-progress", "Show progress on standard error; only ever on a terminal.", OUTPUT_PANEL),
]
Quiet = Annotated[bool, Option("-q, --quiet", "Say nothing but errors on standard error.", OUTPUT_PANEL)]


def output_option(*kinds: str, yields_to: Sequence[str] = ()) -> Option:
    """`-o` of a command with these kinds of output."""
    listed = f"{', '.join(kinds[:-1])} or {kinds[-1]}." if len(kinds) < 5 else f"{', '.join(kinds)}."
    return Option("-o, --output KIND", listed, OUTPUT_PANEL, values=kinds, closed=True, yields_to=yields_to)


def only_with(name: str, group: Group) -> Group:
    """The options of a group, of a command in which they mean nothing without another one."""
    made = []
    for one in group:
        option = copy(one.option)
        option.only_with = option.only_with or (name,)
        made.append(replace(one, option=option))
    return made


def command(*groups: Group) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A command with the options of these groups, whose values it gets in the parameter whose default is `SHARED`.

    An empty value of any option is a UsageError.
    """
    shared = {option.name: option for group in groups for option in group}

    def join(command: Callable[..., int]) -> Callable[..., int]:
        parameters: list[inspect.Parameter] = []
        own_parameters = inspect.signature(command, eval_str=True).parameters
        receiver = next((own.name for own in own_parameters.values() if own.default is SHARED), None)
        for own in own_parameters.values():
            if own.default is not SHARED:
                parameters.append(own)
                continue
            for name, option in shared.items():
                kind = getitem(Annotated, (option.kind, option.option))
                parameters.append(inspect.Parameter(name, own.kind, default=option.default, annotation=kind))
        options = {
            parameter.name: option
            for parameter in parameters
            for option in get_args(parameter.annotation)[1:]
            if isinstance(option, Option)
        }

        builtin = {parameter.name: parameter.default for parameter in parameters}
        context_name = next((p.name for p in parameters if p.annotation is typer.Context), None)
        if context_name is None:
            parameters.append(inspect.Parameter("context", parameters[0].kind, annotation=typer.Context))

        @wraps(command)
        def run(**values: Any) -> int:
            context = values[context_name] if context_name else values.pop("context")
            from_file = _settle(context, options, builtin, values)
            _check_company(options, builtin, values, from_file)
            _check_endpoint(values, from_file)
            for name, option in options.items():
                option.check(values[name])
            allocators.configure()
            space = allocators.address_space()
            if space is not None and space < allocators.LEAST:
                raise LogstatsError(
                    f"{space >> 20} MiB of address space are too few (ulimit -v)",
                    f"raise the limit to {allocators.LEAST >> 10}",
                )
            if receiver is not None:
                values[receiver] = {name: values.pop(name) for name in shared}
            return command(**values)

        parameters.sort(key=lambda parameter: parameter.default is not parameter.empty)  # as Python wants it
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
        run.options = options  # type: ignore[attr-defined]  # what the configuration file is checked with
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return join


def _settle(
    context: typer.Context, options: Mapping[str, Option], builtin: Mapping[str, Any], values: dict[str, Any]
) -> list[str]:
    """Make defaults from the configuration file give way to what was typed, and to the environment.

    Returns the names of the options that the file sets.
    """
    sources = {name: getattr(context.get_parameter_source(name), "name", "") for name in values}
    from_file = [name for name in options if sources.get(name) == "DEFAULT_MAP"]
    if not from_file:
        return []
    typed = {name for name, source in sources.items() if source == "COMMANDLINE"}
    if "archive" in from_file:  # it stands in for --archive as LOGSTATS_ARCHIVE does, which comes first
        os.environ["LOGSTATS_ARCHIVE"] = os.environ.get("LOGSTATS_ARCHIVE") or values["archive"]
        values["archive"] = None
    if "archive" in values and archive_or_none(values["archive"], values.get("sources")):
        typed.add("archive")
    for name in from_file:
        if options[name].yields_to & typed:
            values[name] = builtin[name]
    output = "email" if values.get("email") else values.get("output")
    for name in from_file:
        if options[name].outputs and output not in options[name].outputs:
            values[name] = builtin[name]
    return from_file


def _check_company(
    options: Mapping[str, Option], builtin: Mapping[str, Any], values: dict[str, Any], from_file: Sequence[str]
) -> None:
    """Raise UsageError for an option without another that it is about; leave such a default of the file alone."""
    for name, option in options.items():
        if not option.only_with or values[name] in (None, [], builtin[name]):
            continue
        if not any(values[other] for other in option.only_with):
            if name not in from_file:
                needed = " or ".join(options[other].name for other in option.only_with)
                raise UsageError(f"{option.name} is about {needed}", "give that, too")
            values[name] = builtin[name]


def _check_endpoint(values: Mapping[str, Any], from_file: Sequence[str]) -> None:
    """Raise UsageError for `--endpoint-url` if nothing that is named lies at s3://."""
    if not values.get("endpoint_url") or "endpoint_url" in from_file:
        return
    named = [value for value in values.values() if isinstance(value, str)]
    named += [one for value in values.values() if isinstance(value, list) for one in value]
    archive = values.get("archive") or os.environ.get("LOGSTATS_ARCHIVE") or ""
    named.append(archive)
    with suppress(OSError, ValueError):  # a tier may lie there
        named.append((Path(archive) / "lifecycle.toml").read_text(encoding="utf-8"))
    if not any("s3://" in one for one in named):
        raise UsageError("--endpoint-url says where s3:// is, and nothing here is there", "name a source or an archive")


def words(values: Sequence[str] | None) -> tuple[str, ...]:
    """`--status 5xx,404 --status 301` → ("5xx", "404", "301")."""
    return tuple(word.strip() for value in values or () for word in value.split(",") if word.strip())


def reading_options(shared_options: Mapping[str, Any]) -> Options:
    """The library's options, from the shared options of a command."""
    from logstats.inputs import object_store
    from logstats.options import Options

    listed = ("status", "method", "exclude_status", "exclude_method", "query")
    globs = ("path", "host", "exclude_path", "exclude_host", "where")  # may hold a comma
    renamed = {"route": "routes", "routes": "openapi"}
    values = {renamed.get(name, name): value for name, value in shared_options.items() if name != "no_templates"}
    object_store.use(values.pop("endpoint_url", None))
    values |= {name: words(shared_options[name]) for name in listed if name in shared_options}
    values |= {name: shared_options[name] or () for name in globs if name in shared_options}
    values["routes"] = shared_options["route"] or ()
    values["unit"] = shared_options["unit"] or ()
    values["label"] = shared_options["label"] or ()
    values["geo"] = shared_options["geo"] or ()
    values["verify_bots"] = shared_options["verify_bots"] or ()
    values["secret"] = shared_options["secret"] or ()
    if "workers" in shared_options:
        values["workers"], _ = workers(shared_options)
    names = Options.__dataclass_fields__.keys()  # the other groups' are not about reading
    return Options(
        **{name: values[name] for name in values.keys() & names}, templates=not shared_options["no_templates"]
    )


def workers(shared_options: Mapping[str, Any]) -> tuple[int, str | None]:
    """`--workers` (0 if not given) and `--cluster`. Raises UsageError."""
    given, cluster = shared_options["workers"], shared_options["cluster"]
    if given and cluster:
        raise UsageError("--workers and --cluster exclude each other", "give one of the two")
    return given or 0, cluster


def writers(given: int | None, cluster: str | None) -> tuple[int, str | None]:
    """The same of what writes to an archive, where one process is what is usual. Raises UsageError."""
    number, cluster = workers({"workers": given, "cluster": cluster})
    return number or int(cluster is None), cluster


@contextmanager
def rejects_file(path: str | None, sources: Sequence[str] | None) -> Iterator[Callable[[list[bytes]], None] | None]:
    """What writes rejected lines to a file, as they came; None without a file. Raises LogstatsError."""
    if path is None:
        yield None
        return
    refuse_overwriting(path, sources, "--rejects")
    try:
        file = Path(path).open("wb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise LogstatsError(
            f"{path}: {(error.strerror or str(error)).lower()}", "--rejects needs a place it may write to"
        ) from None
    with file:
        yield lambda lines: file.writelines(line + b"\n" for line in lines)


def refuse_overwriting(path: str | None, sources: Sequence[str] | None, option: str) -> None:
    """Refuse an output file that is also a source. Raises UsageError."""
    if path is None or not Path(path).is_file():
        return
    from logstats.inputs import discover

    named = [source for source in sources or () if source != "-" and "://" not in source]
    for source in discover(named)[0] if named else ():
        if source.path is not None and source.path.samefile(path):
            raise UsageError(f"{option} {path} would write over a source", "name another file")


def moment(chosen: Options) -> datetime:
    """The time whose fields stand in the name of `--out`: that of `--since`, or now, in the zone of `--tz`."""
    return (chosen.filters().since or datetime.now(UTC)).astimezone(ZoneInfo(chosen.zone()))


def archive_or_none(named: str | None, sources: Sequence[str] | None) -> str | None:
    """The archive that is asked, if one is: what is named counts before what the environment holds."""
    return named or (None if sources else os.environ.get("LOGSTATS_ARCHIVE")) or None


def archive_dir(named: str | None) -> str:
    """The archive that was asked for. Raises UsageError."""
    place = archive_or_none(named, None)
    if not place:
        raise UsageError("which archive?", "name its folder with --archive DIR, or in LOGSTATS_ARCHIVE")
    return place


def seconds(option: str, text: str) -> float:
    """A duration above 0 in seconds: 500ms, 30s, 5m, 1h. Raises UsageError."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise UsageError(f"{option}: {text!r} is not a duration", "write 500ms, 30s, 5m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def choice(name: str, value: str, known: Sequence[str]) -> str:
    """One of some words. Raises UsageError."""
    if value not in known:
        raise UsageError(f"{name} {value!r} is not known", f"choose among {', '.join(known)}")
    return value
