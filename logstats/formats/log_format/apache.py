"""Apache's `LogFormat`, and those of its relatives in Apache's notation (`dialects`): directives → parts.

mod_log_config: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats
mod_logio: https://httpd.apache.org/docs/2.4/mod/mod_logio.html
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from logstats.errors import FormatError
from logstats.formats.log_format import shapes, strftime
from logstats.formats.log_format.dialects import Dialect
from logstats.formats.log_format.nginx import CLF_SHAPE, CLF_TIME
from logstats.formats.log_format.pointer import pointer
from logstats.formats.log_format.shapes import Part, Shape, Slot
from logstats.formats.model import Field

_DIRECTIVE: Final = re.compile(
    r"%(?P<modifiers>[!<>,0-9]*)(?:\{(?P<argument>[^}]*)\})?(?P<last>[<>]*)(?P<letter>\^[A-Za-z]{2}|[A-Za-z%])"
)
_IN_BRACKETS: Final = Shape(rf"\[?(?:{CLF_SHAPE.regex})\]?", r"0-9A-Za-z/: +\]\[-")
_EMPTY_USER: Final = ('""',)  # Apache writes this for a user whose name is empty

# letter → (shape, field, rank: of several for one role, the lowest is kept)
_KNOWN: Final[dict[str, tuple[Shape, Field | None, int]]] = {
    "a": (shapes.ADDRESS, Field("client_ip"), 0),
    "h": (shapes.ADDRESS, Field("client_ip"), 1),
    "u": (shapes.USER, Field("user_id", absent=_EMPTY_USER), 0),
    "r": (shapes.REQUEST, Field("request"), 0),
    "m": (shapes.METHOD, Field("method"), 0),
    "U": (shapes.PATH, Field("path"), 0),
    "q": (shapes.QUESTION, Field("query"), 0),
    "H": (shapes.PROTOCOL, Field("protocol"), 0),
    "s": (shapes.STATUS, Field("status"), 1),
    "b": (shapes.NUMBER, Field("bytes"), 0),
    "B": (shapes.NUMBER, Field("bytes"), 1),
    "O": (shapes.NUMBER, Field("bytes"), 2),
    "D": (shapes.NUMBER, Field("duration", "us"), 1),
    "T": (shapes.NUMBER, Field("duration", "s"), 3),
    "V": (shapes.HOST, Field("host"), 1),
    "v": (shapes.HOST, Field("host"), 2),
    "L": (shapes.WORD, Field("trace_id"), 1),
    "A": (shapes.ADDRESS, None, 0),
    "f": (shapes.VALUE, None, 0),
    "k": (shapes.NUMBER, None, 0),
    "l": (shapes.WORD, None, 0),
    "p": (shapes.PORT, None, 0),
    "P": (shapes.WORD, None, 0),
    "R": (shapes.WORD, None, 0),
    "X": (Shape("[-+X]", "+X-"), None, 0),
    "I": (shapes.NUMBER, Field("request_bytes"), 0),
    "S": (shapes.NUMBER, None, 0),
    "^FB": (shapes.NUMBER, None, 0),
    "^FU": (shapes.NUMBER, None, 0),
}
_WITH_ARGUMENT: Final = frozenset({*"aCceinopPtTxhruUsISO", "^ti", "^to"})
_PARTS: Final = {"a": "address", "h": "address", "A": "address", "p": "port", "v": "host", "V": "host"} | {
    "m": "method",
    "U": "path",
    "q": "question",
    "H": "protocol",
}
_HEADERS: Final[dict[str, tuple[Shape, Field, int]]] = {
    "referer": (shapes.VALUE, Field("referer"), 0),
    "user-agent": (shapes.TEXT, Field("user_agent"), 0),
    "host": (shapes.HOST, Field("host"), 0),
    "x-request-id": (shapes.WORD, Field("trace_id"), 2),
    "x-correlation-id": (shapes.WORD, Field("trace_id"), 3),
    "x-amzn-trace-id": (shapes.WORD, Field("trace_id"), 4),
    "x-b3-traceid": (shapes.WORD, Field("trace_id"), 5),
    "traceparent": (shapes.WORD, Field("trace_id"), 6),
    "x-forwarded-for": (shapes.ADDRESSES, Field("forwarded_for"), 0),
    "x-original-forwarded-for": (shapes.ADDRESSES, Field("forwarded_for"), 2),
    "cf-connecting-ip": (shapes.ADDRESS, Field("forwarded_for"), 3),
    "true-client-ip": (shapes.ADDRESS, Field("forwarded_for"), 4),
    "x-real-ip": (shapes.ADDRESS, Field("forwarded_for"), 5),
    "x-client-ip": (shapes.ADDRESS, Field("forwarded_for"), 6),
    "x-cluster-client-ip": (shapes.ADDRESS, Field("forwarded_for"), 7),
    "fastly-client-ip": (shapes.ADDRESS, Field("forwarded_for"), 8),
}
# Argument of %{…}T → (unit, rank). Tomcat writes fractions of a second for the last ones.
_UNITS: Final = {"ns": ("ns", 0), "us": ("us", 1), "ms": ("ms", 2), "s": ("s", 3), "fracsec": ("s", 1)}


def parts_of(body: str, whose: Dialect) -> list[Part]:
    """The literal text and variables of a `LogFormat` string, in order. Raises FormatError."""
    parts: list[Part] = []
    place = 0
    for match in _DIRECTIVE.finditer(body):
        parts.append(_literal(body, place, match.start()))
        place = match.end()
        if match["letter"] == "%":
            parts.append("%")
            continue
        slot = _slot(match, whose, body)
        if match["letter"] == "t":
            begin, end = whose.t if match["argument"] is None else whose.form
            bare = parts[-1].endswith("[") and begin == "["  # type: ignore[union-attr]
            parts += [replace(slot, shape=_IN_BRACKETS)] if bare else [begin, slot, end]
        else:
            parts.append(slot)
    parts.append(_literal(body, place, len(body)))
    return parts


def _literal(body: str, start: int, end: int) -> str:
    literal = body[start:end]
    if "%" in literal:
        raise FormatError(
            f"not an Apache directive:\n{pointer(body, start + literal.index('%'))}", "see Apache's mod_log_config"
        )
    # https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats: \n and \t are control characters, a
    # backslash before a quote or another one is dropped.
    return re.sub(r'\\([nt"\\])', lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), literal)


def _slot(match: re.Match[str], whose: Dialect, body: str) -> Slot:
    letter, argument, place = match["letter"], match["argument"], match.start()
    written = match[0]
    where = pointer(body, place)
    name = re.sub(r"\W", "_", f"{argument}_{letter}" if argument and letter != "t" else letter).strip("_") or "x"
    name = {"s": "status", "t": "time", "r": "request"}.get(name, name)
    part = _PARTS.get(letter, "")

    def slot(shape: Shape, field: Field | None = None, rank: int = 0, **more: object) -> Slot:
        if field and field.role == "client_ip" and whose.port:
            field = replace(field, port=True)
        more = {"part": part, "escaped": whose.escaped, **more}
        return Slot(name, written, place, shape, field, rank, **more)  # type: ignore[arg-type]

    if letter == "t":
        if argument is None:
            return slot(CLF_SHAPE, Field("timestamp"), 2, time=CLF_TIME)
        moment = "end" if argument.startswith("end:") else "begin"
        form = argument.removeprefix("begin:").removeprefix("end:")
        if whose.java and "%" not in form and form not in strftime.NUMBERS:
            form = strftime.from_java(form.partition("|")[0], where)
        time, shape = strftime.time_of(form, moment, where)
        return slot(shape, Field("timestamp"), 1, time=time)
    if argument is None:
        shape, field, rank = _KNOWN.get(letter, (shapes.VALUE, None, 0))
        if whose.name == "Tomcat" and letter in "IS":
            shape, field = shapes.TEXT if letter == "I" else shapes.WORD, None  # a thread, a session
        if letter == "D" and whose.milliseconds and field:
            field = Field("duration", "ms")
        if letter == "s" and ">" in match["modifiers"] + match["last"]:
            rank = 0
        return slot(shape, field, rank)
    if letter == "i":
        header = _HEADERS.get(argument.lower())
        return slot(*header, part="host" if argument.lower() == "host" else "") if header else slot(shapes.VALUE)
    if letter == "T":
        unit = argument.lower() if not argument.startswith("fracsec") else "fracsec"
        if unit not in _UNITS:
            raise FormatError(f"%T is in s, ms or us:\n{where}", "write %{ms}T")
        return slot(shapes.NUMBER, Field("duration", _UNITS[unit][0]), _UNITS[unit][1])
    if letter in "ah":
        if argument in ("local", "server"):
            return slot(shapes.ADDRESS)
        peer = argument in ("c", "peer") or (argument == "remote" and whose.name == "Jetty")
        return slot(shapes.ADDRESS, Field("client_ip"), 5 if peer else 0)
    if letter in "ISO":
        return slot(*_KNOWN[letter])
    if letter == "U" and argument == "target":
        return slot(shapes.TARGET, Field("target"), part="target")
    if letter == "p":
        return slot(shapes.PORT)
    if letter == "q" and argument == "bare":
        return slot(shapes.QUERY, Field("query"), part="query")
    if letter == "e" and argument == "UNIQUE_ID":
        return slot(shapes.WORD, Field("trace_id"), 0)
    if letter == "x" and argument == "SSL_PROTOCOL":
        return slot(shapes.WORD, Field("tls"), 0)
    if letter == "x" and argument in ("duration", "total-time"):  # H2O's
        return slot(shapes.NUMBER, Field("duration", "s"), 2)
    if letter == "x" and argument in ("Varnish:hitmiss", "Varnish:handling"):
        return slot(shapes.WORD, Field("cache"), 0)
    if letter == "x":  # of mod_ssl; names of certificates hold spaces
        return slot(shapes.TEXT if re.search("_DN|_CERT|_START|_END", argument) else shapes.WORD)
    return slot(shapes.WORD if letter == "P" else shapes.VALUE, part="")


def known(slot: Slot) -> bool:
    """Whether Apache or a server with the same notation has such a directive."""
    match = _DIRECTIVE.fullmatch(slot.written)
    if match is None:
        return True
    letter = match["letter"]
    if match["argument"] is not None:
        return letter in _WITH_ARGUMENT or letter == "q"
    return letter in _KNOWN or letter in "tF"
