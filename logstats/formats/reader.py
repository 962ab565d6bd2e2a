"""Prepares a format for reading chunks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any, Final, Protocol

from logstats.dataclass import dataclass
from logstats.formats.engines.base import engine
from logstats.formats.engines.regex import TAIL
from logstats.formats.engines.scan import DOUBTFUL, Tokeniser, Tokens, rejects
from logstats.formats.fields import units
from logstats.formats.fields.beginnings import completed
from logstats.formats.fields.columns import Batch, FieldReader, ReadOptions, needed_variables
from logstats.formats.fields.shapes import by_keys, shapes_of, with_ident
from logstats.formats.model import FINGERPRINT, FOREIGN, Field, Format
from logstats.formats.text import Text
from logstats.frames import pl
from logstats.kernels.library import Places

UNLIKE: Final = "other_format"
_ACCESS_LINE: Final = r'"[A-Z]{3,16} [^ "]+ HTTP/[0-9](?:\.[0-9])?\\?" [1-5][0-9]{2} (?:[0-9]|-)'
_TARGET: Final = r"^(?:-?$|\*$|[^ ]*/)"  # what may stand where a request's target does
BARE_VERSIONS: Final = (" 1.0", " 1.1", " 2", " 3")
_OPTIONAL: Final = frozenset(
    {"duration", "upstream_duration", "bytes", "request_bytes", "cache", "forwarded_for", "referer", "user_agent"}
)  # a request may lack them


class Counter(Protocol):
    """Makes something of lines straight from their fields: (what it made, the fields of the lines that are left); or of
    the lines themselves: (what it made, the places of those that are left), None if it cannot."""

    def __call__(self, reader: Reader, fields: pl.DataFrame) -> tuple[Any, pl.DataFrame]: ...
    def of_text(self, reader: Reader, text: Text) -> tuple[Any, Places] | None: ...


@dataclass(frozen=True, slots=True)
class Look:
    """How the text of a field looks in its format: what it matches, and whether it may be absent."""

    name: str
    form: str
    optional: bool

    def unlike(self, texts: pl.Series) -> pl.Series:
        """The places of the texts that do not look so."""
        places = pl.int_range(len(texts), dtype=pl.UInt32, eager=True)
        absent = places.clear() if self.optional or not texts.null_count() else places.filter(texts.is_null())
        if self.fits("-"):  # as most are in many columns
            given = texts != "-"
            places, texts = places.filter(given), texts.filter(given)
        return absent.append(places.filter(~texts.str.contains(self.form)))

    def fits(self, text: str | None) -> bool:
        """Whether a text looks so."""
        return self.optional if text is None else re.search(self.form, text) is not None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads chunks of one format into batches. Threads may share it.

    `looks` say, by variable, whether the text of a line looks as it does in this format. `times` are the variables of
    its time.
    """

    format: Format
    tokenise: Tokeniser
    field_reader: FieldReader
    looks: Mapping[str, Look] = field(default_factory=dict)
    times: tuple[str, ...] = ()

    @property
    def events(self) -> bool:
        """Whether some lines may be events."""
        return self.field_reader.events

    def __call__(self, text: Text, counter: Counter | None = None) -> Batch:
        """Read every line that can be read. Those that a `counter` takes have no rows."""
        return self._with_counted(self.convert, text, counter)

    def fitting(self, text: Text, tokens: Tokens | None = None, counter: Counter | None = None) -> Batch:
        """Read lines that may be of another format: only those that look as they do in this format, and that have a
        time if it has one. Others that could be read are rejected as `DOUBTFUL`; unless the `tokens` are given, so are
        events with a server's access line in them, which may be a request inside a wrapper."""
        if tokens is not None:
            return self._fitting(tokens, text)
        batch = self._with_counted(self._fitting, text, counter)
        events = batch.rows.filter(kind="event")["line"] if "kind" in batch.rows.columns else batch.rows["line"].clear()
        if not events.len():
            return batch
        return _without(batch, events.filter(text.lines.gather(events).str.contains(_ACCESS_LINE)), DOUBTFUL)

    def _with_counted(self, read: Callable[[Tokens, Text], Batch], text: Text, counter: Counter | None) -> Batch:
        """The batch of the lines that a counter leaves, with what it made of the others."""
        of_text = None if counter is None else counter.of_text(self, text)
        if of_text is not None:
            counted, left = of_text
            if not len(left):
                nothing = pl.DataFrame(schema={"line": pl.UInt32})
                return Batch(nothing, rejects(), 0, len(text), {}, counted)
            inner = text.gather(left)
            batch = read(self.tokens(inner), inner).among(left, len(text))
        else:
            tokens = self.tokens(text)
            counted, fields = (None, tokens.fields) if counter is None else counter(self, tokens.fields)
            if counted is not None and not fields.height:
                nothing = pl.DataFrame(schema={"line": pl.UInt32})
                return Batch(nothing, tokens.rejected, tokens.ignored, len(text), {}, counted)
            batch = read(replace(tokens, fields=fields), text)
        return replace(batch, counted=counted)

    def tokens(self, text: Text) -> Tokens:
        """The first step: lines → the texts of their fields."""
        tokens = self.tokenise(text)
        if not self.format.pairs:
            return tokens
        before = self.tokenise(Text.from_bytes(text.context.before)).fields if text.context.before else None
        fields = completed(tokens.fields.sort("line"), before, self.format.fields)
        return replace(tokens, fields=fields)

    def _fitting(self, tokens: Tokens, text: Text) -> Batch:
        batch = self.convert(tokens, text)
        odd = []
        if not self.events:  # a text stands where a number is expected: the columns are others
            odd += [*batch.invalid.values(), *self._untimed(tokens, batch)]
            odd += self._with_port(batch)
            odd += self._with_bare_version(tokens, batch)
        if self.format.engine == "w3c":
            odd.append(self._unasked(tokens))
        for unlike in self._unlike(tokens, self.looks):
            if self.events:
                unlike = unlike.filter(~unlike.is_in(batch.rows.filter(kind="event")["line"].implode()))
            odd.append(unlike)
        return _without(batch, pl.concat(odd), DOUBTFUL) if odd else batch

    def rest(self, text: Text) -> Batch:
        """Read doubtful lines that no other format reads. An optional value that does not look as it does in this
        format is invalid; a line in which another does not is rejected."""
        tokens = self.tokens(text)
        batch = self.convert(tokens, text)
        names = {name: self.format.fields[name].role for name in self.looks}
        odd = self._unlike(tokens, {name: look for name, look in self.looks.items() if names[name] not in _OPTIONAL})
        if self.format.engine == "w3c":  # of which any line of as many words has the shape
            odd += [*self._untimed(tokens, batch), self._unasked(tokens, unlike=True)]
        if odd:
            batch = _without(batch, pl.concat(odd), UNLIKE)
        spans = {name: look for name, look in self.looks.items() if names[name] == "duration"}
        for unlike in self._unlike(tokens, spans):
            is_odd = pl.col("line").is_in(unlike.implode())
            rows = batch.rows
            if "duration_ms" in rows.columns:
                rows = rows.with_columns(duration_ms=pl.when(~is_odd).then("duration_ms"))
            both = pl.concat(
                [batch.invalid.get("duration", unlike.clear()), rows["line"].filter(rows.select(is_odd).to_series())]
            )
            batch = replace(batch, rows=rows, invalid={**batch.invalid, "duration": both.unique()})
        return batch

    def _unlike(self, tokens: Tokens, looks: Mapping[str, Look]) -> list[pl.Series]:
        """The lines in which a value looks otherwise, of each value with such lines."""
        fields = tokens.fields
        found = (fields["line"].gather(look.unlike(fields[look.name])) for look in looks.values())
        return [lines for lines in found if lines.len()]

    def _untimed(self, tokens: Tokens, batch: Batch) -> list[pl.Series]:
        """The lines in which a text stands where the time is expected."""
        if not self.times or not batch.rows["timestamp"].null_count():
            return []
        stamped = tokens.fields.filter(pl.any_horizontal(pl.col(name).str.len_bytes() > 1 for name in self.times))
        untimed = batch.rows.filter(pl.col("timestamp").is_null() & pl.col("line").is_in(stamped["line"].implode()))
        return [untimed["line"]] if untimed.height else []

    def _with_port(self, batch: Batch) -> list[pl.Series]:
        """The lines of which the client has a port (`[2001:db8::1]:443`), where the format says nothing of one."""
        if "client_ip" not in batch.rows.columns or any(field.port for field in self.format.fields.values()):
            return []
        clients = batch.rows["client_ip"]
        if not (clients >= "[").any():  # a comparison takes a tenth of the time of a search
            return []
        found = batch.rows["line"].filter(clients.str.contains("]:", literal=True))
        return [found] if found.len() else []

    def _with_bare_version(self, tokens: Tokens, batch: Batch) -> list[pl.Series]:
        """The lines of which the request ends in a version without a name, `GET / 1.1`. HTTP requires the name
        (RFC 9112, section 2.3): a server logs what a client sent instead, but Hypercorn writes all requests so."""
        fields = tokens.fields
        roles = {name: self._role(name) for name in fields.columns}
        requests = [name for name, role in roles.items() if role == "request"]
        if not requests:
            return []
        if "protocol" in batch.rows.columns and "protocol" not in roles.values():  # it is that of the request
            protocols = batch.rows["protocol"]
            if not protocols.null_count():
                return []
            without = batch.rows["line"].filter(protocols.is_null())
            fields = fields.select("line", *requests).filter(pl.col("line").is_in(without.implode()))
        bare = pl.any_horizontal(pl.col(name).str.ends_with(version) for name in requests for version in BARE_VERSIONS)
        found = fields.select(pl.col("line").filter(bare)).to_series()
        return [found] if found.len() else []

    def _role(self, name: str) -> str:
        return self.format.fields[name].role if name in self.format.fields else ""

    def _unasked(self, tokens: Tokens, *, unlike: bool = False) -> pl.Series:
        """The lines of which no value says that they are requests: the columns of method and status, as far as there
        are any, say `-`; if `unlike`, only those with something else than a target in its place."""
        roles = {name: self._role(name) for name in tokens.fields.columns}
        asked = [pl.col(name) for name, role in roles.items() if role in ("method", "status")]
        odd = pl.any_horizontal(one == "-" for one in asked) & ~pl.any_horizontal(one != "-" for one in asked)
        if unlike:
            targets = [pl.col(name) for name, role in roles.items() if role in ("target", "path")]
            odd &= pl.any_horizontal(~one.str.contains(_TARGET) for one in targets)
        return tokens.fields.filter(odd)["line"]

    def convert(self, tokens: Tokens, text: Text) -> Batch:
        """The second step: the texts of the fields → a batch."""
        return self.field_reader.convert(tokens, len(text), text.envelope)


