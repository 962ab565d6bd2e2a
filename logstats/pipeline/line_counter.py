"""Counts the requests of a chunk without making rows of them, where a report asks for nothing else.

The lines, or the texts of their fields where one program does not cut all of them, go to `kernels.counting`, which
makes the tables of the report of them in one call. What is asked for decides, once: a report that needs more than these
tables (a filter, a further ranking, exact users) or a format whose fields take more than reading their texts (an
address with a port, a time in two columns) has rows made of all its lines. So has every line of which a value is not
certain; its figures are added to those of the others.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.endpoints import Endpoints
from logstats.formats.detection.prefilter import READING
from logstats.formats.engines.scan import Reject, ignorable
from logstats.formats.fields import times
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.fields.requests import Requests
from logstats.formats.fields.shapes import CLIENT
from logstats.formats.fields.units import default_unit
from logstats.formats.model import FINGERPRINT, FOREIGN
from logstats.formats.reader import Look, Reader
from logstats.formats.text import Text
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers
from logstats.kernels.counting import (
    BUCKET_BITS,
    LONGEST_NS,
    Buckets,
    Duration,
    Fields,
    Found,
    Lines,
    Question,
    Shaped,
    Source,
    Workspace,
)
from logstats.kernels.library import Places
from logstats.kernels.tallies import Codes, Counts, highest, tally
from logstats.sketches import loghist
from logstats.summaries import statistics
from logstats.summaries.arrays import Arrays
from logstats.summaries.numbered import Numbered
from logstats.summaries.ranking import ZERO
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Summaries
from logstats.summaries.times import FIRST, LAST

if TYPE_CHECKING:
    from logstats.formats.engines.program import Program
    from logstats.pipeline.job import Job, Result

_POWERS: Final = {"ns": 0, "us": 3, "ms": 6, "s": 9}
_COLUMNS: Final = {
    "timestamp": "time",
    "request": "request",
    "method": "method",
    "target": "target",
    "path": "target",
    "status": "status",
    "bytes": "size",
    "user_id": "user",
    "client_ip": "client",
}  # role of a field → of a column
_PARTS: Final = frozenset({"date", "time", "zone"})  # of times
_TOO_MUCH: Final = _PARTS | {"fields"}
_ABSENT: Final = frozenset({"upstream_duration", "cache"})  # make tables of their own of lines that have them
_ANY_DIGIT: Final = re.compile(r"\[0-9\]|\{[0-9,]+\}")  # in a regular expression
_DIGITS: Final = re.compile(r"[0-9]|\\[dbB]")
_COUNTED: Final = frozenset({"times", "traffic", "statuses", "endpoints", "users", "latency"})  # aggregates of requests
_FORMS: Final = 64  # programs whose forms are kept
_SAMPLE: Final = 20  # lines that tell how others of their program are spelled
_OF_ABSENT: Final = frozenset({"upstream", "cache_statuses"})  # and those of lines that have what is in `_ABSENT`
_USERS: Final = {"auto": ("user", "client"), "user_id": ("user",), "client_ip": ("client",)}


@dataclass(frozen=True, slots=True)
class Counted:
    """How many requests were counted, and what of."""

    lines: int
    summaries: Summaries


class LineCounter:
    """Counts for one job. Threads may share it."""

    def __init__(self, spec: ReportSpec, reading: ReadOptions, *, built_in: bool) -> None:
        """`built_in` says that only the built-in templates make endpoints of paths."""
        self._spec, self._reading, self._built_in = spec, reading, built_in
        first, bounds = loghist.bounds(LONGEST_NS)
        self._buckets = Buckets(bounds)
        self._bucket_of = np.arange(1 << BUCKET_BITS) + (first - 1)  # of the places that C says
        self._bucket_of[0] = ZERO
        self._plans: dict[int, tuple[Reader, Plan | None]] = {}  # by the identity of the reader, which is kept
        self._own = threading.local()

    @classmethod
    def of(cls, job: Job[Result]) -> LineCounter | None:
        """The counter of a job; None if it asks for more."""
        spec, reading = job.report, job.reading
        if not kernels.AVAILABLE or spec is None or job.timed or job.computed or job.anonymizer is not None:
            return None
        asked = {aggregate.name for aggregate in statistics.aggregates(spec) if aggregate.rows != "events"}
        if (
            not asked <= _COUNTED | _OF_ABSENT
            or spec.exact_users
            or spec.user_key not in _USERS
            or job.filters.expression() is not None
        ):
            return None
        endpoints = reading.endpoints
        if not isinstance(endpoints, Endpoints) or not endpoints.of_paths or reading.trust_forwarded:
            return None
        return cls(spec, reading, built_in=endpoints.built_in)

    @classmethod
    def certain(cls) -> Callable[[Reader, Text], bool] | None:
        """Tells of lines whether all are certainly requests, with statuses; None if that takes rows here."""
        if not kernels.AVAILABLE:
            return None
        counter = cls(ReportSpec(), READING, built_in=False)

        def certain(reader: Reader, text: Text) -> bool:
            found = counter.of_text(reader, text)
            if found is None or len(found[1]):
                return False
            statuses = found[0].summaries["statuses"]
            return isinstance(statuses, Arrays) and bool((statuses.columns["status"] > 0).all())

        return certain

    def __call__(self, reader: Reader, fields: pl.DataFrame) -> tuple[Counted | None, pl.DataFrame]:
        """Count the lines of these fields that are certain; the fields of the others."""
        plan = self.plan(reader)
        columns = None
        if plan is not None and fields.height:
            columns = _present(plan, {name for name in fields.columns if fields[name].null_count() < fields.height})
        if plan is None or columns is None:
            return None, fields
        form = times.certain_form(fields[plan.columns["time"]], self._reading.zone, plan.form)
        if form is None:
            return None, fields
        fit = np.ones(fields.height, np.bool_)
        for look in plan.looks.values():
            fit[look.unlike(fields[look.name]).to_numpy()] = False
        for name, present in plan.marks.items():
            fit &= (fields[name].is_not_null() == present).to_numpy()
        counted, left = self._count(reader, plan, columns, form, Fields(fields), fit)
        if counted is None:
            return None, fields
        return counted, fields[as_numbers(left)] if len(left) else fields.clear()

    def of_text(self, reader: Reader, text: Text) -> tuple[Counted, Places] | None:
        """Count the lines that are certain, if one program cuts most lines of this reader; the places of the others."""
        plan = self.plan(reader)
        if plan is None or reader.format.pairs or not len(text):
            return None
        program = reader.tokenise.program(text)
        if program is None:
            return None
        forms = self._forms
        known = forms.get(id(program)) or self._form(reader, plan, program, text)
        if known is None:
            return None
        if len(forms) >= _FORMS:  # clients can choose the keys of objects
            forms.clear()
        forms[id(program)] = known
        lines = Lines(text.data, text.starts, text.ends, program.steps, program.literals, program.names)
        counted, left = self._count(reader, plan, known.columns, known.form, lines)
        if counted is None:
            del forms[id(program)]  # times may be spelled otherwise here
            return None
        return counted, left

    def _form(self, reader: Reader, plan: Plan, program: Program, text: Text) -> _Form | None:
        """How a program reads lines; None if they cannot be counted."""
        if any(name in program.names for name in (*plan.absent, *plan.looks)):
            return None
        sample = [*_scanned(reader, text.pick(range(min(len(text), _SAMPLE))))]
        found = {name for fields in sample for name, value in fields.items() if value is not None}
        columns = _present(plan, found) if sample else None
        if columns is None or set(columns.values()) != set(plan.columns.values()) & set(program.names):
            return None
        # These are about columns that are the same in all lines of the program.
        if not all(look.fits(fields.get(name)) for name, look in plan.looks.items() for fields in sample):
            return None
        if any((fields.get(name) is not None) != present for name, present in plan.marks.items() for fields in sample):
            return None
        spelled = [value for fields in sample if (value := fields.get(plan.columns["time"])) is not None]
        form = times.certain_form_of(spelled, self._reading.zone, plan.form)
        return None if form is None else _Form(program, columns, form)

    @property
    def _forms(self) -> dict[int, _Form]:
        """By the identity of programs, which are kept: how they read lines in this thread."""
        return cast(dict[int, _Form], self._own.__dict__.setdefault("forms", {}))

    def _count(
        self,
        reader: Reader,
        plan: Plan,
        columns: Mapping[str, str],
        form: str,
        source: Source,
        fit: NDArray[np.bool_] | None = None,
    ) -> tuple[Counted | None, Places]:
        """(what was counted, None if that is nothing; the rows that are left)."""
        question = Question(
            columns,
            [Duration(n, power, plan.looks_of.get(n)) for n, power in plan.durations.items() if n in source.names],
            [Shaped(name, *shape) for name, shape in plan.shapes.items() if name in source.names],
            form,
            times.within_calendar(),
            plan.decide,
            templates=self._built_in,
            events=reader.events,
            over_time=self._spec.over_time,
            fit=fit,
        )
        found = self._workspace(plan).count(question, source)
        if not found.counted:
            return None, np.arange(0)
        return Counted(found.counted, self._summaries(found)), np.flatnonzero(found.left)

    def plan(self, reader: Reader) -> Plan | None:
        """How the lines of a reader are counted; None if they have to become rows."""
        if id(reader) not in self._plans:
            self._plans[id(reader)] = reader, _plan(reader, self._spec, self._reading)
        return self._plans[id(reader)][1]

    def _workspace(self, plan: Plan) -> Workspace:
        """The memory of this thread for the lines of one reader."""
        own: dict[str, Workspace] = self._own.__dict__
        name = str(id(plan))
        if name not in own:
            own[name] = Workspace(self._buckets)
        return own[name]

    def _summaries(self, found: Found) -> Summaries:
        statuses = np.flatnonzero(found.statuses).astype(np.uint16)
        kinds = {**FIRST, **LAST}
        span = {name: np.array([time]) for name, time in zip(kinds, found.span, strict=True)}
        made: dict[str, pl.DataFrame | Arrays | Numbered] = {
            "times": Arrays(span, kinds),
            "traffic": _traffic(found),
            "statuses": Arrays({"status": statuses, "requests": found.statuses[statuses]}, nulls={"status": 0}),
            "endpoints": self._endpoints(found),
            "users": _users(found),
        }
        if self._spec.over_time:
            made["latency"] = self._latency(found)
        return made

    def _endpoints(self, found: Found) -> Numbered:
        return Numbered(found.keys, found.key_first, found.by_key, *self._histogram(found.key_codes))

    def _latency(self, found: Found) -> Arrays:
        numbers, buckets, counts = self._histogram(found.minute_codes)
        return Arrays(
            {
                "minute": found.minutes[numbers],
                "bucket": buckets.astype(np.int32),
                "count": counts,
                "first": found.minute_first[numbers],
            },
            nulls={"bucket": ZERO},
        )

    def _histogram(self, codes: Codes) -> tuple[Counts, Counts, Counts]:
        """(number, bucket, count) of codes."""
        distinct, counts = tally(codes)
        whole = distinct.view(np.int64)
        buckets = self._bucket_of.take(whole & ((1 << BUCKET_BITS) - 1))
        whole >>= BUCKET_BITS
        return whole, buckets, counts


def _traffic(found: Found) -> Arrays:
    cells = found.by_minute
    # The first line of a minute, not of each class in it: it says in which order minutes came.
    by_minute = np.argsort(found.minutes)
    places = by_minute[np.searchsorted(found.minutes, cells["minute"], sorter=by_minute)]
    columns = {name: cells[name] for name in ("minute", "status_class", "requests", "bytes")}
    kinds = {"status_class": "UInt8", "bytes": "Int128"}
    return Arrays({**columns, "first": found.minute_first[places]}, kinds)


def _users(found: Found) -> Arrays:
    """(minute, register, rank), by minute."""
    minutes, registers, ranks = kernels.users(highest(found.user_codes), found.minutes)
    return Arrays({"minute": minutes, "register": registers, "rank": ranks})


@dataclass(frozen=True, slots=True)
class _Form:
    """How a program reads lines: the columns by role, and how their times are spelled."""

    program: Program
    columns: Mapping[str, str]
    form: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How the lines of a reader are counted: the columns by role, durations with the powers of their units and their
    looks, forms, how the texts of other columns look, marks that are there or are not, and columns that lines must not
    have."""

    columns: Mapping[str, str]
    durations: Mapping[str, int]
    looks_of: Mapping[str, bytes]
    shapes: Mapping[str, tuple[bytes, int]]
    looks: Mapping[str, Look]
    marks: Mapping[str, bool]
    absent: tuple[str, ...]
    form: str
    requests: Requests

    def decide(self, targets: Iterable[str]) -> list[str]:
        """`METHOD path`, or 0 and a whole request line → `METHOD endpoint`, or ` endpoint` without a method."""
        found = []
        for text in targets:
            method, _, path = text.partition(" ")
            whole = text[0] == "\0"
            found.append(self.requests.name(text[1:]) if whole else f"{method} {self.requests.endpoint(path)}")
        return found


