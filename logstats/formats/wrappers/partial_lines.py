"""State that one chunk of a source leaves for the next: the directives in force, and a line whose end is not there yet.

The main thread finds both in the bytes, in the order of the lines, so that chunks can be parsed in parallel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from logstats.formats.engines.w3c import directives_in, in_force
from logstats.formats.wrappers.stack import StackReader
from logstats.formats.wrappers.wrapper import DOCKER_CUTS
from logstats.frames import pl

LONGEST: Final = 32 << 20  # bytes of a line in parts that are held back at most
_CRI_PART: Final = r"^[^ ]+ (?:stdout|stderr) P[: ]"
_LOOK_BACK: Final = 64  # lines from the end that are searched for an unfinished part
_PART = re.compile(rb"[^ \n]+ (stdout|stderr) ([PF])(?=[: ])")
_STREAM = re.compile(rb'"stream": ?"(stdout|stderr)"')


def directives_after(before: str, data: bytes, reader: StackReader) -> str:
    """The directives in force after `data`, given those in force before it."""
    lines = []
    for place in directives_in(data):
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


def may_be_part(line: str) -> bool:
    """Whether a line may be a part that another one follows."""
    docker = line.startswith("{") and len(line.encode()) >= DOCKER_CUTS
    return docker or re.search(_CRI_PART, line) is not None


def any_parts(lines: pl.Series) -> bool:
    """Whether any of the lines may be a part that another one follows."""
    docker = lines.str.starts_with("{") & (lines.str.len_bytes() >= DOCKER_CUTS)
    return bool(docker.any()) or bool(lines.str.contains(_CRI_PART).any())


def wholes(lines: Sequence[str]) -> list[list[int]]:
    """The places of lines that belong together: the parts of one line, or one that is whole."""
    found: list[list[int]] = []
    begun: dict[bytes, list[int]] = {}  # by stream: the parts so far of a line whose end is not there yet
    for place, line in enumerate(lines):
        data = line.encode(errors="backslashreplace")
        stream, partial = _part(data, 0, len(data))
        parts = begun.pop(stream, None)
        if parts is None:
            parts = []
            found.append(parts)
        parts.append(place)
        if partial:
            begun[stream] = parts
    return found


def joined(parts: Sequence[str]) -> str:
    """The first of the parts of a line, with the texts of the others behind it, as far as CRI's mark shows them."""
    first, *others = parts
    return "".join([first, *(part.split(" ", 3)[-1] for part in others if not part.startswith("{"))])


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
