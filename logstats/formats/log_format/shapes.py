"""What a log string is made of: literal text, and variables whose values have a known shape.

A shape is what can be said of every value that a server writes for a variable: the regular expression that the value
matches, and the characters that it is made of. Both decide where a value ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from logstats.formats.model import Field


@dataclass(frozen=True, slots=True)
class Shape:
    """The values of a variable.

    `regex` matches them (no named groups); `characters` is the inside of a character class that has every character of
    theirs, or empty where any may occur. `first` is the inside of a class of what they begin with, where that is known.
    A `free` value may hold spaces at any place: then `strict`, if there is one, matches the values that can still be
    told from text beside them. `spaces` is how many spaces the values of a fixed shape hold.
    """

    regex: str
    characters: str = ""
    first: str = ""
    free: bool = False
    strict: str = ""
    spaces: int = 0

    def may_hold(self, character: str) -> bool:
        """Whether a value may have this character in it."""
        return not self.characters or bool(_class(self.characters).match(character))


@cache
def _class(characters: str) -> re.Pattern[str]:
    return re.compile(f"[{characters}]")


def _made_of(characters: str) -> Shape:
    return Shape(f"[{characters}]*?", characters)


# A request line: method, target and protocol; a lone dash where there was none. What a client sent instead of one can
# be anything, so `strict` leaves that out. https://www.rfc-editor.org/rfc/rfc9112#section-3
_LINE: Final = r"-|[A-Za-z][A-Za-z_-]* [^ ].*? [A-Za-z]+/[0-9]+(?:\.[0-9]+)?"

WORD: Final = _made_of("^ ")
ADDRESS: Final = _made_of("0-9A-Za-z:._%-")  # or the name of a host, `unix:`, `-`
HOST: Final = _made_of(r"^ */,;|\"?()<>=")
NUMBER: Final = _made_of("0-9.+-")
PORT: Final = Shape("[0-9]*|-", "0-9-", "0-9")
STATUS: Final = Shape("[0-9]{1,3}|-", "0-9-")
PROTOCOL: Final = _made_of("0-9A-Za-z/._-")
METHOD: Final = _made_of("^ /")
SCHEME: Final = _made_of("a-zA-Z-")
TARGET: Final = Shape("[^ ]*?", "^ ", "/*")  # as it was asked for: encoded
PATH: Final = Shape(".*?", "", "/*", free=True, strict="[^ ]*?")  # decoded, so that it may hold spaces
QUERY: Final = _made_of("^ ")
QUESTION: Final = Shape(r"(?:\?[^ ]*?)?", "^ ", "?")  # a query with its question mark, or nothing
IS_ARGS: Final = Shape(r"\??", "?", "?")
TEXT: Final = Shape(".*?", free=True)  # nearly always of some words
VALUE: Final = Shape(".*?", free=True, strict="[^ ]*?")  # mostly one word: a header, a cookie, a referer
REQUEST: Final = Shape(f"{_LINE}|.*?", free=True, strict=_LINE)
ADDRESSES: Final = Shape(r"-|(?:[^ ,]+(?:, ?[^ ,]+)*)?", r"^\"|;()<>=", free=False)
# What several upstream servers said: `a, b : c`. https://nginx.org/en/docs/http/ngx_http_upstream_module.html#variables
UPSTREAM: Final = Shape(r"(?:[^ ,]+(?:(?:,| :) [^ ,]+)*)?", r"^\"|;()<>=")


@dataclass(frozen=True, slots=True)
class Time:
    """A time, or a part of one, by a form that Polars parses (empty: by `fields.times`), and what it says.

    `moment` tells times of one request apart: when it began, or when it ended.
    """

    form: str
    says: frozenset[str]
    moment: str = "begin"

    @property
    def complete(self) -> bool:
        """Whether it is a time by itself."""
        return bool({"epoch"} & self.says) or {"year", "month", "day", "hour", "minute"} <= self.says


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable of a log string.

    `written` is how it stands there, at `place`. `field` is what logstats makes of it, if anything; of several for one
    role the one of the lowest `rank` is kept. `known` is whether the server has such a variable.
    """

    name: str
    written: str
    place: int
    shape: Shape
    field: Field | None = None
    rank: int = 0
    time: Time | None = None
    part: str = ""  # what it is in a target that is written in parts: scheme, host, port, path, target, query, …
    escaped: bool = True  # whether the server escapes quotes and control characters


Part = str | Slot
