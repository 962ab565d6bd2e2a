"""Texts of fields → rows of the request schema, in columns. Both paths of every engine come through here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import unquote

import numpy as np
import polars as pl

from logstats import schema
from logstats.cache import BoundedCache
from logstats.formats.engines.scan import Tokens
from logstats.formats.fields import times
from logstats.formats.fields.requests import TARGET_COLUMNS, PathTemplates, Requests
from logstats.formats.model import UNITS, Field
from logstats.kernels import library as kernels

# Durations are kept to the microsecond, and a Float64 of milliseconds holds that up to here (285 years).
LONGEST_US: Final = float(2**53)
FINGERPRINT: Final = "_fingerprint"  # a variable that a line must have to be of its format,
FOREIGN: Final = "_foreign"  # and one that it must not have
MARKS: Final = frozenset({FINGERPRINT, FOREIGN})
PLANS: Final = 64  # sets of columns whose expressions are kept

_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    # role → the schema columns that it helps to fill
    "request": frozenset({"method", "protocol", *TARGET_COLUMNS}),
    "target": TARGET_COLUMNS,
    "path": TARGET_COLUMNS,
    "query": frozenset({"query"}),
    "duration": frozenset({"duration_ms"}),
    "forwarded_for": frozenset({"client_ip"}),
    "status": frozenset({"status", "level"}),
    "host": frozenset({"host", "app_name"}),
    "app_name": frozenset({"app_name"}),
    **dict.fromkeys(("date", "time", "zone"), frozenset({"timestamp"})),
}
_LEVELS = {
    "WARNING": "WARN",
    "ERR": "ERROR",
    "CRIT": "CRITICAL",
    "INFORMATION": "INFO",
    "10": "TRACE",
    "20": "DEBUG",
    "30": "INFO",
    "40": "WARN",
    "50": "ERROR",
    "60": "FATAL",  # pino, bunyan
}
_HAS_PORT = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}:[0-9]+|\[.*)$"
_SUFFIXES = r"^([0-9.eE+-]+|[0-9.]+) ?(ns|us|µs|μs|micros|ms|msecs|s|sec|secs|m|min|h)?$"
_SUFFIXED = re.compile(_SUFFIXES)
_SCALES: Final = {
    **UNITS,
    "µs": 1.0,
    "μs": 1.0,
    "micros": 1.0,
    "msecs": 1e3,
    "sec": 1e6,
    "secs": 1e6,
    "m": 6e7,
    "min": 6e7,
    "h": 3.6e9,
}


@dataclass(frozen=True)
class ReadOptions:
    """The options that decide what lines mean, and which columns anybody will look at."""

    endpoints: PathTemplates
    wanted: frozenset[str] = frozenset(schema.COLUMNS)
    zone: str = "UTC"
    app: str | None = None
    trust_forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """A chunk that was read: `rows` has `line` (UInt32, index in the chunk) and the wanted columns; those of formats
    that mix in events also `kind` and `level`."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    ignored: int
    lines: int
    invalid_durations: int