def reader(
    format: Format, reading: ReadOptions, *, doubtful: bool = False, named: bool = False, strict: bool = False
) -> Reader:
    """Prepare a format. Only fields that are wanted are taken from the lines; if the lines are `doubtful`, also those
    that show whether they have this format (`Reader.fitting`, which requires `strict`, and `Reader.rest`). If the user
    `named` the format, its fingerprint is not required."""
    if reading.units:
        format = replace(format, fields=units.asked(format, reading.units))
    if doubtful:
        asked = {"timestamp", "method", "path"} if format.engine == "w3c" else {"timestamp"}
        reading = replace(reading, wanted=reading.wanted | asked)
    format = with_ident(format if named else with_marks(format))
    shapes = shapes_of(format, named=named)
    events = may_be_events(format)
    untold = units.of_undetermined(format)  # read of no line, whoever named the format
    paired = ("trace_id",) if format.pairs else ()
    names = needed_variables(format.fields, reading, events=events, requires=(*format.requires, *paired))
    looks = {
        name: field
        for name, field in format.fields.items()
        if field.looks is not None
        and (doubtful or name in untold)
        and not (name in shapes and field.role in ("user_id", "ignored"))
    }
    more = (name for name in (*looks, *shapes, FINGERPRINT, FOREIGN) if name in format.fields and name not in names)
    wanted = list(dict.fromkeys([*names, *more]))
    made = engine(format, wanted, extra="extra" in reading.wanted, strict=strict)
    keyed = by_keys(format)
    field_reader = FieldReader(format.fields, reading, events, format.requires, shapes, format.pairs, keyed)
    roles = {"timestamp", "date", "time"} if doubtful else set()
    times = tuple(name for name in made.names if name in format.fields and format.fields[name].role in roles)
    return Reader(
        format,
        made,
        field_reader,
        {name: Look(name, field.looks or "", may_be_absent(field)) for name, field in looks.items()},
        times,
    )


