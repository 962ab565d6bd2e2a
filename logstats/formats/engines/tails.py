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


@cache
def apart(pattern: str, name: str) -> tuple[str, str] | None:
    """(the pattern with no choice but the group of this name, the pattern without it), where that group is the first of
    several alternatives; None if it is not.

    A line that does not match the first pattern is matched by the second as by the whole one.
    """
    tokens = TOKEN.findall(pattern)
    group = tokens.index(f"(?P<{name}>") if f"(?P<{name}>" in tokens else 0
    if not group or tokens[group - 1] != "(?:":
        return None
    depth, closed, bar = 0, 0, 0
    for place in range(group, len(tokens)):
        if tokens[place] == "|" and not depth and not bar:
            bar = place
        depth += tokens[place][0] == "("
        if tokens[place] == ")":
            depth -= 1
            closed = closed or (place if not depth else 0)
            if depth < 0:
                break
    if not bar or tokens[closed + 1 : bar] not in ([], ["$"]):
        return None
    return "".join([*tokens[:bar], *tokens[place:]]), "".join([*tokens[:group], *tokens[bar + 1 :]])
