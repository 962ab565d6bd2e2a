"""Lines of every format, many of each, and what becomes of them in a source that mixes two formats.

A `Dialect` is a format as some of its samples write it: a W3C format is two, one whose lines stand alone, and one whose
`#Fields` say what its columns are. The row that a line must become is what its own format, named, makes of it: that is
held to the samples' expectations by test_formats, and here to the sample that the line was varied from.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import logstats
from logstats.endpoints import Endpoints
from logstats.formats.engines.base import engine
from logstats.formats.engines.scan import Tokeniser
from logstats.formats.fields.beginnings import PART
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.model import UNITS, Format
from logstats.formats.reader import reader
from logstats.formats.registry import builtin
from logstats.formats.text import Context, Text
from logstats.pipeline import Counts, Silence
from logstats.schema import COLUMNS

LINES: Final = 150  # of each format in a mixture
LISTENED: Final = 10_000.0  # milliseconds: from here on, clients listen to a stream, whose rate shows what the time is
SHOWN: Final = tuple(column for column in COLUMNS if column not in ("extra", "endpoint"))
# Dialects that write the same text and mean something else by it.
ALIKE: Final[dict[frozenset[str], str]] = {}
_READING: Final = ReadOptions(Endpoints(templates=False), wanted=frozenset(SHOWN))
_PATH: Final = re.compile(r"/[\w./-]*")

Row = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """Lines of one format, and the rows that they must become; `head` are directives that come before them."""

    format: str
    name: str
    head: tuple[str, ...]
    lines: tuple[str, ...]
    rows: tuple[Row, ...]


Line = tuple[str, Dialect | None, int]  # the line, whose it is (a directive is nobody's), and which of its
Mixture = Iterator[Line]


@dataclass
class Outcome:
    """What became of the lines of one dialect in a mixture: how many were read as their own format has it, how many
    were rejected, and the others, which are not right: (line, column, what it should be, what it is)."""

    right: int = 0
    rejected: int = 0
    wrong: list[tuple[str, str, Any, Any]] = field(default_factory=list)

    def columns(self) -> str:
        """The columns that are not as they should be."""
        return ", ".join(f"{column} ×{count}" for column, count in Counter(w[1] for w in self.wrong).most_common())


@cache
def names() -> tuple[str, ...]:
    """The dialects of all built-in formats that are no wrappers."""
    return tuple(_samples())


@cache
def dialect(name: str, number: int = LINES) -> Dialect:
    """So many lines of a dialect."""
    form, head, samples = _samples()[name]
    return _dialect(form, name, head, samples, number)


def varied_from(name: str) -> int:
    """How many sample lines the lines of a dialect are varied from, in turn."""
    return len(_samples()[name][2])


@cache
def _samples() -> dict[str, tuple[Format, tuple[str, ...], tuple[str, ...]]]:
    """By dialect: its format, its directives, its sample lines."""
    found: dict[str, tuple[Format, tuple[str, ...], tuple[str, ...]]] = {}
    for form in builtin().values():
        if form.wraps:
            continue
        samples = [sample.line.split("\n") for sample in form.samples if not sample.rejected]
        directed = [lines for lines in samples if any(line.startswith("#") for line in lines)]
        plain = [line for lines in samples if lines not in directed for line in lines]
        if plain:
            found[form.name] = form, (), tuple(plain)
        for which, lines in enumerate(directed, 1):
            head = tuple(line for line in lines if line.startswith("#"))
            own = tuple(line for line in lines if line and line not in head)
            found[f"{form.name} (#Fields {which})"] = form, head, own
    return found


def why_alike(one: Dialect, two: Dialect, column: str) -> str:
    """Why a line of one dialect may be read as the other has it, with another value in this column; nothing if it may
    not."""
    forms = [builtin()[dialect.format] for dialect in (one, two)]
    if column == "duration_ms" and forms[0].pattern == forms[1].pattern and forms[0].engine == "delimited":
        return "the same text, with a duration in another unit: no line tells which"
    return ALIKE.get(frozenset({one.name, two.name}), "")


def _dialect(form: Format, name: str, head: tuple[str, ...], samples: Sequence[str], number: int) -> Dialect:
    """The samples in turn, each time varied; as it is where that would change more than was meant."""
    draw = random.Random(form.name)
    as_they_are = rows_of(form, head, samples)
    places = [n % len(samples) for n in range(number)]
    varied = [_varied(form, samples[place], as_they_are[place], n + 1, draw) for n, place in enumerate(places)]
    said = rows_of(form, head, varied)
    lines = [
        line if _as_meant(as_they_are[place], row) else samples[place]
        for place, line, row in zip(places, varied, said, strict=True)
    ]
    return Dialect(form.name, name, head, tuple(lines), tuple(rows_of(form, head, lines)))


def rows_of(form: Format, head: Sequence[str], lines: Sequence[str]) -> list[Row]:
    """What a format, named, makes of lines; of each that it rejects an empty row."""
    text = Text.from_bytes("\n".join(lines).encode(), context=Context("\n".join(head)))
    rows: list[Row] = [{} for _ in lines]
    for row in reader(form, _READING, named=True)(text).rows.to_dicts():
        kind = row.pop("kind", None) or "request"
        rows[row.pop("line")] = {"kind": kind, **{name: row.get(name) for name in SHOWN if name != "kind"}}
    return rows


def _varied(form: Format, sample: str, row: Row, number: int, draw: random.Random) -> str:
    """The sample with another path and another duration, as far as it has them."""
    if (row.get("duration_ms") or 0) > LISTENED:
        return sample
    line = sample
    durations = [name for name, one in form.fields.items() if one.role == "duration"]
    if form.engine != "w3c" and len(durations) == 1:
        made = _engine(form.name)
        text = made.scan(line).get(durations[0])
        if text and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            place = made.stop(line, durations[0])
            if line[place:].startswith(text):
                line = f"{line[:place]}{_duration(form, durations[0], text, row, draw)}{line[place + len(text) :]}"
    path = row.get("path")
    if path and _PATH.fullmatch(path) and (place := _place(line, path)) >= 0:
        stem = path.rpartition(".")[0]
        end = place + len(stem or path)
        line = f"{line[:end]}{'' if stem or path.endswith('/') else '/'}{number}{line[end:]}"
    return line


@cache
def _engine(name: str) -> Tokeniser:
    form = builtin()[name]
    return engine(form, list(form.fields))


def _place(line: str, path: str) -> int:
    """Where a path stands in a line by itself."""
    match = re.search(rf"(?<![\w/.:<-]){re.escape(path)}(?![\w/.-])", line)
    return match.start() if match else -1


def _duration(form: Format, name: str, text: str, row: Row, draw: random.Random) -> str:
    """A duration that a request may well take, a few milliseconds to a few seconds, written as this one is."""
    unit = form.fields[name].unit
    if row.get("duration_ms") and float(text):  # of `auto` what this line showed
        unit = min(UNITS, key=lambda one: abs(float(text) * UNITS[one] / UNITS["ms"] - row["duration_ms"]))
    value = 10 ** draw.uniform(0.5, 3.3) * UNITS["ms"] / UNITS[unit]
    _, _, decimals = text.partition(".")
    return f"{value:.{len(decimals)}f}" if decimals else str(round(value))


def _as_meant(one: Row, two: Row) -> bool:
    """Whether two rows say the same but for the path, the duration, and the text as a whole."""
    return bool(two) and all(one[name] == two[name] for name in one if name not in ("path", "duration_ms", "message"))


# ------------------------------------------------------------------ mixtures


def one_after_the_other(one: Dialect, two: Dialect) -> Mixture:
    """All lines of one, then all of the other."""
    for dialect in (one, two):
        yield from ((line, None, 0) for line in dialect.head)
        yield from ((line, dialect, number) for number, line in enumerate(dialect.lines))


def in_turn(one: Dialect, two: Dialect) -> Mixture:
    """A line of one, a line of the other, and so on; directives first."""
    yield from ((line, None, 0) for dialect in (one, two) for line in dialect.head)
    for number, lines in enumerate(zip(one.lines, two.lines, strict=True)):
        yield from ((line, dialect, number) for line, dialect in zip(lines, (one, two), strict=True))


class Told(Silence):
    """Keeps what was said, by source."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = {}

    def note(self, source: str, text: str) -> None:
        """Keep it."""
        self.notes.setdefault(source, []).append(text)


