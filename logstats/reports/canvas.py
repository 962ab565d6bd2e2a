"""Where a report is drawn: a page, its width, and the characters that it can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from logstats.dataclass import dataclass
from logstats.reports.document import draw_table
from logstats.reports.printable import printable
from logstats.reports.styled import Page, Text


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of drawings."""

    bars: str  # the heights of a sparkline, lowest first
    blocks: dict[str, str]  # the pieces of the bar of statuses, which differ even without colour
    rule: str
    dot: str
    dash: str
    about: str


UNICODE: Final = Glyphs("▁▂▃▄▅▆▇█", {"1xx": "░", "2xx": "█", "3xx": "▓", "4xx": "▒", "5xx": "╳"}, "─", "·", "–", "≈")
ASCII: Final = Glyphs("_.-=+*#@", {"1xx": "1", "2xx": "=", "3xx": "3", "4xx": "4", "5xx": "X"}, "-", "-", "-", "~")


@dataclass(frozen=True, slots=True)
class Canvas:
    """A page, and the characters for it."""

    page: Page
    glyphs: Glyphs

    @property
    def width(self) -> int:
        """In columns."""
        return self.page.width

    def shown(self, text: str) -> str:
        """A text from a log, with escapes for what the terminal would obey or cannot show."""
        text = printable(text)
        return text if self.glyphs is UNICODE else text.encode("ascii", "backslashreplace").decode()

    def print(self, text: Text) -> None:
        """Print one line, shortened to the width."""
        self.page.print(text, "ellipsis" if self.glyphs is UNICODE else "crop", wrap=False)

    def heading(self, title: str, note: str = "") -> None:
        """Print an empty line and a title, with a note beside it if there is room."""
        self.page.print()
        line = Text(title, "bold")
        if note and len(title) + 2 + len(note) <= self.width:
            line.append(f"  {note}", "dim")
        self.print(line)

    def table(self, heads: Sequence[str], rows: list[list[Text]], *, keep: Sequence[str], lines: int = 1) -> None:
        """Print a table (see `document.draw_table`)."""
        draw_table(self.page, heads, rows, keep=keep, lines=lines)
