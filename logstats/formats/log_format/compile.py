"""A server's own definition of its log, pasted as it stands → a format.

    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status $body_bytes_sent "$http_referer"';          (nginx)
    LogFormat "%h %l %u %t \\"%r\\" %>s %b %D" timed                     (Apache)

The directive's name, the quotes and the format's nickname may be there or not. A variable that logstats has no
use for is read and kept out. A string that no reader could take apart for certain is refused, with its place.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from logstats.errors import FormatError
from logstats.formats.engines.delimited import Variable, check_pattern
from logstats.formats.model import Field, Format

_SPACED: Final = frozenset({"request", "user_agent", "message"})  # roles whose values hold spaces

# nginx variables: https://nginx.org/en/docs/varindex.html
_NGINX: Final = {
    "remote_addr": Field("client_ip"),
    "realip_remote_addr": Field("client_ip"),
    "proxy_protocol_addr": Field("client_ip"),
    "http_x_forwarded_for": Field("forwarded_for"),
    "proxy_add_x_forwarded_for": Field("forwarded_for"),
    "remote_user": Field("user_id"),
    "time_local": Field("timestamp"),
    "time_iso8601": Field("timestamp"),
    "msec": Field("timestamp"),
    "request": Field("request"),
    "request_method": Field("method"),
    "request_uri": Field("target"),
    "uri": Field("path"),
    "document_uri": Field("path"),
    "args": Field("query"),
    "query_string": Field("query"),
    "server_protocol": Field("protocol"),
    "status": Field("status"),
    "body_bytes_sent": Field("bytes"),
    "bytes_sent": Field("bytes"),
    "request_time": Field("duration", "s"),
    "http_referer": Field("referer"),
    "http_user_agent": Field("user_agent"),
    "host": Field("host"),
    "http_host": Field("host"),
    "server_name": Field("host"),
    "request_id": Field("trace_id"),
    "http_x_request_id": Field("trace_id"),
}
_BETTER: Final = {  # where two variables of one role stand in a format, this one counts
    "client_ip": "remote_addr",
    "bytes": "body_bytes_sent",
    "host": "host",
    "timestamp": "time_iso8601",
    "path": "uri",
    "trace_id": "request_id",
}

# Apache directives: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats
_APACHE: Final = {
    "a": Field("client_ip"),
    "h": Field("client_ip"),
    "u": Field("user_id"),
    "t": Field("timestamp"),
    "r": Field("request"),
    "m": Field("method"),
    "U": Field("path"),
    "q": Field("query"),
    "H": Field("protocol"),
    "s": Field("status"),
    "b": Field("bytes"),
    "B": Field("bytes"),
    "O": Field("bytes"),
    "D": Field("duration", "us"),
    "T": Field("duration", "s"),
    "v": Field("host"),
    "V": Field("host"),
    "L": Field("trace_id"),
}
_HEADERS: Final = {
    "referer": Field("referer"),
    "user-agent": Field("user_agent"),
    "host": Field("host"),
    "x-forwarded-for": Field("forwarded_for"),
    "x-request-id": Field("trace_id"),
}
_DIRECTIVE: Final = re.compile(
    r"%(?P<codes>!?[0-9]{3}(?:,[0-9]{3})*)?(?P<which>[<>]?)(?:\{(?P<argument>[^}]*)\})?(?P<which2>[<>]?)(?P<letter>\^?[A-Za-z]{1}[a-z]?|%)"
)
_NGINX_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def compile_log_format(text: str) -> Format:
    """The format that an nginx `log_format` or an Apache `LogFormat` string defines. Raises FormatError."""
    body, escape = _body(text)
    if not body.strip():
        raise FormatError("the log format is empty", "paste the string from the server's configuration")
    nginx = bool(_NGINX_VARIABLE.search(body))
    if nginx and body.lstrip().startswith("{"):
        return _json(body, text)
    parts, fields, places = (_nginx if nginx else _apache)(body)
    if not fields:
        raise FormatError(
            "the log format names nothing that logstats knows",
            "it must hold nginx variables ($remote_addr) or Apache directives (%h)",
        )
    _check(body, parts, fields, places)
    pattern = "".join(part if isinstance(part, str) else f"${{{part.name}}}" for part in parts)
    if "$" in "".join(part for part in parts if isinstance(part, str)):
        raise FormatError("a literal $ cannot stand in a log format", "nginx has no way to write one either")
    title = f"--log-format ({'nginx' if nginx else 'Apache'}{', ' + escape if escape else ''})"
    return Format(f"log_format:{body}", title, "", "delimited", pattern, fields)


def _body(text: str) -> tuple[str, str]:
    """What stands between the quotes of a directive, and nginx's `escape=` if it is there."""
    text = text.strip().rstrip(";").strip()
    escape = ""
    if directive := re.match(r"(?i)(log_format|LogFormat|CustomLog)\s+", text):
        rest = text[directive.end() :]
        if directive[1].lower() == "log_format":
            name = re.match(r"[^\s'\"]+\s+", rest)
            rest = rest[name.end() :] if name else rest
        if option := re.match(r"escape=(\w+)\s+", rest):
            escape, rest = option[0].strip(), rest[option.end() :]
        text = rest if rest[:1] in "'\"" else rest[max(rest.find('"'), 0) :]
    quoted = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", text) if text[:1] in ("'", '"') else []
    if not quoted:
        return text, escape
    single = text[0] == "'"
    pieces = [(one if single else two) for one, two in quoted if (one if single else two)]
    return re.sub(r"\\(['\"\\])", r"\1", "".join(pieces)), escape