def needed_variables(fields: Mapping[str, Field], reading: ReadOptions, *, events: bool) -> list[str]:
    """Which variables of a format have to be taken from the line."""
    wanted = set(reading.wanted)
    if events:  # telling events from requests takes these
        wanted |= {"method", "status", "path", "level", "message"}
    return [
        name
        for name, field in fields.items()
        if (_NEEDS.get(field.role) or {field.role}) & wanted
        or field.role in ("status", "bytes", "duration", "fields")  # a line with nonsense in these is rejected
        if field.role != "forwarded_for" or reading.trust_forwarded
    ]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The expressions that make rows of the columns of a chunk."""

    micros: list[pl.Expr]  # durations in microseconds, which the others build on
    columns: dict[str, pl.Expr]
    bad: dict[str, pl.Expr]  # reason → whether a line is rejected for it


@dataclass(frozen=True, slots=True)
class FieldReader:
    """What the fields of a format mean; `events` says whether its lines may be events, too.

    Expressions are made once for each set of columns that hold anything, which mostly is once: making them takes as
    long as a thousand lines do.
    """

    fields: Mapping[str, Field]
    reading: ReadOptions
    events: bool
    _plans: dict[tuple[str, ...], _Plan] = field(default_factory=dict, init=False, repr=False, compare=False)
    _requests: Requests = field(init=False, repr=False, compare=False)
    _prepared: dict[str, BoundedCache] = field(default_factory=dict, init=False, repr=False, compare=False)
    _clients: BoundedCache = field(default_factory=lambda: BoundedCache(_without_ports), init=False, compare=False)
    _forwarded: BoundedCache = field(default_factory=lambda: BoundedCache(_first_addresses), init=False, compare=False)
    _levels: BoundedCache = field(default_factory=lambda: BoundedCache(_known_levels), init=False, compare=False)

    def __post_init__(self) -> None:
        roles = {field.role for field in self.fields.values()}
        mixed = "request" in roles and bool(roles & {"target", "path"})
        for name, one in self.fields.items():
            if one.extract or one.absent or one.decode:
                self._prepared[name] = BoundedCache(partial(_prepared, field=one))
        object.__setattr__(self, "_requests", Requests(self.reading.endpoints, self.reading.wanted, mixed=mixed))

    def convert(self, tokens: Tokens, lines: int, envelope: pl.DataFrame | None = None) -> Batch:
        """Interpret the fields of a chunk of so many lines.

        `envelope` has what wrappers say of each line of the chunk, `timestamp` and `app_name`, for lines that do not
        say so themselves. Lines whose status, size or duration is not a number are rejected as `bad_status`,
        `bad_bytes`, `bad_duration`; in formats that mix in events, a line with nothing known in it as
        `no_known_fields`.
        """
        frame = self._texts(tokens.fields)
        role = self._roles(frame.columns)
        frame = frame.hstack([*self._requests.split(frame, role), *self._found_apart(frame, role, envelope)])
        plan = self._plans.get(tuple(frame.columns))
        if plan is None:
            if len(self._plans) >= PLANS:  # a stranger chooses which columns hold anything
                self._plans.clear()
            plan = self._plans[tuple(frame.columns)] = self._plan(frame.columns)
        if plan.micros:
            frame = frame.with_columns(plan.micros)
        flags = {f"_{reason}": flag for reason, flag in plan.bad.items()}
        rows = frame.select(**plan.columns, **flags)
        rejected = tokens.rejected
        if any(rows[flag].any() for flag in flags):
            reason = pl.coalesce(pl.when(pl.col(flag)).then(pl.lit(flag[1:])) for flag in flags)
            refused = rows.select("line", reason.alias("reason")).drop_nulls()
            rejected = pl.concat([rejected, refused])
            rows = rows.filter(~pl.any_horizontal(*flags))
        for flag in flags:
            rows.drop_in_place(flag)
        invalid = int(rows.drop_in_place("_invalid").sum()) if "_invalid" in plan.columns else 0
        return Batch(rows, rejected, tokens.ignored, lines, invalid)

    def _texts(self, fields: pl.DataFrame) -> pl.DataFrame:
        """The columns that hold anything, as they are interpreted."""
        made = []
        for column in fields:
            if column.null_count() < fields.height or column.name == "line":
                memory = self._prepared.get(column.name)
                if memory is not None:
                    column = memory.lookup(column).to_series().alias(column.name)
                made.append(_present(column) if column.dtype == pl.String and column.name not in MARKS else column)
        return pl.DataFrame(made)

    def _roles(self, columns: Sequence[str]) -> dict[str, str]:
        """Role → the first of the columns that has it."""
        return {self.fields[name].role: name for name in reversed(columns) if name in self.fields}

    def _found_apart(
        self, frame: pl.DataFrame, role: Mapping[str, str], envelope: pl.DataFrame | None
    ) -> list[pl.Series]:
        """What takes more than an expression, or is found once for each distinct text: `_timestamp`, `_client`,
        `_forwarded`, `_level`; `_us_…`, durations that say their unit; and `_app_of_wrapper`."""
        found: dict[str, pl.Series] = {}
        client = role.get("client_ip", "")
        if client and self.fields[client].port and "client_ip" in self.reading.wanted:
            found["_client"] = self._clients.lookup(frame[client]).to_series()
        if self.reading.trust_forwarded and "forwarded_for" in role and "client_ip" in self.reading.wanted:
            found["_forwarded"] = self._forwarded.lookup(frame[role["forwarded_for"]]).to_series()
        if "level" in role and (self.events or "level" in self.reading.wanted):
            found["_level"] = self._levels.lookup(frame[role["level"]]).to_series()
        timed = "timestamp" in self.reading.wanted
        if timed and ("timestamp" in role or "date" in role):
            form = " ".join(self.fields[name].form for name in _time_parts(role)).strip()
            found["_timestamp"] = times.parse(_time_text(frame, role), self.reading.zone, form)
        for name in frame.columns:
            field = self.fields.get(name)
            if field is not None and field.role == "duration" and field.unit == "auto":
                found[f"_us_{name}"] = _auto_micros(frame[name])
        found |= self._certain(frame, role)
        if envelope is not None:
            about = envelope[frame["line"]]
            if timed and "timestamp" in about.columns:
                own = found.get("_timestamp")
                outer = about["timestamp"]
                found["_timestamp"] = outer if own is None else own.zip_with(own.is_not_null(), outer)
            if "app_name" in about.columns:
                found["_app_of_wrapper"] = _present(about["app_name"])
        return [series.alias(name) for name, series in found.items()]

    def _certain(self, frame: pl.DataFrame, role: Mapping[str, str]) -> dict[str, pl.Series]:
        """`_status`, `_bytes` and `_ms_…`, durations in milliseconds, as far as no line has anything odd in them."""
        if not kernels.AVAILABLE:
            return {}
        found: dict[str, pl.Series | None] = {}
        if "status" in role:
            found["_status"] = kernels.integers(frame[role["status"]], 100, 999)
        if "bytes" in role:
            found["_bytes"] = kernels.integers(frame[role["bytes"]], 0, 2**53)
        for name in frame.columns:
            field = self.fields.get(name)
            if field is not None and field.role == "duration" and field.unit != "auto" and not field.sum:
                micros = kernels.decimals(frame[name], UNITS[field.unit], LONGEST_US)
                found[f"_ms_{name}"] = None if micros is None else micros.round() / 1000
        return {name: column for name, column in found.items() if column is not None}

    def _plan(self, given: Sequence[str]) -> _Plan:
        fields, reading, wanted = self.fields, self.reading, self.reading.wanted
        role = self._roles(given)
        columns: dict[str, pl.Expr] = {"line": pl.col("line")}
        micros: list[pl.Expr] = []
        bad: dict[str, pl.Expr] = {}

        def text(of: str) -> pl.Expr:
            return pl.col(role[of]) if of in role else pl.lit(None, pl.String)

        if "_status" in given:
            columns["status"] = pl.col("_status").cast(pl.UInt16)
        elif "status" in role:
            columns["status"], bad["bad_status"] = _status(pl.col(role["status"]))
        if "_bytes" in given:
            columns["bytes"] = pl.col("_bytes")
        elif "bytes" in role:
            columns["bytes"], bad["bad_bytes"] = _bytes(pl.col(role["bytes"]))
        durations = [name for name in given if name in fields and fields[name].role == "duration"]
        if durations and all(f"_ms_{name}" in given for name in durations):
            columns["duration_ms"] = pl.coalesce(f"_ms_{name}" for name in durations)
        elif durations:
            micros = [
                _micros(pl.col(n), fields[n].unit).alias(f"_us_{n}") for n in durations if fields[n].unit != "auto"
            ]
            read = [_duration(pl.col(n), pl.col(f"_us_{n}")) for n in durations]
            spans, not_numbers, invalid = zip(*read, strict=True)
            if any(fields[n].sum for n in durations):
                parts = [
                    pl.when(time.is_not_null()).then(f"_us_{n}")
                    for n, time in zip(durations, spans, strict=True)
                    if fields[n].sum
                ]
                whole = pl.sum_horizontal(parts, ignore_nulls=False) / 1000
                spans = (whole, *(t for n, t in zip(durations, spans, strict=True) if not fields[n].sum))
            columns["duration_ms"] = pl.coalesce(spans)
            bad["bad_duration"] = pl.any_horizontal(not_numbers)
            columns["_invalid"] = pl.any_horizontal(invalid) & pl.coalesce(spans).is_null()
        if "_timestamp" in given:
            columns["timestamp"] = pl.col("_timestamp")
        if "client_ip" in wanted:
            client = pl.col("_client") if "_client" in given else text("client_ip")
            columns["client_ip"] = pl.coalesce("_forwarded", client) if "_forwarded" in given else client
        host = pl.coalesce(text("host"), "_authority") if "_authority" in given else text("host")
        of_wrapper = pl.col("_app_of_wrapper") if "_app_of_wrapper" in given else pl.lit(None, pl.String)
        app = pl.coalesce(text("app_name"), of_wrapper, pl.lit(reading.app, pl.String), host)
        columns |= {"host": host, "app_name": app}
        for name in ("method", "protocol", "path", "query", "endpoint"):
            if f"_{name}" in given:
                columns[name] = pl.col(f"_{name}")
        for name in ("user_id", "referer", "user_agent", "message", "trace_id"):
            if name in role:
                columns[name] = text(name)
        level = pl.col("_level") if "_level" in given else pl.lit(None, pl.String)
        if "level" in wanted:
            columns["level"] = _level(level, columns.get("status"))
        if self.events:
            is_request = pl.any_horizontal(*(text(r).is_not_null() for r in ("method", "status", "request")))
            is_request |= text("target").is_not_null() & ("duration" in role and text("duration").is_not_null())
            is_event = level.is_not_null() | text("message").is_not_null()
            columns["kind"] = pl.when(is_request).then(pl.lit("request")).otherwise(pl.lit("event"))
            columns["level"] = _level(level, columns.get("status"))
            bad["no_known_fields"] = ~is_request & ~is_event
            if "endpoint" in columns:
                columns["endpoint"] = pl.when(is_request).then("_endpoint")
        else:
            columns["kind"] = pl.lit("request")
        if "_extra" in given:
            columns["extra"] = pl.col("_extra")
        elif "extra" in wanted and "request" in role:
            malformed = pl.col("_method").is_null() & text("request").is_not_null()
            columns["extra"] = pl.when(malformed).then(
                pl.struct(pl.col(role["request"]).alias("request")).struct.json_encode()
            )
        always = {"line", "_invalid", *(("kind", "level") if self.events else ())}
        keep = {name: columns[name] for name in columns if name in wanted or name in always}
        nulls = {n: pl.lit(None, t) for n, t in schema.dtypes().items() if n in wanted and n not in keep}
        if FINGERPRINT in fields:
            bad["other_format"] = pl.col(FINGERPRINT).is_null() if FINGERPRINT in given else pl.lit(value=True)
        elif FOREIGN in given:
            bad["other_format"] = pl.col(FOREIGN).is_not_null()
        return _Plan(micros, keep | nulls, {reason: flag.fill_null(value=False) for reason, flag in bad.items()})


def _prepared(texts: pl.Series, field: Field) -> pl.DataFrame:
    """Distinct texts as they are interpreted: what a field's `extract`, `absent` and `decode` make of them."""
    text = pl.col("")
    if field.decode == "json":
        texts = _json_decoded(texts)
    if field.extract:
        text = pl.coalesce(text.str.extract(field.extract, 1), text)
    if field.absent:
        text = pl.when(~text.is_in(field.absent)).then(text)
    if field.decode == "plus":
        text = text.str.replace_all("+", " ", literal=True)
    made = texts.to_frame("").select(text)
    return _percent_decoded(made.to_series()).to_frame() if field.decode == "percent" else made


