"""What one chunk of a source leaves for the next: the directives in force, and a line of which only a part has come.

The main thread finds both in the bytes, in the order of the lines, so that chunks can be parsed side by side.
"""

from __future__ import annotations

import re
from typing import Final

from logstats.formats.engines.w3c import DATE, FIELDS, in_force
from logstats.formats.wrappers.stack import StackReader

LONGEST: Final = 32 << 20  # of a line in parts this much is waited for
_LOOK_BACK: Final = 64  # lines from the end that are looked at for a part without its end
_PART = re.compile(rb"[^ \n]+ (stdout|stderr) ([PF])(?=[: ])")


def directives_after(before: str, data: bytes, reader: StackReader) -> str:
    """The directives in force after `data`, if `before` were in force ahead of it."""
    lines = []
    for name in (FIELDS, DATE):
        place = data.rfind(name.encode())
        if place >= 0:
            start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
            line = data[start : end if end >= 0 else len(data)]
            lines.append(reader.unwrap_line(line.decode(errors="backslashreplace").rstrip("\r")))
    return in_force(before, "\n".join(lines)) if lines else before


def unfinished(data: bytes) -> bool:
    """Whether the last line of a stream in `data` has only come in part (`P`, and no `F` after it)."""
    if len(data) > LONGEST:
        return False
    place = len(data)
    whole: set[bytes] = set()
    for _ in range(_LOOK_BACK):
        start = data.rfind(b"\n", 0, max(place - 1, 0)) + 1
        if match := _PART.match(data, start):
            if match[2] == b"P" and match[1] not in whole:
                return True
            whole.add(match[1])
        place = start
        if place == 0 or len(whole) == 2:
            break
    return False
