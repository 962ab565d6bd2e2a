"""What may have written a sample of lines: formats, on what is inside when wrappers are taken off.

What is found out is kept, so that it is cheap to ask about some of the lines again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from logstats.formats.layout import Layout
from logstats.formats.model import Format
from logstats.formats.screen import EVENT, Screen
from logstats.formats.text import Context, Text
from logstats.formats.tokens import ignorable, one_by_one
from logstats.formats.w3c import FIELDS


@dataclass(frozen=True, slots=True)
class Candidate:
    """How well a layout reads the sample."""

    layout: Layout
    read: int  # lines read whose fields make sense
    requests: int  # those of them that are requests, not events
    lines: int  # lines in the sample, without blank ones and directives
    explained: int  # how many fields it finds
    rows: pl.DataFrame = field(repr=False)  # of the lines read; `line` is the index in the sample

    @property
    def weight(self) -> float:
        """How many requests it reads; of events, what they are worth."""
        return self.requests + (self.read - self.requests) * EVENT

    @property
    def format(self) -> Format:
        """The format, without its wrappers."""
        return self.layout.format

    @property
    def share(self) -> float:
        """The part of the sample that it reads, from 0 to 1."""
        return self.read / self.lines if self.lines else 0.0


class Sample:
    """The first lines of a source, or what is inside when wrappers are taken off them."""

    def __init__(self, text: Text, outer: Sample | None = None, wrapper: Format | None = None) -> None:
        self.text = text
        self.wrappers: tuple[Format, ...] = (*outer.wrappers, wrapper) if outer and wrapper else ()
        # Format → line → its screen. Lines that have none of the wrappers that others have are the same inside.
        self.screened: defaultdict[str, dict[str, float]] = outer.screened if outer else defaultdict(dict)
        self.lines = text.lines.to_list()
        self.filled = [place for place, line in enumerate(self.lines) if not ignorable(line)]
        self.directed = FIELDS in text.context.directives or any(line.startswith(FIELDS) for line in self.lines)
        self._contenders: dict[str, Contender] = {}
        self._inner: dict[str, Sample | None] = {}

    @classmethod
    def of(cls, lines: Sequence[str], context: Context) -> Sample:
        """The lines as they are."""
        return cls(Text.of("\n".join(lines).encode(), context=context))

    def contender(self, screen: Screen) -> Contender:
        """A format on these lines."""
        name = screen.format.name
        if name not in self._contenders:
            self._contenders[name] = Contender(self, screen)
        return self._contenders[name]

    def without(self, wrapper: Screen) -> Sample | None:
        """The lines without this wrapper, too; None if it is around none of them."""
        name = wrapper.format.name
        if name not in self._inner:
            inside = wrapper.wrapper.off(self.text, one_by_one(wrapper.wrapper.tokenise, self.text))
            same = inside.lines.equals(self.text.lines)
            self._inner[name] = None if same else Sample(inside, self, wrapper.format)
        return self._inner[name]


class Contender:
    """A format on the lines of a sample."""

    def __init__(self, sample: Sample, screen: Screen) -> None:
        self._sample, self._screen = sample, screen
        self._screened = sample.screened[screen.format.name]
        # Whose columns are named among the lines, of that no line alone says what it means.
        self._blind = sample.directed and screen.format.engine == "w3c"

    @property
    def layout(self) -> Layout:
        """The format, and the wrappers that were taken off."""
        return Layout(self._screen.format, self._sample.wrappers)

    def hope(self, line: int) -> float:
        """What a line counts at the most (`Candidate.weight`)."""
        if self._blind:
            return 1.0
        text = self._sample.lines[line]
        hope = self._screened.get(text)
        if hope is None:
            hope = self._screened[text] = self._screen(text)
        return hope

    def candidate(self, among: Sequence[int] | None = None) -> Candidate:
        """How well it reads the lines, or some of them."""
        rows = self._rows if among is None else self._rows.filter(pl.col("line").is_in(among))
        form = self._screen.format
        explained = 2 * sum(column.null_count() < rows.height for column in rows)
        explained += len(re.findall(r"\$\{?\w+", form.pattern)) if form.engine == "delimited" else 0
        requests = int((rows["kind"] == "request").sum())
        return Candidate(self.layout, rows.height, requests, len(self._sample.filled), explained, rows)

    @cached_property
    def _rows(self) -> pl.DataFrame:
        """The lines that it reads and whose fields make sense."""
        form, ready, text = self._screen.format, self._screen.reader, self._sample.text
        tokens = ready.tokens(text) if self._blind else one_by_one(ready.tokenise, text)
        rows = ready.fitting(text, tokens).rows
        if ready.looks and ready.events and not (rows["kind"] == "request").any():
            rows = rows.clear()  # events alone do not tell this format from others
        good = rows.filter(
            (pl.col("kind") == "event" if ready.events else pl.lit(value=False))
            | pl.col("status").is_not_null()
            | (pl.col("method").is_not_null() & pl.col("timestamp").is_not_null())
        )
        if {"timestamp", "date"} & form.roles:
            timed = good.filter(pl.col("timestamp").is_not_null())
            good = timed if timed.height else good.clear() if form.engine == "regex" else good
        return good
