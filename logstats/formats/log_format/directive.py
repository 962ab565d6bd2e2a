"""The directive that a user pastes → the string that the server compiles.

    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status $body_bytes_sent "$http_referer"';                      (nginx)
    LogFormat "%h %l %u %t \\"%r\\" %>s %b %D" timed                                 (Apache)
    CustomLog logs/access.log "%h %l %u %t \\"%r\\" %>s %b"                          (Apache)
    <Valve className="…AccessLogValve" pattern="%h %l %u %t &quot;%r&quot; %s %b"/>  (Tomcat)
    log-format-upstream: '$remote_addr "$request" $status'                           (a setting of that name)

The text may be the whole directive, also with what stands around it, the string in its quotes, or the bare string.
"""

from __future__ import annotations

import html
import re
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import FormatError

_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_WORD: Final = re.compile(rf"(?:{_QUOTED.pattern}|[^\s'\"])+", re.DOTALL)
_STATEMENT: Final = re.compile(rf"(?:{_QUOTED.pattern}|[^;'\"])+", re.DOTALL)  # up to nginx's semicolon
_PATTERN: Final = re.compile(r"\bpattern(?:\s*=\s*(?=[\"'])|(?=>))(\"[^\"]*\"|'[^']*'|>[^<]*<)")  # of XML
_COMMENT: Final = re.compile(r"(?m)(?<=\s)#.*$")  # where a word could begin
_SETTING: Final = re.compile(
    r"(?im)^[ \t]*(?:--)?[\"']?(?P<name>[\w.-]*(?:format|pattern)[\w.-]*)[\"']?(?:[ \t]*[:=][ \t]*|[ \t]+(?=['\"]))"
)
_ESCAPES_JSON: Final = re.compile(r"log-format-escape-json[\"']?\s*:\s*[\"']?true")  # of ingress-nginx
_COMMON: Final = '%h %l %u %t "%r" %s %b'
_PATTERNS: Final = {"common": _COMMON, "combined": _COMMON + ' "%{Referer}i" "%{User-Agent}i"'}  # of Tomcat
_ENTITY: Final = re.compile(r"&(?:quot|apos|lt|gt|amp|#\d{1,4}|#x[0-9A-Fa-f]{1,4});")


@dataclass(frozen=True, slots=True)
class Definition:
    """The string; nginx's `escape=` (empty if absent); whether it stood where servers in Java have theirs."""

    body: str
    escape: str = ""
    java: bool = False


def definition(text: str) -> Definition:
    """The string that a server would compile. Raises FormatError."""
    text = text.strip()
    if text.startswith("#"):  # commented out, as in nginx's default configuration
        text = re.sub(r"(?m)^[ \t]*#[ \t]*", "", text).strip()
    if len(re.findall(r"(?im)^[ \t]*(?:log_format|LogFormat)[ \t]", text)) > 1:
        raise FormatError("this defines more than one format", "paste the one that the log was written by")
    java = bool(_ENTITY.search(text))
    if valve := _PATTERN.search(text):
        pattern = html.unescape(valve[1][1:-1])
        return Definition(_PATTERNS.get(pattern, pattern), java=True)
    if java:
        text = html.unescape(text)
    directive = _directive(text)
    if directive is None and re.match(r"(?:[\w-]+\s+)?escape=\w+\s+['\"]", text):
        return _nginx(text)  # without its first word
    if directive is None and (setting := _setting(text)):
        return setting
    if directive is None:
        bare = _unwrapped(text)
        return Definition(_nginx_escapes(bare) if re.search(r"\$\{?\w", bare) else bare, java=java)
    rest = text[directive.end() :]
    match directive[1].lower():
        case "log_format":
            return _nginx(rest)
        case "logformat":
            return Definition(_apache_argument(rest, 0), java=java)
        case "customlog" | "globallog":
            return Definition(_apache_argument(rest, 1), java=java)
    raise FormatError(
        f"{directive[1]} does not define how requests are logged",
        "paste the log_format directive that it names" if directive[1] == "access_log" else "paste the LogFormat",
    )


def _directive(text: str) -> re.Match[str] | None:
    """The directive that the text is, or that stands in it on a line of its own."""
    defines = r"(log_format|LogFormat)[ \t]+(?![=:])"
    names = r"(CustomLog|GlobalLog|TransferLog|ErrorLogFormat|access_log)[ \t]+(?![=:])"
    beginning = re.match(f"(?i){defines}", text) or re.match(f"(?i){names}", text)
    if beginning or "\n" not in text:
        return beginning
    return re.search(f"(?im)^[ \\t]*{defines}", text) or re.search(f"(?im)^[ \\t]*{names}(?=.*%)", text)


