"""Prepares a format for reading chunks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from logstats.formats.engines.base import engine
from logstats.formats.engines.regex import TAIL
from logstats.formats.engines.scan import Tokeniser, Tokens
from logstats.formats.fields import units
from logstats.formats.fields.beginnings import completed
from logstats.formats.fields.columns import FINGERPRINT, FOREIGN, Batch, FieldReader, ReadOptions, needed_variables
from logstats.formats.fields.shapes import shapes_of, with_ident
from logstats.formats.model import Field, Format
from logstats.formats.text import Text


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads chunks of one format into batches. Threads may share it."""

    format: Format
    tokenise: Tokeniser
    field_reader: FieldReader
    looks: tuple[pl.Expr, ...] = ()

    @property
    def events(self) -> bool:
        """Whether some lines may be events."""
        return self.field_reader.events

    def __call__(self, text: Text) -> Batch:
        return self.convert(self.tokens(text), text)

    def tokens(self, text: Text) -> Tokens:
        """The first step: lines → the texts of their fields."""
        tokens = self.tokenise(text)
        if not self.format.pairs:
            return tokens
        before = self.tokenise(Text.from_bytes(text.context.before)).fields if text.context.before else None
        fields = completed(tokens.fields.sort("line"), before, self.format.fields)
        return replace(tokens, fields=fields)

    def fitting(self, text: Text, tokens: Tokens | None = None) -> Batch:
        """Read lines that may be of another format. The rows are only of lines whose fields have the form that they
        have in this format; other lines are not counted as rejected."""
        tokens = tokens or self.tokens(text)
        batch = self.convert(tokens, text)
        if not self.events and batch.invalid:  # a text stands where a number is expected: the columns are others
            odd = pl.concat(batch.invalid.values())
            batch = replace(batch, rows=batch.rows.filter(~pl.col("line").is_in(odd.implode())), invalid={})
        if not self.looks:
            return batch
        places = tokens.fields.filter(*self.looks)["line"]
        rows = batch.rows
        is_event = pl.col("kind") == "event" if self.events else pl.lit(value=False)
        rows = rows.filter(is_event | pl.col("line").is_in(places.implode()))
        invalid = {name: odd.filter(odd.is_in(rows["line"].implode())) for name, odd in batch.invalid.items()}
        return replace(batch, rows=rows, invalid=invalid)

    def convert(self, tokens: Tokens, text: Text) -> Batch:
        """The second step: the texts of the fields → a batch."""
        return self.field_reader.convert(tokens, len(text), text.envelope)


def reader(format: Format, reading: ReadOptions, *, doubtful: bool = False, named: bool = False) -> Reader:
    """Prepare a format. Only fields that are wanted are taken from the lines; if the lines are `doubtful`, also those
    that show whether they have this format (`Reader.fitting`). If the user `named` the format, its fingerprint is not
    required."""
    if reading.units:
        format = replace(format, fields=units.asked(format, reading.units))
    format = with_ident(format if named else with_marks(format))
    shapes = shapes_of(format)
    events = may_be_events(format)
    paired = ("trace_id",) if format.pairs else ()
    names = needed_variables(format.fields, reading, events=events, requires=(*format.requires, *paired))
    looks = {name: field for name, field in format.fields.items() if doubtful and field.looks is not None}
    more = (name for name in (*looks, *shapes, FINGERPRINT, FOREIGN) if name in format.fields and name not in names)
    made = engine(format, list(dict.fromkeys([*names, *more])), extra="extra" in reading.wanted)
    field_reader = FieldReader(format.fields, reading, events, format.requires, shapes, pairs=format.pairs)
    return Reader(format, made, field_reader, tuple(_looks(name, field) for name, field in looks.items()))


def with_marks(format: Format) -> Format:
    """The format with two more fields, for its fingerprint and for foreign keys, if it has these."""
    marks = {FINGERPRINT: format.fingerprint, FOREIGN: format.foreign}
    more = {name: Field("ignored", keys=keys) for name, keys in marks.items() if keys}
    return replace(format, fields={**format.fields, **more}) if more else format


def may_be_events(format: Format) -> bool:
    """Whether lines may be events: a structured line may have a level and a message, but no request."""
    structured = format.engine in ("json", "keyvalue", "ltsv") or TAIL in format.fields
    return not format.wraps and (structured or bool(format.requires))


def _looks(name: str, field: Field) -> pl.Expr:
    """An expression: whether a value has the expected form."""
    return pl.col(name).str.contains(field.looks or "").fill_null(may_be_absent(field))


def may_be_absent(field: Field) -> bool:
    """Whether a field with an expected form may be absent."""
    return field.role != "ignored" and field.looks != ""