@dataclass(frozen=True)
class Read:
    """A mixture that was read, nothing named: what became of the lines of each dialect, the formats that were found,
    and what was said."""

    outcomes: dict[str, Outcome]
    formats: list[str]
    notes: list[str]


def read_all(mixtures: Iterable[Mixture], folder: Path) -> list[Read]:
    """Read mixtures in one run, so that formats are made ready once. Each lies in a folder of its own: what detection
    found in one file is believed of others beside it."""
    lines: dict[str, list[Line]] = {}
    for number, mixture in enumerate(mixtures):
        path = folder / str(number) / "mixed.log"
        path.parent.mkdir()
        lines[str(path)] = [*mixture]
        path.write_bytes("".join(f"{line}\n" for line, _, _ in lines[str(path)]).encode())
    counts, told = Counts(), Told()
    rows: dict[str, dict[int, Row]] = {name: {} for name in lines}
    for frame in logstats.read([*lines], columns=SHOWN, counts=counts, listener=told, templates=False):
        for row in frame.to_dicts():
            rows[row["source"]][row["line"]] = row
    found = []
    for source in counts.sources:
        assert source.lines == len(lines[source.name])
        outcomes = _outcomes(lines[source.name], rows[source.name])
        found.append(Read(outcomes, source.formats, told.notes.get(source.name, [])))
    assert len(found) == len(lines)
    return found


def _outcomes(lines: Sequence[Line], rows: Mapping[int, Row]) -> dict[str, Outcome]:
    """What became of the lines of each dialect; `rows` by the number of the line."""
    found: dict[str, Outcome] = {dialect.name: Outcome() for _, dialect, _ in lines if dialect}
    for number, (line, dialect, which) in enumerate(lines, 1):
        if dialect is None:
            continue
        one, row, want = found[dialect.name], rows.get(number), dialect.rows[which]
        if row is None:
            one.right += want.get("kind") == PART
            one.rejected += want.get("kind") != PART
            continue
        odd = [name for name in SHOWN if row[name] != want[name]]
        one.wrong += [(line, name, want[name], row[name]) for name in odd[:1]]
        one.right += not odd
    return found


def mixed(one: Dialect, two: Dialect) -> dict[str, Mixture]:
    """How two dialects are mixed."""
    return {
        "one after the other": one_after_the_other(one, two),
        "the other way round": one_after_the_other(two, one),
        "in turn": in_turn(one, two),
    }


def ways(one: Dialect, two: Dialect, folder: Path) -> Iterator[tuple[str, Read]]:
    """What becomes of two dialects in each mixture of them."""
    mixtures = mixed(one, two)
    yield from zip(mixtures, read_all(mixtures.values(), folder), strict=True)
