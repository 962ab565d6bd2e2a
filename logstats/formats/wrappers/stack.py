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
from typing import Final

import numpy as np
import polars as pl

from logstats.dataclass import dataclass
from logstats.errors import FormatError
from logstats.formats import registry
from logstats.formats.fields import units
from logstats.formats.fields.columns import Batch, ReadOptions
from logstats.formats.model import UNITS, Field, Format
from logstats.formats.reader import Reader, reader
from logstats.formats.text import Text
from logstats.formats.wrappers.wrapper import Wrapper
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers

MORE: Final = "+"
SECONDS: Final = "seconds"  # behind it: a duration in seconds, with a fraction,
DURATION: Final = "duration"  # or one in whole numbers of a unit that the lines have to tell
_MORE: Final = "_more"
_BALANCED: Final = r'^(?:[^"\\]|\\.|"(?:[^"\\]|\\.)*")*$'  # every quote is closed
_ADDRESS: Final = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)"
_LAST_ADDRESSES: Final = rf'^.*?"?((?:{_ADDRESS}(?:, *{_ADDRESS})*)?)"?$'
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


def name_of(stacks: Sequence[FormatStack]) -> str:
    """The stacks of a source as one name, as `--format` takes it."""
    return "|".join(stack.name for stack in stacks)


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
        last, settled = units.parse_name(last)
        base, more, columns = last.partition(MORE)
        form = registry.find(base, known)
        form = with_more(form, columns) if more else form
        for field, unit in settled.items():
            if unit not in UNITS or field not in form.fields or form.fields[field].role != "duration":
                raise FormatError(f"{one}: {field}={unit} is no duration's unit", f"units are {', '.join(UNITS)}")
        form = units.with_units(form, settled)
        if form.wraps:
            raise FormatError(f"{form.name} is a wrapper", f"say what is in it: {form.name}/combined, or leave it out")
        around = tuple(_wrapper(part, known) for part in outer)
        stacks += [FormatStack(one, around) for one in (form, *(registry.find(other, known) for other in form.also))]
    return list({stack.name: stack for stack in stacks}.values())


def _wrapper(name: str, known: Mapping[str, Format]) -> Format:
    form = registry.find(name, known)
    if not form.wraps:
        wrappers = ", ".join(sorted(f.name for f in known.values() if f.wraps))
        raise FormatError(f"{name} is no wrapper", f"before a / stands one of {wrappers}")
    return form


