"""Styled lines for a terminal: what reports need of them, which is little, so that no report has to load Rich.

A style is words: `bold`, `dim`, a colour, `not bold`. Lines wrap between words, and words that are too long in
themselves, as Rich does it (tests/test_styled.py compares the two). Text of one width is measured here; for wide and
combining characters Rich's tables are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, Literal

Overflow = Literal["fold", "ellipsis", "crop"]

_COLOURS: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")  # ECMA-48: 30 and so on
_NARROW: Final = re.compile("[ -~¡-˿‐-‧≈─-▟]*")  # characters that take one cell each
_WORD: Final = re.compile(r"\s*\S+\s*")
_ELLIPSIS: Final = "…"


class Text:
    """A text whose parts have styles, on top of the style of the whole."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.style = style
        self._parts: list[tuple[str, str]] = [(text, "")] if text else []

    def __len__(self) -> int:
        return len(self.plain)

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in self._parts)

    @property
    def cells(self) -> int:
        """The columns of a terminal that it takes."""
        return cells(self.plain)

    def append(self, text: str, style: str = "") -> Text:
        """Add a part at the end; returns this text."""
        if text:
            self._parts.append((text, style))
        return self

    def piece(self, start: int, end: int) -> Text:
        """The part between two characters."""
        piece = Text(style=self.style)
        for text, style in self._parts:
            piece.append(text[max(start, 0) : max(end, 0)], style)
            start, end = start - len(text), end - len(text)
        return piece

    def lines(self, width: int, overflow: Overflow = "fold", *, wrap: bool = True) -> Iterator[Text]:
        """The lines of at most `width` columns. Without `wrap`, what is too long is cut off."""
        begin = 0
        for line in self.plain.split("\n"):
            places = [0, *_breaks(line, width), len(line)] if wrap else [0, len(line)]
            for start, end in zip(places, places[1:], strict=False):
                last = start + len(line[start:end].rstrip()) if wrap and end - start > width else end
                yield self.piece(begin + start, begin + last).cut(width, overflow)
            begin += len(line) + 1

    def cut(self, width: int, overflow: Overflow) -> Text:
        """The text, shortened to a width."""
        if self.cells <= width:
            return self
        room = width - (overflow == "ellipsis")
        kept = self.piece(0, len(_first(self.plain, room)))
        kept.append(" " * (room - kept.cells))  # half of a wide character
        if overflow != "ellipsis":
            return kept
        instead = self.piece(len(kept), len(kept) + 1)._parts  # the character in whose place, and style, it stands
        return kept.append(_ELLIPSIS, instead[0][1] if instead else "")

    def drawn(self, *, colour: bool) -> str:
        """The text, with escape sequences if it has `colour`."""
        if not colour:
            return self.plain
        return "".join(_painted(text, f"{self.style} {style}".strip()) for text, style in self._parts)


class Page:
    """Lines of at most `width` columns, one below the other; without `colour` there is no escape sequence in them."""

    def __init__(self, width: int, *, colour: bool) -> None:
        self.width, self.colour = width, colour
        self._lines: list[str] = []

    def print(
        self, text: Text | None = None, overflow: Overflow = "fold", *, wrap: bool = True, indent: int = 0
    ) -> None:
        """Add the lines of a text, or an empty one."""
        for line in (text or Text()).lines(self.width - indent, overflow, wrap=wrap):
            self._lines.append((" " * indent + line.drawn(colour=self.colour)).rstrip())

    def row(self, columns: Sequence[tuple[Text, int]], *, wrap: bool = False) -> None:
        """Add a row of a table: cells and their widths, two columns apart. The first is a name, which may `wrap`; the
        others are figures, on the right."""
        (first, width), *figures = columns
        for number, line in enumerate(first.lines(width, wrap=wrap)):
            drawn = line.drawn(colour=self.colour) + " " * (width - line.cells)
            for cell, room in figures if number == 0 else ():
                figure = cell.cut(room, "crop")
                drawn += "  " + " " * (room - figure.cells) + figure.drawn(colour=self.colour)
            self._lines.append(drawn.rstrip())

    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self._lines)


def cells(text: str) -> int:
    """The columns of a terminal that a text takes."""
    if _NARROW.fullmatch(text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _first(text: str, width: int) -> str:
    """As much of a text as fits."""
    return next(iter(_chopped(text, width)), "") if width > 0 else ""


def _chopped(text: str, width: int) -> list[str]:
    """A text in pieces that fit."""
    if _NARROW.fullmatch(text):
        return [text[place : place + width] for place in range(0, len(text), width)]
    from rich.cells import chop_cells

    return chop_cells(text, width)


def _breaks(line: str, width: int) -> Iterator[int]:
    """The characters at which the second and further lines begin."""
    used = 0
    for match in _WORD.finditer(line):
        start, word = match.start(), match[0]
        needed = cells(word.rstrip())
        if used + needed <= width:
            used += cells(word)
        elif needed <= width:
            yield start
            used = cells(word)
        else:
            for piece in _chopped(word, width):
                if start:
                    yield start
                start += len(piece)
                used = cells(piece)


def _painted(text: str, style: str) -> str:
    codes = _codes(style)
    return f"\x1b[{codes}m{text}\x1b[0m" if codes else text


@cache
def _codes(style: str) -> str:
    """The parameters of an escape sequence (Select Graphic Rendition) for the words of a style, of which later ones
    count."""
    attributes = {"bold": False, "dim": False}
    colour, words = "", iter(style.split())
    for word in words:
        if word == "not":
            attributes[next(words)] = False
        elif word in attributes:
            attributes[word] = True
        else:
            colour = str(30 + _COLOURS.index(word))
    return ";".join(filter(None, ["1" * attributes["bold"], "2" * attributes["dim"], colour]))
