"""How lines are read and which count, as a caller says it; and the job that it makes of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats import schema
from logstats.dataclass import dataclass
from logstats.endpoints import Endpoints, load_openapi
from logstats.enrich import places
from logstats.enrich.computed import Columns, covers
from logstats.errors import UsageError
from logstats.expressions.times import parse_time
from logstats.filters import BOTS, Filters
from logstats.formats import registry
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.model import UNITS
from logstats.formats.wrappers import stack
from logstats.formats.wrappers.stack import FormatStack
from logstats.frames import pl
from logstats.pipeline import Counts, Job, LineWork, Result

if TYPE_CHECKING:
    from logstats.enrich.privacy import Anonymizer


@dataclass(frozen=True, kw_only=True)
class Options:
    """How lines are read and which count; the fields are the command line's shared options.

    `format` names a format, `log_format` is a server's own definition (`allow_unknown`: with variables that no server
    has); without either the format of each source is found out. `label` gives a file, glob or folder a name of its own
    for the column `source` (`web1=FILE`). `tz` is the zone of times without one, and of days.
    `since` ≤ t < `until` are ISO 8601, or relative to now (`2h`, `7d`, `today`, `yesterday`). `status` takes `404` and
    `5xx`; `path` and `host` are globs. All expressions of `where` must hold (`logstats help expressions`).
    `bots` leaves out requests whose user agent is that of a bot (`exclude`), or all others (`only`).
    `verify_bots` are files of addresses that operators publish for their bots (`googlebot.json`, `NAME=FILE`).
    `geo` are databases of places (`FILE.mmdb`, or `auto` for those in the usual folders).
    `anonymize` (`ip`, `prefix-preserving`, `hash`) takes out what identifies a person, with the key in a file
    (`anonymize_key`) and further names of parameters whose values are masked (`secret`): see `enrich.privacy`.
    `unit` says in which units durations are that do not say it themselves (`duration=ms`, `latency=ns`).
    `workers` processes read (0: as many as pay), or those of a Dask `cluster`, named by its scheduler's address.
    `routes` and the paths of an OpenAPI document (`openapi`) come before the built-in templates; parameters named in
    `query` belong to the endpoint.
    """

    format: str | None = None
    log_format: str | None = None
    allow_unknown: bool = False
    formats_dir: str | Path | None = None
    label: Sequence[str] = ()
    tz: str = "UTC"
    app: str | None = None
    since: str | datetime | None = None
    until: str | datetime | None = None
    status: Sequence[str] = ()
    method: Sequence[str] = ()
    path: Sequence[str] = ()
    host: Sequence[str] = ()
    exclude_status: Sequence[str] = ()
    exclude_method: Sequence[str] = ()
    exclude_path: Sequence[str] = ()
    exclude_host: Sequence[str] = ()
    where: str | Sequence[str] = ()
    bots: str | None = None
    verify_bots: Sequence[str | Path] = ()
    geo: Sequence[str | Path] = ()
    trust_forwarded: bool = False
    anonymize: str | None = None
    anonymize_key: str | Path | None = None
    secret: Sequence[str] = ()
    unit: Sequence[str] = ()
    routes: Sequence[str] = ()
    openapi: str | Path | None = None
    templates: bool = True
    query: Sequence[str] = ()
    now: datetime | None = None
    # Of pseudonyms without a key file; the same in all processes of a run.
    made_up_key: bytes = field(default_factory=partial(os.urandom, 32), repr=False, compare=False)
    workers: int = 1
    cluster: str | None = None

    def filters(self) -> Filters:
        """The filters, checked. Raises UsageError."""
        now = self.now or datetime.now(UTC)
        if self.bots not in (None, *BOTS):
            raise UsageError(f"--bots {self.bots!r} is not known", f"choose among {', '.join(BOTS)}")
        apart = ("since", "until", "where", "bots")
        known: dict[str, Any] = {
            name: tuple(getattr(self, name)) for name in Filters.__dataclass_fields__ if name not in apart
        }
        times = self.times(now)
        texts = [self.where] if isinstance(self.where, str) else self.where
        if texts:
            from logstats.expressions.predicates import parse  # most commands are given no expression

            known["where"] = tuple((text, parse(text, times)) for text in texts)
        filters = Filters(self._moment(self.since, now), self._moment(self.until, now), **known, bots=self.bots)
        filters.expression()
        if filters.since and filters.until and filters.since >= filters.until:
            raise UsageError("--since is not before --until", "nothing can be in between")
        return filters

    def _moment(self, time: str | datetime | None, now: datetime) -> datetime | None:
        if isinstance(time, datetime):
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        return None if time is None else parse_time(time, self.zone(), now)

    def columns(self) -> Columns:
        """What computes columns that no format has. Raises UsageError."""
        return Columns(self.zone(), tuple(self.labels()), tuple(map(str, self.verify_bots)), tuple(map(str, self.geo)))

    def times(self, now: datetime | None = None) -> Callable[[str], datetime]:
        """What reads a time as people write it."""
        return partial(parse_time, zone=self.zone(), now=now or self.now or datetime.now(UTC))

    def zone(self) -> str:
        """The zone's name, checked. Raises UsageError."""
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(self.tz)
        except (KeyError, ValueError, OSError):
            raise UsageError(
                f"no time zone is called {self.tz!r}", "write a name such as Europe/Berlin, or UTC"
            ) from None
        return self.tz

    def chosen_format(self) -> tuple[FormatStack, ...] | None:
        """The format that was asked for, or the stacks. Raises FormatError."""
        if self.format and self.log_format:
            raise UsageError("--format and --log-format exclude each other", "give one of the two")
        if self.log_format:
            from logstats.formats.log_format.compile import compile_log_format

            return (FormatStack(compile_log_format(self.log_format, allow_unknown=self.allow_unknown)),)
        if self.allow_unknown:
            raise UsageError("--allow-unknown is about variables of --log-format", "give that, too")
        if not (self.format or self.formats_dir):
            return None
        known = registry.formats(Path(self.formats_dir) if self.formats_dir else None)
        return tuple(stack.parse(self.format, known)) if self.format else None

    def reading(self, wanted: frozenset[str]) -> ReadOptions:
        """How lines are read. Raises RouteError."""
        for name in self.query:
            if not name or set(name) & set("&=#?"):
                raise UsageError(f"--query {name!r}: this is no name of a parameter", "--query page,sort")
        if self.query and "endpoint" in wanted:
            wanted |= {"query"}
        return ReadOptions(
            Endpoints(self.all_routes(), templates=self.templates, query=self.query),
            wanted=wanted,
            zone=self.zone(),
            app=self.app,
            trust_forwarded=self.trust_forwarded,
            units=self.units(),
        )

    def all_routes(self) -> list[str]:
        """The routes, and those of the OpenAPI document. Raises RouteError."""
        return [*self.routes, *(load_openapi(self.openapi) if self.openapi else ())]

    def anonymizer(self) -> Anonymizer | None:
        """What takes out what identifies a person, if that is asked for. Raises UsageError."""
        if self.anonymize is None:
            if self.anonymize_key or self.secret:
                raise UsageError("--anonymize-key and --secret are about --anonymize", "give that, too")
            return None
        from logstats.enrich.privacy import Anonymizer, read_key

        key = self.made_up_key if self.anonymize_key is None else read_key(self.anonymize_key)
        return Anonymizer(self.anonymize, key, tuple(self.secret))

    def labels(self) -> list[tuple[str, str]]:
        """The labels of sources that were given: (label, the file, glob or folder). Raises UsageError."""
        found = []
        for text in self.label:
            label, equal, file = text.partition("=")
            if not equal or not label.strip() or not file:
                raise UsageError(f"--label {text}: this is no name and its file", "--label web1=FILE")
            found.append((label.strip(), file))
        return found

    def sources(self, named: str | Path | Sequence[str | Path]) -> list[str]:
        """The sources that are named, and the files that a label names and that are not among them."""
        names = [str(name) for name in ([named] if isinstance(named, str | Path) else named)]
        files = dict.fromkeys(file for _, file in self.labels())
        return [
            *names,
            *(file for file in files if not any(covers(a, b) for n in names for a, b in ((n, file), (file, n)))),
        ]

    def units(self) -> dict[str, str]:
        """The units of durations that were given, by field. Raises UsageError."""
        found: dict[str, str] = {}
        for text in self.unit:
            name, _, unit = text.rpartition("=")
            if not name or unit not in UNITS:
                raise UsageError(
                    f"--unit {text}: this is no field and its unit",
                    f"write the field, = and one of {', '.join(UNITS)}: --unit duration=ms",
                )
            found[name] = unit
        return found


