"""Literal text and variables → a pattern that one of the engines reads.

The delimited engine is fast, and correct if the text after a variable cannot occur in its value. If it can (a target
with spaces in it, followed by a space), a regular expression is built from the shapes of all values. A string that
cannot be split with certainty is refused, with the place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from logstats.errors import FormatError
from logstats.formats.engines.delimited import QUOTE
from logstats.formats.log_format.pointer import pointer
from logstats.formats.log_format.shapes import Part, Slot

_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_HINT: Final = "log it between quotes, as the servers' own formats do"


def joined(parts: Sequence[Part]) -> list[Part]:
    """The parts, with adjacent literals joined, and names made distinct."""
    made: list[Part] = []
    names: set[str] = set()
    for part in parts:
        if isinstance(part, Slot):
            name, number = part.name, 2
            while name in names:
                name, number = f"{part.name}_{number}", number + 1
            names.add(name)
            made.append(replace(part, name=name))
        elif made and isinstance(made[-1], str):
            made[-1] += part
        elif part:
            made.append(part)
    return made


def delimited(parts: Sequence[Part]) -> str | None:
    """The pattern for the delimited engine, or None if it could end a variable too early."""
    quotes = 0
    for part, after in zip(parts, [*parts[1:], ""], strict=True):
        if isinstance(part, str):
            quotes += part.count(QUOTE)
            if "$" in part:
                return None
        elif isinstance(after, Slot) or not _certain(part, after, quoted=quotes % 2 == 1):
            return None
    return "".join(part if isinstance(part, str) else f"${{{part.name}}}" for part in parts)


def _certain(slot: Slot, literal: str, *, quoted: bool) -> bool:
    """Whether the first occurrence of the literal after a variable is certainly the end of the variable."""
    if not literal or (slot.escaped and quoted and literal.startswith(QUOTE)):
        return True
    for place, character in enumerate(literal):
        foreign = not slot.shape.may_hold(character)
        if slot.escaped:
            foreign |= bool(_CONTROL.match(character))
            # A quote in a value is escaped by a backslash, or written differently.
            foreign |= character == QUOTE and place > 0 and literal[place - 1] != "\\"
        # An occurrence that begins in the value would need this character in the value, or in the literal itself.
        if foreign and not any(literal.startswith(literal[shift:]) for shift in range(1, place + 1)):
            return True
    return False


def regular_expression(body: str, parts: Sequence[Part], wanted: Collection[str]) -> str:
    """The pattern for the regex engine. `wanted` are the variables to keep. Raises FormatError."""
    _check_touching(body, parts)
    strict = _strict(body, parts)
    made = ""
    for part, before in zip(parts, ["", *parts], strict=False):
        if isinstance(part, str):
            made += re.escape(part)
            continue
        shape = part.shape
        regex = shape.strict if part.name in strict else shape.regex
        if isinstance(before, Slot) and shape.first and shape.regex.endswith("*?"):
            regex = f"[{shape.first}]{regex}|-|"  # nothing else marks its beginning
        if part.escaped:
            regex = re.sub(r"(?<!\\)\.\*\?", lambda _: r'(?:[^"\\]|\\.)*?', regex)
        made += f"(?P<{part.name}>{regex})" if part.name in wanted else f"(?:{regex})"
    return f"^{made}$"


def _check_touching(body: str, parts: Sequence[Part]) -> None:
    """Refuse two variables with nothing in between, unless the second begins with a character that the first cannot
    hold."""
    for left, right in zip(parts, parts[1:], strict=False):
        if not (isinstance(left, Slot) and isinstance(right, Slot)):
            continue
        first = right.shape.first
        apart = bool(first) and not any(left.shape.may_hold(c) for c in _ASCII if re.match(f"[{first}]", c))
        if not (apart or left.time or right.time):
            raise FormatError(
                f"nothing separates these two, so no reader could tell them apart:\n{pointer(body, right.place)}",
                "put a space or another character between the two",
            )


_ASCII: Final = [chr(code) for code in range(32, 127)]


def _strict(body: str, parts: Sequence[Part]) -> set[str]:
    """The variables that must have their strict shapes, because others beside them may hold spaces, too.

    Between two literals that are more than spaces, one variable may hold spaces: the number of the other words shows
    where it ends. With two such variables, nothing would.
    """
    strict: set[str] = set()
    for run in _runs(parts):
        free = [slot for slot in run if slot.shape.free]
        texts = [slot for slot in free if not slot.shape.strict]
        if len(free) < 2:
            continue
        if len(texts) > 1:
            raise FormatError(f"this holds spaces, and only a space ends it:\n{pointer(body, texts[0].place)}", _HINT)
        strict |= {slot.name for slot in free if slot.shape.strict}
    return strict


def _runs(parts: Sequence[Part]) -> list[list[Slot]]:
    """The variables between literals that are more than spaces."""
    runs: list[list[Slot]] = [[]]
    for part in parts:
        if isinstance(part, Slot):
            runs[-1].append(part)
        elif part.strip(" "):
            runs.append([])
    return runs
