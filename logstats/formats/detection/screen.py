"""A look at some lines at once, which rules most formats out before anything of them is made ready.

Whatever a format reads holds certain texts: what stands in its pattern between the variables, in this order, the brace
of a JSON object, one of the keys of its fingerprint. If none of the lines has them, the format reads none of the lines.
The opposite does not follow: `prefilter` looks at the values in single lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final, NamedTuple

from logstats.formats import index
from logstats.formats.engines.delimited import literals_of
from logstats.formats.engines.regex import codes, fits, literals, opening
from logstats.formats.engines.w3c import FIELDS
from logstats.formats.model import Format

_SIGNS: Final = {"json": "{", "keyvalue": "=", "ltsv": ":"}  # without which a line has no key
_DOT: Final = re.compile(r"\\?\.")
_PLACE: Final = re.compile(r"\[\d+\]$")
_SPELLED: Final = re.compile(r"\\[ux/]")  # a key of JSON may be written otherwise than it reads


class Lines:
    """Some lines, as screens look at them. They may be `directed`: there is a directive that names their columns."""

    def __init__(self, lines: Iterable[str], *, directed: bool = True) -> None:
        each = [*dict.fromkeys(lines)]
        self.text = "\n".join(each)
        self.spelled = _SPELLED.search(self.text) is not None
        self.directed = directed
        self.columns = max((line.count(" ") + line.count("\t") + 1 for line in each), default=0)  # at most
        self.each = [(line, codes(line)) for line in each]


class Screen(NamedTuple):
    """What is in each line which a format reads: a beginning, an end, the texts `needs` in this order, all of one of
    `marks`, and an `opening` (`engines.regex.opening`). Without a directive it has so many `columns` (None: any
    number)."""

    begin: str
    needs: tuple[str, ...]
    marks: tuple[tuple[str, ...], ...]
    opening: tuple[int, ...] = ()
    end: str = ""
    columns: int | None = None

    def passes(self, lines: Lines) -> bool:
        """Whether the format may read one of these lines. False is certain."""
        text, needs = lines.text, self.needs
        for need in needs:
            if need not in text:
                return False
        if self.columns is not None and not lines.directed and not 0 < self.columns <= lines.columns:
            return False
        if self.marks and not lines.spelled and not any(all(part in text for part in mark) for mark in self.marks):
            return False
        if len(needs) < 2 and not (self.begin or self.end or self.opening):
            return True
        begin, end, opening = self.begin, self.end, self.opening
        for line, begins in lines.each:
            if not (line.startswith(begin) and line.endswith(end) and (not opening or fits(opening, begins))):
                continue
            place = len(begin)
            for need in needs:
                place = line.find(need, place)
                if place < 0:
                    break
                place += len(need)
            else:
                return True
        return False

    def with_more(self) -> Screen:
        """The screen of a format followed by a space and further columns."""
        return self._replace(needs=(*self.needs, " "), end="")


def screen_of(form: Format, *, named: bool) -> Screen:
    """The screen of a format. If the user `named` it, its fingerprint is not required."""
    marks = () if named else tuple(map(_parts, form.fingerprint))
    if form.engine == "delimited":
        begin, *rest = literals_of(form.pattern)
        return Screen(begin, tuple(filter(None, rest)), marks, end=rest[-1] if rest else "")
    if form.engine == "regex":
        known = index.screens().get(form.pattern)
        texts, begins = known or (literals(form.pattern), opening(form.pattern))
        return Screen("", texts, marks, begins)
    if form.engine == "w3c":
        return Screen("", (), (), columns=len(form.pattern.removeprefix(FIELDS).split()))
    return Screen("", (_SIGNS[form.engine],) if form.engine in _SIGNS else (), marks)


@cache
def _parts(key: str) -> tuple[str, ...]:
    """The texts that a line with this key has: `a.b[0]` may be an object in an object, or a key with a dot in it."""
    return tuple(_whole(key))


def _whole(key: str) -> Iterator[str]:
    for part in _DOT.split(key):
        name = _PLACE.sub("", part)
        if '"' not in name and "\\" not in name:
            yield name
