"""What a format is: data, read from one TOML file or compiled from a server's own definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from logstats import schema

# What a field of a line can be. Most are columns of the request schema; the others are split further:
# `date`, `time` and `zone` make a timestamp together, `request` is a request line, `target` is path and query,
# `forwarded_for` is X-Forwarded-For, `duration` becomes `duration_ms`, `fields` is a tail of key=value pairs.
# `payload` is a line inside a line: a format that has it is a wrapper. `part` marks a partial line of a `stream`.
# `ignored` is read only by detection, which asks how it looks.
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
        "bytes",
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

UNITS: Final[Mapping[str, int]] = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}  # in nanoseconds

ENGINES: Final = ("delimited", "regex", "json", "keyvalue", "ltsv", "w3c")
KEYED: Final = ("json", "keyvalue", "ltsv")  # engines that find values by their keys
DECODERS: Final = ("percent", "plus", "bytes", "json", "syslog", "uri")


@dataclass(frozen=True, slots=True)
class Field:
    """What one field of a line means.

    `unit` belongs to durations, and is that of numbers that say none; `usual` says that the lines may speak against it,
    and `auto` that they have to tell (milliseconds if they do not); `keys` are the spellings
    under which JSON, key=value and W3C formats find it, best first; `port` says that an address may carry one. `looks`
    is a regular expression that values of this field match in files of this format: it is asked where it is not sure
    that lines have the format (an empty one asks only that there is a value). `extract` is a regular expression whose
    first group is the value; a text that it does not match stands as it is. `absent` are texts that stand for no value,
    beside `-` and nothing. `decode` undoes `%20` (`percent`) or `+` for a space (`plus`), or makes a text of a JSON
    list of its bytes (`bytes`), or undoes the escapes of a JSON text (`json`), or makes a level of a severity of syslog
    (`syslog`), or takes `example.com/path` for a URL without its scheme (`uri`). `form` is how a time, or a part of
    one, is written, as Polars parses it (empty: any form that servers write). Of several durations the first that is
    there counts, unless they say `sum`; `listed` says that the value may be a list of durations, to be added up.
    """

    role: str
    unit: str = "ms"
    keys: tuple[str, ...] = ()
    port: bool = False
    looks: str | None = None
    extract: str = ""
    absent: tuple[str, ...] = ()
    decode: str = ""
    sum: bool = False
    form: str = ""
    listed: bool = False
    usual: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """A line, and the row it must become (columns not named must be null); or the reason it is rejected."""

    line: str
    expect: Mapping[str, Any]
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A format of lines.

    `pattern` is, for the delimited engine, literal text with `$name` variables; for the regex engine a
    regular expression with named groups (the syntax that Rust and Python share, no look-around); for the
    w3c engine the `#Fields` line that holds where a file has none. `fields` says what each variable, group or key
    means; what has no entry is read and kept out. Of formats that read the same lines the one of the higher
    `priority` is detected. `aliases` are further names that it goes by.

    `fingerprint` are keys of which a line has at least one if it is of this format, and that hardly any other format
    has. Unless a user names the format, a line without any of them is not read by it. `foreign` are the fingerprints
    of other formats, for the generic format of an engine: a line that has any of those keys is another format's.
    `notes` are said to whoever asked for the format.

    `requires` are roles that a line must fill to be a request; one that does not is an event, whatever it says of a
    request. An error log requires a status, which its lines never have. Where it is empty, the engine decides.
    """

    name: str
    title: str
    link: str
    engine: str
    pattern: str
    fields: Mapping[str, Field]
    samples: tuple[Sample, ...] = field(default=(), repr=False)
    priority: int = 0
    aliases: tuple[str, ...] = ()
    fingerprint: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    requires: tuple[str, ...] = ()

    @property
    def wraps(self) -> bool:
        """Whether this is a wrapper: its lines hold the lines of another format."""
        return any(field.role == "payload" for field in self.fields.values())

    @property
    def roles(self) -> frozenset[str]:
        """The roles that a line of this format can fill."""
        return frozenset(f.role for f in self.fields.values())
