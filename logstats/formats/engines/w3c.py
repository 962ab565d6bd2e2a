"""The W3C extended log file format: a `#Fields` line names the columns of the lines after it.

    #Date: 2025-01-17 00:00:00
    #Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken
    2025-01-17 10:30:00 203.0.113.9 GET /api/bugs 200 125

Columns are separated by tabs if a line has one, else by spaces; a value in quotes may hold spaces, and two quotes stand
for one. Columns beyond those that are named are skipped; a line with fewer is rejected. A line before any `#Fields` is
read by the format's default, if it has one. If a column has the time and none the date, the last `#Date` gives it;
where no column has the time, lines have none (`#Date` says when the first of them was logged). `columns_of` and `split`
are that definition (https://www.w3.org/TR/WD-logfile.html).

Directives also tell who writes the lines after them: the fingerprint of a format and its foreign keys are columns
(IIS's `sc-win32-status`), or beginnings of its `#Software`, or of a `#Start-Date` without one (Kestrel's, whose `time-
taken` is in milliseconds). Where none does, and other columns were in force before, numbers without a fraction are not
seconds (`_whole`), unless those before had none either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Final

from logstats.dataclass import dataclass
from logstats.formats.engines.program import Code, Program, Step
from logstats.formats.engines.scan import Reject, Tokens, fast_then_reference, scan_lines
from logstats.formats.model import FOREIGN, Field
from logstats.formats.text import Text
from logstats.frames import pl

FIELDS: Final = "#Fields:"
DATE: Final = "#Date:"
SOFTWARE: Final = "#Software:"
_START: Final = "#Start-Date:"
_VERSION: Final = "#Version:"
DIRECTIVES: Final = (FIELDS, DATE, SOFTWARE, _START, _VERSION)  # those that are kept
IS_DIRECTIVE: Final = f"^(?:{'|'.join(DIRECTIVES)})"
_IN_BYTES = re.compile("|".join(DIRECTIVES).encode())
_VALUE = re.compile(r'"((?:[^"]|"")*)"(?![^ ])|([^ ]+)')
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def in_force(directives: str, lines: str) -> str:
    """The directives in force after these lines, in their order: the last `#Date` and `#Fields`, before it a `#Fields`
    of other columns that was in force until then, and what the same header says of the product that wrote it.

    Headers need no lines between them (a reader may see directives only). Where the last directive was a `#Fields`, a
    new one begins with another `#Fields` or with `#Software`, which IIS writes first; else with whatever is repeated,
    or with IIS's `#Software` before that.
    """
    day, other = "", ""
    header: dict[str, str] = {}
    for line in [*directives.split("\n"), *lines.split("\n")]:
        name = next((name for name in DIRECTIVES if line.startswith(name)), "")
        line = line.rstrip("\r")
        ended = next(reversed(header), "") == FIELDS
        if name == DATE:
            day = line
        elif name == FIELDS:
            last = header.pop(FIELDS, line)
            other = last if last.split() != line.split() else other
            header = {FIELDS: line} if ended else {**header, FIELDS: line}
        elif name:
            if name in header or (name == SOFTWARE and ended):
                header = _begun_anew(header, name)
            header[name] = line
    return "\n".join(line for line in (other, *header.values(), day) if line)


def _begun_anew(header: Mapping[str, str], name: str) -> dict[str, str]:
    """The columns; and, behind what is repeated, the product that begins its header with itself."""
    names = [*header]
    behind = names[names.index(name) + 1 :] if name in names else []
    kept = {FIELDS, *([SOFTWARE] if SOFTWARE in behind and "Microsoft" in header[SOFTWARE] else [])}
    return {one: header[one] for one in names if one in kept}


def directives_in(data: bytes) -> list[int]:
    """The places of directives in some bytes, also of those within wrappers."""
    return [match.start() for match in _IN_BYTES.finditer(data)] if b"#" in data else []


def split(line: str) -> list[str]:
    """The reference path: the values of one line."""
    if "\t" in line:
        return [_unquoted(value) for value in line.split("\t")]
    return [match[2] if match[1] is None else match[1].replace('""', '"') for match in _VALUE.finditer(line)]


def _whole(durations: pl.Series) -> bool:
    """Whether these are numbers without a fraction, and not all 0: who writes seconds writes fractions of them."""
    return not durations.str.contains(".", literal=True).any() and bool(durations.str.contains("^[0-9]*[1-9]").any())


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('""', '"')
    return value


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that the directives name: variable → index; their number; what the directives `said` of all lines
    (the day, if no column has it; marks of who wrote them); and whether other columns were in force before."""

    places: Mapping[str, int]
    count: int
    said: Mapping[str, str]
    changed: bool


