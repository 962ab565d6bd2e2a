"""State that one chunk of a source leaves for the next: the directives in force, and a line whose end is not there yet.

The main thread finds both in the bytes, in the order of the lines, so that chunks can be parsed in parallel.
"""

from __future__ import annotations

import json
import re
from typing import Final

from logstats.formats.engines.w3c import DATE, FIELDS, in_force
from logstats.formats.wrappers.stack import StackReader
from logstats.formats.wrappers.wrapper import DOCKER_CUTS

LONGEST: Final = 32 << 20  # bytes of a line in parts that are held back at most
_LOOK_BACK: Final = 64  # lines from the end that are searched for an unfinished part
_PART = re.compile(rb"[^ \n]+ (stdout|stderr) ([PF])(?=[: ])")
_STREAM = re.compile(rb'"stream": ?"(stdout|stderr)"')


def directives_after(before: str, data: bytes, reader: StackReader) -> str:
    """The directives in force after `data`, given those in force before it."""
    lines = []
    for name in (FIELDS, DATE):
        place = data.rfind(name.encode())
        if place >= 0:
            start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
            line = data[start : end if end >= 0 else len(data)]
            lines.append(reader.unwrap_line(line.decode(errors="backslashreplace").rstrip("\r")))
    return in_force(before, "\n".join(lines)) if lines else before


def unfinished(data: bytes) -> bool:
    """Whether the last line of a stream in `data` is incomplete, as CRI or Docker's json-file mark it."""
    if len(data) > LONGEST:
        return False
    place = len(data)
    whole: set[bytes] = set()
    for _ in range(_LOOK_BACK):
        start = data.rfind(b"\n", 0, max(place - 1, 0)) + 1
        stream, partial = _part(data, start, place)
        if stream:
            if partial and stream not in whole:
                return True
            whole.add(stream)
        place = start
        if place == 0 or len(whole) == 2:
            break
    return False


def _part(data: bytes, start: int, end: int) -> tuple[bytes, bool]:
    """(the stream of a line, or None; whether the line is a part that another one follows)."""
    if match := _PART.match(data, start):
        return match[1], match[2] == b"P"
    if data[start : start + 1] != b"{":
        return b"", False
    if end - start < DOCKER_CUTS:
        found = _STREAM.search(data, start, end)
        return (found[1] if found else b""), False
    try:
        entry = json.loads(data[start:end])
    except (ValueError, RecursionError):
        return b"", False
    log, stream = (entry.get("log"), entry.get("stream")) if isinstance(entry, dict) else (None, None)
    if not isinstance(log, str) or not isinstance(stream, str):
        return b"", False
    return stream.encode(errors="backslashreplace"), not log.endswith("\n") and len(
        log.encode(errors="replace")
    ) >= DOCKER_CUTS
