"""How a source is written: every format tries its first lines, inside wrappers too; what makes most sense wins.

A format competes if it can take apart one of a few lines (the slow lane, which costs next to nothing). Those that
can read all of the sample in columns. Of formats that read about as many lines, the more special one wins
(`priority`), then the one that explains more of the line. What the winner cannot read is tried again, for sources
in which two layouts are mixed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Final

import polars as pl

from logstats.formats.convert import Reading
from logstats.formats.engine import Reader, reader
from logstats.formats.layout import Layout, name_of, with_more
from logstats.formats.model import Field, Format
from logstats.formats.requests import EndpointsOf
from logstats.formats.text import NO_CONTEXT, Context, Text
from logstats.formats.tokens import Reject, Scan, ignorable
from logstats.formats.w3c import FIELDS
from logstats.formats.wrappers import Wrapper

SAMPLE_LINES: Final = 100
SAMPLE_BYTES: Final = 64 << 10  # of each line this much is looked at, at the most
SURE: Final = 0.9  # below it the user is told what else it could be
PEERS: Final = 0.9  # formats that read this part of what the best one reads compete with it
MIXED: Final = 3  # further layouts of one source
_PROBES: Final = 12  # lines by which a format must read one to compete
_DEEPEST: Final = 3  # wrappers around one another

_WANTED: Final = frozenset(
    {"kind", "timestamp", "method", "status", "path", "client_ip", "duration_ms", "message", "level", "bytes"}
    | {"user_id", "host", "referer", "user_agent", "protocol", "query", "trace_id", "app_name"}
)
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_MEANING: Final = ("timestamp", "method", "status", "path", "client_ip", "duration_ms", "bytes")


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
    def format(self) -> Format:
        """The format, without its wrappers."""
        return self.layout.format

    @property
    def share(self) -> float:
        """The part of the sample that it reads, from 0 to 1."""
        return self.read / self.lines if self.lines else 0.0


@dataclass(frozen=True, slots=True)
class Detected:
    """How a source is written, as far as its first lines tell."""

    layouts: tuple[Layout, ...]
    share: float  # the part of the sample that the layouts read together
    ranking: tuple[Candidate, ...]  # best first
    rival: Candidate | None = None  # reads as many lines as the winner, and reads them otherwise

    @property
    def name(self) -> str:
        """The layouts as `--format` takes them."""
        return name_of(self.layouts)

    @property
    def sure(self) -> float:
        """How sure that is, from 0 to 1: the part of the sample that is read, at most a half if there is a rival."""
        return min(self.share, 0.5) if self.rival else self.share


class _NoEndpoints:
    def of(self, paths: pl.Series) -> pl.Series:
        return paths


_NO_ENDPOINTS: Final[EndpointsOf] = _NoEndpoints()
_READING: Final = Reading(_NO_ENDPOINTS, wanted=_WANTED)


def sample_of(lines: Iterable[str]) -> list[str]:
    """The lines that detection looks at: the first that are not blank, and W3C directives among them."""
    sample: list[str] = []
    for line in lines:
        if len(line) <= SAMPLE_BYTES and (not ignorable(line) or line.startswith("#")):
            sample.append(line)
            if len(sample) == SAMPLE_LINES:
                break
    return sample


class Detector:
    """Finds out how sources are written, among these formats (and wrappers); `exact` allows no further columns."""

    def __init__(self, formats: Collection[Format], *, exact: bool = False) -> None:
        self._exact = exact
        self._formats = [form for form in formats if not form.wraps]
        self._wrappers = [Wrapper(form) for form in formats if form.wraps]
        self._readers: dict[str, Reader] = {}

    def detect(self, lines: Iterable[str], context: Context = NO_CONTEXT) -> Detected | None:
        """How lines are written, or None if no format reads any of them."""
        sample = sample_of(lines)
        ranking = self.rank(sample, context)
        if not ranking:
            return None
        chosen, left = [ranking[0]], _unread(sample, ranking[0])
        while left and len(chosen) <= MIXED and not self._exact:
            known = [candidate.layout for candidate in chosen]
            others = chain.from_iterable(self._all(left, context))
            more = next((c for c in others if _certain(c) and c.layout not in known), None)
            if more is None:
                break
            chosen.append(more)
            left = _unread(left, more)
        chosen.sort(key=lambda candidate: -_weight(candidate))
        layouts = tuple(candidate.layout for candidate in chosen)
        return Detected(layouts, 1 - len(left) / ranking[0].lines, tuple(ranking), _rival(ranking))

    def rank(self, lines: Iterable[str], context: Context = NO_CONTEXT) -> list[Candidate]:
        """Layouts that read a line of the sample, best first; those with unknown columns if there are no others."""
        return next(filter(None, self._all(sample_of(lines), context)), [])

    def _all(self, sample: list[str], context: Context) -> Iterator[list[Candidate]]:
        """Candidates, best first; then those with unknown columns after a known layout."""
        if all(map(ignorable, sample)):
            return
        text = Text.of("\n".join(sample).encode(), context=context)
        for further in (False, True) if not self._exact else (False,):
            found = self._explore(text, (), self._further if further else self._formats)
            most = max((_weight(candidate) for candidate in found), default=0)
            yield sorted(found, key=lambda candidate: _order(candidate, most))

    def _explore(self, text: Text, outer: tuple[Wrapper, ...], formats: Sequence[Format]) -> list[Candidate]:
        """Candidates on lines that `outer` has been taken off, and on what is left when more is taken off."""
        lines = [line for line in text.lines.to_list() if not ignorable(line)]
        if not lines:
            return []
        probes = lines[:: max(1, len(lines) // _PROBES)][:_PROBES]
        directed = FIELDS in text.context.directives or bool(text.lines.str.starts_with(FIELDS).any())
        around = tuple(wrapper.format for wrapper in outer)
        found = []
        for form in formats:
            ready = self._reader(form)
            if (directed and form.engine == "w3c") or _reads_one(ready.tokenise.scan, probes, form.fields):
                candidate = _try(ready, around, text)
                if candidate.read:
                    found.append(candidate)
        if len(outer) < _DEEPEST:
            for wrapper in self._wrappers:
                if wrapper not in outer and _reads_one(wrapper.scan, probes, wrapper.format.fields):
                    inside = wrapper(text)
                    if not inside.lines.equals(text.lines):
                        found += self._explore(inside, (*outer, wrapper), formats)
        return found

    @cached_property
    def _further(self) -> list[Format]:
        return [with_more(f) for f in self._formats if f.engine == "delimited" and not f.pattern.endswith("_more")]

    def _reader(self, form: Format) -> Reader:
        if form.name not in self._readers:
            self._readers[form.name] = reader(form, _READING, doubtful=True)
        return self._readers[form.name]


def _order(candidate: Candidate, most: float) -> tuple[Any, ...]:
    """Best first: those that read about as many lines as the best one, the most special of them, …"""
    weight = _weight(candidate)
    peer = weight >= PEERS * most
    return (
        not peer,
        -candidate.format.priority if peer else -weight,
        -candidate.explained,
        -weight,
        len(candidate.layout.wrappers),
        candidate.layout.name,
    )


def _weight(candidate: Candidate) -> float:
    """An event is worth less than a request: a wrapper around access lines can look like an application's line."""
    return candidate.requests + (candidate.read - candidate.requests) / 4


