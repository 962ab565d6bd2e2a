"""Texts of fields → rows of the request schema, in columns. Both lanes of every engine come through here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from logstats import schema
from logstats.formats import timestamps
from logstats.formats.model import UNITS, Field
from logstats.formats.request_line import split_requests, split_targets
from logstats.formats.tokens import Tokens

# Durations are kept to the microsecond, and a Float64 of milliseconds holds that up to here (285 years).
LONGEST_US: Final = float(2**53)

_TARGET_COLUMNS = {"path", "query", "endpoint", "host"}
_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    # role → the schema columns that it helps to fill
    "request": frozenset({"method", "protocol", *_TARGET_COLUMNS}),
    "target": frozenset(_TARGET_COLUMNS),
    "path": frozenset(_TARGET_COLUMNS),
    "query": frozenset({"query"}),
    "duration": frozenset({"duration_ms"}),
    "forwarded_for": frozenset({"client_ip"}),
    "status": frozenset({"status", "level"}),
    "host": frozenset({"host", "app_name"}),
    "app_name": frozenset({"app_name"}),
    **dict.fromkeys(("date", "time", "zone"), frozenset({"timestamp"})),
}
_LEVELS = {
    **{"WARNING": "WARN", "ERR": "ERROR", "CRIT": "CRITICAL", "INFORMATION": "INFO"},
    **{"10": "TRACE", "20": "DEBUG", "30": "INFO", "40": "WARN", "50": "ERROR", "60": "FATAL"},  # pino, bunyan
}
_HAS_PORT = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}:[0-9]+|\[.*)$"
_SUFFIXES = r"^([0-9.eE+-]+|[0-9.]+) ?(ns|us|µs|μs|ms|s|sec|m|min|h)?$"


class EndpointsOf(Protocol):
    """Paths to endpoints; `logstats.endpoints.Endpoints` is one."""

    def of(self, paths: pl.Series) -> pl.Series: ...


@dataclass(frozen=True)
class Reading:
    """The options that decide what lines mean, and which columns anybody will look at."""

    endpoints: EndpointsOf
    wanted: frozenset[str] = frozenset(schema.COLUMNS)
    zone: str = "UTC"
    app: str | None = None
    trust_forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """A chunk that was read: `rows` has `line` (UInt32, index in the chunk) and the wanted columns."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    ignored: int
    lines: int
    invalid_durations: int


def wanted_variables(fields: Mapping[str, Field], reading: Reading, *, events: bool) -> list[str]:
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


