"""Lines that no stack in force reads: a source may change its format at any line.

In the order of the lines, `Further` offers what is left of each chunk to the stacks that were found further on, and
what is left then to detection. A worker picks the lines that detection looks at (`picked`): those that look like a
request or an object, one of each look first, which finds one line in a hundred wherever it stands. Detection runs
when one of them has a look that it has not yet failed on, so that garbage costs a bounded time: so many runs, and one
more for every few megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from logstats.formats.detection.detect import Detector, spread
from logstats.formats.engines.w3c import DATE, FIELDS, in_force
from logstats.formats.fields.columns import Batch
from logstats.formats.text import Context, Text
from logstats.formats.wrappers.stack import FormatStack, StackReader, with_further

PICKED: Final = 96  # lines of a chunk that detection looks at
LOOKED: Final = 4096  # lines of a chunk among which they are picked
RUNS: Final = 64  # of detection over the lines of a source,
BYTES: Final = 4 << 20  # and one more for so many bytes of it
MOST: Final = 8  # stacks that a source may turn out to have further on
LOOKS: Final = 4096  # looks that are remembered

# What hardly any line of a format is without, if it is a request or a structured event.
_LIKELY: Final = (
    r"GET |POST |HEAD |PUT |DELETE |OPTIONS |PATCH |PROPFIND |CONNECT |HTTP/[0-9]|HTTP/\"|\{\"|"
    r"\" [1-5][0-9]{2} |level=|[\t\" :=](?:GET|POST|HEAD|PUT|DELETE|OPTIONS|PATCH)[\t\",]|status[=:]"
)
_WORD: Final = re.compile(r"[\w.:/%@~+-]+")


@dataclass(frozen=True, slots=True)
class Unread:
    """The lines of a chunk that no stack read: the chunk as a text, what was read of it by how many of the further
    stacks, and lines that are worth a look."""

    text: Text
    batch: Batch
    further: int
    picked: tuple[str, ...]


def picked(text: Text, batch: Batch) -> tuple[str, ...]:
    """Lines that were rejected, for detection to look at, in their order; none if nothing looks like a request."""
    left = text.gather(np.sort(batch.rejected["line"].to_numpy())).lines
    likely = left.filter(left.str.contains(_LIKELY))
    if not likely.len():
        return ()
    lines = likely.gather(spread(likely.len(), LOOKED)).to_list()
    of_look: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        of_look.setdefault(look(line), []).append(place)
    # The looks in turn: first a line of each, then a second of each.
    rounds = sorted((number, place) for places in of_look.values() for number, place in enumerate(places))
    return tuple(lines[place] for place in sorted(place for _, place in rounds[:PICKED]))


def look(line: str) -> str:
    """What a line looks like from afar: its first few separators."""
    return _WORD.sub("w", line[:400])[:40]


class Further:
    """The stacks that a source turns out to have beside those it began with."""

    def __init__(
        self,
        base: Sequence[FormatStack],
        detector: Callable[[], Detector],
        reader: Callable[[FormatStack], StackReader],
    ) -> None:
        self.stacks: list[FormatStack] = []
        self.lines: list[int] = []  # of each, the first line that it read: an index in the chunk of that time
        self.readers: list[StackReader] = []
        self._base, self._detector, self._reader = base, detector, reader
        self._failed: set[str] = set()
        self._runs = 0
        self._directives = ""

    def ready(self) -> tuple[StackReader, ...]:
        """The readers that a worker can already use: up to the first one to which directives matter."""
        directed = next((n for n, reader in enumerate(self.readers) if reader.directed), len(self.readers))
        return tuple(self.readers[:directed])

    def passed(self, tail: bytes) -> None:
        """Lines that were read have passed, of which this is the end: there may be directives in it."""
        if (place := tail.rfind(FIELDS.encode())) >= 0:
            line = tail[place:].split(b"\n", 1)[0].decode(errors="backslashreplace")
            self._directives = in_force(self._directives, line.rstrip("\r"))

    def settle(self, unread: Unread, seen: int) -> Batch:
        """What becomes of lines that were left, `seen` bytes after the source began."""
        text, batch = unread.text, unread.batch
        directives: list[str] = []
        context = text.context
        if FIELDS.encode() in bytes(text.data):
            lines = text.lines
            directives = lines.filter(lines.str.contains(f"^(?:{FIELDS}|{DATE})")).to_list()
        if self._directives and not context.directives:
            context = Context(self._directives, context.modified)
            text = text.within(context)
        batch = with_further(text, batch, self.readers[unread.further :])
        looks = {look(line) for line in unread.picked}
        if batch.rejected.height and looks - self._failed and len(self.stacks) < MOST:
            batch = self._detected(text, batch, [*directives[-2:], *unread.picked], context, seen)
            if len(self._failed) < LOOKS:
                self._failed |= looks
        if directives:
            self._directives = in_force(self._directives, "\n".join(directives))
        return batch

    def _detected(self, text: Text, batch: Batch, lines: list[str], context: Context, seen: int) -> Batch:
        if self._runs >= RUNS + seen // BYTES:
            return batch
        self._runs += 1
        for stack in self._detector().further(lines, [*self._base, *self.stacks], context):
            left = batch.rejected["line"]
            reader = self._reader(stack)
            batch = with_further(text, batch, [reader])
            if batch.rejected.height < left.len() and len(self.stacks) < MOST:
                first = int(left.filter(~left.is_in(batch.rejected["line"].implode())).min())  # type: ignore[arg-type]
                self.stacks.append(stack)
                self.lines.append(first)
                self.readers.append(reader)
        return batch
