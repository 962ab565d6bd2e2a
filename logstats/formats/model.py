"""The format of a log: data, loaded from a TOML file or compiled from a server's own definition."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, overload

from logstats import schema
from logstats.dataclass import dataclass

# The roles that a field of a line can have. Most are columns of the request schema; the others are interpreted
# further: `date`, `time` and `zone` make a timestamp together, `request` is a request line, `target` is path and
# query, `forwarded_for` is X-Forwarded-For, `duration` becomes `duration_ms` and `upstream_duration` `upstream_ms`,
# `fields` is a tail of key=value pairs. `payload` is a line inside a line; a format with it is a wrapper. `part`
# marks a partial line of a `stream`. `ignored` is read only by detection, which checks its form (`looks`).
ROLES: Final = frozenset(
    {
        *schema.TEXTS,
        "timestamp",
        "method",
        "protocol",
        "path",
        "query",
        "status",
        "duration",
        "upstream_duration",
        "bytes",
        "request_bytes",
        "cache",
        "client_ip",
        "host",
        "level",
        "app_name",
        "date",
        "time",
        "zone",
        "request",
        "target",
        "forwarded_for",
        "fields",
        "payload",
        "part",
        "stream",
        "ignored",
    }
)

FINGERPRINT: Final = "_fingerprint"  # a variable that lines of the format have,
FOREIGN: Final = "_foreign"  # and one that they do not have
MARKS: Final = frozenset({FINGERPRINT, FOREIGN})

UNITS: Final[Mapping[str, int]] = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}  # in nanoseconds

ENGINES: Final = ("delimited", "regex", "json", "keyvalue", "ltsv", "w3c")
KEYED: Final = ("json", "keyvalue", "ltsv")  # engines that find values by key
DECODERS: Final = ("percent", "plus", "bytes", "object", "json", "syslog", "uri")


@dataclass(frozen=True, slots=True)
class Field:
    """The meaning of one field of a line.

    `unit` is the unit of durations that do not name one; `usual` says that the lines may prove another unit, and `auto`
    that they decide (milliseconds if they do not). `keys` are the keys of the field in JSON, key=value and W3C formats,
    best first, and `spellings` others that count behind all of them. `port` says that an address may carry a port.
    `looks` is a regular expression that the field's values match in lines of this format; it is checked only where it
    is uncertain that lines have the format (an empty one requires only that there is a value). `extract` is a regular
    expression whose first group is the value; a text that does not match is kept whole. `absent` are texts that mean
    "no value", like `-` and the empty text. `decode` undoes `%20` (`percent`), `+` for a space (`plus`), a JSON list of
    bytes (`bytes`), a JSON object (`object`) or the escapes of a JSON text (`json`), or turns a syslog severity into a
    level (`syslog`), or reads `example.com/path` as a URL without scheme (`uri`).
    `form` is the form of a time, or of a part of one, in Polars' notation (empty: any form that servers write). Of
    several durations the first one present counts, unless they say `sum`, which adds them. `listed` says that the value
    may be a list of durations, which are added. `of` is a variable, group or key whose text this field reads as well,
    where several values stand in one; a text that its `extract` does not match is no value of it. `unnamed` says that
    nothing but its place makes a number a duration, or the size of a request: detection takes it for one only if it
    behaves like one; of a payload, that what stands around it has no name, of which users are told.
    """

    role: str
    unit: str = "ms"
    keys: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    port: bool = False
    looks: str | None = None
    extract: str = ""
    absent: tuple[str, ...] = ()
    decode: str = ""
    sum: bool = False
    form: str = ""
    listed: bool = False
    usual: bool = False
    unnamed: bool = False
    of: str = ""

    @property
    def all_keys(self) -> tuple[str, ...]:
        """The keys in all spellings, best first."""
        return (*self.keys, *self.spellings)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample line with its expected row (columns that are not named must be null), or the reason of its rejection."""

    line: str
    expect: Mapping[str, Any]
    rejected: str | None = None


def with_tuples(given: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON says of an object, with tuples for its lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


class StoredFields(Mapping[str, Field]):
    """The fields of a format that are still JSON (an object of objects), and are read when one is first asked for.
    Which `roles` they have is known before: detection asks all formats, and needs the fields of a few."""

    def __init__(self, stored: bytes, roles: frozenset[str]) -> None:
        self._stored, self.roles = stored, roles

    @cached_property
    def _fields(self) -> dict[str, Field]:
        return {name: Field(**with_tuples(given)) for name, given in json.loads(self._stored).items()}

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class StoredSamples(Sequence[Sample]):
    """The samples of a format that are still JSON (a list of objects), and are read when one is first asked for."""

    def __init__(self, stored: bytes) -> None:
        self._stored = stored

    @cached_property
    def _samples(self) -> list[Sample]:
        return [_sample(**given) for given in json.loads(self._stored)]

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        return self._samples[place]

    def __len__(self) -> int:
        return len(self._samples)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]  # as a mapping of fields has none


def _sample(line: str, expect: dict[str, Any], **more: Any) -> Sample:
    time = {"timestamp": datetime.fromisoformat(expect["timestamp"])} if "timestamp" in expect else {}
    return Sample(line, {**expect, **time}, **more)


@dataclass(frozen=True, slots=True)
class Format:
    """A format of lines.

    `pattern` is, for the delimited engine, literal text with `$name` variables; for the regex engine, a regular
    expression with named groups (in the syntax that Rust and Python share, without look-around); for the w3c engine,
    the `#Fields` line for files without one. `fields` gives the meaning of each variable, group or key; those without
    an entry are read and dropped. If several formats read the same lines, the one with the highest `priority` is
    detected. `aliases` are further names.

    `fingerprint` are keys that are typical of this format: its lines have at least one of them, and lines of other
    formats hardly ever do. Unless a user names the format, it does not read a line without any of them. `foreign` are
    keys that only lines of others have: it does not read a line with any of them. (In the generic format of an engine
    they are the fingerprints of the others.)
    In a regular expression, a group `_foreign` is such a mark: text that only lines of other formats have.
    `notes` are shown to a user who asks for the format.

    `pairs` says that a request takes two lines with one `trace_id`, of which the second has the status (`beginnings`).

    `also` are formats that lines of the same log have as well: who names this one means them, too.

    `requires` are roles that a line must fill to be a request; any other line is an event. (An error log requires a
    status, which its lines never have, so all its lines are events.) If it is empty, the engine decides.
    """

    name: str
    title: str
    link: str
    engine: str
    pattern: str
    fields: Mapping[str, Field]
    samples: Sequence[Sample] = field(default=(), repr=False)
    priority: int = 0
    aliases: tuple[str, ...] = ()
    fingerprint: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    requires: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    pairs: bool = False

    @property
    def wraps(self) -> bool:
        """Whether this is a wrapper: its lines hold the lines of another format."""
        return "payload" in self.roles

    @property
    def roles(self) -> frozenset[str]:
        """The roles that a line of this format can fill."""
        fields = self.fields
        return fields.roles if isinstance(fields, StoredFields) else frozenset(f.role for f in fields.values())
