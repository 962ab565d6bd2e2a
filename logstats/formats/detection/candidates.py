"""Candidates: how well a format reads a sample of lines, with or without wrappers around them.

Results are kept, so that a second question about some of the lines is cheap.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cached_property, partial
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.formats.detection.prefilter import EVENT, Estimate, Prefilter
from logstats.formats.detection.screen import Lines
from logstats.formats.detection.unnamed import Unnamed, unnamed
from logstats.formats.engines.scan import Reject, Tokens, ignorable, scan_lines
from logstats.formats.engines.w3c import FIELDS
from logstats.formats.model import Format
from logstats.formats.reader import BARE_VERSIONS, Reader
from logstats.formats.text import Context, Text
from logstats.formats.wrappers.stack import FormatStack
from logstats.formats.wrappers.wrapper import Wrapper
from logstats.frames import pl

_SHORT: Final = 0.05  # milliseconds
_SECOND: Final = 1_000.0
_LONG: Final = 60_000.0
_ADDRESS: Final = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[?[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]?)$"
_SIZES: Final = ("request_bytes", "ignored")  # with `unnamed`: of the request, and of the response
_SIZES_OF_ONE: Final = 3  # requests of different sizes that may have the same size with their headers
_ADDRESSES: Final = r"^[0-9A-Fa-f]*[.:][0-9A-Fa-f]*[.:][0-9A-Fa-f:.]*(?:, ?[0-9A-Fa-f.:]+)*$"
_LETTER: Final = "[A-Za-z]"
_SAME: Final = 4  # sizes that may happen to be the status
_HOSTS: Final = 3  # addresses that a server has at most
_NUMBER_OF_REQUEST: Final = r"^(?:[0-9A-Fa-f]{16,}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"


class Rows:
    """Rows that are made when somebody asks for them. Another process gets them made."""

    def __init__(self, make: Callable[[], pl.DataFrame], made: pl.DataFrame | None = None) -> None:
        self._make, self.made = make, made

    def __call__(self) -> pl.DataFrame:
        """The rows."""
        if self.made is None:
            self.made = self._make()
        return self.made

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_frame, (self(),)


def _of_frame(frame: pl.DataFrame) -> Rows:
    return Rows(lambda: frame, frame)


Certain = Callable[[Reader, Text], bool]
"""Whether all lines are certainly requests as a reader reads them, with times and statuses and all of their values."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """How well a stack reads a sample."""

    stack: FormatStack
    places: Sequence[int]  # of the lines in the sample that it reads, with plausible values
    requests: int  # those of them that are requests, not events
    lines: int  # lines in the sample, except blank ones and directives
    made: Rows = field(repr=False)  # their rows; `line` is the place
    unnamed: Unnamed | None = None  # the column that has no name, if the format allows one
    too_small: bool = False  # numbers taken for the sizes of requests or responses are smaller than what lines show

    @property
    def read(self) -> int:
        """The number of lines read."""
        return len(self.places)

    @property
    def rows(self) -> pl.DataFrame:
        """The rows of the lines read."""
        return self.made()

    @property
    def explained(self) -> int:
        """The number of fields found."""
        rows, form = self.rows, self.format
        found = 2 * sum(column.null_count() < rows.height for column in rows)
        return found + (len(re.findall(r"\$\{?\w+", form.pattern)) if form.engine == "delimited" else 0)

    @property
    def weight(self) -> float:
        """The number of requests read, plus the events at their lower value."""
        return self.requests + (self.read - self.requests) * EVENT

    @property
    def format(self) -> Format:
        """The format, without its wrappers."""
        return self.stack.format

    @property
    def timed(self) -> bool:
        """Whether any duration was found."""
        return self.rows["duration_ms"].count() > 0

    @property
    def plausible(self) -> bool:
        """Whether it reads a line, and takes nothing for a duration that does not behave like one, nor `-` or whole
        seconds if more columns follow."""
        if not self.read:
            return False
        mistaken = self.unnamed is not None and self.unnamed.like and self.timed
        further = self.stack.has_more and (self._coarse or self._other_columns)
        return not (mistaken or self.too_small or self._other_hosts or further)

    @property
    def _coarse(self) -> bool:
        """Whether there are no durations in their place, or only whole seconds."""
        fields = self.format.fields
        return "duration" in fields and (not self.timed or (fields["duration"].unit == "s" and self._whole_seconds))

    @property
    def _other_columns(self) -> bool:
        """Whether columns between those of the format put others in their places: the status once more where the size
        would be, or addresses where the browser would be."""
        rows = self.rows
        same = (rows["bytes"] == rows["status"]).sum()
        agents = rows["user_agent"].drop_nulls()
        return same > max(rows.height / 2, _SAME) or agents.str.contains(_ADDRESSES).sum() > len(agents) / 2

    @property
    def _other_hosts(self) -> bool:
        """Whether what stands in the place of hosts is something else: numbers of requests, the addresses of more
        clients than those in the place of clients, or addresses in front of names."""
        if "host" not in self.format.roles or self.format.engine != "delimited":
            return False
        hosts = self.rows["host"].drop_nulls()
        bare, clients = hosts.str.contains(_ADDRESS), self.rows["client_ip"].drop_nulls()
        addresses = hosts.filter(bare).n_unique()
        names = clients.str.contains(_LETTER) & ~clients.str.contains(_ADDRESS)
        if bare.sum() > len(hosts) / 2 and names.sum() > len(clients) / 2:
            return True
        if addresses > _HOSTS and addresses > self.rows["client_ip"].n_unique():
            return True
        return bool(hosts.len() and hosts.str.contains(_NUMBER_OF_REQUEST).mean() > 0.5)  # type: ignore[operator]

    @property
    def spans(self) -> pl.Series:
        """The durations other than 0 that were found, in milliseconds."""
        return self.rows["duration_ms"].drop_nulls().replace(0.0, None).drop_nulls()

    @property
    def _whole_seconds(self) -> bool:
        return bool((self.spans % _SECOND == 0).all())

    def odd_durations(self) -> float:
        """The evidence against the unit of the durations, from 0 to 1.

        It is the share of durations other than 0 that hardly any request takes: less than 50 µs or more than a minute.
        If all are 0, the unit is not microseconds. Durations of a second or more count a quarter.
        """
        unit = next((field.unit for field in self.format.fields.values() if field.role == "duration"), "")
        if self.unnamed is not None and self.unnamed.streams:
            return float(unit != "s")
        durations, some = self.rows["duration_ms"].drop_nulls(), self.spans
        if some.is_empty():
            return float(self.timed and unit in ("us", "ns"))
        odd = 1 - some.is_between(_SHORT, _LONG).sum() / some.len()
        slow = (durations >= _SECOND).sum() / durations.len() if unit == "s" else 0.0
        return float(max(odd, slow / 4))

    @property
    def share(self) -> float:
        """The share of the sample that is read, from 0 to 1."""
        return self.read / self.lines if self.lines else 0.0


class Sample:
    """The first lines of a source, with or without wrappers around them."""

    def __init__(
        self, lines: Sequence[str], context: Context, around: tuple[Sample, Wrapper, pl.DataFrame] | None = None
    ) -> None:
        """For a sample without a wrapper, `around` has the sample with it, and the texts of the wrapper's fields."""
        self.lines, self._context, self._around = lines, context, around
        outer = around[0] if around else None
        self.wrappers: tuple[Format, ...] = (*around[0].wrappers, around[1].format) if around else ()
        # By format and line. Lines without a wrapper are the same in both samples.
        self.estimates: defaultdict[str, dict[str, Estimate]] = outer.estimates if outer else defaultdict(dict)
        self.filled = [place for place, line in enumerate(self.lines) if not ignorable(line)]
        self.directed = FIELDS in context.directives or any(line.startswith(FIELDS) for line in self.lines)
        self._contenders: dict[str, Contender] = {}
        self._looked_at: dict[tuple[int, ...], Lines] = {}
        self._may_have: dict[tuple[tuple[int, ...], Prefilter], bool] = {}
        self._inner: dict[str, Sample | None] = {}
        # By wrappers, in any order: the lines inside.
        self._insides: defaultdict[frozenset[str], list[Sequence[str]]] = outer._insides if outer else defaultdict(list)

    @cached_property
    def text(self) -> Text:
        """The lines, with the fields of their wrappers."""
        return Text.from_lines(self._series, self._context, self._envelope)

    @cached_property
    def _series(self) -> pl.Series:
        return pl.Series("line", self.lines, pl.String)

    @cached_property
    def _envelope(self) -> pl.DataFrame | None:
        if self._around is None:
            return None
        outer, wrapper, found = self._around
        return wrapper.envelope(found, len(self.lines), self._context, outer._envelope)

    def contender(self, prefilter: Prefilter) -> Contender:
        """The format's contender for these lines."""
        name = prefilter.format.name
        if name not in self._contenders:
            self._contenders[name] = Contender(self, prefilter)
        return self._contenders[name]

    def looked_at(self, places: tuple[int, ...]) -> Lines:
        """These lines, for screens."""
        found = self._looked_at.get(places)
        if found is None:
            found = Lines((self.lines[place] for place in places), directed=self.directed)
            self._looked_at[places] = found
        return found

    def may_have(self, prefilter: Prefilter, places: tuple[int, ...]) -> bool:
        """Whether one of these lines may be of the format. False is certain."""
        known = self._may_have.get((places, prefilter))
        if known is None:
            known = prefilter.screen.passes(self.looked_at(places))
            known = known and any(map(self.contender(prefilter).upper_bound, places))
            self._may_have[places, prefilter] = known
        return known

    def without(self, prefilter: Prefilter) -> Sample | None:
        """The sample without this wrapper as well; None if no line has it, or if removing the same wrappers in another
        order gave the same lines."""
        name = prefilter.format.name
        if name not in self._inner:
            wrapper = prefilter.wrapper
            found = wrapper.around(scan_lines(enumerate(self.lines), wrapper.scan, wrapper.tokenise.names))
            lines = wrapper.inside(found, self._series).to_list()
            known = self._insides[frozenset([name, *(outer.name for outer in self.wrappers)])]
            new = lines not in (self.lines, *known)
            known.append(lines)
            self._inner[name] = Sample(lines, self._context, (self, wrapper, found)) if new else None
        return self._inner[name]


