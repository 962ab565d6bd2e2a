"""Detection: every format tries the first lines of a source, also inside wrappers, and the best one wins.

A format competes if a cheap look at a few lines does not rule it out (`screen`, `prefilter`); then it reads the whole
sample (`candidates`). Among formats that read about the same number of lines, the more specific one wins (`priority`),
then the one that reads more fields. Lines that the winner cannot read are tried again, since a source may mix several
stacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from operator import itemgetter
from typing import Any, Final

from logstats.dataclass import dataclass
from logstats.formats.detection.candidates import Candidate, Certain, Contender, Sample
from logstats.formats.detection.prefilter import Prefilter
from logstats.formats.engines.base import engine
from logstats.formats.engines.scan import ignorable
from logstats.formats.fields import units
from logstats.formats.fields.units import OpenUnit
from logstats.formats.model import Format
from logstats.formats.reader import may_be_events
from logstats.formats.text import NO_CONTEXT, Context, Text
from logstats.formats.wrappers.stack import (
    DURATION,
    LABELLED,
    MORE,
    SECONDS,
    FormatStack,
    name_of,
    unwrapped,
)
from logstats.formats.wrappers.wrapper import Wrapper
from logstats.frames import pl

SAMPLE_LINES: Final = 100
SAMPLE_BYTES: Final = 64 << 10  # characters of a line that are read at most
SURE: Final = 0.9  # below this certainty, the user is told the alternatives
PEERS: Final = 0.9  # formats that read this share of what the best one reads compete with it
ODD: Final = 0.05  # if this share of its durations is odd, another unit is likelier,
RULED_OUT: Final = 0.125  # and above this share, its unit is ruled out
GENERIC: Final = -5  # formats of this priority, or of a lower one, read lines of all kinds
MIXED: Final = 3  # further stacks in the first lines of a source at most,
LATER: Final = 8  # and in lines that these do not read
FEW_SPANS: Final = 8  # durations below which no unit is ruled out
FEW: Final = 3  # lines that show a format without times or clients beside others
GOLDEN: Final = 0.6180339887498949  # the golden ratio: its multiples modulo 1 are spread evenly and never repeat
_HOST: Final = r"[A-Za-z]\.|\.[A-Za-z]|^(?i:localhost)|^_|:[0-9]+$"  # what a word or an address in its place has not
_SHOWN: Final = 40  # characters of a value
_PROBES: Final = 12  # a format competes if it reads one of so many lines
AGENT: Final = '"$user_agent"'  # behind which servers are often made to log a duration
_DEEPEST: Final = 3  # nested wrappers at most

_MEANING: Final = ("timestamp", "method", "status", "path", "client_ip", "duration_ms", "bytes")


@dataclass(frozen=True, slots=True)
class Detected:
    """The result of detection from the first lines of a source."""

    stacks: tuple[FormatStack, ...]
    share: float  # the share of the sample that the stacks read together
    ranking: tuple[Candidate, ...]  # best first
    rival: Candidate | None = None  # reads as many lines as the winner, with other values
    open_units: tuple[OpenUnit, ...] = ()  # durations whose unit nothing in the lines settles
    kept_out: tuple[str, ...] = ()  # columns that are not read, as the user is told

    @property
    def name(self) -> str:
        """The stacks as `--format` takes them."""
        return name_of(self.stacks)

    @property
    def rival_by_unit(self) -> bool:
        """Whether the rival is the same but for the unit of its durations, which is among the `open_units`."""
        return self.rival is not None and _twins(self.rival) == _twins(self.ranking[0])

    @property
    def sure(self) -> float:
        """The certainty, from 0 to 1: the share of the sample that is read, at most a half if there is a rival."""
        return min(self.share, 0.5) if self.rival else self.share


@dataclass(frozen=True, slots=True)
class Added:
    """A stack of lines that others left."""

    stack: FormatStack
    open_units: Sequence[OpenUnit]
    kept_out: str  # what the user is told of columns that are not read


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, in order, at irregular distances, so that no periodic pattern is missed."""
    if count <= most:
        return list(range(count))
    return sorted({int(number * GOLDEN % 1 * count) for number in range(most)})


