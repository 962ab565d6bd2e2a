"""Texts of fields → rows of the request schema, in columns. Both paths of every engine come through here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import numpy as np

from logstats import schema
from logstats.cache import BoundedCache
from logstats.dataclass import dataclass
from logstats.durations import milliseconds
from logstats.formats.engines.scan import Tokens
from logstats.formats.fields import numbers, times
from logstats.formats.fields.addresses import first_addresses, without_ports
from logstats.formats.fields.beginnings import PART
from logstats.formats.fields.levels import known_levels, level_of, of_syslog
from logstats.formats.fields.requests import TARGET_COLUMNS, PathTemplates, Requests
from logstats.formats.fields.shapes import Shape, first_usable
from logstats.formats.model import FINGERPRINT, FOREIGN, MARKS, UNITS, Field
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers

PLANS: Final = 64  # sets of columns whose expressions are cached
_NO_SCHEME: Final = r"^([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?(?:/|$))"
_MORE: Final = r"[,:\]]"  # than an address: a list of them, a port, or brackets
_NO_NUMBER: Final = r"[\[\]\"]"  # nor a time: the line breaks off in it, where another begins
_CACHE: Final = r"^(?:TCP_|UDP_)?([^/]*)(?:/.*)?$"  # Squid: TCP_HIT/200
_NO_NAME: Final = '""'  # Apache, of a user without a name
_BEGINS: Final = (  # of messages: a request is only about to be answered
    r"(?i)(?:^|[^a-z])(?:start(?:ed|ing|s)?|begin(?:s|ning)?|began|begun|incoming|received?|accept(?:ed|ing)|enter(?:ed|ing)?)"
    r"(?:[^a-z]|$)|^processing |- EVENT\]"
)
_CLOCK: Final = r"^[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?$"
_OFFSET: Final = r"^(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})$"
_INVALID: Final = "_invalid_"  # prefix of a mask: rows whose text in a field is invalid

_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    # role → the schema columns that it helps to fill
    "request": frozenset({"method", "protocol", *TARGET_COLUMNS}),
    "target": TARGET_COLUMNS,
    "path": TARGET_COLUMNS,
    "query": frozenset({"query"}),
    "duration": frozenset({"duration_ms"}),
    "upstream_duration": frozenset({"upstream_ms"}),
    "forwarded_for": frozenset({"client_ip"}),
    "status": frozenset({"status", "level"}),
    "host": frozenset({"host", "app_name"}),
    "app_name": frozenset({"app_name"}),
    **dict.fromkeys(("date", "time", "zone"), frozenset({"timestamp"})),
}


@dataclass(frozen=True)
class ReadOptions:
    """The options that decide how lines are interpreted, and the columns that are wanted."""

    endpoints: PathTemplates
    wanted: frozenset[str] = frozenset(schema.COLUMNS)
    zone: str = "UTC"
    app: str | None = None
    trust_forwarded: bool = False
    units: Mapping[str, str] = field(default_factory=dict)  # of durations, by name or key, as the user gives them


@dataclass(frozen=True, slots=True)
class Batch:
    """A chunk that was read: `rows` has `line` (UInt32, index in the chunk) and the wanted columns; if the format mixes
    in events, also `kind` and `level`. `invalid` has, by field (`duration`, `bytes`), the lines of requests whose value
    is invalid, which is null in their rows. `counted` is what a `Counter` made of other lines, which have no rows."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    ignored: int
    lines: int
    invalid: Mapping[str, pl.Series]
    counted: Any = None

    def among(self, places: kernels.Places, lines: int) -> Batch:
        """The batch of so many lines, of which those of this one are at these places."""
        at = as_numbers(places.astype(np.uint32))

        def moved(frame: pl.DataFrame) -> pl.DataFrame:
            lines = at.gather(frame["line"]).alias("line")
            return pl.DataFrame([lines if column.name == "line" else column for column in frame])

        invalid = {name: at.gather(odd) for name, odd in self.invalid.items()}
        return Batch(moved(self.rows), moved(self.rejected), self.ignored, lines, invalid, self.counted)