def _json_decoded(texts: pl.Series) -> pl.Series:
    """Escapes of JSON texts undone; a text with others in it (`\\x22`) stands as it is."""
    if not texts.str.contains("\\", literal=True).any():
        return texts
    decoded = []
    for text in texts.to_list():
        try:
            whole = json.loads(f'"{text}"', strict=False) if text and "\\" in text else text
            decoded.append(whole and whole.encode("utf-8", "backslashreplace").decode())
        except ValueError:
            decoded.append(text)
    return pl.Series("", decoded, pl.String)


def _percent_decoded(texts: pl.Series) -> pl.Series:
    """`%20` undone, twice where a server has done it twice (`%2520`)."""
    if not texts.str.contains("%", literal=True).any():
        return texts
    decoded = [t and unquote(unquote(t) if "%25" in t else t) for t in texts.to_list()]
    safe = [t and t.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n") for t in decoded]
    return pl.Series(safe, dtype=pl.String)


def _present(texts: pl.Series) -> pl.Series:
    """The texts that stand for a value: `-` and nothing say that there is none."""
    if kernels.AVAILABLE:
        return kernels.present(texts)
    return texts.set((texts == "-") | (texts == ""), None)


def _time_text(frame: pl.DataFrame, role: Mapping[str, str]) -> pl.Series:
    """The time as one text, also where the line has date, time and zone apart."""
    parts = _time_parts(role)
    if len(parts) == 1:
        return frame[parts[0]]
    return frame.select(pl.concat_str(parts, separator=" ")).to_series()


def _time_parts(role: Mapping[str, str]) -> list[str]:
    """The columns that make the time, in the order in which they are put together."""
    return [role[part] for part in ("timestamp", "date", "time", "zone") if part in role]


def _status(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    value = text.cast(pl.UInt16, strict=False)
    good = (text.str.len_bytes() == 3) & value.is_between(100, 999)
    absent = (text == "000") | (text == "0")
    return pl.when(good).then(value), ~good.fill_null(value=False) & ~absent


def _bytes(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    value = text.cast(pl.Int64, strict=False)
    good = value >= 0
    return pl.when(good).then(value), ~good.fill_null(value=False) & text.is_not_null()


def _micros(text: pl.Expr, unit: str) -> pl.Expr:
    """A duration in whole microseconds as Float64, null where the text is no number."""
    return (text.cast(pl.Float64, strict=False) * UNITS[unit]).round()


def _auto_micros(texts: pl.Series) -> pl.Series:
    """The same of durations that say their unit; milliseconds if one does not."""
    first = texts.drop_nulls().head(1)
    match = _SUFFIXED.match(first[0]) if first.len() else None
    found = texts.clear(texts.len()).cast(pl.Float64)
    if match is not None and match[2]:  # mostly all have the same
        number = pl.col("").str.strip_suffix(match[2]).cast(pl.Float64, strict=False)
        good = pl.col("").str.ends_with(match[2]) & number.is_finite()
        found = texts.to_frame("").select(pl.when(good).then((number * _SCALES[match[2]]).round())).to_series()
    left = np.flatnonzero((found.is_null() & texts.is_not_null()).to_numpy())
    if not len(left):
        return found
    text = pl.col("")
    number = text.str.extract(_SUFFIXES, 1).cast(pl.Float64, strict=False)
    scale = text.str.extract(_SUFFIXES, 2).replace_strict(_SCALES, default=1e3, return_dtype=pl.Float64)
    return found.scatter(left, texts.gather(left).to_frame("").select((number * scale).round()).to_series())


def _duration(text: pl.Expr, micros: pl.Expr) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """(milliseconds or null, whether the text is no number, whether the number is no duration)."""
    good = micros.is_between(0, LONGEST_US)
    milliseconds = pl.when(good).then(micros / 1000)
    return milliseconds, micros.is_null() & text.is_not_null(), ~good


def _known_levels(texts: pl.Series) -> pl.DataFrame:
    """Levels as everybody calls them; null for what says none."""
    return texts.to_frame("").select(pl.col("").str.to_uppercase().replace(_LEVELS))


def _level(logged: pl.Expr, status: pl.Expr | None) -> pl.Expr:
    if status is None:
        return pl.coalesce(logged, pl.lit("INFO"))
    derived = pl.when(status >= 500).then(pl.lit("ERROR")).when(status >= 400).then(pl.lit("WARN"))
    return pl.coalesce(logged, derived.otherwise(pl.lit("INFO")))


def _without_ports(texts: pl.Series) -> pl.DataFrame:
    """Addresses without their ports; null for what says none."""
    return texts.to_frame("").select(_without_port(pl.col("")))


def _first_addresses(texts: pl.Series) -> pl.DataFrame:
    """The first of some addresses, `client, proxy, proxy`, without its port."""
    first = pl.col("").str.splitn(",", 2).struct.field("field_0").str.strip_chars(" ")
    return texts.to_frame("").select(_without_port(pl.when((first != "-") & (first != "")).then(first)))


def _without_port(address: pl.Expr) -> pl.Expr:
    bare = address.str.replace(r"^\[([^\]]*)\].*$", "$1").str.replace(r"^([0-9.]+):[0-9]+$", "$1")
    return pl.when(address.str.contains(_HAS_PORT)).then(bare).otherwise(address)