def _setting(text: str) -> Definition | None:
    """The value of a setting, such as `access_log_format = "…"`."""
    escape = "json" if _ESCAPES_JSON.search(text) else ""
    found = next((one for one in _SETTING.finditer(text) if "escape-json" not in one["name"]), None)
    if found is None:
        return None
    value = text[found.end() :].strip()
    if block := re.match(r"[>|][+-]?[ \t]*\n", value):  # of YAML
        value = " ".join(line.strip() for line in value[block.end() :].splitlines())
    value = re.sub(r"[ \t]*\n[ \t]*(?![ \t'\"])", " ", value).strip()
    if value.startswith("(") and value.endswith(")"):  # strings that Python joins
        value = value[1:-1].strip()
    bare = _unwrapped(value)
    java = bool(re.search("tomcat|undertow|quarkus", found["name"]))
    return Definition(_PATTERNS.get(bare, bare) if java else bare, escape, java)


def _nginx(rest: str) -> Definition:
    """The rest of a `log_format` directive: a name, an option, and strings that nginx concatenates."""
    whole = _STATEMENT.match(_COMMENT.sub("", rest))
    words = [match[0] for match in _WORD.finditer(whole[0] if whole else rest)]
    if words and not words[0].startswith(("'", '"', "escape=")):
        words.pop(0)  # the name
    escape = ""
    if words and (option := re.fullmatch(r"escape=(\w+)", words[0])):
        escape = option[1]
        if escape not in ("default", "json", "none"):
            raise FormatError(f"nginx knows no escape={escape}", "it is default, json or none")
        words.pop(0)
    return Definition("".join(map(_nginx_word, words)), escape)


def _nginx_word(word: str) -> str:
    """A word without its quotes and escapes, as in nginx's ngx_conf_read_token."""
    if word[:1] in ("'", '"'):
        word = word[1:-1]
    return _nginx_escapes(word)


def _nginx_escapes(word: str) -> str:
    return re.sub(r"\\([\"'\\trn])", lambda m: {"t": "\t", "r": "\r", "n": "\n"}.get(m[1], m[1]), word)


def _apache_argument(rest: str, number: int) -> str:
    """One argument of an Apache directive, without its quotes."""
    rest = re.sub(r"\\\r?\n\s*", "", rest)
    arguments = [match[0] for match in re.finditer(rf"(?:{_QUOTED.pattern})|\S+", rest)]
    if len(arguments) <= number:
        raise FormatError(
            "the directive ends before its format", 'paste all of it: LogFormat "%h %l %u %t \\"%r\\" %>s %b" common'
        )
    argument = arguments[number]
    if "%" not in argument and number == 0 and "%" in rest and '"' not in arguments[1]:
        return rest[len(argument) :].strip()  # Squid's
    if "%" not in argument:
        raise FormatError(f"{argument} is a nickname", "paste the LogFormat directive that defines it")
    return _unquoted(argument)


def _unquoted(text: str) -> str:
    """A quoted text without its quotes; inside, a backslash is dropped before a quote or another one."""
    if text[:1] not in ("'", '"'):
        return text
    return re.sub(r"\\(['\"])", r"\1", text[1:-1])


def _unwrapped(text: str) -> str:
    """A string without the quotes around it, which may be around all of it or around each of several pieces.

    Quotes belong to the string if there is text outside of them, or if they are double and around several words: `"%h"
    "%r" %>s`.
    """
    ended = text.removesuffix(";").rstrip()
    pieces = list(_QUOTED.finditer(ended))
    between = _QUOTED.sub("", ended)
    if not pieces or between.strip():
        # The end of a directive that was pasted without its beginning.
        return ended[:-1] if re.search(r"['\"];$", text) and ended.count(ended[-1]) % 2 else text
    whole = len(pieces) == 1 and (text.startswith("'") or not re.fullmatch(r"\"(?:[$%]\S+)\"", ended))
    several = len(pieces) > 1 and (
        "\n" in between or text.endswith(";") or all(piece[0].startswith("'") for piece in pieces)
    )
    if not (whole or several):
        return text
    return "".join(_unquoted(piece[0]) for piece in pieces)