def needed_variables(
    fields: Mapping[str, Field], reading: ReadOptions, *, events: bool, requires: Sequence[str] = ()
) -> list[str]:
    """The variables of a format that have to be read from lines."""
    wanted = {*reading.wanted, *requires}
    if events:  # to tell events from requests
        wanted |= {"method", "status", "path", "level", "message", "duration_ms"}
    return list(
        dict.fromkeys(
            field.of or name
            for name, field in fields.items()
            if (_NEEDS.get(field.role) or {field.role}) & wanted
            or field.role in ("status", "fields")  # a line with an invalid status is rejected
            if field.role != "forwarded_for" or reading.trust_forwarded
        )
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """The expressions that make rows of a chunk's columns."""

    columns: dict[str, pl.Expr]
    bad: dict[str, pl.Expr]  # reason → expression: whether a line is rejected for it


@dataclass(frozen=True, slots=True)
class FieldReader:
    """Interprets the fields of a format. `events` says whether lines may be events; if so, a request must have the
    roles in `requires` (`Format.requires`).

    Expressions are built once for each set of columns that have values, which is mostly once: building them takes as
    long as reading a thousand lines.
    """

    fields: Mapping[str, Field]
    reading: ReadOptions
    events: bool
    requires: tuple[str, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    pairs: bool = False
    keyed: bool = False  # the format finds values by keys
    _plans: dict[tuple[str, ...], _Plan] = field(default_factory=dict, init=False, repr=False, compare=False)
    requests: Requests = field(init=False, repr=False, compare=False)
    _prepared: dict[str, BoundedCache] = field(default_factory=dict, init=False, repr=False, compare=False)
    _also: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)  # by their `of`
    _clients: BoundedCache = field(default_factory=lambda: BoundedCache(without_ports), init=False, compare=False)
    _forwarded: BoundedCache = field(default_factory=lambda: BoundedCache(first_addresses), init=False, compare=False)
    _lists: BoundedCache = field(default_factory=lambda: BoundedCache(first_usable), init=False, compare=False)
    _levels: BoundedCache = field(default_factory=lambda: BoundedCache(known_levels), init=False, compare=False)

    def __post_init__(self) -> None:
        roles = {field.role for field in self.fields.values()}
        mixed = "request" in roles and bool(roles & {"target", "path"})
        for name, one in self.fields.items():
            if one.extract or one.absent or one.decode or one.of:
                self._prepared[name] = BoundedCache(partial(_prepared, field=one))
            if one.of and (_NEEDS.get(one.role) or {one.role}) & self.reading.wanted:
                self._also.setdefault(one.of, []).append(name)
        object.__setattr__(self, "requests", Requests(self.reading.endpoints, self.reading.wanted, mixed=mixed))

    def convert(self, tokens: Tokens, lines: int, envelope: pl.DataFrame | None = None) -> Batch:
        """Interpret the fields of a chunk.

        `envelope` has the wrappers' `timestamp`, `app_name` and `level` for each line of the chunk, for lines without
        their own.
        A line with an invalid status is rejected as `bad_status`; in formats that mix in events, a line without any
        known field as `no_known_fields`.
        """
        frame = self._with_methods(self._texts(tokens.fields))
        role = self._roles(frame.columns)
        frame = frame.hstack([*self.requests.split(frame, role), *self._found_apart(frame, role, envelope)])
        if "extra" in self.reading.wanted and "request" in role and "_extra" not in frame.columns:
            frame = frame.hstack([_malformed(frame["_method"], frame[role["request"]])])
        plan = self._plans.get(tuple(frame.columns))
        if plan is None:
            if len(self._plans) >= PLANS:  # clients can choose which columns have values
                self._plans.clear()
            plan = self._plans[tuple(frame.columns)] = self._plan(frame.columns)
        flags = {f"_{reason}": flag for reason, flag in plan.bad.items()}
        rows = frame.select(**plan.columns, **flags)
        spans = [name for name in ("duration_ms", "upstream_ms") if name in rows.columns]
        rows = rows.with_columns(milliseconds(rows[name]) for name in spans if rows[name].dtype == pl.Int64)
        rejected = tokens.rejected
        if any(rows[flag].any() for flag in flags):
            reason = pl.coalesce(pl.when(pl.col(flag)).then(pl.lit(flag[1:])) for flag in flags)
            refused = rows.select("line", reason.alias("reason")).drop_nulls()
            rejected = pl.concat([rejected, refused])
            rows = rows.filter(~pl.any_horizontal(*flags))
        for flag in flags:
            rows.drop_in_place(flag)
        invalid = {}
        for name in plan.columns:
            if name.startswith(_INVALID):
                invalid[name.removeprefix(_INVALID)] = rows["line"].filter(rows.drop_in_place(name))
        return Batch(rows, rejected, tokens.ignored, lines, invalid)

    def _texts(self, fields: pl.DataFrame) -> pl.DataFrame:
        """The columns that have values, after `extract`, `absent` and `decode`."""
        made = []
        for column in fields:
            if column.null_count() < fields.height or column.name == "line":
                for name in self._also.get(column.name, ()):
                    made.append(_present(self._prepared[name].lookup(column).to_series().alias(name)))
                memory = self._prepared.get(column.name)
                if memory is not None:
                    column = memory.lookup(column).to_series().alias(column.name)
                made.append(_present(column) if column.dtype == pl.String and column.name not in MARKS else column)
        return pl.DataFrame(made)

    def _with_methods(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The columns, in which what is no method is none, if keys find the values; `_odd_method` says where."""
        name = self._roles(frame.columns).get("method", "")
        if not self.keyed or name not in self.shapes:
            return frame
        unfit = self.shapes[name].unfit(frame[name])
        return frame if unfit is None else frame.with_columns(frame[name].set(unfit, None), unfit.alias("_odd_method"))

    def _roles(self, columns: Sequence[str]) -> dict[str, str]:
        """Role → the first column with it."""
        return {self.fields[name].role: name for name in reversed(columns) if name in self.fields}

    def _found_apart(
        self, frame: pl.DataFrame, role: Mapping[str, str], envelope: pl.DataFrame | None
    ) -> list[pl.Series]:
        """Columns that need more than an expression, or are computed once for each distinct text: `_timestamp`,
        `_client`, `_forwarded`, `_level`, `_app_of_wrapper`, `_level_of_wrapper`, and those of `_numbers`."""
        found: dict[str, pl.Series] = {}
        client = role.get("client_ip", "")
        if client and self.fields[client].port and ("client_ip" in self.reading.wanted or client in self.shapes):
            found["_client"] = self._clients.lookup(frame[client]).to_series()
        for name, shape in self.shapes.items():
            if name not in frame.columns:
                continue
            texts = found.get("_client", frame[name]) if name == client else frame[name]
            unfit = shape.unfit(texts)
            if unfit is not None and name == client and texts.filter(unfit).str.contains(_MORE).any():
                texts = found["_client"] = self._lists.lookup(texts).to_series()
                unfit = shape.unfit(texts)
            if unfit is not None and not self.keyed:
                found[f"_unfit_{name}"] = unfit
            elif unfit is not None and name == client:
                found["_client"], found["_odd_client_ip"] = texts.set(unfit, None), unfit
        if self.reading.trust_forwarded and "forwarded_for" in role and "client_ip" in self.reading.wanted:
            found["_forwarded"] = self._forwarded.lookup(frame[role["forwarded_for"]]).to_series()
        if "level" in role and (self.events or "level" in self.reading.wanted):
            found["_level"] = self._levels.lookup(frame[role["level"]]).to_series()
        timed = "timestamp" in self.reading.wanted
        if timed and ("timestamp" in role or "date" in role):
            form = " ".join(self.fields[name].form for name in _time_parts(role)).strip()
            texts = _time_text(frame, role, either=self.keyed)
            found["_timestamp"] = times.parse(texts, self.reading.zone, form)
            if not self.keyed and found["_timestamp"].null_count():
                found["_unfit_time"] = found["_timestamp"].is_null() & texts.str.contains(_NO_NUMBER)
        found |= self._numbers(frame, role)
        if self.events and not self.requires and "message" in role:
            begins = _begins(frame, role, self._durations(frame.columns))
            if begins is not None:
                found["_begins"] = begins
        if envelope is not None:
            about = envelope[frame["line"]]
            if timed and "timestamp" in about.columns:
                own = found.get("_timestamp")
                outer = about["timestamp"]
                found["_timestamp"] = outer if own is None else own.zip_with(own.is_not_null(), outer)
            if "app_name" in about.columns:
                found["_app_of_wrapper"] = _present(about["app_name"])
            if "level" in about.columns and (self.events or "level" in self.reading.wanted):
                found["_level_of_wrapper"] = self._levels.lookup(_present(about["level"])).to_series()
        return [series.alias(name) for name, series in found.items()]

    def _numbers(self, frame: pl.DataFrame, role: Mapping[str, str]) -> dict[str, pl.Series]:
        """`_status`, `_bytes` and `_ns_…` (durations in nanoseconds); and masks of the rows whose text is invalid, if
        any: `_bad_…`; `_unfit_size` of those that are of another format."""
        found: dict[str, pl.Series] = {}
        texts: dict[str, str] = {}
        if "status" in role:
            texts["status"], found["_status"] = role["status"], numbers.statuses(frame[role["status"]])
        for size in ("bytes", "request_bytes"):
            if size in role:
                texts[size], found[f"_{size}"] = role[size], numbers.sizes(frame[role[size]])
        for name in (*self._durations(frame.columns), *self._durations(frame.columns, "upstream_duration")):
            one = self.fields[name]
            unit = "ms" if one.unit == "auto" else one.unit
            texts[f"ns_{name}"], found[f"_ns_{name}"] = name, numbers.durations(frame[name], unit, listed=one.listed)
        for key, column in texts.items():
            value = found[f"_{key}"]
            if value.null_count() > frame[column].null_count():
                odd = value.is_null() & frame[column].is_not_null()
                if key == "status" and self.keyed:  # the keys say that it is a request
                    sure = _asks(frame, role)
                    found["_odd_status"], odd = odd & sure, odd & ~sure
                found[f"_bad_{key}"] = odd
                if key == "bytes" and not self.keyed:
                    found["_unfit_size"] = value.is_null() & frame[column].str.contains(_NO_NUMBER)
        return found

    def _durations(self, columns: Sequence[str], role: str = "duration") -> list[str]:
        """The columns that are durations, of requests or of their upstreams."""
        return [name for name in columns if name in self.fields and self.fields[name].role == role]

    def _duration(self, given: Sequence[str], durations: Sequence[str]) -> pl.Expr:
        """The duration of a request in nanoseconds: the sum of parts, or the first that is present. If two give the
        same duration in different units (`%T` beside `%D`), the finer one."""
        parts = [f"_ns_{name}" for name in durations if self.fields[name].sum]
        others = [name for name in durations if not self.fields[name].sum]
        whole = [pl.sum_horizontal(parts, ignore_nulls=False)] if parts else []
        spans = {name: pl.col(f"_ns_{name}") for name in others}
        for coarse in others if len(others) > 1 else ():
            step = UNITS.get(self.fields[coarse].unit, 0)
            finer = [pl.col(f"_ns_{name}") for name in others if UNITS.get(self.fields[name].unit, 0) < step]
            for other in finer:
                same = (other - pl.col(f"_ns_{coarse}")).abs() < step
                same &= ~pl.col(coarse).str.contains(r"[^0-9]")
                spans[coarse] = pl.when(~same.fill_null(value=False)).then(spans[coarse])
        return pl.coalesce([*whole, *spans.values()])

    def _plan(self, given: Sequence[str]) -> _Plan:
        reading, wanted = self.reading, self.reading.wanted
        role = self._roles(given)
        columns: dict[str, pl.Expr] = {"line": pl.col("line")}
        bad: dict[str, pl.Expr] = {}
        invalid: dict[str, pl.Expr] = {}

        def text(of: str) -> pl.Expr:
            return pl.col(role[of]) if of in role else pl.lit(None, pl.String)

        if "_status" in given:
            columns["status"] = pl.when(pl.col("_status") > 0).then("_status").cast(pl.UInt16)
        if "_bad_status" in given:
            bad["bad_status"] = pl.col("_bad_status")
        if "_odd_status" in given:
            invalid["status"] = pl.col("_odd_status")
        for name in self.shapes:
            if f"_unfit_{name}" in given:
                bad[f"bad_{name if (of := self.fields[name].role) == 'ignored' else of}"] = pl.col(f"_unfit_{name}")
        bad |= {f"bad_{name}": pl.col(f"_unfit_{name}") for name in ("time", "size") if f"_unfit_{name}" in given}
        for size in ("bytes", "request_bytes"):
            if f"_{size}" in given:
                columns[size] = pl.col(f"_{size}")
            if f"_bad_{size}" in given:
                invalid[size] = pl.col(f"_bad_{size}")
        odd_by_key = {name: pl.col(f"_odd_{name}") for name in ("client_ip", "method") if f"_odd_{name}" in given}
        for of, column in (("duration", "duration_ms"), ("upstream_duration", "upstream_ms")):
            if durations := self._durations(given, of):
                columns[column] = span = self._duration(given, durations)  # still in nanoseconds
                odd = [f"_bad_ns_{name}" for name in durations if f"_bad_ns_{name}" in given]
                if odd:
                    invalid[of] = pl.any_horizontal(odd) & span.is_null()
        if "cache" in role:
            columns["cache"] = text("cache").str.to_uppercase().str.extract(_CACHE)
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
        for name in schema.TEXTS:
            if name in role:
                columns[name] = text(name)
        if "user_id" in role and role["user_id"] in self.shapes:
            columns["user_id"] = pl.when(text("user_id") != _NO_NAME).then(text("user_id"))
        level = pl.col("_level") if "_level" in given else pl.lit(None, pl.String)
        logged = pl.coalesce(level, "_level_of_wrapper") if "_level_of_wrapper" in given else level
        if "level" in wanted:
            columns["level"] = level_of(logged, columns.get("status"))
        if self.events:
            is_request = pl.any_horizontal(*(text(r).is_not_null() for r in ("method", "request")))
            is_event = level.is_not_null() | text("message").is_not_null()
            is_request |= text("target").is_not_null() & text("duration").is_not_null() & ~is_event
            asked = text("request").is_not_null() | text("target").is_not_null()
            if "_status" in given:  # of an application's event, 0 says that something went well
                is_request |= (pl.col("_status") > 0).fill_null(value=False) | (pl.col("_status").is_not_null() & asked)
            if "_bad_status" in given:  # in an event it has another meaning: `status=started`
                bad["bad_status"] &= asked | ~is_event
                is_request &= ~pl.col("_bad_status")
            if "_begins" in given:
                is_request &= ~pl.col("_begins")
            if self.requires:
                is_request = pl.all_horizontal(*(text(role).is_not_null() for role in self.requires))
            columns["kind"] = pl.when(is_request).then(pl.lit("request")).otherwise(pl.lit("event"))
            if self.pairs:
                begins = text("trace_id").is_not_null() & text("method").is_not_null() & ~is_request
                columns["kind"] = pl.when(begins).then(pl.lit(PART)).otherwise(columns["kind"])
            status = columns.get("status")
            columns["level"] = level_of(logged, None if status is None else pl.when(is_request).then(status))
            invalid = {name: flag & is_request for name, flag in invalid.items()}
            bad["no_known_fields"] = ~is_request & ~is_event
            if "endpoint" in columns:
                columns["endpoint"] = pl.when(is_request).then("_endpoint")
        else:
            columns["kind"] = pl.lit("request")
        if "_extra" in given:
            columns["extra"] = pl.col("_extra")
        invalid |= odd_by_key  # also of events: the value is nowhere else
        columns |= {f"{_INVALID}{name}": flag.fill_null(value=False) for name, flag in invalid.items()}
        always = {"line", *(f"{_INVALID}{name}" for name in invalid), *(("kind", "level") if self.events else ())}
        keep = {name: columns[name] for name in columns if name in wanted or name in always}
        nulls = {n: pl.lit(None, t) for n, t in schema.dtypes().items() if n in wanted and n not in keep}
        if FINGERPRINT in self.fields:
            bad["other_format"] = pl.col(FINGERPRINT).is_null() if FINGERPRINT in given else pl.lit(value=True)
        elif FOREIGN in given:
            bad["other_format"] = pl.col(FOREIGN).is_not_null()
        return _Plan(keep | nulls, {reason: flag.fill_null(value=False) for reason, flag in bad.items()})


def _malformed(methods: pl.Series, requests: pl.Series) -> pl.Series:
    """`_extra`: requests that have no method, as JSON. They are few."""
    places = (methods.is_null() & requests.is_not_null()).arg_true()
    written = requests.gather(places).alias("request").to_frame().select(pl.struct("request").struct.json_encode())
    nothing = pl.repeat(None, len(requests), dtype=pl.String, eager=True)
    return nothing.scatter(places, written.to_series()).alias("_extra")


def _asks(frame: pl.DataFrame, role: Mapping[str, str]) -> pl.Series:
    """Which rows have a request, or a method and a target."""
    has = {part: frame[role[part]].is_not_null() for part in ("request", "method", "target") if part in role}
    none = pl.repeat(value=False, n=frame.height, eager=True)
    return has.get("request", none) | (has.get("method", none) & has.get("target", none))


def _begins(frame: pl.DataFrame, role: Mapping[str, str], durations: Sequence[str]) -> pl.Series | None:
    """Which rows say that a request begins: another line says how it was answered, and is the request. None if no
    row does."""
    ends = [frame[name].is_not_null() for name in (*durations, *([role["status"]] if "status" in role else []))]
    left = frame[role["message"]]
    for one in ends:
        if one.all():
            return None
        left = left.set(one, None)
    begins = left.str.contains(_BEGINS).fill_null(value=False)
    return begins if begins.any() else None


def _prepared(texts: pl.Series, field: Field) -> pl.DataFrame:
    """Apply a field's `extract`, `absent` and `decode` to distinct texts."""
    text = pl.col("")
    if field.decode == "json":
        texts = _json_decoded(texts)
    if field.extract:
        text = text.str.extract(field.extract, 1) if field.of else pl.coalesce(text.str.extract(field.extract, 1), text)
    if field.absent:
        text = pl.when(~text.is_in(field.absent)).then(text)
    if field.decode == "plus":  # IIS writes both a space and a plus as a plus: `;++http` is a space and a plus
        text = text.str.replace_all("+", " ", literal=True).str.replace_all("  ", " +", literal=True)
    if field.decode == "uri":
        text = text.str.replace(_NO_SCHEME, "http://$1")
    if field.decode == "syslog":
        text = of_syslog(text)
    made = texts.to_frame("").select(text)
    return _percent_decoded(made.to_series()).to_frame() if field.decode == "percent" else made


def _json_decoded(texts: pl.Series) -> pl.Series:
    """Undo the escapes of JSON texts. A text with other escapes (`\\x22`) is kept."""
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
    """Undo `%20`, twice if a server has encoded twice (`%2520`)."""
    if not texts.str.contains("%", literal=True).any():
        return texts
    decoded = [t and unquote(unquote(t) if "%25" in t else t) for t in texts.to_list()]
    safe = [t and t.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n") for t in decoded]
    return pl.Series(safe, dtype=pl.String)


def _present(texts: pl.Series) -> pl.Series:
    """The texts, with null for `-` and the empty text, which mean no value."""
    if kernels.AVAILABLE:
        return kernels.present(texts)
    return texts.set((texts == "-") | (texts == ""), None)


def _time_text(frame: pl.DataFrame, role: Mapping[str, str], *, either: bool) -> pl.Series:
    """The time as one text, also if the line has date, time and zone in separate fields; with `either`, a line may have
    these instead of a timestamp, or a timestamp that is only the time of the day."""
    parts = _time_parts(role)
    if len(parts) == 1:
        return frame[parts[0]]
    if not either:
        return frame.select(pl.concat_str(parts, separator=" ")).to_series()
    if "date" not in role:
        return frame[role["timestamp"]]
    day = frame[role["date"]]
    whole = frame[role["timestamp"]] if "timestamp" in role else day.set(day.is_not_null(), None)
    clock = whole.str.contains(_CLOCK)
    if not whole.null_count() and not clock.any():
        return whole
    times = frame[role["time"]].fill_null(whole.set(~clock, None)) if "time" in role else whole.set(~clock, None)
    split = [day.alias("day"), times.alias("time")]
    if "zone" in role:  # behind a time of the day that has none
        zone = frame[role["zone"]]
        split.append(zone.set(~zone.str.contains(_OFFSET) | ~times.str.contains(r"[0-9]$"), None).alias("zone"))
        split[2] = split[2].set(times.is_null(), None)
    joined = pl.DataFrame(split).select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)).to_series()
    return whole.zip_with((whole.is_not_null() & ~clock) | day.is_null(), joined)


def _time_parts(role: Mapping[str, str]) -> list[str]:
    """The columns that make up the time, in the order in which they are joined."""
    return [role[part] for part in ("timestamp", "date", "time", "zone") if part in role]
