"""A format, made ready to read chunks."""

from __future__ import annotations

from dataclasses import dataclass

from logstats.formats.convert import Batch, Reading, convert, wanted_variables
from logstats.formats.delimited import Delimited, parse_pattern
from logstats.formats.jsonlines import JsonLines
from logstats.formats.model import Format
from logstats.formats.pairs import GRAMMARS, Pairs
from logstats.formats.regexes import TAIL, Regexes
from logstats.formats.text import Text
from logstats.formats.tokens import Tokeniser, Tokens
from logstats.formats.w3c import W3C


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads chunks of one format into batches; safe to call from several threads."""

    format: Format
    reading: Reading
    tokenise: Tokeniser
    events: bool

    def __call__(self, text: Text) -> Batch:
        return self.convert(self.tokenise(text), text)

    def convert(self, tokens: Tokens, text: Text) -> Batch:
        """The second half: what the fields of a chunk mean."""
        fields, reading = self.format.fields, self.reading
        return convert(tokens, len(text), fields, reading, events=self.events, envelope=text.envelope)


def reader(format: Format, reading: Reading) -> Reader:
    """Make a format ready; what nobody wants is not taken from the lines."""
    # A structured line may be an event: a level and a message, no request.
    events = not format.wraps and (format.engine in ("json", "keyvalue", "ltsv") or TAIL in format.fields)
    names = wanted_variables(format.fields, reading, events=events)
    extra = "extra" in reading.wanted
    return Reader(format, reading, engine(format, names, extra=extra), events)


def engine(format: Format, names: list[str], *, extra: bool = False) -> Tokeniser:
    """What takes lines of this format apart into the texts of these variables."""
    if format.engine == "delimited":
        return Delimited(parse_pattern(format.pattern), names)
    if format.engine == "regex":
        return Regexes(format.pattern, format.fields, names, extra=extra)
    if format.engine == "json":
        return JsonLines(format.fields, names, extra=extra)
    if format.engine == "w3c":
        return W3C(format.pattern, format.fields, names)
    return Pairs(format.fields, names, GRAMMARS[format.engine], extra=extra)