class W3C:
    """The engine for one mapping of column names."""

    def __init__(self, default: str, fields: Mapping[str, Field], names: Collection[str]) -> None:
        self.names = [name for name in fields if name in names]
        self._default = default
        self._keys = {name: [key.lower() for key in fields[name].keys] for name in self.names}
        self._date = next((name for name in self.names if fields[name].role == "date"), None)
        self._time = next((name for name in self.names if fields[name].role == "time"), None)
        durations = (name for name in self.names if fields[name].role == "duration" and fields[name].usual)
        self._seconds = next(durations, None) if FOREIGN in self.names else None

    def columns_of(self, directives: str) -> Columns:
        """The columns of the lines after these directives."""
        each = [line.split(":", 1) for line in directives.split("\n") if ":" in line]
        lines = dict(each)
        named = (lines.get("#Fields") or self._default.removeprefix(FIELDS)).lower().split()
        places = {}
        for name, keys in self._keys.items():
            place = next((named.index(key) for key in keys if key in named), None)
            if place is not None:
                places[name] = place
        dated = self._time in places and self._date is not None and self._date not in places
        day = _DAY.search(lines.get("#Date", "")) if dated else None
        said = {self._date: day[0]} if day and self._date else {}
        writer = next((f"{name} {lines[name[:-1]]}" for name in (SOFTWARE, _START) if name[:-1] in lines), "")
        writer = " ".join(writer.lower().split())
        said |= {
            n: writer for n, keys in self._keys.items() if any(key[0] == "#" and writer.startswith(key) for key in keys)
        }
        return Columns(places, len(named), said, sum(name == "#Fields" for name, _ in each) > 1)

    def scan(self, line: str) -> dict[str, str | None]:
        """The reference path for one line without directives in force. Raises Reject."""
        return self.scan_with(self._undirected, line)

    @cached_property
    def _undirected(self) -> Columns:
        return self.columns_of("")

    def scan_with(self, columns: Columns, line: str) -> dict[str, str | None]:
        """The reference path for one line. Raises Reject."""
        if not columns.count:
            raise Reject("no_fields_directive")
        values = split(line)
        if len(values) < columns.count:
            raise Reject("missing_field", len(line))
        fields: dict[str, str | None] = {name: values[place] for name, place in columns.places.items()}
        return {**fields, **columns.said}

    def stop(self, line: str, name: str = "") -> int:
        """The position of the value of this name in a line; or the end of the line, if it has fewer columns."""
        try:
            value = self.scan(line).get(name)
        except Reject as reject:
            return reject.column
        return max(line.find(value), 0) if value else 0

    def program(self, text: Text) -> None:
        """There is none: it takes more than one."""

    def __call__(self, text: Text) -> Tokens:
        """Both paths."""
        changes = text.lines.str.contains(IS_DIRECTIVE).arg_true().to_list()
        directives = text.context.directives
        runs = [(0, self.columns_of(directives))]
        for place in changes:
            directives = in_force(directives, text.lines[place])
            columns = self.columns_of(directives)
            if columns != runs[-1][1]:  # mostly the same directives are repeated
                runs.append((place, columns))
        ends = [*(start for start, _ in runs[1:]), len(text)]
        parts: list[Tokens] = []
        fractions = True  # whether those who wrote the lines so far write fractions of seconds
        for (start, columns), end in zip(runs, ends, strict=True):
            if end > start:
                tokens, fractions = self._run(text.slice(start, end), start, columns, fractions=fractions)
                parts.append(tokens)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return scan_lines((), self.scan, self.names)
        return Tokens(
            pl.concat(part.fields for part in parts),
            pl.concat(part.rejected for part in parts),
            sum(part.ignored for part in parts),
        )

    def _run(self, text: Text, start: int, columns: Columns, *, fractions: bool) -> tuple[Tokens, bool]:
        """(the lines between two directives, whether who wrote these or those before writes fractions of seconds)."""
        tokens = fast_then_reference(text, self._fast(text, columns), partial(self.scan_with, columns), self.names)
        if self._seconds is not None and fractions and _whole(tokens.fields[self._seconds]):
            if columns.changed:
                tokens = replace(tokens, fields=tokens.fields.with_columns(pl.lit(self._seconds).alias(FOREIGN)))
            else:
                fractions = False
        if start:
            shift = (pl.col("line") + start).cast(pl.UInt32)
            tokens = Tokens(tokens.fields.with_columns(shift), tokens.rejected.with_columns(shift), tokens.ignored)
        return tokens, fractions

    def _fast(self, text: Text, columns: Columns) -> pl.DataFrame:
        """The fast path, for lines without quotes that have one separator between two columns."""
        if not columns.count:
            return pl.DataFrame(schema={"line": pl.UInt32, **dict.fromkeys(self.names, pl.String)})
        sample = next((line for line in text.pick(range(min(20, len(text)))) if line and line[0] != "#"), "")
        separator, others = (b"\t", b'"') if "\t" in sample and columns.count > 1 else (b" ", b'"\t')
        wanted = set(columns.places.values())
        steps = [Step(Code.PLAIN), Step(Code.ANY)]
        for place in range(columns.count):
            code = Code.UNTIL if place < columns.count - 1 else Code.UPTO
            name = f"c{place}" if place in wanted else None
            steps.append(Step(code, separator, name, others, int(separator == b" ")))
        steps.append(Step(Code.REST, never=others))  # columns without a name
        read = Program(steps)(text)
        made = {name: pl.col(f"c{place}") for name, place in columns.places.items()}
        made |= {name: pl.lit(text) for name, text in columns.said.items()}
        none = pl.lit(None, pl.String)
        return read.select("line", *(made.get(name, none).alias(name) for name in self.names))
