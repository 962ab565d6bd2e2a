"""Documents of headings, lines and tables, for a terminal or as Markdown. Objectives and comparisons are shown with
them.

Texts in titles, lines and cells may come from a log or an untrusted file, and are escaped. Notes and heads do not.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from logstats.dataclass import dataclass
from logstats.reports.markdown import code, escaped
from logstats.reports.printable import printable, shortened

_LEAST_NAME: Final = 12  # columns of a name at least
_ASCII: Final = str.maketrans(
    {"–": "-", "·": "-", "…": "~", "×": "x", "≥": ">=", "≤": "<=", "→": "->", "≈": "~", "−": "-", "∞": "inf", "µ": "u"}
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and the style of a terminal (`red`, `dim`, `bold`)."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A title with a note, then lines, then a table of which the first column is a name and the others are figures."""

    title: str
    note: str = ""
    lines: Sequence[Cell] = ()
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()


def plain_console(out: io.StringIO, width: int, *, colour: bool) -> Console:
    """A console that prints texts as they are: no markup, no emoji, and without `colour` no escape sequence."""
    return Console(
        file=out,
        width=width,
        force_terminal=colour,
        no_color=not colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def to_terminal(sections: Sequence[Section], *, width: int = 80, colour: bool = False, unicode: bool = True) -> str:
    """Lines of at most `width` columns; without `colour` there is no escape sequence in them."""
    width = max(40, width)
    out = io.StringIO()
    console = plain_console(out, width, colour=colour)
    for number, section in enumerate(sections):
        if number:
            console.print()
        title = Text(printable(section.title), "bold")
        if section.note and len(section.title) + 2 + len(section.note) <= width:
            title.append(f"  {printable(section.note)}", "not bold dim")
        elif section.note:
            title.append(f"\n{printable(section.note)}", "not bold dim")
        console.print(title)
        for line in section.lines:
            console.print(Text(printable(line.text), line.style), overflow="fold")
        if section.rows:
            rows = [[Text(printable(cell.text), cell.style) for cell in row] for row in section.rows]
            draw_table(console, section.heads, rows, width)
    text = "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
    return text if unicode else text.translate(_ASCII)


def draw_table(
    console: Console,
    heads: Sequence[str],
    rows: Sequence[Sequence[Text]],
    width: int,
    *,
    keep: Sequence[str] | None = None,
    lines: int = 1,
) -> None:
    """A table whose first column is a name and whose others are figures, in at most `width` columns.

    `keep` names the figures, the most important first. If the room is not enough, the last of them are left out, so
    that no figure is cut and names keep a third of the width. A name takes at most `lines` lines, then it is shortened.
    """
    widths = [max([len(head), *(row[i].cell_len for row in rows)]) for i, head in enumerate(heads)]
    wanted = min(widths[0], max(_LEAST_NAME, width // (3 if lines == 1 else 2)))
    shown = list(range(1, len(heads)))
    going = [heads.index(name) for name in reversed(keep or heads[1:]) if name in heads[1:]]
    while going and wanted + sum(widths[i] + 2 for i in shown) > width:
        shown.remove(going.pop(0))
    first = max(_LEAST_NAME, min(widths[0], width - sum(widths[i] + 2 for i in shown)))
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    table.add_column(heads[0], width=first, no_wrap=lines == 1, overflow="fold")
    for i in shown:
        table.add_column(heads[i], justify="right", no_wrap=True, width=widths[i])
    for row in rows:
        name = Text(shortened(row[0].plain, first * lines), row[0].style)
        if name.cell_len > first * lines:  # wide characters
            name.truncate(first * lines, overflow="ellipsis")
        table.add_row(name, *(row[i] for i in shown))
    console.print(table)


def to_markdown(sections: Sequence[Section], level: int = 1) -> str:
    """Markdown. The first title is a heading of this `level`, the others of the next one; lines are a list."""
    lines = []
    for number, section in enumerate(sections):
        lines += [f"{'#' * (level + bool(number))} {escaped(section.title)}", ""]
        if section.note:
            lines += [section.note, ""]
        lines += [f"- {escaped(line.text)}" for line in section.lines]
        if section.rows:
            lines += ["", *_table(section)] if section.lines else _table(section)
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(section: Section) -> list[str]:
    rows = [" | ".join([code(row[0].text), *(escaped(cell.text) for cell in row[1:])]) for row in section.rows]
    rule = f"| --- |{' ---: |' * (len(section.heads) - 1)}"
    return [f"| {' | '.join(section.heads)} |", rule, *(f"| {row} |" for row in rows)]