def _plan(reader: Reader, spec: ReportSpec, reading: ReadOptions) -> Plan | None:
    """The plan for a reader; None if its lines have to become rows."""
    format, names = reader.format, reader.tokenise.names
    if format.requires or format.pairs or format.wraps:
        return None
    columns: dict[str, str] = {}
    durations: dict[str, int] = {}
    absent: list[str] = []
    for name in names:
        field = format.fields.get(name)
        if field is None:
            continue
        role = _COLUMNS.get(field.role)
        if field.role in _ABSENT or (field.role in _PARTS and "timestamp" in format.roles):
            absent.append(name)
        elif field.role in _TOO_MUCH or role in columns:
            return None
        if (role or field.role == "duration") and (field.extract or field.absent or field.decode):
            return None
        if field.port and role != "client":
            return None
        if field.role == "duration":
            if field.sum:
                return None
            durations[name] = _POWERS[default_unit(field)]
        elif role is not None:
            columns[role] = name
    if any(field.of in names for field in format.fields.values()):
        return None
    if "time" not in columns or not ("request" in columns or columns.keys() >= {"method", "target"}):
        return None
    form = format.fields[columns["time"]].form
    asked = _USERS[spec.user_key]
    columns = {role: name for role, name in columns.items() if role not in ("user", "client") or role in asked}
    marks = {name: present for name, present in ((FINGERPRINT, True), (FOREIGN, False)) if name in names}
    shapes = {n: (shape.table, shape.kind) for n, shape in reader.field_reader.shapes.items() if n in names}
    # An address may have a port, which is taken off elsewhere. None that has this shape for certain has one.
    ported = [name for name in names if name in format.fields and format.fields[name].port]
    shapes |= dict.fromkeys(ported, (CLIENT.table, CLIENT.kind))
    looks_of = {name: table for name in durations if (table := _looks_of(reader, name)) is not None}
    looks = {name: look for name, look in reader.looks.items() if name not in looks_of}
    requests = reader.field_reader.requests
    return Plan(columns, durations, looks_of, shapes, looks, marks, tuple(absent), form, requests)


