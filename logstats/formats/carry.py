"""What one chunk of a source leaves for the next: the directives in force, and a line of which only a part has come.

The main thread finds both in the bytes, in the order of the lines, so that chunks can be parsed side by side.
"""

from __future__ import annotations

import re
from typing import Final

from logstats.formats.layout import LayoutReader
from logstats.formats.w3c import DATE, FIELDS, in_force

LONGEST: Final = 32 << 20  # of a line in parts this much is waited for
_LOOK_BACK: Final = 64  # lines from the end that are looked at for a part without its end
_PART = re.compile(rb"[^ \n]+ (stdout|stderr) ([PF])(?=[: ])")


def directives_after(before: str, data: bytes, reader: LayoutReader) -> str:
    """The directives in force after `data`, if `before` were in force ahead of it."""
    lines = []
    for name in (FIELDS, DATE):
        place = data.rfind(name.encode())
        if place >= 0:
            start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
            line = data[start : end if end >= 0 else len(data)]
            lines.append(reader.peel(line.decode(errors="backslashreplace").rstrip("\r")))
    return in_force(before, "\n".join(lines)) if lines else before


def unfinished(data: bytes) -> int:
    """Where the first line begins that has only come in part (`P` and no `F` after it), or the length of `data`."""
    place = len(data)
    seen: set[bytes] = set()
    for _ in range(_LOOK_BACK):
        if place <= 0 or len(seen) == 2:
            break
        start = data.rfind(b"\n", 0, place - 1) + 1
        if match := _PART.match(data, start):
            if match[2] == b"P" and match[1] not in seen:
                return _first_part(data, start, match[1])
            seen.add(match[1])
        place = start
    return len(data)


def _first_part(data: bytes, place: int, stream: bytes) -> int:
    """Where the run of parts of one stream begins of which the last begins at `place`."""
    first = place
    while place > 0 and len(data) - place < LONGEST:
        place = data.rfind(b"\n", 0, place - 1) + 1
        match = _PART.match(data, place)
        if match and match[1] == stream:
            if match[2] == b"F":
                break
            first = place
    return first