def mixed(places: Sequence[int]) -> list[int]:
    """The first of some places, then the others, in an order in which those from all over come early."""
    return [place for _, place in sorted((number * GOLDEN % 1, place) for number, place in enumerate(places))]


def sample_of(lines: Iterable[str]) -> list[str]:
    """The lines that detection reads: the first ones that are not blank, with the W3C directives among them."""
    sample: list[str] = []
    for line in lines:
        if len(line) <= SAMPLE_BYTES and (not ignorable(line) or line.startswith("#")):
            sample.append(line)
            if len(sample) == SAMPLE_LINES:
                break
    return sample


class Detector:
    """Detects sources among these formats and wrappers. `exact` does not consider unknown further columns. `certain`
    saves making rows of the sample where only one format may have its lines, and there is no doubt about them."""

    def __init__(self, formats: Collection[Format], *, exact: bool = False, certain: Certain | None = None) -> None:
        self._exact, self._certain = exact, certain
        self._formats: list[Prefilter] = []
        self._wrappers: list[Prefilter] = []
        self._last: list[Prefilter] = []  # wrappers that are only considered where nothing else reads a line
        for form in formats:
            if form.wraps:
                (self._wrappers if form.priority > GENERIC else self._last).append(Prefilter(form))
            else:
                self._formats.append(Prefilter(form, named=exact))

    def detect(self, lines: Iterable[str], context: Context = NO_CONTEXT, *, thorough: bool = False) -> Detected | None:
        """Detect the format of lines; None if no format reads any of them.

        The ranking has the candidates that could have won; if `thorough`, all that read a line.
        """
        sample = Sample(as_read(sample_of(lines)), context)
        ranking = self._first(sample, sample.filled, thorough=thorough)
        if not ranking:
            return None
        chosen = [ranking]
        left = _unread(sample.filled, ranking[0])
        while left and len(chosen) <= MIXED and not self._exact:
            more = self._further(sample, left, [found[0].stack for found in chosen])
            if not more:
                break
            chosen.append(more)
            left = _unread(left, more[0])
        chosen.sort(key=lambda found: -found[0].weight)
        settled = [_with_units(found, sample) for found in chosen]
        stacks = tuple(stack for stack, _ in settled)
        still_open = tuple(one for _, units_left in settled for one in units_left)
        kept_out = tuple(filter(None, (_kept_out(found[0]) for found in chosen)))
        share = (len(sample.filled) - len(left)) / ranking[0].lines  # lines with nothing in a wrapper are none
        return Detected(stacks, share, tuple(ranking), _rival(ranking), still_open, kept_out)

    def further(self, lines: Sequence[str], known: Sequence[FormatStack], context: Context = NO_CONTEXT) -> list[Added]:
        """The stacks of lines that the known stacks do not read. Only stacks that are certain, or read most of the
        lines, are returned."""
        sample = Sample(as_read(lines), context)
        chosen: list[Sequence[Candidate]] = []
        left = sample.filled
        while left and len(chosen) < LATER:
            all_known = [*known, *(found[0].stack for found in chosen)]
            more = self._further(sample, left, all_known)
            if not more:
                more = self._first(sample, left, thorough=False)
                enough = len(left) / 2 if not chosen else max(len(left) / 2, FEW)
                if not (more and more[0].requests and more[0].weight >= enough):
                    break
                if more[0].stack.name in _settled(all_known):
                    break
            chosen.append(more)
            left = _unread(left, more[0])
        # In the order in which their lines appear, as if the lines had come one by one.
        chosen.sort(key=lambda found: int(found[0].rows["line"].to_numpy().min()))
        return [Added(*_with_units(found, sample), _kept_out(found[0])) for found in chosen]

    def _first(self, sample: Sample, lines: Sequence[int], *, thorough: bool) -> list[Candidate]:
        """The candidates that read one of these lines, best first; those with unknown columns only if there are no
        others."""
        for formats, wrappers in self._stages(sample, lines):
            contenders = self._contenders(sample, lines, formats, wrappers)
            found = _tried([*contenders], lines, self._accepts, None if thorough else self._certain, thorough=thorough)
            if found:
                return found
        return []

    def _further(self, sample: Sample, left: Sequence[int], known: Sequence[FormatStack]) -> list[Candidate]:
        """The candidates that are certain of some of the remaining lines, best first."""
        for formats, wrappers in self._stages(sample, left):
            contenders = self._contenders(sample, left, formats, wrappers)
            settled = _settled(known)
            new = [c for c in contenders if c.stack.name not in settled and _may_be_certain(c.stack)]
            found = _tried(new, left, lambda candidate: self._accepts(candidate) and _is_certain(candidate))
            # If all units give odd durations, nothing is certain.
            if found and (len(found) == 1 or _twins(found[0]) != _twins(found[1]) or found[0].odd_durations() <= ODD):
                return found
        return []

    def _accepts(self, candidate: Candidate) -> bool:
        # A user who names a format says what its columns are.
        return candidate.read > 0 if self._exact else candidate.plausible

    def _stages(
        self, sample: Sample, lines: Sequence[int]
    ) -> Iterator[tuple[Sequence[Prefilter], Sequence[Prefilter]]]:
        """The formats and the wrappers around them, first the formats whose columns a directive names, if there is one;
        then, for lines that none of them reads, the formats followed by unknown columns; then both behind any text."""
        if sample.directed and not self._exact:
            yield [prefilter for prefilter in self._formats if prefilter.original.engine == "w3c"], self._wrappers
        yield self._formats, self._wrappers
        if self._exact:
            return
        yield self._with_more, self._wrappers
        last = [wrapper for wrapper in self._last if wrapper.screen.passes(sample.looked_at(tuple(lines)))]
        if last:
            yield self._formats, [*self._wrappers, *last]
            yield self._with_more, [*self._wrappers, *last]

    @cached_property
    def _with_more(self) -> list[Prefilter]:
        formats = [prefilter.original for prefilter in self._formats]
        extended = [f for f in formats if f.engine == "delimited" and not f.pattern.endswith("_more")]
        untimed = [f for f in extended if f.pattern.endswith(AGENT) and "duration" not in f.roles | {*f.fields}]
        found = [(f, more) for more in (SECONDS, DURATION) for f in untimed if f.name not in self._timed]
        # A whole number between other columns is no duration for that.
        shared = Counter(f.pattern for f in extended if "duration" in f.fields)
        found += [(f, "") for f in extended if shared[f.pattern] < 2 or f.fields["duration"].unit == "s"]
        return [Prefilter(f, named=self._exact, more=more) for f, more in found]

    @cached_property
    def _timed(self) -> set[str]:
        """The formats that have a duration behind them under a name of its own, `combined_time` for `combined`."""
        names = {prefilter.original.name for prefilter in self._formats}
        return {name for name in names if f"{name}_time" in names}

    def _contenders(
        self, sample: Sample, lines: Sequence[int], formats: Sequence[Prefilter], wrappers: Sequence[Prefilter]
    ) -> Iterator[Contender]:
        """The formats that may read one of these lines, with or without wrappers."""
        filled = sorted({*lines} & {*sample.filled})
        probes = tuple(filled[place] for place in spread(len(filled), _PROBES))
        for prefilter in formats:
            if sample.may_have(prefilter, probes):
                yield sample.contender(prefilter)
        for wrapper in wrappers if len(sample.wrappers) < _DEEPEST else ():
            if wrapper.format not in sample.wrappers and sample.may_have(wrapper, probes):
                inside = sample.without(wrapper)
                if inside is not None:
                    yield from self._contenders(inside, lines, formats, wrappers)


