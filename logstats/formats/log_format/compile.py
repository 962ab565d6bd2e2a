"""A server's own definition of its log, as pasted → a format.

    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status $body_bytes_sent "$http_referer"';          (nginx)
    LogFormat "%h %l %u %t \\"%r\\" %>s %b %D" timed                     (Apache)

`directive` finds the string in the pasted text, `nginx` and `apache` split it into text and variables, `merge` joins
variables that belong together, `choose` keeps one of several for a role, and `pattern` makes the pattern for an engine.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from logstats.errors import FormatError
from logstats.formats.log_format import apache, nginx, shapes, strftime
from logstats.formats.log_format.choose import TIME_ROLES, choose
from logstats.formats.log_format.dialects import Dialect, dialect
from logstats.formats.log_format.directive import Definition, definition
from logstats.formats.log_format.json_template import json_fields
from logstats.formats.log_format.merge import ignored_joined, merged
from logstats.formats.log_format.pattern import delimited, joined, regular_expression
from logstats.formats.log_format.pointer import pointer
from logstats.formats.log_format.shapes import Part, Slot
from logstats.formats.model import Field, Format

# Marks of definitions of other servers and programs → (whose they are, the format that has their usual lines).
_OTHERS: Final = (
    (r"%(?:REQ|RESP|START_TIME|PROTOCOL|RESPONSE_CODE|DURATION|BYTES_SENT)[(%]", "Envoy", "envoy"),
    (r"%(?:[<>]?[0-9]*(?:Hs|st|ru|rm|un|ha|Ss|Sh)\b|ts\.|\[u[nil]\b)", "Squid", "squid"),
    (r"%<?\{?[\w-]*\}?<?(?:chi|caun|cqtq|cqtx|cqhm|pssc|pscl|pqsi|shn)>", "Traffic Server", "squid"),
    (r"%(?:\(\w+\))?(?:\[|\{[+-][\w,+-]*\}|[cfbs]i\b|cp\b|ST\b|H[MUP]\b|T[RrwcatqdDl]\b)", "HAProxy", "haproxy"),
    (r"\}V|%\{(?:strftime|if)\(", "Fastly", "fastly"),
    (r":(?:method|url|status)\b.*:(?:method|url|status)\b", "morgan", "morgan_tiny"),
    (r"(?<![$%])\{(?:common_log|remote_host|when|method|uri|status|size|duration)\}", "Caddy", "caddy"),
    (r"^\"?%R - |%Q%q|%\{(?:mili|micro|seconds|kilo|mega)\w*\}[dM]", "PHP-FPM", "php_fpm"),
    (r"\$context\.", "API Gateway", "aws_api_gateway"),
    (r"\$\{(?:time_rfc3339\w*|time_unix\w*|time_custom|remote_ip|bytes_in|latency_human)\}", "Echo", "echo"),
    (r"\$\{(?:time|ip|ips|latency|bytesSent|reqHeader:\w+|locals:\w+)\}", "Fiber", "fiber"),
    (r"%\^(?!F[BU]|t[io])|~h\{|%d:%t|\[%x", "GoAccess", "combined"),
    (r"%(?:host|methodurl|time[1-4]|bytesd|uaquot|refererquot|virtualname|logname)\b", "AWStats", "combined"),
    (r"^\s*(?:#?\s*Fields:\s*)?(?:[cs]-ip|date|time|cs-method|x-\w+)(?:\s+[\w-]+(?:\([\w-]+\))?)+\s*$", "W3C", "w3c"),
    (r"^\s*(?:\{\w\} ?)+", "CherryPy", "combined"),
    (r"%\((?:asctime|levelname|message|name)\)", "Python's logging", "python_logging"),
)
# Forms that `fields.times` reads without being told, and faster than others.
_GUESSED: Final = frozenset({"", "%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%:z"})
# Roles whose values may have JSON escapes; numbers and times have none.
_DECODED: Final = frozenset(
    {"user_agent", "referer", "request", "target", "path", "query", "user_id", "host", "trace_id", "method"}
)
_CALLED: Final = {"timestamp": "time", "client_ip": "client", "user_id": "user", "trace_id": "trace"} | {
    "upstream_duration": "upstream time",
    "request_bytes": "request size",
}


def compile_log_format(text: str, *, allow_unknown: bool = True) -> Format:
    """The format that an nginx `log_format` or an Apache `LogFormat` string defines.

    Unless `allow_unknown`, a variable that no server has is an error: it may be misspelt. Raises FormatError.
    """
    found = definition(text)
    body = found.body
    if not body.strip():
        raise FormatError("the log format is empty", "paste the string from the server's configuration")
    is_nginx = _is_nginx(body)
    _refuse_others(body, is_nginx=is_nginx)
    parts, whose = _parts(found, is_nginx=is_nginx)
    slots = [part for part in parts if isinstance(part, Slot)]
    if not slots:
        raise FormatError(
            "the log format names nothing that logstats knows",
            "it must hold nginx variables ($remote_addr) or Apache directives (%h); a format's name goes to --format",
        )
    if not allow_unknown:
        _refuse_unknown(body, slots, is_nginx=is_nginx)
    parts = ignored_joined(choose(merged(parts, dashes=is_nginx and found.escape in ("", "default"))))
    kept = [part for part in parts if isinstance(part, Slot) and part.field]
    if not kept:
        raise FormatError(
            "the log format has no variable that logstats can use",
            "it needs the request, the status, the time or the client, such as $request or %r",
        )
    name = f"log_format:{body if definition(body) == found else text.strip()}"
    title = f"--log-format ({whose.name}{', escape=' + found.escape if found.escape else ''})"
    notes = _notes(parts, whose)
    if is_nginx and found.escape == "json" and (fields := json_fields(body, parts)):
        return Format(name, f"{title[:-1]}, JSON)", "", "json", "", fields, notes=notes)
    engine, made, fields = _pattern(body, parts, decode="json" if is_nginx and body.startswith("{") else "")
    return Format(name, title, "", engine, made, fields, notes=notes)


def _notes(parts: Sequence[Part], whose: Dialect) -> tuple[str, ...]:
    """Notes for the user: the variables that are kept, those that are not, and what the definition lacks."""
    slots = [part for part in parts if isinstance(part, Slot)]
    kept: dict[str, list[str]] = {}
    for slot in slots:
        if slot.field:
            kept.setdefault(_CALLED.get(slot.field.role, slot.field.role), []).append(slot.written)
    ignored = list(dict.fromkeys(slot.written for slot in slots if not slot.field))
    said = ", ".join(f"{role} {' '.join(written)}" for role, written in kept.items())
    notes = [f"--log-format keeps {said}{'; ignores ' + ' '.join(ignored) if ignored else ''}"]
    if "time" not in kept:
        lack = (
            "its time lacks the date, the year or the minute" if any(slot.time for slot in slots) else "it has no time"
        )
        notes.append(f"--log-format: {lack}, so that requests are untimed, unless what wraps their lines has a time")
    if any("%Z" in slot.time.form for slot in slots if slot.time and slot.field):
        notes.append("--log-format: a zone's name other than UTC and GMT is taken for that of --tz")
    if whose.note:
        notes.append(f"--log-format: {whose.note}")
    return tuple(notes)


def _is_nginx(body: str) -> bool:
    """Whether a definition is nginx's: it has `$` variables, outside of Apache's directives."""
    names = [match[1] or match[2] for match in nginx.VARIABLE.finditer(body)]
    return bool(names) and (any(map(nginx.known, names)) or not re.search(r"%[<>]?[A-Za-z{]", body))


def _refuse_others(body: str, *, is_nginx: bool) -> None:
    for mark, server, builtin in _OTHERS:
        if (mark.startswith(r"\$") or not is_nginx) and re.search(mark, body):
            raise FormatError(
                f"this is how {server} defines logs, which --log-format does not compile",
                f"leave the option out, since the usual formats are known, or name one: --format {builtin}",
            )


def _parts(found: Definition, *, is_nginx: bool) -> tuple[list[Part], Dialect]:
    """(the text and variables of a string, the server that it is for)."""
    if is_nginx:
        return joined(nginx.parts_of(found.body, escaped=found.escape != "none")), Dialect("nginx")
    whose, body = dialect(found.body, java=found.java)
    return joined(apache.parts_of(body, whose)), whose


def _refuse_unknown(body: str, slots: Sequence[Slot], *, is_nginx: bool) -> None:
    """Raise FormatError for a variable that no server has, with a similar name."""
    for slot in slots:
        if is_nginx and not nginx.known(slot.written.strip("${}")):
            near = difflib.get_close_matches(slot.written.strip("${}"), nginx.NAMES, 1, 0.75)
            meant = f"was ${near[0]} meant?" if near else "does the configuration set it?"
            raise FormatError(
                f"nginx has no variable {slot.written}:\n{pointer(body, slot.place)}",
                f"{meant} --allow-unknown takes it for one that the configuration sets, and ignores it",
            )
        if not is_nginx and not apache.known(slot):
            raise FormatError(
                f"Apache has no directive {slot.written}:\n{pointer(body, slot.place)}",
                "see mod_log_config; --allow-unknown takes it for one of another module, and ignores it",
            )


def _pattern(body: str, parts: Sequence[Part], *, decode: str) -> tuple[str, str, dict[str, Field]]:
    """(engine, pattern, the fields of the variables that are kept). Raises FormatError."""
    for engine, candidate in (("delimited", _in_words(parts)), ("regex", parts)):
        fields = {part.name: part.field for part in _timed(candidate) if isinstance(part, Slot) and part.field}
        if decode:
            fields = {n: replace(f, decode=decode) if f.role in _DECODED else f for n, f in fields.items()}
        made = delimited(candidate) if engine == "delimited" else regular_expression(body, candidate, fields)
        if made is not None:
            return engine, made, fields
    raise AssertionError("a regular expression is made, or refused")


def _in_words(parts: Sequence[Part]) -> list[Part]:
    """The parts, where a time of several words that ends at a space becomes one variable for each word."""
    made: list[Part] = []
    for part, after in zip(parts, [*parts[1:], ""], strict=True):
        if not (
            isinstance(part, Slot)
            and part.time
            and 0 < part.shape.spaces < len(TIME_ROLES)
            and str(after).startswith(" ")
        ):
            made.append(part)
            continue
        for number, form in enumerate(part.time.form.split(" ")):
            word = Slot(f"{part.name}_{number}" if number else part.name, part.written, part.place, shapes.WORD)
            time = replace(part.time, form=form)
            made += [*([" "] if number else []), replace(word, field=part.field, time=time)]
    return made


def _timed(parts: Sequence[Part]) -> list[Part]:
    """The parts, where those that make up the time have its form and their order."""
    times = [part for part in parts if isinstance(part, Slot) and part.time and part.field]
    form = " ".join(part.time.form for part in times if part.time)
    plain = form in _GUESSED or strftime.is_number(form)
    roles = dict(zip((slot.name for slot in times), TIME_ROLES, strict=False))
    made: list[Part] = []
    for part in parts:
        if isinstance(part, Slot) and part.time and part.field:
            own = "" if plain else strftime.parsable(part.time.form)
            role = roles.get(part.name)
            part = replace(part, field=Field(role, form=own) if role else None)
        made.append(part)
    return made
