"""Styled lines and tables, against Rich: the same characters in the same styles."""

from __future__ import annotations

import io
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as RichText

from logstats.reports import styled
from logstats.reports.styled import Page, Text

STYLES = st.sampled_from(["", "bold", "dim", "red", "bold cyan", "not bold dim"])
WORDS = st.text(st.sampled_from("ab-…·█≈µé漢字\u0301"), min_size=1, max_size=30)
LINES = st.lists(st.sampled_from([" ", "  ", "\n"]) | WORDS, max_size=12).map("".join)
PARTS = st.lists(st.tuples(LINES, STYLES), max_size=4)
SGR = re.compile(r"\x1b\[([0-9;]*)m")


def console(width: int) -> Console:
    """Rich, without its own ideas of what a text means."""
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        color_system="standard",
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def seen(drawn: str) -> list[list[tuple[str, str]]]:
    """The characters of each line with their styles; of spaces, and at the end of a line, none can be seen."""
    lines, style = [], ""
    for line in drawn.removesuffix("\n").split("\n"):
        row: list[tuple[str, str]] = []
        for place, piece in enumerate(SGR.split(line)):
            if place % 2:
                style = "" if piece == "0" else piece
            else:
                row += [(character, "" if character == " " else style) for character in piece]
        while row and row[-1][0] == " ":
            row.pop()
        lines.append(row)
    return lines


@settings(max_examples=300, deadline=None)
@given(PARTS, STYLES, st.integers(3, 25), st.sampled_from(["wrap", "ellipsis", "crop", "indent"]))
@example([("aaa  bbbbbbbbbbbb ccc", "red")], "bold", 6, "wrap")
def test_lines_are_those_of_rich(parts: list[tuple[str, str]], style: str, width: int, how: str) -> None:
    text, theirs = Text("", style), RichText("", style)
    for part, own in parts:
        text.append(part, own)
        theirs.append(part, own)
    page, rich = Page(width, colour=True), console(width)
    if how == "wrap":
        page.print(text)
        rich.print(theirs, overflow="fold")
    elif how == "indent":
        page.print(text, indent=2)
        rich.print(Padding(theirs, (0, 0, 0, 2)))
    else:
        page.print(text, how, wrap=False)  # type: ignore[arg-type]
        rich.print(theirs, no_wrap=True, overflow=how)  # type: ignore[arg-type]
    assert seen(page.text()) == seen(rich.file.getvalue())  # type: ignore[attr-defined]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS, STYLES), max_size=4), st.booleans())
def test_tables_are_those_of_rich(rows: list[tuple[str, str, str]], wrap: bool) -> None:
    page, rich = Page(60, colour=True), console(60)
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    table.add_column("name", width=12, no_wrap=not wrap, overflow="fold")
    table.add_column("figure", justify="right", no_wrap=True, width=8, overflow="crop")
    page.row([(Text("name", "dim"), 12), (Text("figure", "dim"), 8)], wrap=wrap)
    for name, figure, style in rows:
        page.row([(Text(name, style), 12), (Text(figure, style), 8)], wrap=wrap)
        table.add_row(RichText(name, style), RichText(figure, style))
    rich.print(table)
    assert seen(page.text()) == seen(rich.file.getvalue())  # type: ignore[attr-defined]


def test_characters_of_one_cell() -> None:
    narrow = [chr(code) for code in range(0x3000) if styled._NARROW.fullmatch(chr(code))]
    assert len(narrow) > 500
    assert [character for character in narrow if cell_len(character) != 1] == []
