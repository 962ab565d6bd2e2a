"""Regular expressions whose last group is the rest of the line.

A regular expression looks at each character that a group takes, also where it takes all that follows. What stands
behind the beginning of such a group need not be looked at: only where the group begins has to be found.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

# One token of a regular expression: a class, an escape, a beginning of a group, a repetition, any other character.
TOKEN: Final = re.compile(
    r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\(?:x..|u....|.)|\((?:\?(?:P<\w+>|:))?|\{[0-9,]*\}|.", re.DOTALL
)
HEAD: Final = "_head"  # the group of everything up to where the last group has begun


@cache
def without_rest(pattern: str, name: str) -> str | None:
    """The pattern without the `.*` with which its last group, of this name, goes on to the end of the line: what that
    group takes is then its beginning only, and `HEAD` ends with it. None if the pattern is not so.

    It matches the same lines: `.*` takes whatever follows, and a group that may be absent is so at the end of a line.
    """
    tokens = TOKEN.findall(pattern)
    closed = len(tokens) - 1
    while closed and tokens[closed - 1] in (")", "?"):
        closed -= 1
    if tokens[:1] != ["^"] or tokens[-1:] != ["$"] or tokens[closed - 2 : closed] != [".", "*"]:
        return None
    if ("(", "?") in zip(tokens, tokens[1:], strict=False):  # flags, or looking around
        return None
    open_groups: list[int] = []
    alternatives: dict[int, list[int]] = {}
    for place, token in enumerate(tokens[: closed - 2]):
        if token[0] == "(":
            open_groups.append(place)
            alternatives[place] = []
        elif token == ")":
            open_groups.pop()
        elif token == "|":
            if not open_groups:
                return None
            alternatives[open_groups[-1]].append(place)
    if not open_groups or tokens[open_groups[-1]] != f"(?P<{name}>" or alternatives[open_groups[-1]]:
        return None
    place = closed
    for group in reversed(open_groups):
        if tokens[place] != ")":
            return None
        place += 1
        if tokens[place] == "?":
            tokens[group], tokens[place - 1], tokens[place] = "(?:" + tokens[group], ")|$)", ""
            place += 1
        for other in alternatives[group]:
            tokens[other] = "$|"
    if place != len(tokens) - 1:
        return None
    return f"^(?P<{HEAD}>" + "".join([*tokens[1 : closed - 2], *tokens[closed:-1]]) + ")"