def convert(tokens: Tokens, lines: int, fields: Mapping[str, Field], reading: Reading, *, events: bool) -> Batch:
    """Interpret the fields of a chunk.

    Lines whose status, size or duration is not a number are rejected as `bad_status`, `bad_bytes`,
    `bad_duration`; in formats that mix in events, a line with nothing known in it as `no_known_fields`.
    """
    frame = tokens.fields
    role = {fields[name].role: name for name in reversed(frame.columns) if name in fields}
    wanted = reading.wanted
    columns: dict[str, pl.Expr | pl.Series] = {"line": pl.col("line")}
    bad: dict[str, pl.Expr] = {}

    def text(of: str) -> pl.Expr:
        return _present(pl.col(role[of])) if of in role else pl.lit(None, pl.String)

    if "status" in role:
        columns["status"], bad["bad_status"] = _status(pl.col(role["status"]))
    if "bytes" in role:
        columns["bytes"], bad["bad_bytes"] = _bytes(pl.col(role["bytes"]))
    durations = [_duration(pl.col(n), fields[n].unit) for n in frame.columns if _is_duration(n, fields)]
    if durations:
        times, not_numbers, invalid = zip(*durations, strict=True)
        columns["duration_ms"] = pl.coalesce(times)
        bad["bad_duration"] = pl.any_horizontal(not_numbers)
        columns["_invalid"] = pl.any_horizontal(invalid) & pl.coalesce(times).is_null()
    if "timestamp" in wanted and ("timestamp" in role or "date" in role):
        columns["timestamp"] = timestamps.parse(_present_series(_time_text(frame, role)), reading.zone)
    frame = _add_request(frame, role, wanted)
    frame = _add_target(frame, role, reading)
    if "client_ip" in wanted:
        columns["client_ip"] = _client(role, fields, reading)
    host = pl.coalesce(text("host"), "_authority") if "_authority" in frame.columns else text("host")
    app = pl.coalesce(text("app_name"), pl.lit(reading.app, pl.String), host)
    columns |= {"host": host, "app_name": app}
    for name in ("method", "protocol", "path", "query", "endpoint"):
        if f"_{name}" in frame.columns:
            columns[name] = pl.col(f"_{name}")
    for name in ("user_id", "referer", "user_agent", "message", "trace_id"):
        if name in role:
            columns[name] = text(name)
    if "level" in wanted or events:
        columns["level"] = _level(text("level"), columns.get("status"))
    if events:
        is_request = pl.any_horizontal(*(text(r).is_not_null() for r in ("method", "status", "request")))
        is_request |= text("target").is_not_null() & ("duration" in role and text("duration").is_not_null())
        is_event = text("level").is_not_null() | text("message").is_not_null()
        columns["kind"] = pl.when(is_request).then(pl.lit("request")).otherwise(pl.lit("event"))
        bad["no_known_fields"] = ~is_request & ~is_event
        if "endpoint" in columns:
            columns["endpoint"] = pl.when(is_request).then("_endpoint")
    else:
        columns["kind"] = pl.lit("request")
    if "_extra" in frame.columns:
        columns["extra"] = pl.col("_extra")
    elif "extra" in wanted and "request" in role:
        malformed = pl.col("_method").is_null() & text("request").is_not_null()
        columns["extra"] = pl.when(malformed).then(
            pl.struct(pl.col(role["request"]).alias("request")).struct.json_encode()
        )

    keep = {name: columns[name] for name in columns if name in wanted or name in ("line", "_invalid", "kind")}
    nulls = {n: pl.lit(None, t) for n, t in schema.dtypes().items() if n in wanted and n not in keep}
    flags = {f"_{reason}": flag.fill_null(value=False) for reason, flag in bad.items()}
    rows = frame.select(**keep, **nulls, **flags)
    rejected = tokens.rejected
    if flags and rows.select(pl.any_horizontal(pl.col(*flags).any())).item():
        reason = pl.coalesce(pl.when(pl.col(flag)).then(pl.lit(flag[1:])) for flag in flags)
        refused = rows.select("line", reason.alias("reason")).drop_nulls()
        rejected = pl.concat([rejected, refused])
        rows = rows.filter(~pl.any_horizontal(*flags))
    invalid_durations = int(rows["_invalid"].sum()) if "_invalid" in rows.columns else 0
    return Batch(rows.drop("_invalid", *flags, strict=False), rejected, tokens.ignored, lines, invalid_durations)


def _is_duration(name: str, fields: Mapping[str, Field]) -> bool:
    return name in fields and fields[name].role == "duration"


def _missing(text: pl.Expr) -> pl.Expr:
    return (text == "-") | (text == "")


def _present(text: pl.Expr) -> pl.Expr:
    """`-` and nothing stand for a value that is not there."""
    return pl.when(~_missing(text)).then(text)


def _present_series(texts: pl.Series) -> pl.Series:
    return texts.to_frame("t").select(_present(pl.col("t"))).to_series()


def _time_text(frame: pl.DataFrame, role: Mapping[str, str]) -> pl.Series:
    """The time as one text, also where the line has date, time and zone apart."""
    parts = [role[part] for part in ("timestamp", "date", "time", "zone") if part in role]
    if len(parts) == 1:
        return frame[parts[0]]
    return frame.select(pl.concat_str(parts, separator=" ")).to_series()