def as_read(lines: Sequence[str]) -> list[str]:
    """The lines as a chunk of them is read."""
    text = Text.from_bytes("\n".join(lines).encode())
    return text.pick(range(len(text)))


def _tried(
    contenders: Sequence[Contender],
    lines: Sequence[int],
    accepted: Callable[[Candidate], bool],
    certain: Certain | None = None,
    *,
    thorough: bool = False,
) -> list[Candidate]:
    """Candidates for some lines, best first: among those that read about as many lines as the best one, the most
    specific first; then by the lines and fields read. Formats that cannot win are not tried, unless `thorough`."""
    found: list[Candidate] = []
    most = 0.0

    bounded = [(contender, sum(map(contender.upper_bound, lines))) for contender in contenders]
    bounded.sort(key=itemgetter(1), reverse=True)
    if certain is not None and bounded and all(bound < PEERS * bounded[0][1] for _, bound in bounded[1:2]):
        only = bounded[0][0].certain(lines, certain)
        if only is not None and accepted(only):
            return [only]
    for contender, bound in bounded:
        if bound < PEERS * most and not thorough:
            break
        candidate = contender.candidate(lines)
        if accepted(candidate):
            found.append(candidate)
            most = max(most, candidate.weight)

    twins = Counter(_twins(candidate) for candidate in found if candidate.weight >= PEERS * most)

    def order(candidate: Candidate) -> tuple[Any, ...]:
        weight = candidate.weight
        peer = weight >= PEERS * most
        odd = candidate.odd_durations() if peer and twins[_twins(candidate)] > 1 else 0.0
        return (
            not peer,
            odd if odd > ODD else 0.0,
            -candidate.format.priority if peer else -weight,
            -candidate.explained,
            -weight,
            len(candidate.stack.wrappers),
            candidate.stack.name,
        )

    return sorted(found, key=order)


