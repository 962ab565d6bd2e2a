"""Documents of headings, lines and tables, for a terminal or as Markdown. Objectives and comparisons are shown with
them.

Texts in titles, lines and cells may come from a log or an untrusted file, and are escaped. Notes and heads do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from logstats.dataclass import dataclass
from logstats.reports.markdown import code, escaped
from logstats.reports.printable import printable, shortened
from logstats.reports.styled import Page, Text

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


def to_terminal(sections: Sequence[Section], *, width: int = 80, colour: bool = False, unicode: bool = True) -> str:
    """Lines of at most `width` columns; without `colour` there is no escape sequence in them."""
    width = max(40, width)
    page = Page(width, colour=colour)
    for number, section in enumerate(sections):
        if number:
            page.print()
        title = Text(printable(section.title), "bold")
        if section.note and len(section.title) + 2 + len(section.note) <= width:
            title.append(f"  {printable(section.note)}", "not bold dim")
        elif section.note:
            title.append(f"\n{printable(section.note)}", "not bold dim")
        page.print(title)
        for line in section.lines:
            page.print(Text(printable(line.text), line.style))
        if section.rows:
            rows = [[Text(printable(cell.text), cell.style) for cell in row] for row in section.rows]
            draw_table(page, section.heads, rows)
    text = page.text()
    return text if unicode else text.translate(_ASCII)


def draw_table(
    page: Page,
    heads: Sequence[str],
    rows: Sequence[Sequence[Text]],
    *,
    keep: Sequence[str] | None = None,
    lines: int = 1,
) -> None:
    """A table whose first column is a name and whose others are figures.

    `keep` names the figures, the most important first. If the room is not enough, the last of them are left out, so
    that no figure is cut and names keep a third of the width. A name takes at most `lines` lines, then it is shortened.
    """
    width = page.width
    widths = [max([len(head), *(row[i].cells for row in rows)]) for i, head in enumerate(heads)]
    wanted = min(widths[0], max(_LEAST_NAME, width // (3 if lines == 1 else 2)))
    shown = list(range(1, len(heads)))
    going = [heads.index(name) for name in reversed(keep or heads[1:]) if name in heads[1:]]
    while going and wanted + sum(widths[i] + 2 for i in shown) > width:
        shown.remove(going.pop(0))
    first = min(max(_LEAST_NAME, widths[0]), width - sum(widths[i] + 2 for i in shown))
    wrap = lines > 1
    page.row([(Text(heads[0], "dim"), first), *((Text(heads[i], "dim"), widths[i]) for i in shown)], wrap=wrap)
    for row in rows:
        name = Text(shortened(row[0].plain, first * lines), row[0].style).cut(first * lines, "ellipsis")
        page.row([(name, first), *((row[i], widths[i]) for i in shown)], wrap=wrap)


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
