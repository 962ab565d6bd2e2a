"""Which format each source of a run is read with: the given one, or the detected one."""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Final, Generic

from logstats.dataclass import dataclass
from logstats.formats import registry
from logstats.formats.detection.detect import SAMPLE_LINES, SURE, Detected, Detector, sample_of
from logstats.formats.engines.w3c import in_force
from logstats.formats.fields import units
from logstats.formats.fields.units import OpenUnit
from logstats.formats.model import KEYED, Format
from logstats.formats.text import Context, Text
from logstats.formats.wrappers.stack import FormatStack, StackReader, parse, stack_reader
from logstats.inputs import LINES, Chunk, Source
from logstats.pipeline.job import Job, Result
from logstats.pipeline.line_counter import LineCounter
from logstats.pipeline.listener import Listener

SHAPES: Final = 1_000  # of lines that are remembered
_SHOWN: Final = 40  # characters of a line
NAMES: Final = 512  # of sources that come again, of which is remembered what was found
_KEY: Final = re.compile(r'"([^"\\]{1,60})"\s*:')
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD: Final = re.compile(r"[^\s\"\[\]{}()<>|,;:=#']+")


@dataclass(frozen=True, slots=True)
class _Before:
    """What was found in a source of a folder, and what finds the shapes of its lines. (These take as long to find as
    500 lines to read, and a single source needs none.)"""

    folder: str
    shapes: Callable[[], frozenset[str]]
    found: Detected


def _shape(line: str) -> str:
    """What is left of a line without its values: brackets, separators and keys. A directive (`#…`) stays whole."""
    if line.startswith("#"):
        return line
    return "".join([_WORD.sub(_kind, _QUOTED.sub("q", line)), *_KEY.findall(line)])


