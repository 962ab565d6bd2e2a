"""Almost JSON: lines that nginx writes from a template without `escape=json`, or with unquoted variables.

    {"status":404,"upstream_response_time":-,"ua":"a \\x22quoted\\x22 name"}
    {"status":200,"upstream_response_time":0.003, 0.004,"ua":"-"}

Escapes such as `\\x22` are kept as nginx wrote them, as in its other logs. A mark for no value becomes null, and a list
of numbers becomes a text. https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format
"""

from __future__ import annotations

import re
from typing import Final

# A text; or, after a colon, a value without quotes that nginx writes for an absent variable, or for one that several
# upstream servers set. Each alternative is possessive (`*+`), also for texts and lists that do not end, so every line
# is scanned in linear time.
_TOKEN: Final = re.compile(
    r'"(?:[^"\\]|\\.)*+"?'
    r"|:[ \t]*+(?P<nothing>-?)[ \t]*+(?=[,}])"
    r"|:[ \t]*+(?P<list>(?:[0-9.]++|-)(?:(?:,| :) (?:[0-9.]++|-))++)(?P<ends>[ \t]*+(?=[,}]))?"
)
_ESCAPE: Final = re.compile(r"\\(x[0-9A-Fa-f]{2})")


def as_json(line: str) -> str | None:
    """The line as JSON; None if it contains none of these forms."""
    made = _TOKEN.sub(_value, line)
    return None if made == line else made


def _value(match: re.Match[str]) -> str:
    if match["list"] is not None:
        return match[0] if match["ends"] is None else f':"{match["list"]}"'
    if match["nothing"] is not None:
        return ":null"
    return _ESCAPE.sub(r"\\\\\1", match[0])
