"""Removes a wrapper, such as a syslog prefix, from lines, in columns.

A wrapper is a format with a field `payload`: the line inside. Its `timestamp`, `app_name` and `level` are used for
lines without their own. A time without a year (RFC 3164) gets the latest year in which it is not after the source was
last written. A field `part` marks partial lines (`P` in Kubernetes' logs, until an `F`; a text of 16 KiB without a
newline in Docker's), for each `stream` separately. Escape sequences for colour and cursor are removed from the lines
inside, and, if the payload says `decode = "json"`, what escapes all quotes of a line. A line that has the wrapper's
fingerprint and no payload holds an empty line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from logstats.formats.engines.base import engine
from logstats.formats.engines.scan import Reject, Tokens
from logstats.formats.fields import times
from logstats.formats.model import FINGERPRINT, FOREIGN, Format
from logstats.formats.reader import with_marks
from logstats.formats.text import Context, Text
from logstats.frames import pl

DOCKER_CUTS: Final = 16 << 10  # bytes (daemon/logger/copier.go)
UNFINISHED: Final = "\x00"
_YEARLESS = r"^[A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:]{8}(?:\.[0-9]+)?$"
# Control sequences, commands of the operating system, character sets (ECMA-35, ECMA-48); rsyslog writes ESC as #033.
_ANSI = "(?:\x1b|#033)(?:\\[[0-9;:?]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[()][0-9AB])"
_ESCAPED = r'^(?:[^"\\]|\\.)*\\"(?:[^"\\]|\\.)*$'  # all quotes, at least one
_DOUBLED = r'^(?:[^"]|"")*""(?:[^"]|"")*$'
_LEEWAY = timedelta(days=1)  # clocks differ, and the zone of a time without one is unknown


class Wrapper:
    """Removes one wrapper from lines."""

    def __init__(self, format: Format, zone: str = "UTC") -> None:
        self.format = format
        self.partial = "part" in format.roles
        self._zone = zone
        self._role = {field.role: name for name, field in format.fields.items()}
        marked = with_marks(format)
        self.tokenise = engine(marked, list(marked.fields))

    def scan(self, line: str) -> Mapping[str, str | None]:
        """The reference path: the fields of one line. Raises Reject if the line does not have this wrapper."""
        found = self.tokenise.scan(line)
        payload = self._role["payload"]
        if found.get(FOREIGN) is not None:
            raise Reject("not_wrapped")
        if found.get(payload) is None and found.get(FINGERPRINT) is not None:
            return {**found, payload: ""}
        if found.get(payload) is None:
            raise Reject("not_wrapped")
        return found

    def __call__(self, text: Text) -> Text:
        """The lines inside the wrapper. Lines without it are unchanged."""
        context = text.context
        if context.before:
            context = replace(context, before=bytes(self(Text.from_bytes(context.before)).data))
        found = self.around(self.tokenise(text))
        if not found.height:
            return text
        envelope = self.envelope(found, len(text), context, text.envelope)
        return Text.from_lines(self.inside(found, text.lines), context, envelope)

    def around(self, tokens: Tokens) -> pl.DataFrame:
        """The texts of the wrapper's fields, for the lines that have it."""
        payload, fields = self._role["payload"], tokens.fields
        if FINGERPRINT in fields.columns:
            empty = pl.when(pl.col(FINGERPRINT).is_not_null()).then(pl.lit(""))
            fields = fields.with_columns(pl.col(payload).fill_null(empty))
        if FOREIGN in fields.columns:
            fields = fields.filter(pl.col(FOREIGN).is_null())
        return fields.sort("line").filter(pl.col(payload).is_not_null())

    def inside(self, found: pl.DataFrame, lines: pl.Series) -> pl.Series:
        """The lines without the wrapper, given the texts of its fields."""
        inside = found[self._role["payload"]].str.strip_chars_end("\r\n")
        if inside.str.contains("\n", literal=True).any():
            inside = inside.str.replace_all("\n", "\\n", literal=True)
        if inside.str.contains("\x1b|#033").any():
            inside = inside.str.replace_all(_ANSI, "")
        if self.format.fields[self._role["payload"]].decode == "json":
            inside = _unescaped(inside)
        if self.partial:
            inside = self._whole(found, inside)
        return inside if len(inside) == len(lines) else lines.clone().scatter(found["line"], inside)

    def envelope(
        self, found: pl.DataFrame, lines: int, context: Context, outer: pl.DataFrame | None
    ) -> pl.DataFrame | None:
        """The wrapper's fields for each line, with those of `outer` wrappers; the inner one takes precedence."""
        columns: dict[str, pl.Series] = {}
        if "timestamp" in self._role:
            logged = self._times(found[self._role["timestamp"]], context.modified)
            columns["timestamp"] = _spread(logged, found["line"], lines)
        if "app_name" in self._role:
            columns["app_name"] = _spread(found[self._role["app_name"]], found["line"], lines)
        levels = [found[name] for name, field in self.format.fields.items() if field.role == "level"]
        if levels:  # several fields are those of several forms
            columns["level"] = _spread(pl.select(pl.coalesce(levels)).to_series(), found["line"], lines)
        if outer is not None:
            for name in outer.columns:
                own = columns.get(name)
                columns[name] = outer[name] if own is None else own.zip_with(own.is_not_null(), outer[name])
        return pl.DataFrame(columns) if columns else outer

    def _whole(self, found: pl.DataFrame, inside: pl.Series) -> pl.Series:
        """Join the parts of a line at the place of the first one; the others become blank. Parts whose end never comes
        become a text that no format reads, because half a line must not be read as a whole one."""
        partial = self._is_part(found[self._role["part"]])
        if not partial.any():
            return inside
        start = partial.arg_max() or 0
        texts, marks = inside.slice(start).to_list(), partial.slice(start).to_list()
        streams = found[self._role["stream"]].slice(start).to_list()
        begun: dict[str | None, list[int]] = {}  # by stream: the lines of the parts so far
        for place, (stream, mark) in enumerate(zip(streams, marks, strict=True)):
            parts = begun.setdefault(stream, [])
            parts.append(place)
            if not mark:
                _join(texts, begun.pop(stream))
        for parts in begun.values():
            for place in parts:
                texts[place] = UNFINISHED
        return pl.concat([inside.head(start), pl.Series(inside.name, texts, dtype=pl.String)])

    def _is_part(self, marks: pl.Series) -> pl.Series:
        """Whether each line is a part that another one follows. CRI marks it. Docker omits the newline of a text that
        it cuts, and only cuts texts as long as its buffer."""
        if self.format.engine == "json":
            partial = ~marks.str.ends_with("\n") & (marks.str.len_bytes() >= DOCKER_CUTS)
        else:
            partial = marks.str.starts_with("P")
        return partial.fill_null(value=False)

    def _times(self, texts: pl.Series, modified: datetime | None) -> pl.Series:
        yearless = texts.str.contains(_YEARLESS).fill_null(value=False)
        if not yearless.any():
            return times.parse(texts, self._zone)
        latest = (modified or datetime.now(UTC)) + _LEEWAY
        dated = times.with_year(texts.set(~yearless, None), latest, self._zone)
        if yearless.all():
            return dated
        return dated.zip_with(yearless, times.parse(texts.set(yearless, None), self._zone))


def _unescaped(lines: pl.Series) -> pl.Series:
    """Lines without what escapes their quotes: a backslash each, or another quote (CSV), in all or in none of a
    line."""
    text = pl.col("")
    single = pl.when(text.str.contains(_ESCAPED)).then(text.str.replace_all(r'\\(["\\/])', "$1"))
    double = pl.when(text.str.contains(_DOUBLED)).then(text.str.replace_all('""', '"', literal=True))
    return lines.to_frame("").select(pl.coalesce(single, double, text)).to_series().alias(lines.name)


def _join(texts: list[str], parts: list[int]) -> None:
    """Join the parts of a line at the place of the first one."""
    first, *others = parts
    if others:
        texts[first] = "".join(texts[place] for place in parts)
        for place in others:
            texts[place] = ""


def _spread(values: pl.Series, places: pl.Series, length: int) -> pl.Series:
    """A column of nulls with these values at their places."""
    if values.len() == length:
        return values
    return pl.Series([None], dtype=values.dtype).new_from_index(0, length).scatter(places, values)
