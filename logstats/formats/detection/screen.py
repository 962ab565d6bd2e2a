"""A look at some lines at once, which rules most formats out before anything of them is made ready.

Whatever a format reads holds certain texts: what stands in its pattern between the variables, the brace of a JSON
object, one of the keys of its fingerprint. If none of the lines has them, the format reads none of the lines. The
opposite does not follow: `prefilter` looks at single lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from logstats.formats.engines.delimited import literals_of
from logstats.formats.engines.regex import literals, prefix
from logstats.formats.model import Format

_SIGNS: Final = {"json": "{", "keyvalue": "=", "ltsv": ":"}  # without which a line has no key
_DOT: Final = re.compile(r"\\?\.")
_PLACE: Final = re.compile(r"\[\d+\]$")
_SPELLED: Final = re.compile(r"\\[ux/]")  # a key of JSON may be written otherwise than it reads


class Lines:
    """Some lines, as screens look at them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.text = "\n".join(lines)
        self.spelled = _SPELLED.search(self.text) is not None


class Screen(NamedTuple):
    """The texts that are in each line which a format reads: a beginning, all of `needs`, and all of one of `marks`; and
    an expression that each begins with."""

    begin: str
    needs: tuple[str, ...]
    marks: tuple[tuple[str, ...], ...]
    prefix: str = ""

    def passes(self, lines: Lines) -> bool:
        """Whether the format may read one of these lines. False is certain."""
        text = lines.text
        for need in self.needs:
            if need not in text:
                return False
        if self.begin and not text.startswith(self.begin) and f"\n{self.begin}" not in text:
            return False
        if self.prefix and not re.search(f"^{self.prefix}", text, re.MULTILINE):  # which few formats have of their own
            return False
        return not self.marks or lines.spelled or any(all(part in text for part in mark) for mark in self.marks)


def screen_of(form: Format, *, named: bool) -> Screen:
    """The screen of a format. If the user `named` it, its fingerprint is not required."""
    marks = () if named else tuple(map(_parts, form.fingerprint))
    if form.engine == "delimited":
        begin, *rest = literals_of(form.pattern)
        return Screen(begin, tuple(filter(None, rest)), marks)
    if form.engine == "regex":
        return Screen("", literals(form.pattern), marks, prefix(form.pattern))
    return Screen("", (_SIGNS[form.engine],) if form.engine in _SIGNS else (), marks)


def _parts(key: str) -> tuple[str, ...]:
    """The texts that a line with this key has: `a.b[0]` may be an object in an object, or a key with a dot in it."""
    return tuple(_whole(key))


def _whole(key: str) -> Iterator[str]:
    for part in _DOT.split(key):
        name = _PLACE.sub("", part)
        if '"' not in name and "\\" not in name:
            yield name
