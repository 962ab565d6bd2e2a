"""Where a report is drawn: a console, its width, and the characters that it can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.text import Text

from logstats.dataclass import dataclass
from logstats.reports.document import draw_table
from logstats.reports.printable import printable


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
    """A console of a width, in columns."""

    console: Console
    width: int
    glyphs: Glyphs

    def shown(self, text: str) -> str:
        """A text from a log, with escapes for what the terminal would obey or cannot show."""
        text = printable(text)
        return text if self.glyphs is UNICODE else text.encode("ascii", "backslashreplace").decode()

    def print(self, text: Text) -> None:
        """Print one line, shortened to the width."""
        self.console.print(text, no_wrap=True, overflow="ellipsis" if self.glyphs is UNICODE else "crop")

    def heading(self, title: str, note: str = "") -> None:
        """Print an empty line and a title, with a note beside it if there is room."""
        self.console.print()
        line = Text(title, "bold")
        if note and len(title) + 2 + len(note) <= self.width:
            line.append(f"  {note}", Style(dim=True))
        self.print(line)

    def table(self, heads: Sequence[str], rows: list[list[Text]], *, keep: Sequence[str], lines: int = 1) -> None:
        """Print a table (see `document.draw_table`)."""
        draw_table(self.console, heads, rows, self.width, keep=keep, lines=lines)
