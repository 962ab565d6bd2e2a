"""Stacks: a stack is a format with the wrappers around it. A source may have lines of several stacks.

    docker_json/combined       combined lines, each in an object of Docker's json-file
    common|combined            common lines, with combined ones among them
    combined_host+seconds      combined_host, then a duration in seconds without a name
    combined+                  combined, then further columns without names
    json{duration=us}          json, whose bare `duration` is in microseconds, as its lines showed

A wrapper is a format with a field `payload` (Docker's json-file, a syslog prefix). It is removed from the lines that
have it; other lines are left as they are. A line that the first stack of a source cannot read is tried by the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from logstats.dataclass import dataclass
from logstats.errors import FormatError
from logstats.formats import registry
from logstats.formats.engines.scan import DOUBTFUL, Reject, ignorable
from logstats.formats.engines.w3c import IS_DIRECTIVE
from logstats.formats.fields import units
from logstats.formats.fields.columns import Batch, ReadOptions
from logstats.formats.model import UNITS, Field, Format
from logstats.formats.reader import Counter, Reader, reader
from logstats.formats.text import Text
from logstats.formats.wrappers.wrapper import Wrapper
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers

MORE: Final = "+"
SECONDS: Final = "seconds"  # behind it: a duration in seconds, with a fraction,
DURATION: Final = "duration"  # or one in whole numbers of a unit that the lines have to tell
LABELLED: Final = "_labelled"  # a field of a format that has a duration only where columns without names tell of one
_MORE: Final = "_more"
_BALANCED: Final = r'^(?:[^"\\]|\\.|"(?:[^"\\]|\\.)*")*$'  # every quote is closed
_ADDRESS: Final = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)"
_LAST_ADDRESSES: Final = rf'^.*?"?((?:{_ADDRESS}(?:, *{_ADDRESS})*)?)"?$'
_BEFORE, _BEHIND = r'(?:^|[\s|,;(\["])', r'(?:[\s",;|)\]]|$)'
_SPELLED: Final = r"[0-9]+(?:\.[0-9]+)? ?(?:ns|us|µs|ms|s)"  # a number with its unit
_FRACTION: Final = r"[0-9]+\.[0-9]{3,9}"  # seconds, as nginx writes them
_OF_NGINX: Final = r"(?:rt|req(?:uest)?_?time)[=:] ?\"?"  # labels of $request_time, which is in seconds
_OF_REQUEST: Final = r"(?:resp(?:onse)?_?time|duration|latency|elapsed|took)[=:] ?\"?"  # not without a unit
_OF_UPSTREAM: Final = r"(?:urt|ut|upstream_(?:response_)?time)[=:] ?\"?"
# What unknown columns say for themselves: a label such as `rt=` with seconds, or a number with its unit.
_SAID: Final = {
    LABELLED: Field(
        "duration", unit="s", of=_MORE, extract=rf"{_BEFORE}{_OF_NGINX}({_SPELLED}|{_FRACTION}){_BEHIND}"
    ),
    "_named": Field("duration", unit="s", of=_MORE, extract=rf"{_BEFORE}{_OF_REQUEST}({_SPELLED}){_BEHIND}"),
    "_spelled": Field("duration", unit="s", of=_MORE, extract=rf'^(?:- )?[\s|(<"\[]*({_SPELLED})[>)"\]]*$'),
    "_upstream": Field(
        "upstream_duration", unit="s", of=_MORE, listed=True,
        extract=rf"{_BEFORE}{_OF_UPSTREAM}((?:{_FRACTION}|-)(?:(?:, ?| : )(?:{_FRACTION}|-))*){_BEHIND}",
    ),
}  # fmt: skip
_LOG_FORMAT: Final = "log_format:"


@dataclass(frozen=True, slots=True)
class FormatStack:
    """A format, and the wrappers around it from the outside in."""

    format: Format
    wrappers: tuple[Format, ...] = ()

    @property
    def name(self) -> str:
        """The name of the stack, as `--format` takes it."""
        return "/".join([*(wrapper.name for wrapper in self.wrappers), self.format.name])

    @property
    def spelling(self) -> str:
        """The name, with the durations in it whose unit is not told yet; the same only for stacks that read the same
        lines."""
        return "/".join([*(wrapper.name for wrapper in self.wrappers), units.spelling(self.format)])

    @property
    def has_more(self) -> bool:
        """Whether unknown columns follow the format."""
        return _MORE in self.format.fields


def name_of(stacks: Sequence[FormatStack]) -> str:
    """The stacks of a source as one name, as `--format` takes it."""
    return "|".join(dict.fromkeys(stack.name for stack in stacks))


def spelling_of(stacks: Sequence[FormatStack]) -> str:
    """The same, in their spelling: what `parse` takes to go on as before."""
    return "|".join(dict.fromkeys(stack.spelling for stack in stacks))


def shown(spelled: str | None) -> str | None:
    """The name of stacks of which this is the spelling."""
    if not spelled or _LOG_FORMAT in spelled:
        return spelled
    return "|".join(dict.fromkeys(units.without_marks(one) for one in spelled.split("|")))


def names_of(name: str | None) -> list[str]:
    """The names of the stacks in a name that `name_of` gave."""
    if not name:
        return []
    return [name] if _LOG_FORMAT in name else name.split("|")


def parse(name: str, known: Mapping[str, Format]) -> list[FormatStack]:
    """Parse a name of stacks. Raises FormatError."""
    if _LOG_FORMAT in name:
        from logstats.formats.log_format.compile import compile_log_format  # most calls do not need it

        head, _, text = name.partition(_LOG_FORMAT)
        wrappers = [_wrapper(part, known) for part in head.split("/") if part]
        return [FormatStack(compile_log_format(text), tuple(wrappers))]
    stacks = []
    for one in name.split("|"):
        *outer, last = one.strip().split("/")
        last, found = units.parse_name(last)
        settled = {field: unit for field, unit in found.items() if unit in UNITS}
        untold = [field for field, unit in found.items() if unit == units.UNTOLD]
        fractional = [field for field, unit in found.items() if unit == units.FRACTIONS]
        base, more, columns = last.partition(MORE)
        form = registry.find(base, known)
        form = with_more(form, columns) if more else form
        for field, unit in found.items():
            if (
                unit not in (*UNITS, units.UNTOLD, units.FRACTIONS)
                or field not in form.fields
                or form.fields[field].role != "duration"
            ):
                raise FormatError(f"{one}: {field}={unit} is no duration's unit", f"units are {', '.join(UNITS)}")
        form = units.fractional(units.undetermined(units.with_units(form, settled), untold), fractional)
        if form.wraps:
            raise FormatError(f"{form.name} is a wrapper", f"say what is in it: {form.name}/combined, or leave it out")
        around = tuple(_wrapper(part, known) for part in outer)
        stacks += [FormatStack(one, around) for one in (form, *(registry.find(other, known) for other in form.also))]
    return list({stack.spelling: stack for stack in stacks}.values())


def _wrapper(name: str, known: Mapping[str, Format]) -> Format:
    form = registry.find(name, known)
    if not form.wraps:
        wrappers = ", ".join(sorted(f.name for f in known.values() if f.wraps))
        raise FormatError(f"{name} is no wrapper", f"before a / stands one of {wrappers}")
    return form


def with_more(form: Format, columns: str = "") -> Format:
    """The format, followed by unknown columns, or by a duration (`SECONDS` with a fraction, or a whole number).

    Of unknown columns a last one that holds addresses is X-Forwarded-For; if the format has no duration, what says that
    it is one is read as well. Raises FormatError if the format cannot be extended.
    """
    if form.engine != "delimited" or columns not in ("", SECONDS, DURATION):
        hint = f"a delimited format can have more columns after it: combined{MORE}, combined{MORE}{SECONDS}"
        raise FormatError(f"{form.name}{MORE}{columns} means nothing", hint)
    variable, field = {
        "": (_MORE, Field("forwarded_for", looks=_BALANCED, extract=_LAST_ADDRESSES, unnamed=True)),
        SECONDS: ("duration", Field("duration", unit="s", looks=r"^(?:[0-9]+\.[0-9]{3,9}|-)$", unnamed=True)),
        DURATION: ("duration", Field("duration", unit="auto", looks=r"^(?:[0-9]+|-)$", unnamed=True)),
    }[columns]
    pattern = f"{form.pattern} ${{{variable}}}"
    name = f"{form.name}{MORE}{columns}"
    said = {} if columns else {name: one for name, one in _SAID.items() if one.role not in form.roles}
    return replace(form, name=name, pattern=pattern, fields={**form.fields, variable: field, **said}, samples=())


@dataclass(frozen=True, slots=True)
class StackReader:
    """Reads the chunks of a source into batches. Threads may share it."""

    stacks: tuple[FormatStack, ...]
    readers: tuple[tuple[tuple[Wrapper, ...], Reader], ...]  # these read only lines that fit their format,
    lenient: tuple[Reader, ...]  # and these, of the same stacks, all that can be read
    named: bool = False  # by the user

    @property
    def name(self) -> str:
        """The stacks, as `--format` takes them."""
        return name_of(self.stacks)

    @property
    def partial(self) -> bool:
        """Whether a line may be logged in parts, so that a chunk may end in the middle of one."""
        return any(wrapper.partial for wrappers, _ in self.readers for wrapper in wrappers)

    @property
    def pairs(self) -> bool:
        """Whether a line may go on from another that came before (`beginnings`)."""
        return any(stack.format.pairs for stack in self.stacks)

    @property
    def directed(self) -> bool:
        """Whether the format has directives, which say what the lines after them mean."""
        return any(stack.format.engine == "w3c" for stack in self.stacks)

    def __call__(self, text: Text, counter: Counter | None = None) -> Batch:
        """Read each line with the first stack that it fits, then what is left with the first that can read it. Those
        that a `counter` takes have no rows."""
        if self._as_named:
            return self.lenient[0](unwrapped(text, self.readers[0][0]), counter)
        return with_rest(text, self.fitting(text, counter), [self])

    def fitting(self, text: Text, counter: Counter | None = None) -> Batch:
        """Read each line with the first stack that it fits. A line that could be read, but may well be of another
        format, is rejected as `DOUBTFUL`."""
        wrappers, ready = self.readers[0]
        batch = ready.fitting(unwrapped(text, wrappers), counter=counter)
        return with_further(text, batch, self.apart[1:]) if len(self.readers) > 1 else batch

    def counted(self, text: Text, counter: Counter) -> tuple[Any, kernels.Places] | None:
        """What a counter makes of lines of the first stack, as `fitting` has it count them, and the places of the lines
        that are left; None if lines have to be seen through wrappers or directives first, or if it counts none."""
        wrappers, ready = self.readers[0]
        if wrappers or self.directed:
            return None
        return counter.of_text(self.lenient[0] if self._as_named else ready, text)

    def refused(self, lines: Sequence[str]) -> list[str] | None:
        """Why no stack can read any of some lines: the reason for each. None if one of them may be read, or ignored, or
        has to be seen with others."""
        if self.directed or self.partial or self.pairs or any(wrappers for wrappers, _ in self.readers):
            return None
        if any(map(ignorable, lines)):
            return None
        reasons = []
        for line in lines:
            found = [_reason(ready, line) for _, ready in self.readers] if not self._as_named else [DOUBTFUL]
            if DOUBTFUL in found:  # as `with_rest` has it
                found = [_reason(ready, line) for ready in self.lenient]
            if not all(found):
                return None
            reasons.append(found[0] or "")
        return reasons

    @property
    def _as_named(self) -> bool:
        """Whether all that can be read is read with one format."""
        return len(self.readers) == 1 and self.named and not self.lenient[0].looks

    @property
    def apart(self) -> tuple[StackReader, ...]:
        """A reader for each stack."""
        parts = zip(self.stacks, self.readers, self.lenient, strict=True)
        return tuple(StackReader((one,), (ready,), (lenient,), self.named) for one, ready, lenient in parts)

    def of_lines(self, text: Text, lines: kernels.Places, *, rest: bool = False) -> Batch:
        """What the first stack reads of some lines: those that fit, or, for the `rest`, all that can be read."""
        wrappers, ready = self.readers[0]
        read = self.lenient[0].rest if rest else ready.fitting
        # The parts of a line are joined before any of them is left out.
        inner = unwrapped(text, wrappers).gather(lines) if self.partial else unwrapped(text.gather(lines), wrappers)
        return read(inner).among(lines, len(text))

    def stop(self, line: str, reason: str) -> tuple[str, int]:
        """(a rejected line without its wrappers, the position at which the first stack cannot read on)."""
        inside = self.unwrap_line(line)
        ready = self.lenient[0]
        role = reason.removeprefix("bad_")
        name = next((name for name, field in ready.format.fields.items() if role in (field.role, name)), "")
        return inside, min(ready.tokenise.stop(inside, name), len(inside))

    def unwrap_line(self, line: str) -> str:
        """A line without the wrappers of the first stack."""
        return str(unwrapped(Text.from_lines(pl.Series([line])), self.readers[0][0]).lines[0])


def _reason(ready: Reader, line: str) -> str:
    """Why a reader cannot read a line; nothing if it may."""
    try:
        ready.tokenise.scan(line)
    except Reject as reject:
        return reject.reason
    return ""


def unwrapped(text: Text, wrappers: Sequence[Wrapper]) -> Text:
    """The lines without their wrappers; times and programs in these are kept in the `envelope`."""
    for wrapper in wrappers:
        text = wrapper(text)
    return text


def stack_reader(stacks: Sequence[FormatStack], reading: ReadOptions, *, named: bool = False) -> StackReader:
    """Prepare stacks for reading. `named` says that the user asked for them."""
    wrappers = [tuple(Wrapper(wrapper, reading.zone) for wrapper in one.wrappers) for one in stacks]
    strict = [reader(one.format, reading, doubtful=True, named=named, strict=True) for one in stacks]
    lenient = [reader(one.format, reading, doubtful=not named, named=named) for one in stacks]
    return StackReader(tuple(stacks), tuple(zip(wrappers, strict, strict=True)), tuple(lenient), named)


def with_further(text: Text, batch: Batch, readers: Sequence[StackReader]) -> Batch:
    """The batch, with each rejected line read by the first of these readers, of one stack each, that it fits."""
    for ready in readers:
        if not batch.rejected.height:
            break
        rejected = batch.rejected
        if ready.stacks[0].has_more:  # an odd value does not make the rest of its line further columns
            rejected = rejected.filter(pl.col("reason") != DOUBTFUL)
        left = np.sort(rejected["line"].to_numpy())
        offered = left
        if ready.directed:
            offered = np.union1d(left, _directives(text))
        if not len(left):
            continue
        found = ready.of_lines(text, offered)
        batch = _with_rows(batch, found)
        doubts = _doubtful(found)
        if doubts.len():
            is_doubtful = pl.col("line").is_in(doubts.implode())
            reason = pl.when(is_doubtful).then(pl.lit(DOUBTFUL)).otherwise("reason")
            batch = replace(batch, rejected=batch.rejected.with_columns(reason.alias("reason")))
        if ready.partial:  # parts of a line that is read where it begins, and records without a line
            read = np.concatenate([found.rows["line"].to_numpy(), found.rejected["line"].to_numpy()])
            blank = pl.col("line").is_in(np.setdiff1d(left, read).tolist())
            ignored = batch.rejected.filter(blank).height
            batch = replace(batch, rejected=batch.rejected.filter(~blank), ignored=batch.ignored + ignored)
    return batch


def with_rest(text: Text, batch: Batch, readers: Sequence[StackReader]) -> Batch:
    """The batch, with each doubtful line read by the first stack that can read it; those that none can are rejected."""
    found_lines: list[pl.Series] = []
    found_reasons: list[pl.Series] = []
    for ready in [one for all_of_source in readers for one in all_of_source.apart]:
        doubtful = np.sort(_doubtful(batch).to_numpy())
        if not len(doubtful):
            return batch
        offered = np.union1d(doubtful, _directives(text)) if ready.directed else doubtful
        found = ready.of_lines(text, offered, rest=True)
        batch = _with_rows(batch, found)
        found_lines.append(found.rejected["line"])
        found_reasons.append(found.rejected["reason"])
    if not found_lines:
        return batch
    lines = pl.concat(found_lines).to_numpy()
    found_at = np.full(len(text), -1)
    found_at[lines[::-1]] = np.arange(len(lines))[::-1]  # the first of each line
    places = (batch.rejected["reason"] == DOUBTFUL).arg_true().to_numpy()
    found_at = found_at[batch.rejected["line"].to_numpy()[places]]
    reasons = pl.concat(found_reasons).gather(as_numbers(found_at[found_at >= 0]))
    named = batch.rejected["reason"].scatter(as_numbers(places[found_at >= 0]), reasons)
    return replace(batch, rejected=pl.DataFrame([batch.rejected["line"], named]))


def _doubtful(batch: Batch) -> pl.Series:
    """The rejected lines that may be of another format."""
    return batch.rejected["line"].filter(batch.rejected["reason"] == DOUBTFUL)


def _directives(text: Text) -> kernels.Places:
    return text.lines.str.contains(IS_DIRECTIVE).arg_true().to_numpy()


def _with_rows(batch: Batch, found: Batch) -> Batch:
    """The batch, with the rows that were found of lines that it rejects."""
    if not found.rows.height:
        return batch
    rows = pl.concat([batch.rows, found.rows], how="diagonal") if batch.rows.height else found.rows
    if "kind" in rows.columns:
        rows = rows.with_columns(pl.col("kind").fill_null("request"))
    invalid = dict(batch.invalid)
    for name, odd in found.invalid.items():
        invalid[name] = pl.concat([*([invalid[name]] if name in invalid else []), odd])
    rejected = batch.rejected.filter(~pl.col("line").is_in(found.rows["line"].implode()))
    return replace(batch, rows=rows.sort("line"), rejected=rejected, invalid=invalid)
