"""Lines that were found, as text: as they came for a file or a pipe, harmless and in colour on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from logstats import schema
from logstats.frames import pl
from logstats.reports.printable import printable

Spans = Callable[[str], Sequence[tuple[int, int]]]

_FOUND: Final = "\x1b[1;31m"
_PLACE: Final = "\x1b[2m"
_OFF: Final = "\x1b[0m"


def as_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of `parse`, then `text`: the line, whole, with bytes that are not UTF-8 as `\\xNN`."""
    texts = [None if raw is None else raw.decode(errors="backslashreplace") for raw in frame["raw"]]
    text = pl.Series("text", texts, pl.String)
    return frame.select(*schema.COLUMNS, "source", "line").with_columns(text)


class LineWriter:
    """Writes frames of `source`, `line`, `raw`, and with `context` of `found`.

    With `places`, each line has its source and number before it, as grep writes them: `access.log:17:`, and `-` for the
    colons of a line around a find. Groups of lines are apart by `--` if there is `context`. On a `terminal` what would
    be an order to it is escaped; `spans` says what to colour.
    """

    def __init__(
        self, file: BinaryIO, *, places: bool, context: bool, terminal: bool, encoding: str, spans: Spans | None
    ) -> None:
        self._file, self._places, self._context = file, places, context
        self._terminal, self._encoding, self._spans = terminal, encoding, spans
        self._last: tuple[str, int] | None = None

    def write(self, frame: pl.DataFrame) -> None:
        """Write the lines of a frame."""
        self._file.write(b"".join(self._lines(frame)))
        self._file.flush()

    def _lines(self, frame: pl.DataFrame) -> Iterator[bytes]:
        found = frame["found"] if "found" in frame.columns else pl.Series([True]).new_from_index(0, frame.height)
        for source, line, raw, hit in zip(frame["source"], frame["line"], frame["raw"], found, strict=True):
            if self._context and self._last is not None and self._last != (source, line - 1):
                yield b"--\n"
            self._last = source, line
            mark = ":" if hit else "-"
            place = f"{source}{mark}{line}{mark}" if self._places else ""
            if not self._terminal:
                yield place.encode(errors="surrogateescape") + raw + b"\n"
                continue
            text = raw.removesuffix(b"\r").decode(errors="backslashreplace")
            shown = self._coloured(text) if hit and self._spans is not None else printable(text)
            place = printable(place)
            if place and self._spans is not None:
                place = f"{_PLACE}{place}{_OFF}"
            yield f"{place}{shown}\n".encode(self._encoding, "backslashreplace")

    def _coloured(self, text: str) -> str:
        assert self._spans is not None
        parts, end = [], 0
        for start, stop in self._spans(text):
            parts += [printable(text[end:start]), _FOUND, printable(text[start:stop]), _OFF]
            end = stop
        return "".join([*parts, printable(text[end:])])