class FormatChooser(Generic[Result]):
    """Chooses the format of each source of a run: the given one, or the detected one.

    With `again`, a source comes again under its name, as a file that was made anew: its lines are those of the same
    writer, so what was found before holds for lines of the same shapes, unless their numbers tell a unit.
    """

    def __init__(self, job: Job[Result], listener: Listener, *, again: bool = False) -> None:
        self._job, self._listener = job, listener
        self._of_name: dict[str, _Before] | None = {} if again else None
        self._noted: set[str] = set()
        self._readers: dict[tuple[str, ...], StackReader] = {}
        self._further: dict[str, StackReader] = {}
        self._known: Mapping[str, Format] | None = None
        self._detector: Detector | None = None
        self._before: _Before | None = None
        self.counter = LineCounter.of(job)

    def reader(self, stacks: Sequence[FormatStack]) -> StackReader:
        """The reader of these formats, built once and shared by all sources."""
        key = tuple(stack.spelling for stack in stacks)
        if key not in self._readers:
            self._readers[key] = stack_reader(stacks, self._job.reading, named=bool(self._job.format))
        return self._readers[key]

    def given(self, source: Source) -> StackReader | None:
        """The reader of a source whose format needs no detection."""
        start = source.start
        if start is not None and start.format and (start.certain or not self._job.format):
            return self.reader(parse(start.format, self.known()))
        if start is not None and start.certain and self._job.format:
            return self.reader(self._job.format)
        return None

    def known(self) -> Mapping[str, Format]:
        """All formats, by name."""
        if self._known is None:
            self._known = registry.formats(self._job.formats_dir)
        return self._known

    def detector(self) -> Detector:
        """The detector, over all formats unless the user gave some."""
        if self._detector is None:
            known, asked = self.known().values(), self._job.format
            named = [*(stack.format for stack in asked or ()), *(form for form in known if form.wraps)]
            self._detector = Detector(named if asked else known, exact=bool(asked), certain=LineCounter.certain())
        return self._detector

    def further(self, stack: FormatStack) -> StackReader:
        """The reader of a stack for lines that other readers have left."""
        if stack.spelling not in self._further:
            self._further[stack.spelling] = stack_reader([stack], self._job.reading, named=bool(self._job.format))
        return self._further[stack.spelling]

    def find(self, chunk: Chunk, name: str, context: Context, *, last: bool) -> tuple[StackReader | None, bool]:
        """(the reader for a source that begins with this chunk or None, whether that is final).

        If it is not final, call this again with more lines.
        """
        sample = sample_lines(chunk.data)
        enough = last or len(sample) >= SAMPLE_LINES or len(chunk.data) >= self._job.chunk or chunk.lines >= LINES
        asked = self._job.format
        found = self._detect(name, sample, context)
        if asked:
            if found is None and not enough:
                return None, False
            stacks = _as_asked(asked, found.stacks[0] if found else None)
            self._say_units_in_vain(name, stacks)
            self.say(name, stacks, found.open_units if found else ())
            return self.reader(stacks), True
        if found is None:
            return None, enough
        if not enough and found.share < SURE:
            return None, False
        self._listener.format_found(name, found)
        if found.rival is not None and not found.rival_by_unit:
            one, other = found.ranking[0].stack, found.rival.stack
            self._note(
                name,
                f"format {one.name} ({one.format.title}); that could also be {other.name} ({other.format.title}): "
                f"--format {one.name} or --format {other.name} says which",
            )
        self._say_units_in_vain(name, found.stacks)
        self.say(name, found.stacks, found.open_units, found.kept_out)
        self.say_alike(name, found.stacks)
        return self.reader(found.stacks), True

    def _detect(self, name: str, sample: Sequence[str], context: Context) -> Detected | None:
        """What detection finds; or what it found before in the source that had the same name, or with certainty in the
        source before, if that lies in the same folder and its formats fit every line. Either must have had lines of
        each shape that is here. (Detection takes as long as reading 5 MB of lines.)"""
        folder = name.rpartition("/")[0]
        shapes = cache(lambda: frozenset([*map(_shape, sample), context.directives]))
        named, before = (self._of_name or {}).get(name), self._before
        if named is not None and shapes() <= named.shapes():
            return named.found
        if before is not None and before.folder == folder and shapes() <= before.shapes():
            text = Text.from_bytes("\n".join(sample).encode(), context=context)
            if self._fits(self.reader(before.found.stacks), text):
                return before.found
        found = self.detector().detect(sample, context)
        if before is not None and (found is None or (folder, found.stacks) != (before.folder, before.found.stacks)):
            before = None
        if found is not None and self._is_beyond_doubt(found):
            self._before = _with(before, folder, shapes, found)
        else:  # with bad lines of the same format, what was found before still holds
            self._before = before
        if self._of_name is not None and found is not None and found.share == 1 and _has_units(found):
            same = named is not None and named.found.stacks == found.stacks
            self._of_name.pop(name, None)
            self._of_name[name] = _with(named if same else None, folder, shapes, found)
            for old in [*self._of_name][:-NAMES]:
                del self._of_name[old]
        return found

    def _fits(self, reader: StackReader, text: Text) -> bool:
        """Whether each line fits."""
        counted = reader.counted(text, self.counter) if self.counter is not None else None
        return (counted is not None and not len(counted[1])) or not reader.fitting(text).rejected.height

    def _is_beyond_doubt(self, found: Detected) -> bool:
        """Whether other values in lines of the same shape could not have led to another format, or another unit."""
        if found.sure < 1 or found.open_units or found.kept_out:
            return False
        timed = [stack.format for stack in found.stacks if units.names_of(stack.format)]
        if not timed:
            return True
        # Formats with one pattern have their durations in different units, and only the numbers tell which.
        patterns = Counter(form.pattern for form in self.known().values() if form.engine not in KEYED)
        return _has_units(found) and all(patterns[form.pattern] == 1 for form in timed)

    def _say_units_in_vain(self, source: str, stacks: Sequence[FormatStack]) -> None:
        """Note units that the user gave for durations that do not exist here."""
        given = self._job.reading.units
        known = {name for stack in stacks for name in units.names_of(stack.format)}
        for name in sorted(given.keys() - known):
            self._note(source, f"--unit {name}={given[name]} is not about these lines: no duration is called so")

    def say(
        self, source: str, stacks: Sequence[FormatStack], left: Sequence[OpenUnit], kept_out: Iterable[str] = ()
    ) -> None:
        """Note units that are open, and columns that are not read."""
        given = self._job.reading.units
        for one in left if not given else [one for one in left if not _is_given(one, stacks, given)]:
            others = " or ".join(one.others)
            self._note(
                source,
                f"nothing says the unit of {one.field}; it is read as {one.unit}, and could be {others}: "
                f"--unit {one.field}={one.unit} settles it",
            )
        for text in kept_out:
            self._note(source, text)

    def say_alike(self, source: str, stacks: Sequence[FormatStack], before: Sequence[FormatStack] = ()) -> None:
        """Note lines that two formats of a source read otherwise; `stacks` were found after those `before`."""
        if len(stacks) + len(before) < 2:
            return
        from logstats.formats.detection.alike import alike

        for one in alike(stacks, before):
            start = textwrap.shorten(one.line, _SHOWN, placeholder=" …")
            other = one.other.format
            self._note(
                source,
                f"lines such as `{start}` are read as {one.read_by.format.name}; nothing says that they are not "
                f"{other.name} ({other.title}), with another {one.column}",
            )

    def _note(self, source: str, text: str) -> None:
        self._listener.note(source, text)
        words = f"{source}: {text}"
        if words not in self._noted:
            self._noted.add(words)
            self._job.counts.notes.append(words)


