"""Lines that two formats of a source read, with other values: nothing in such a line says which of them wrote it.

The samples of the formats show whether there are such lines. Durations that differ by their unit only are not looked at
here: evidence settles their units, and what remains open is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from logstats.dataclass import dataclass
from logstats.formats.detection.prefilter import Prefilter
from logstats.formats.text import Text
from logstats.formats.wrappers.stack import FormatStack

_MEANING: Final = ("timestamp", "method", "status", "client_ip", "bytes", "user_id")


@dataclass(frozen=True, slots=True)
class Alike:
    """A line that is read by one format, and by another one with another value in this column."""

    line: str
    column: str
    read_by: FormatStack
    other: FormatStack


def alike(stacks: Sequence[FormatStack], before: Sequence[FormatStack] = ()) -> Iterator[Alike]:
    """The first line of each two of these stacks that both read; `stacks` come after those `before`, and are compared
    with these, too. A line is read by the first stack that it fits."""
    for place, later in enumerate(stacks):
        for first in (*before, *stacks[:place]):
            if first.wrappers == later.wrappers and first.format.name != later.format.name:
                found = _alike(later, first, first) or _alike(first, later, first)
                if found is not None:
                    yield found


def _alike(of: FormatStack, other: FormatStack, first: FormatStack) -> Alike | None:
    """The first sample of a format that the other one can read otherwise."""
    own, foreign = Prefilter(of.format), Prefilter(other.format)
    for sample in of.format.samples:
        if sample.rejected or "\n" in sample.line or not foreign(sample.line).worth:
            continue
        text = Text.from_bytes(sample.line.encode())
        mine, theirs = own.reader(text).rows, foreign.reader(text).rows
        for name in _MEANING:
            if name not in mine.columns or name not in theirs.columns or not (mine.height and theirs.height):
                continue
            values = mine[name][0], theirs[name][0]
            if None not in values and values[0] != values[1]:
                fits = first is of or foreign.reader.fitting(text).rows.height
                reader = first if fits else of
                return Alike(sample.line, name, reader, other if reader is of else of)
    return None