def _reads_one(scan: Scan, probes: Sequence[str], fields: Mapping[str, Field]) -> bool:
    """Whether one of a few lines can be taken apart into texts that could be what they should be."""
    for line in probes:
        try:
            texts = scan(line)
        except Reject:
            continue
        if _plausible(texts, fields):
            return True
    return False


def _plausible(texts: Mapping[str, str | None], fields: Mapping[str, Field]) -> bool:
    """A cheap look at the texts of one line, so that few formats have to be tried in earnest."""
    there = {fields[name].role for name, text in texts.items() if name in fields and text not in (None, "", "-")}
    is_event = "level" in there or "message" in there
    for name, about in fields.items():
        text = texts.get(name)
        if text is None and (about.role == "ignored" or about.looks == "") and not is_event:
            return False
        if text in (None, "", "-") or about.extract:
            continue
        if about.looks and not is_event and not re.search(about.looks, text or ""):
            return False
        if about.role in ("status", "bytes") and not _NUMBER.fullmatch(text or ""):
            return False
    return is_event or bool(there & {"status", "method", "request", "payload"})


def _try(ready: Reader, wrappers: tuple[Format, ...], text: Text) -> Candidate:
    form = ready.format
    rows = ready.fitting(text).rows
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
    explained = 2 * sum(good[name].null_count() < good.height for name in good.columns)
    explained += len(re.findall(r"\$\{?\w+", form.pattern)) if form.engine == "delimited" else 0
    lines = len(text) - sum(map(ignorable, text.lines.to_list()))
    requests = int((good["kind"] == "request").sum())
    return Candidate(Layout(form, wrappers), good.height, requests, lines, explained, good)


def _unread(sample: Sequence[str], candidate: Candidate) -> list[str]:
    read = set(candidate.rows["line"].to_list())
    return [line for number, line in enumerate(sample) if number not in read and not ignorable(line)]


def _certain(candidate: Candidate) -> bool:
    """Whether a further layout is taken for lines that the first does not read: its rows must be complete."""
    whole = candidate.rows.filter(pl.all_horizontal(pl.col("timestamp", "status", "client_ip").is_not_null()))
    return candidate.format.priority >= 0 and whole.height > 0


def _rival(ranking: Sequence[Candidate]) -> Candidate | None:
    """A candidate of which nothing says that the winner is better, and that reads the lines otherwise."""
    best, *others = ranking
    for other in others:
        if other.read < PEERS * best.read or other.explained < best.explained - 1:
            continue
        if other.format.priority >= best.format.priority - 1 and not _same(best.rows, other.rows):
            return other
    return None


def _same(one: pl.DataFrame, two: pl.DataFrame) -> bool:
    shared = ["line", *(name for name in _MEANING if name in one.columns and name in two.columns)]
    both = one.select("line").join(two.select("line"), on="line")
    return (
        one.join(both, on="line")
        .select(shared)
        .sort("line")
        .equals(two.join(both, on="line").select(shared).sort("line"))
    )
