"""A format, made ready to read chunks."""

from __future__ import annotations

from dataclasses import dataclass

from logstats.formats.convert import Batch, Reading, convert, wanted_variables
from logstats.formats.delimited import Delimited, parse_pattern
from logstats.formats.jsonlines import JsonLines
from logstats.formats.model import Format
from logstats.formats.pairs import Pairs
from logstats.formats.regexes import TAIL, Regexes
from logstats.formats.text import Text
from logstats.formats.tokens import Tokeniser, Tokens


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads chunks of one format into batches; safe to call from several threads."""

    format: Format
    reading: Reading
    tokenise: Tokeniser
    events: bool

    def __call__(self, text: Text) -> Batch:
        return self.convert(self.tokenise(text), len(text))

    def convert(self, tokens: Tokens, lines: int) -> Batch:
        """The second half: what the fields of a chunk of so many lines mean."""
        return convert(tokens, lines, self.format.fields, self.reading, events=self.events)


def reader(format: Format, reading: Reading) -> Reader:
    """Make a format ready; what nobody wants is not taken from the lines."""
    # A structured line may be an event: a level and a message, no request.
    events = format.engine in ("json", "keyvalue") or TAIL in format.fields
    names = wanted_variables(format.fields, reading, events=events)
    extra = "extra" in reading.wanted
    return Reader(format, reading, _engine(format, names, extra=extra), events)


def _engine(format: Format, names: list[str], *, extra: bool) -> Tokeniser:
    if format.engine == "delimited":
        return Delimited(parse_pattern(format.pattern), names)
    if format.engine == "regex":
        return Regexes(format.pattern, format.fields, names, extra=extra)
    if format.engine == "json":
        return JsonLines(format.fields, names, extra=extra)
    return Pairs(format.fields, names, extra=extra)
