"""What a line has to hold: a text, or a regular expression."""

from __future__ import annotations

import re
from functools import cached_property

from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.frames import pl


@dataclass(frozen=True)
class Pattern:
    """A text as it stands, or with `regex` an expression of Rust's regex crate, whose time is linear in the line.

    Raises UsageError if it is none.
    """

    text: str
    regex: bool = False
    ignore_case: bool = False

    def __post_init__(self) -> None:
        try:
            self.matches(pl.Series([""]))
        except pl.exceptions.ComputeError as error:
            said = " ".join(str(error).replace("regex error: ", "").split())
            raise UsageError(
                f"{self.text!r} is no regular expression: {said}", "without --regex it is a text"
            ) from None

    @cached_property
    def _expression(self) -> str:
        return ("(?i)" if self.ignore_case else "") + (self.text if self.regex else _literal(self.text))

    @property
    def _plain(self) -> bool:
        return not self.regex and not self.ignore_case

    def may_be_in(self, data: bytes) -> bool:
        """False if none of these lines can hold it; found out at the speed of memory, so only for a plain text."""
        return not self._plain or self.text.encode() in data or b"\\x" in self.text.encode()

    def matches(self, texts: pl.Series) -> pl.Series:
        """Which texts hold it (Boolean, null for null)."""
        if self._plain:
            return texts.str.contains(self.text, literal=True)
        return texts.str.contains(self._expression)

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Where it stands in a line, from and to, in characters."""
        found: list[str] = pl.Series([line]).str.extract_all(self._expression)[0].to_list()
        spans, end = [], 0
        for text in found:
            start = line.index(text, end)
            end = start + len(text)
            if text:
                spans.append((start, end))
        return spans


def _literal(text: str) -> str:
    """The expression of a text as it stands. (Python's escapes are not all Rust's.)"""
    return re.sub(r"([\\.+*?()|\[\]{}^$#&\-~])", r"\\\1", text)
