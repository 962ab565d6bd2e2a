"""Chooses the engine of a format."""

from __future__ import annotations

from logstats.formats.engines.delimited import Delimited, parse_pattern
from logstats.formats.engines.keyvalue import GRAMMARS, Pairs
from logstats.formats.engines.regex import Regexes
from logstats.formats.engines.scan import Tokeniser
from logstats.formats.engines.w3c import W3C
from logstats.formats.model import Format


def engine(format: Format, names: list[str], *, extra: bool = False, strict: bool = False) -> Tokeniser:
    """The engine that splits lines of this format into the texts of these variables. If it is `strict`, it leaves lines
    that are doubtful."""
    if format.engine == "delimited":
        lists = [name for name, field in format.fields.items() if field.role == "client_ip"]
        return Delimited(parse_pattern(format.pattern), names, lists=lists, strict=strict)
    if format.engine == "regex":
        return Regexes(format.pattern, format.fields, names, extra=extra)
    if format.engine == "json":
        from logstats.formats.engines.json import JsonLines  # most sources need none of its four modules

        return JsonLines(format.fields, names, extra=extra)
    if format.engine == "w3c":
        return W3C(format.pattern, format.fields, names)
    return Pairs(format.fields, names, GRAMMARS[format.engine], extra=extra)