def with_more(form: Format, columns: str = "") -> Format:
    """The format, followed by unknown columns, or by a duration (`SECONDS` with a fraction, or a whole number).

    Of unknown columns a last one that holds addresses is X-Forwarded-For. Raises FormatError if the format cannot be
    extended.
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
    return replace(form, name=name, pattern=pattern, fields={**form.fields, variable: field}, samples=())


@dataclass(frozen=True, slots=True)
class StackReader:
    """Reads the chunks of a source into batches. Threads may share it."""

    stacks: tuple[FormatStack, ...]
    readers: tuple[tuple[tuple[Wrapper, ...], Reader], ...]

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

    def __call__(self, text: Text) -> Batch:
        wrappers, first = self.readers[0]
        if len(self.readers) == 1:
            return first(unwrapped(text, wrappers))
        # Each stack reads the lines that fit it; the first stack reads the rest, whatever its form.
        left = np.arange(len(text))
        batches, places = [], []
        inside: dict[tuple[str, ...], Text] = {}  # the parts of a line are joined once for all stacks
        for wrappers, ready in self.readers:
            names = tuple(wrapper.format.name for wrapper in wrappers)
            if names not in inside:
                inside[names] = unwrapped(text, wrappers)
            batches.append(ready.fitting(inside[names].gather(left)))
            places.append(left)
            left = np.delete(left, batches[-1].rows["line"].to_numpy())
        wrappers, _ = self.readers[0]
        batches.append(first(inside[tuple(wrapper.format.name for wrapper in wrappers)].gather(left)))
        places.append(left)
        return _joined(batches, places, len(text))

    def fitting(self, text: Text) -> Batch:
        """Read lines that may be of any format, and keep those that fit the first stack."""
        wrappers, ready = self.readers[0]
        return ready.fitting(unwrapped(text, wrappers))

    def stop(self, line: str, reason: str) -> tuple[str, int]:
        """(a rejected line without its wrappers, the position at which the first stack cannot read on)."""
        inside = self.unwrap_line(line)
        ready = self.readers[0][1]
        role = reason.removeprefix("bad_")
        name = next((name for name, field in ready.format.fields.items() if role in (field.role, name)), "")
        return inside, min(ready.tokenise.stop(inside, name), len(inside))

    def unwrap_line(self, line: str) -> str:
        """A line without the wrappers of the first stack."""
        return str(unwrapped(Text.from_lines(pl.Series([line])), self.readers[0][0]).lines[0])


def unwrapped(text: Text, wrappers: Sequence[Wrapper]) -> Text:
    """The lines without their wrappers; times and programs in these are kept in the `envelope`."""
    for wrapper in wrappers:
        text = wrapper(text)
    return text


def stack_reader(
    stacks: Sequence[FormatStack], reading: ReadOptions, *, named: bool = False, further: bool = False
) -> StackReader:
    """Prepare stacks for reading. `named` says that the user asked for them, `further` that they read lines which
    others left (`fitting`)."""
    ready = [
        (
            tuple(Wrapper(wrapper, reading.zone) for wrapper in one.wrappers),
            reader(one.format, reading, doubtful=further or len(stacks) > 1, named=named),
        )
        for one in stacks
    ]
    return StackReader(tuple(stacks), tuple(ready))


def with_further(text: Text, batch: Batch, readers: Sequence[StackReader]) -> Batch:
    """The batch, with each rejected line read by the first of the further readers that can read it."""
    for ready in readers:
        if not batch.rejected.height:
            break
        left = np.sort(batch.rejected["line"].to_numpy())
        if ready.directed:
            kept = text.lines.str.contains("^#(?:Fields|Date):").to_numpy().copy()
            kept[left] = True
            left = np.flatnonzero(kept)
        found = ready.fitting(text.gather(left))
        if found.rows.height:
            places = as_numbers(left.astype(np.uint32))
            read = found.rows.with_columns(places.gather(found.rows["line"]).alias("line"))
            rows = pl.concat([batch.rows, read], how="diagonal") if batch.rows.height else read
            if "kind" in rows.columns:
                rows = rows.with_columns(pl.col("kind").fill_null("request"))
            invalid = dict(batch.invalid)
            for name, odd in found.invalid.items():
                invalid[name] = pl.concat([*([invalid[name]] if name in invalid else []), places.gather(odd)])
            rejected = batch.rejected.filter(~pl.col("line").is_in(read["line"].implode()))
            batch = replace(batch, rows=rows.sort("line"), rejected=rejected, invalid=invalid)
    return batch


def _joined(batches: Sequence[Batch], among: Sequence[kernels.Places], lines: int) -> Batch:
    """Join batches of parts of a chunk; `among` are the lines of each. The last batch has the rejected lines."""
    places = [as_numbers(part.astype(np.uint32)) for part in among]
    rows = pl.concat(
        (b.rows.with_columns(p.gather(b.rows["line"]).alias("line")) for b, p in zip(batches, places, strict=True)),
        how="diagonal",
    )
    if "kind" in rows.columns:
        rows = rows.with_columns(pl.col("kind").fill_null("request"))
    invalid: dict[str, pl.Series] = {}
    for batch, place in zip(batches, places, strict=True):
        for name, odd in batch.invalid.items():
            found = place.gather(odd)
            invalid[name] = invalid[name].append(found) if name in invalid else found
    last = batches[-1]
    rejected = last.rejected.with_columns(places[-1].gather(last.rejected["line"]).alias("line"))
    return Batch(rows, rejected, last.ignored, lines, invalid)
