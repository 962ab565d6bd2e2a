"""The Markdown that the manual is written in: headings, paragraphs, bullets, code and tables, no nesting.

Reading it gives blocks, whose texts still have their `code`, **bold** and [link](address); `spans` takes these apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from logstats.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the page's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """The items of a list, each in one line."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells by row; `head` names the columns."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Bullets | Code | Table


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text; `style` is "", "code" or "bold"; `link` is where it leads."""

    text: str
    style: str = ""
    link: str = ""


_SPAN = re.compile(
    r"(?P<fence>`+) ?(?P<code>.+?) ?(?P=fence)"
    r"|\*\*(?P<bold>.+?)\*\*"
    r"|\[(?P<text>.+?)\]\((?P<link>\S+?)\)"
)


def blocks(text: str) -> list[Block]:
    """The blocks of a page. Comments (`<!-- … -->`) are left out."""
    return list(_blocks(re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL).split("\n")))


def _blocks(lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        line, start = lines[at], at
        at += 1
        if not line.strip():
            continue
        if line.startswith("```"):
            while at < len(lines) and not lines[at].startswith("```"):
                at += 1
            yield Code(tuple(lines[start + 1 : at]))
            at += 1
        elif heading := re.fullmatch(r"(#+) (.*)", line):
            yield Heading(len(heading[1]), heading[2])
        elif line.startswith("|"):
            while at < len(lines) and lines[at].startswith("|"):
                at += 1
            rows = [tuple(_cells(row)) for row in lines[start:at]]
            yield Table(rows[0], tuple(rows[2:]))
        else:
            bullets = line.startswith("- ")
            while at < len(lines) and lines[at].strip() and not re.match(r"```|#+ |\|", lines[at]):
                at += 1
            if bullets:
                items = re.split(r"\n- ", "\n".join(lines[start:at]))
                yield Bullets(tuple(" ".join(item.removeprefix("- ").split()) for item in items))
            else:
                yield Paragraph(" ".join(" ".join(lines[start:at]).split()))


def _cells(row: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]


def spans(text: str) -> Iterator[Span]:
    """The pieces of a text."""
    at = 0
    for found in _SPAN.finditer(text):
        if found.start() > at:
            yield Span(text[at : found.start()])
        at = found.end()
        if found["code"]:
            yield Span(found["code"], "code")
        elif found["bold"]:
            yield Span("".join(span.text for span in spans(found["bold"])), "bold")
        else:
            yield from (Span(span.text, span.style, found["link"]) for span in spans(found["text"]))
    if at < len(text):
        yield Span(text[at:])