def _scanned(reader: Reader, lines: Iterable[str]) -> Iterator[Mapping[str, str | None]]:
    """The fields of lines that can be read."""
    for line in lines:
        if not ignorable(line):
            with contextlib.suppress(Reject):
                yield reader.tokenise.scan(line)


def _present(plan: Plan, found: Collection[str]) -> Mapping[str, str] | None:
    """The columns of some lines by role, the requests whole or in parts, of those that were `found` in any; None if it
    is not the same in all of them."""
    if any(name in found for name in plan.absent):
        return None
    parts = {role: name for role, name in plan.columns.items() if role in ("request", "method", "target")}
    empty = {role for role, name in parts.items() if len(parts) != 2 and name not in found}
    left = parts.keys() - empty
    if left not in ({"request"}, {"method", "target"}):
        return None
    return {role: name for role, name in plan.columns.items() if role not in empty}


def _looks_of(reader: Reader, name: str) -> bytes | None:
    """Which numbers look as a duration should: a table as count.c has it; None if more than the number of its digits
    decides, or nothing."""
    look = reader.looks.get(name)
    if look is None or _DIGITS.search(_ANY_DIGIT.sub("", reader.format.fields[name].looks or "")):
        return None
    numbers = ["0" * before + ("." if behind else "") + "0" * behind for before in range(16) for behind in range(16)]
    return bytes([all(map(look.fits, ("", "-", None))), *map(look.fits, numbers[1:])])