def _status(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    value = text.cast(pl.UInt16, strict=False)
    good = (text.str.len_bytes() == 3) & value.is_between(100, 999)
    absent = _missing(text) | (text == "000") | (text == "0")
    return pl.when(good).then(value), ~good.fill_null(value=False) & ~absent


def _bytes(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    value = text.cast(pl.Int64, strict=False)
    good = value >= 0
    return pl.when(good).then(value), ~good.fill_null(value=False) & ~_missing(text)


def _duration(text: pl.Expr, unit: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """(milliseconds or null, whether the text is no number, whether the number is no duration)."""
    if unit == "auto":
        number = text.str.extract(_SUFFIXES, 1).cast(pl.Float64, strict=False)
        suffix = text.str.extract(_SUFFIXES, 2)
        scale = suffix.replace_strict(
            {**UNITS, "µs": 1.0, "μs": 1.0, "sec": 1e6, "m": 6e7, "min": 6e7, "h": 3.6e9},
            default=1e3,
            return_dtype=pl.Float64,
        )
        micros = (number * scale).round()
    else:
        number = text.cast(pl.Float64, strict=False)
        micros = (number * UNITS[unit]).round()
    good = micros.is_between(0, LONGEST_US)
    not_a_number = number.is_null() & ~_missing(text)
    return pl.when(good).then(micros / 1000), not_a_number, number.is_not_null() & ~good


def _level(text: pl.Expr, status: pl.Expr | pl.Series | None) -> pl.Expr:
    logged = text.str.to_uppercase().replace(_LEVELS)
    if status is None or isinstance(status, pl.Series):
        return pl.coalesce(logged, pl.lit("INFO"))
    derived = pl.when(status >= 500).then(pl.lit("ERROR")).when(status >= 400).then(pl.lit("WARN"))
    return pl.coalesce(logged, derived.otherwise(pl.lit("INFO")))


def _client(role: Mapping[str, str], fields: Mapping[str, Field], reading: Reading) -> pl.Expr:
    client = pl.lit(None, pl.String)
    if "client_ip" in role:
        client = _present(pl.col(role["client_ip"]))
        if fields[role["client_ip"]].port:
            client = _without_port(client)
    if reading.trust_forwarded and "forwarded_for" in role:
        first = pl.col(role["forwarded_for"]).str.splitn(",", 2).struct.field("field_0").str.strip_chars(" ")
        client = pl.coalesce(_without_port(_present(first)), client)
    return client


def _without_port(address: pl.Expr) -> pl.Expr:
    bare = address.str.replace(r"^\[([^\]]*)\].*$", "$1").str.replace(r"^([0-9.]+):[0-9]+$", "$1")
    return pl.when(address.str.contains(_HAS_PORT)).then(bare).otherwise(address)


def _add_request(frame: pl.DataFrame, role: dict[str, str], wanted: Collection[str]) -> pl.DataFrame:
    """Adds `_method`, `_target` and `_protocol`, from the request line or from fields of their own."""
    own = {part: role[part] for part in ("method", "protocol", "target") if part in role}
    if "request" not in role or not _NEEDS["request"] & set(wanted):
        return frame.with_columns(**{f"_{p}": _present(pl.col(name)) for p, name in own.items() if p != "target"})
    name = role["request"]
    distinct = frame.select(name).unique().drop_nulls()
    parts = split_requests(distinct[name]).rename(lambda part: f"_{part}")
    frame = frame.join(distinct.hstack(parts), on=name, how="left", maintain_order="left")
    role["target"] = "_target"
    return frame.with_columns(pl.coalesce(_present(pl.col(n)), f"_{p}").alias(f"_{p}") for p, n in own.items())


def _add_target(frame: pl.DataFrame, role: Mapping[str, str], reading: Reading) -> pl.DataFrame:
    """Adds `_path`, `_query`, `_authority` and `_endpoint`."""
    name = role.get("target") or role.get("path")
    if name is None or not _TARGET_COLUMNS & reading.wanted:
        return frame
    distinct = frame.select(name).unique().drop_nulls()
    parts = split_targets(_present_series(distinct[name]).alias(name))
    if "endpoint" in reading.wanted:
        parts = parts.with_columns(endpoint=reading.endpoints.of(parts["path"]).fill_null(schema.MALFORMED))
    parts = parts.rename({"path": "_path", "query": "_q", "authority": "_authority"})
    if "endpoint" in parts.columns:
        parts = parts.rename({"endpoint": "_endpoint"})
    frame = frame.join(distinct.hstack(parts), on=name, how="left", maintain_order="left")
    own = _present(pl.col(role["query"]).str.strip_prefix("?")) if "query" in role else pl.lit(None, pl.String)
    frame = frame.with_columns(_query=pl.coalesce("_q", own))
    if "_endpoint" in frame.columns:
        frame = frame.with_columns(pl.col("_endpoint").fill_null(schema.MALFORMED))
    return frame
