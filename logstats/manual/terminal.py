"""A page of the manual as text for a terminal, at most so many columns wide."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from logstats.manual.markdown import Block, Bullets, Code, Heading, Paragraph, Table, spans

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_WIDEST = 100  # columns that a paragraph is pleasant to read in


def render(page: Sequence[Block], *, width: int = 80, colour: bool = False) -> str:
    """Headings at the margin, all else two columns in. Code is never wrapped."""
    width = max(20, min(width, _WIDEST))
    text = "\n".join(line for block in page for line in _block(block, width, colour))
    return text.lstrip("\n").rstrip() + "\n"


def _block(block: Block, width: int, colour: bool) -> Iterator[str]:
    if isinstance(block, Heading):
        yield ""
        yield _strong(_plain(block.text), colour)
        return
    if not isinstance(block, Paragraph | Bullets | Code | Table):
        raise TypeError(block)
    yield ""
    if isinstance(block, Paragraph):
        yield from _wrapped(_plain(block.text), width, "  ")
    elif isinstance(block, Bullets):
        for item in block.items:
            yield from _wrapped(_plain(item), width, "    ", first="  - ")
    elif isinstance(block, Code):
        yield from (f"    {line}".rstrip() for line in block.lines)
    else:
        yield from _table(block, width, colour)


def _table(table: Table, width: int, colour: bool) -> Iterator[str]:
    """In columns if it fits; else the first cell of a row, with the others below it."""
    rows = [[_plain(cell) for cell in row] for row in table.rows]
    head = [_plain(cell) for cell in table.head]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    if sum(widths) + 2 * len(widths) <= width:
        numbers = [all(re.match(r"[\d–.-]", row[place]) for row in rows) and place > 0 for place in range(len(head))]
        for row in [head, *rows]:
            cells = [
                cell.rjust(size) if number else cell.ljust(size)
                for cell, size, number in zip(row, widths, numbers, strict=True)
            ]
            line = "  " + "  ".join(cells).rstrip()
            yield _strong(line, colour) if row is head else line
        return
    if len(head) > 2:  # of two columns, the first says by itself what it is
        yield from _wrapped(head[0], width, "  ", strong=colour)
    for row in rows:
        yield from _wrapped(row[0], width, "    ", first="  ", strong=colour)
        for name, cell in zip(head[1:], row[1:], strict=True):
            yield from _wrapped(f"{name}: {cell}" if len(head) > 2 else cell, width, "      ")


def _wrapped(text: str, width: int, indent: str, *, first: str | None = None, strong: bool = False) -> Iterator[str]:
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (_strong(line, strong) for line in lines)


def _plain(text: str) -> str:
    """A text without its marks; the address of a link stands behind it."""
    return "".join(span.text + (f" <{span.link}>" if span.link else "") for span in spans(text))


def _strong(text: str, colour: bool) -> str:
    return f"{_BOLD}{text}{_PLAIN}" if colour else text
