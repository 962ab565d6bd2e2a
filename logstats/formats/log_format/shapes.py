"""The parts of a log string: literal text, and variables whose values have a known shape.

A shape describes every value that a server writes for a variable: a regular expression that it matches, and the
characters that may occur in it. Both decide where a value ends.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from logstats.dataclass import dataclass
from logstats.formats.model import Field


@dataclass(frozen=True, slots=True)
class Shape:
    """The values of a variable.

    `regex` matches them (without named groups). `characters` is the inside of a character class with every character
    that may occur in them; empty if any may. `first` is the inside of a class with their first characters, if known. A
    `free` value may hold spaces anywhere; `strict`, if given, matches only values that can be told from text beside
    them. `spaces` is the number of spaces in a value of fixed shape.
    """

    regex: str
    characters: str = ""
    first: str = ""
    free: bool = False
    strict: str = ""
    spaces: int = 0

    def may_hold(self, character: str) -> bool:
        """Whether a value may contain this character."""
        return not self.characters or bool(_class(self.characters).match(character))


@cache
def _class(characters: str) -> re.Pattern[str]:
    return re.compile(f"[{characters}]")


def _made_of(characters: str) -> Shape:
    return Shape(f"[{characters}]*?", characters)


# A request line: method, target and protocol; a dash if there was none. A client can send anything instead, which
# `strict` excludes. https://www.rfc-editor.org/rfc/rfc9112#section-3
_LINE: Final = r"-|[A-Za-z][A-Za-z_-]* [^ ].*? [A-Za-z]+/[0-9]+(?:\.[0-9]+)?"

WORD: Final = _made_of("^ ")
ADDRESS: Final = _made_of("0-9A-Za-z:._%-")  # or the name of a host, `unix:`, `-`
HOST: Final = _made_of(r"^ */,;|\"?()<>=@")
NUMBER: Final = _made_of("0-9.+-")
PORT: Final = Shape("[0-9]*|-", "0-9-", "0-9")
USER: Final = Shape(".*?", "^ ", free=True, strict="[^ ]*?")  # one word, as good as always
STATUS: Final = Shape("[0-9]{1,3}|-", "0-9-")
PROTOCOL: Final = _made_of("0-9A-Za-z/._-")
METHOD: Final = _made_of("^ /")
SCHEME: Final = _made_of("a-zA-Z-")
TARGET: Final = Shape("[^ ]*?", "^ ", "/*")  # as requested: percent-encoded
PATH: Final = Shape(".*?", "", "/*", free=True, strict="[^ ]*?")  # decoded, so that it may hold spaces
QUERY: Final = _made_of("^ ")
QUESTION: Final = Shape(r"(?:\?[^ ]*?)?", "^ ", "?")  # a query with its question mark, or nothing
IS_ARGS: Final = Shape(r"\??", "?", "?")
TEXT: Final = Shape(".*?", free=True)  # nearly always of several words
VALUE: Final = Shape(".*?", free=True, strict="[^ ]*?")  # mostly one word: a header, a cookie, a referer
REQUEST: Final = Shape(f"{_LINE}|.*?", free=True, strict=_LINE.replace("[A-Za-z][A-Za-z_-]*", "[A-Z][A-Z_-]*"))
ADDRESSES: Final = Shape(".*?", r"^\"|;()<>=", free=True, strict=r"-|(?:[^ ,]+(?:, ?[^ ,]+)*)?")
# Values of several upstream servers: `a, b : c`. https://nginx.org/en/docs/http/ngx_http_upstream_module.html#variables
UPSTREAM: Final = Shape(r"(?:[^ ,]+(?:(?:,| :) [^ ,]+)*)?", r"^\"|;()<>=")
UPSTREAM_TIMES: Final = Shape(r"(?:[0-9.-]+(?:(?:,| :) [0-9.-]+)*)?", "0-9., :-")


@dataclass(frozen=True, slots=True)
class Time:
    """A time, or a part of one: the form in which Polars parses it (empty: `fields.times` does), and the parts that it
    has.

    `moment` says which time of the request it is: when it began, or when it ended.
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

    `written` is its text in the string, at `place`. `field` is its meaning, if logstats uses it; of several for one
    role, the one with the lowest `rank` is kept. `known` says whether the server has such a variable.
    """

    name: str
    written: str
    place: int
    shape: Shape
    field: Field | None = None
    rank: int = 0
    time: Time | None = None
    part: str = ""  # its part of a URL that is written in parts: scheme, host, port, path, target, query, …
    escaped: bool = True  # whether the server escapes quotes and control characters


Part = str | Slot