def _with(before: _Before | None, folder: str, shapes: Callable[[], frozenset[str]], found: Detected) -> _Before:
    """What was found, with the shapes of these lines beside those that are known."""
    if before is None or len(known := before.shapes()) >= SHAPES:
        return _Before(folder, shapes, found)
    every = shapes() | known
    return _Before(folder, lambda: every, found)


def _has_units(found: Detected) -> bool:
    """Whether the units of durations do not depend on their numbers."""
    timed = [stack.format for stack in found.stacks if units.names_of(stack.format)]
    return not timed or (len(found.ranking) == 1 and not found.open_units and not any(map(units.unsettled, timed)))


def _kind(word: re.Match[str]) -> str:
    """`0` for a whole number, `0.0` for a decimal one, `a` for the rest: seconds and microseconds look different."""
    whole, point, rest = word[0].partition(".")
    if not whole.isdecimal() or (point and not rest.isdecimal()):
        return "a"
    return "0.0" if point else "0"


def _as_asked(asked: Sequence[FormatStack], found: FormatStack | None) -> list[FormatStack]:
    """The stacks that the user named, with what the lines told: the units of one, and the wrappers around a single
    format. Nothing is read of a duration whose unit they did not tell."""
    stacks = [
        replace(one, format=units.undetermined(one.format, units.unsettled(one.format)))
        if found is None or one.name not in (found.name, units.parse_name(found.name)[0])
        else found
        for one in asked
    ]
    return [found] if found is not None and len(asked) == 1 and not asked[0].wrappers else stacks


def _is_given(one: OpenUnit, stacks: Sequence[FormatStack], given: Mapping[str, str]) -> bool:
    fields = [stack.format.fields[one.field] for stack in stacks if one.field in stack.format.fields]
    return not {"duration", one.field, *(key for field in fields for key in field.all_keys)}.isdisjoint(given)


def sample_lines(data: bytes) -> list[str]:
    """The first lines, as many as detection reads."""
    sample: list[str] = []
    for size in (256 << 10, SAMPLE_LINES * 40_000):
        head = data[:size]
        if len(head) < len(data) and b"\n" in head:
            head = head[: head.rindex(b"\n") + 1]
        text = Text.from_bytes(head)
        sample = sample_of(text.pick(range(min(len(text), 20 * SAMPLE_LINES))))
        if len(sample) >= SAMPLE_LINES or len(head) == len(data):
            break
    return sample


def context_of(source: Source) -> Context:
    """Facts about the first lines that are not in them: the directives in force, and the file's modification time."""
    modified = None
    with contextlib.suppress(ValueError, OverflowError, OSError):
        modified = datetime.fromtimestamp(source.modified, UTC) if source.modified is not None else None
    return Context(in_force("", source.start.directives) if source.start else "", modified)