def _twins(candidate: Candidate) -> tuple[str, ...]:
    """Choose between stacks that differ only in the unit of their durations."""
    form, wrappers = candidate.format, candidate.stack.wrappers
    return form.pattern if form.engine == "delimited" else form.name, *(wrapper.name for wrapper in wrappers)


def _unread(lines: Sequence[int], candidate: Candidate) -> list[int]:
    read = {*candidate.places}
    return [line for line in lines if line not in read]


def _kept_out(chosen: Candidate) -> str:
    """The note about text that a stack does not read because it has no name; empty if there is none."""
    name, column = chosen.format.name, chosen.unnamed
    fields = [field for wrapper in chosen.stack.wrappers for field in wrapper.fields.values()]
    around = any(field.unnamed for field in fields if field.role == "payload")
    notes = [f"what stands around {name} has no name: it is kept out"] if around else []
    if column and name.endswith(MORE):
        timed = LABELLED in chosen.format.fields and chosen.timed
        but_for = "durations that say what they are" if timed else ""
        notes.append(column.kept_out(name.removesuffix(MORE), but_for))
    if "host" in chosen.format.roles and chosen.format.engine == "delimited":
        hosts = chosen.rows["host"].drop_nulls()
        if hosts.len() and not hosts.str.contains(_HOST).any():
            notes.append(f"nothing but its place shows that {hosts[0][:_SHOWN]!r} is a virtual host; it is read as one")
    return "; ".join(notes)


def _may_be_certain(stack: FormatStack) -> bool:
    """Whether a format could be a further stack, for lines that the first does not read: its rows must be complete."""
    roles = stack.format.roles
    if stack.format.engine == "json":  # a JSON object is certain enough
        return True
    if _is_event_log(stack.format):
        return True
    if "status" in roles and roles & {"method", "request"} and roles & {"client_ip", "duration"}:
        return True
    timed = roles.union(*(wrapper.roles for wrapper in stack.wrappers)) & {"timestamp", "date"}
    return stack.format.priority > GENERIC and roles >= {"status", "client_ip"} and bool(timed)


def _is_event_log(format: Format) -> bool:
    """Whether lines of a format may be events, of which each has a time, a level and a message."""
    return may_be_events(format) and format.roles >= {"timestamp", "level", "message"}