def _nginx(body: str) -> tuple[list[str | Variable], dict[str, Field], dict[str, int]]:
    parts: list[str | Variable] = []
    fields: dict[str, Field] = {}
    places: dict[str, int] = {}
    place = 0
    for match in _NGINX_VARIABLE.finditer(body):
        parts.append(body[place : match.start()])
        place = match.end()
        variable = match[1] or match[2]
        name = _fresh(variable, places)
        places[name] = match.start()
        parts.append(Variable(name))
        field = _NGINX.get(variable)
        if field:
            _take(fields, name, field, better=_BETTER.get(field.role) == variable)
        if variable == "time_local" and body[place : place + 1] in (" ", ""):
            # 17/Jan/2025:10:30:00 +0000 holds a space of its own.
            _split_time(parts, fields, places, name, 1, _pointer(body, match.start()))
    parts.append(body[place:])
    return [part for part in parts if part != ""], fields, places


def _apache(body: str) -> tuple[list[str | Variable], dict[str, Field], dict[str, int]]:
    parts: list[str | Variable] = []
    fields: dict[str, Field] = {}
    places: dict[str, int] = {}
    place = 0
    for match in _DIRECTIVE.finditer(body):
        literal = body[place : match.start()]
        if "%" in literal:
            where = place + literal.index("%")
            raise FormatError(f"not an Apache directive:\n{_pointer(body, where)}", "see Apache's mod_log_config")
        parts.append(_unescape(literal))
        letter, argument = match["letter"], match["argument"]
        if len(letter) == 2 and not letter.startswith("^"):  # one letter is the directive, the other is text
            letter = letter[0]
        place = match.start("letter") + len(letter)
        if letter == "%":
            parts.append("%")
            continue
        name = _fresh({"s": "status", "t": "time", "r": "request"}.get(letter, f"{letter.strip('^')}"), places)
        places[name] = match.start()
        field = _apache_field(letter, argument, body, match.start())
        if letter == "t" and not argument:
            parts += ["[", Variable(name), "]"]
        else:
            parts.append(Variable(name))
        if field:
            _take(fields, name, field, better=match["which"] == ">" or letter in "ab")
        if letter == "t" and argument and " " in argument:
            _split_time(parts, fields, places, name, argument.count(" "), _pointer(body, match.start()))
    if "%" in body[place:]:
        raise FormatError(
            f"not an Apache directive:\n{_pointer(body, place + body[place:].index('%'))}",
            "see Apache's mod_log_config",
        )
    parts.append(_unescape(body[place:]))
    return _joined(parts), fields, places