def with_marks(format: Format) -> Format:
    """The format with two more fields, for its fingerprint and for foreign keys, if it has these."""
    marks = {FINGERPRINT: format.fingerprint, FOREIGN: format.foreign}
    more = {name: Field("ignored", keys=keys) for name, keys in marks.items() if keys}
    return replace(format, fields={**format.fields, **more}) if more else format


def may_be_events(format: Format) -> bool:
    """Whether lines may be events: a structured line may have a level and a message, but no request."""
    structured = format.engine in ("json", "keyvalue", "ltsv") or TAIL in format.fields
    return not format.wraps and (structured or bool(format.requires))


def _without(batch: Batch, odd: pl.Series, reason: str) -> Batch:
    """The batch, in which these lines are rejected for this reason."""
    refused = batch.rows.filter(pl.col("line").is_in(odd.implode())).select("line", reason=pl.lit(reason))
    if not refused.height:
        return batch
    rows = batch.rows.join(refused, on="line", how="anti")
    invalid = {name: lines.filter(~lines.is_in(refused["line"].implode())) for name, lines in batch.invalid.items()}
    return replace(batch, rows=rows, rejected=pl.concat([batch.rejected, refused]), invalid=invalid)


def may_be_absent(field: Field) -> bool:
    """Whether a field with an expected form may be absent."""
    return field.role != "ignored" and field.looks != ""