def _is_certain(candidate: Candidate) -> bool:
    """Whether a candidate is certain enough to be a further stack."""
    request = ["method", "path", "status"]
    complete = [["timestamp", "status", "client_ip"], [*request, "client_ip"], [*request, "duration_ms"]]
    if candidate.format.engine == "json":
        complete = [["timestamp"]]
    elif candidate.format.engine == "w3c":  # whose columns a directive names, with a time or without
        complete.append(request)
    elif _is_event_log(candidate.format):
        complete.append(["timestamp", "level", "message"])
    return any(not candidate.rows.select(columns).drop_nulls().is_empty() for columns in complete)


def _settled(stacks: Sequence[FormatStack]) -> set[str]:
    """The names of stacks that read all lines of their format already, without units."""
    read = (one for one in stacks if not (units.of_undetermined(one.format) or units.of_fractional(one.format)))
    return {units.parse_name(stack.name)[0] for stack in read}


def _with_units(ranking: Sequence[Candidate], sample: Sample) -> tuple[FormatStack, list[OpenUnit]]:
    """(the best stack with the units that its requests settle, the units that remain open)."""
    candidate = ranking[0]
    stack, form = candidate.stack, candidate.format
    durations = [name for name, field in form.fields.items() if field.role == "duration"]
    if not units.unsettled(form):
        unnamed = [name for name in durations if form.fields[name].unnamed]
        shown = unnamed if candidate.unnamed is not None and candidate.unnamed.fractions else []
        return replace(stack, format=units.fractional(form, shown)), _open_twins(ranking)
    inner = unwrapped(sample.text, [Wrapper(wrapper) for wrapper in stack.wrappers])
    requests = pl.int_range(pl.len()).is_in(candidate.rows.filter(kind="request")["line"].implode())
    directives = pl.col("line").str.starts_with("#")
    kept = inner.lines.alias("line").to_frame().select(requests | directives).to_series().arg_true()
    inner = inner.gather(kept.to_numpy())
    texts = engine(form, durations)(inner).fields
    found, left = units.settle(form, texts, inner.lines.to_list())
    settled = units.undetermined(units.with_units(stack.format, found), units.silent(form, texts))
    return replace(stack, format=settled), left


def _open_twins(ranking: Sequence[Candidate]) -> list[OpenUnit]:
    """The unit of the durations, if another format reads the same lines in another unit and nothing speaks against
    it."""
    best, *others = ranking
    if not others:
        return []
    name, unit = _duration(best.format) if best.timed else ("", "")
    found = dict.fromkeys(_duration(other.format)[1] for other in _peers(ranking) if _may_be_unit(best, other))
    found.pop(unit, None)
    return [OpenUnit(name, unit, tuple(found))] if found else []


def _duration(format: Format) -> tuple[str, str]:
    """(the name of the first duration, its unit)."""
    return next((name, field.unit) for name, field in format.fields.items() if field.role == "duration")


def _may_be_unit(best: Candidate, other: Candidate) -> bool:
    """Whether the durations, of which no line of the sample need show the unit, may be in that of the other one."""
    if _twins(other) != _twins(best) or not best.timed or not other.timed:
        return False
    if len(spans := other.spans) < FEW_SPANS:  # too few for what is odd
        return units.conceivable(spans)
    return other.odd_durations() <= RULED_OUT or best.odd_durations() > RULED_OUT


def _peers(ranking: Sequence[Candidate]) -> Iterator[Candidate]:
    """The candidates beside the best one that read about as many lines, and are no less specific."""
    best, *others = ranking
    most = max(candidate.weight for candidate in ranking)
    for other in others:
        if other.weight < PEERS * most or other.explained < best.explained - 1:
            continue
        if other.format.priority >= best.format.priority - 1:
            yield other


def _rival(ranking: Sequence[Candidate]) -> Candidate | None:
    """A candidate that is as good as the winner, and reads the lines with other values."""
    best = ranking[0]
    for other in _peers(ranking):
        twin = _twins(other) == _twins(best) and best.timed
        if _may_be_unit(best, other) if twin else not _same(best.rows, other.rows):
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