def _apache_field(letter: str, argument: str | None, body: str, place: int) -> Field | None:
    if argument is None:
        return _APACHE.get(letter)
    if letter == "i":
        return _HEADERS.get(argument.lower())
    if letter == "T":
        if argument not in ("s", "ms", "us"):
            raise FormatError(f"%T is in s, ms or us:\n{_pointer(body, place)}", "write %{ms}T")
        return Field("duration", argument)
    if letter == "t":
        form = argument.removeprefix("begin:").removeprefix("end:")
        return Field("timestamp") if "%Y" in form or "%s" in form or form in ("sec", "msec", "usec") else None
    if letter in "ah":
        return _APACHE[letter]
    return None


def _split_time(
    parts: list[str | Variable],
    fields: dict[str, Field],
    places: dict[str, int],
    name: str,
    spaces: int,
    place: str,
) -> None:
    """A time with spaces in it is read as as many variables, put together again when it is interpreted."""
    if spaces > 2:
        raise FormatError(f"a time of {spaces + 1} words cannot be read:\n{place}", "use %t, or put it in brackets")
    for role in ("time", "zone")[-spaces:]:
        word = _fresh(f"{name}_{role}", places)
        places[word] = places[name]
        parts += [" ", Variable(word)]
        if name in fields:
            fields[word] = Field(role)


def _take(fields: dict[str, Field], name: str, field: Field, *, better: bool) -> None:
    """Keep one variable for a role: the better one, else the first."""
    rival = next((other for other, held in fields.items() if held.role == field.role), None)
    if rival is None or better:
        fields.pop(rival or "", None)
        fields[name] = field


def _fresh(name: str, places: dict[str, int]) -> str:
    number = 2
    candidate = name
    while candidate in places:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


def _joined(parts: list[str | Variable]) -> list[str | Variable]:
    joined: list[str | Variable] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return joined


def _unescape(literal: str) -> str:
    return literal.replace('\\"', '"').replace("\\t", "\t").replace("\\\\", "\\")


def _check(body: str, parts: list[str | Variable], fields: dict[str, Field], places: dict[str, int]) -> None:
    """Refuse what cannot be taken apart for certain."""
    try:
        check_pattern(tuple(parts))
    except FormatError as error:
        for left, right in zip(parts, parts[1:], strict=False):
            if isinstance(left, Variable) and isinstance(right, Variable):
                place = _pointer(body, places[right.name])
                raise FormatError(
                    f"nothing separates these two, so no reader could tell them apart:\n{place}", error.hint
                ) from None
        raise
    for part, after in zip(parts, parts[1:], strict=False):
        if isinstance(part, Variable) and isinstance(after, str) and after.startswith(" "):
            role = fields[part.name].role if part.name in fields else ""
            if role in _SPACED:
                raise FormatError(
                    f"this holds spaces, and only a space ends it:\n{_pointer(body, places[part.name])}",
                    "log it between quotes, as the servers' own formats do",
                )


def _pointer(body: str, place: int) -> str:
    line_start = body.rfind("\n", 0, place) + 1
    line = body[line_start:].split("\n", 1)[0]
    start = max(0, place - line_start - 40)
    return f"  {line[start : start + 76]}\n  {' ' * (place - line_start - start)}^"


def _json(body: str, text: str) -> Format:
    """Nginx's JSON templates: the keys say where each variable is."""
    fields: dict[str, Field] = {}
    for key, one, two in re.findall(r'"([^"\\]+)"\s*:\s*"?\$(?:\{(\w+)\}|(\w+))"?', body):
        variable = one or two
        known = _NGINX.get(variable)
        if known:
            field = replace(known, keys=(key.replace(".", "\\."),))
            _take(
                fields,
                _fresh(variable, dict.fromkeys(fields, 0)),
                field,
                better=_BETTER.get(known.role) == variable,
            )
    if not fields:
        raise FormatError("the JSON template names no variable that logstats knows", f"given: {text[:60]}")
    return Format(f"log_format:{body}", "--log-format (nginx, JSON)", "", "json", "", fields)