class Contender:
    """A format and the sample that it may read."""

    def __init__(self, sample: Sample, prefilter: Prefilter) -> None:
        self._sample, self._prefilter = sample, prefilter
        self._estimated = sample.estimates[prefilter.format.name]
        # A format whose columns are named by directives cannot read a line by itself.
        self._blind = sample.directed and prefilter.format.engine == "w3c"

    @property
    def stack(self) -> FormatStack:
        """The format, inside the wrappers that were removed."""
        return FormatStack(self._prefilter.original, self._sample.wrappers)

    def upper_bound(self, line: int) -> float:
        """An upper bound of what a line adds to `Candidate.weight`."""
        return 1.0 if self._blind else self._look(self._sample.lines[line]).worth

    def tokens(self, names: Sequence[str]) -> Tokens:
        """The fields of promising lines, by the reference path, which is faster for a hundred lines."""
        return scan_lines(enumerate(self._sample.lines), self._scan, names)

    def _look(self, line: str) -> Estimate:
        found = self._estimated.get(line)
        if found is None:
            found = self._estimated[line] = self._prefilter(line)
        return found

    def _scan(self, line: str) -> Mapping[str, str | None]:
        found = self._look(line)
        if not found.worth:
            raise Reject("no_match")
        return found.texts

    def candidate(self, lines: Sequence[int]) -> Candidate:
        """Measure how well the format reads some of the lines."""
        rows = self._rows_of(lines)
        requests, filled = int((rows["kind"] == "request").sum()), len(self._sample.filled)
        return Candidate(
            self.stack, rows["line"].to_list(), requests, filled, _of_frame(rows), self._unnamed, self._too_small
        )

    def _rows_of(self, lines: Sequence[int]) -> pl.DataFrame:
        rows = self._rows
        return rows if {*lines}.issuperset(rows["line"]) else rows.filter(pl.col("line").is_in(lines))

    def certain(self, lines: Sequence[int], requests: Certain) -> Candidate | None:
        """The candidate without making rows, if all of the lines that it may read are certain requests, and nothing
        but that matters: the format has no columns whose names or places are in doubt."""
        form = self._prefilter.format
        doubtful = self._sample.wrappers or self.stack.has_more or "host" in form.roles or form.engine == "w3c"
        nameless = [name for name, field in form.fields.items() if field.unnamed]
        if doubtful or len(nameless) > 1 or any(form.fields[name].role in _SIZES for name in nameless):
            return None
        looks = {line: self._look(self._sample.lines[line]) for line in lines}
        places = [line for line, look in looks.items() if look.worth]
        if not places or any(looks[line].worth < 1 for line in places):
            return None
        clients, asked = (
            [n for n, one in form.fields.items() if one.role == role] for role in ("client_ip", "request")
        )
        for texts in (looks[line].texts for line in places):  # as `Reader.fitting` doubts them
            if any("]:" in (texts.get(name) or "") for name in clients):
                return None
            if any((texts.get(name) or "").endswith(BARE_VERSIONS) for name in asked):
                return None
        inner = Text.from_bytes("".join(f"{self._sample.lines[line]}\n" for line in places).encode())
        if not requests(self._prefilter.reader, inner):
            return None
        made, column = Rows(partial(self._rows_of, lines)), None
        for name in nameless:
            shown = [looks[line].texts.get(name) for line in places]
            column = unnamed(shown, places, made, self._sample.lines)
        return Candidate(self.stack, places, len(places), len(self._sample.filled), made, column)

    @cached_property
    def _unnamed(self) -> Unnamed | None:
        """The column that has no name, and what its values look like."""
        fields = self._prefilter.format.fields
        names = [name for name, field in fields.items() if field.unnamed and field.role != "request_bytes"]
        if not names or self._rows.is_empty():
            return None
        texts = self.tokens(names).fields
        name = next((name for name in names if (texts[name] != "-").any()), names[0])
        by_line = dict(zip(texts["line"].to_list(), texts[name].to_list(), strict=True))
        places = self._rows["line"].to_list()
        return unnamed([by_line[line] for line in places], places, lambda: self._rows, self._sample.lines)

    @cached_property
    def _too_small(self) -> bool:
        """Whether numbers taken for the bytes of requests and responses are smaller than what the lines show of most of
        them, or the same though these differ."""
        fields = self._prefilter.format.fields
        sizes = {name: field.role for name, field in fields.items() if field.unnamed and field.role in _SIZES}
        if "request_bytes" not in sizes.values():
            return False
        rows = self._rows.join(self.tokens([*sizes]).fields, on="line")
        for name, role in sizes.items():
            asked = pl.sum_horizontal(pl.col(one).str.len_bytes() for one in ("method", "path", "query"))
            shown = rows.select(asked if role == "request_bytes" else pl.col("bytes")).to_series()
            size, shown = rows[name].cast(pl.Int64, strict=False).filter(shown > 0), shown.filter(shown > 0)
            constant = size.n_unique() == 1 and shown.n_unique() > _SIZES_OF_ONE
            if constant or (size < shown).sum() > len(shown) / 2:
                return True
        return False

    @cached_property
    def _rows(self) -> pl.DataFrame:
        """The rows of lines that are read and have plausible values."""
        form, ready, text = self._prefilter.format, self._prefilter.reader, self._sample.text
        tokens = ready.tokens(text) if self._blind else self.tokens(ready.tokenise.names)
        rows = ready.fitting(text, tokens).rows
        if ready.looks and ready.events and not (rows["kind"] == "request").any():
            rows = rows.clear()  # events alone do not identify this format
        good = rows.filter(
            (pl.col("kind") == "event" if ready.events else pl.lit(value=False))
            | pl.col("status").is_not_null()
            | (pl.col("method").is_not_null() & pl.col("timestamp").is_not_null())
        )
        if {"timestamp", "date"} & form.roles:
            timed = good.filter(pl.col("timestamp").is_not_null())
            sure = form.engine != "regex" or form.requires  # else what should be a time is none
            good = timed if timed.height else good if sure else good.clear()
        return good