def refuse_unasked(options: Options, columns: frozenset[str]) -> None:
    """Refuse files that say what a column is if none of these is that column. Raises UsageError."""
    if options.verify_bots and "bot_verified" not in columns:
        raise UsageError("--verify-bots says what bot_verified is, and nothing asks for that", "leave it out")
    if options.geo and not columns & set(places.COLUMNS):
        raise UsageError("--geo says where clients are, and nothing asks for that", "--where 'country = DE'")


def job_of(
    options: Options,
    needs: frozenset[str],
    work: Callable[[pl.DataFrame, str, int], Result] | LineWork[Result],
    keep_rejected: bool,
    counts: Counts | None = None,
) -> Job[Result]:
    """The job of a run with these options. Raises UsageError, FormatError and RouteError."""
    filters = options.filters()
    anonymizer = options.anonymizer()
    columns = options.columns()
    wanted = columns.reads(needs | filters.needs)
    refuse_unasked(options, needs | filters.needs)
    if anonymizer is not None:
        wanted |= {"timestamp"}  # pseudonyms are of a day
    return Job(
        options.reading(wanted),
        filters,
        work,
        options.chosen_format(),
        Path(options.formats_dir) if options.formats_dir else None,
        keep_rejected,
        counts=counts or Counts(),
        anonymizer=anonymizer,
        columns=columns,
        computed=needs.difference(schema.COLUMNS),
    )
