"""Verdicts: for each format, whether it reads the lines of a sample, and if not, why.

A format that reads the lines may still not be the one they have: another one is more specific, or makes likelier
durations of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from logstats.dataclass import dataclass
from logstats.formats.detection.candidates import Candidate, Sample
from logstats.formats.detection.detect import ODD, Detected, as_read, sample_of
from logstats.formats.detection.prefilter import Prefilter
from logstats.formats.engines.base import engine
from logstats.formats.engines.scan import DOUBTFUL, Reject
from logstats.formats.model import FINGERPRINT, FOREIGN, Format
from logstats.formats.reader import UNLIKE, may_be_absent
from logstats.formats.text import NO_CONTEXT, Context, Text

NO_REQUEST: Final = "no_request"  # it can be read, but is neither a request nor an event
BEHAVIOUR: Final = "behaviour"  # a column without a name does not behave like a duration
LESS_SPECIFIC, FEWER_LINES, FEWER_FIELDS = "less_specific", "fewer_lines", "fewer_fields"
ODD_DURATIONS, OTHER_NAME = "odd_durations", "other_name"


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a line is not of a format: the reason, and if it is known the character at which reading stopped, and the
    field with the value that does not fit."""

    reason: str
    column: int | None = None
    field: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many lines of a sample a format reads, and whether it was `chosen`. If not, or not for all lines: why, with
    the first line that it does not read (from 0, None if it reads all)."""

    format: Format
    read: int
    lines: int
    chosen: bool
    misfit: Misfit | None
    line: int | None


def verdicts(
    formats: Collection[Format], lines: Sequence[str], found: Detected | None, context: Context = NO_CONTEXT
) -> list[Verdict]:
    """The verdicts on these formats, those that read most lines first. The lines are taken as they are inside the
    wrappers that were found."""
    sample = Sample(as_read(sample_of(lines)), context)
    for wrapper in found.stacks[0].wrappers if found else ():
        sample = sample.without(Prefilter(wrapper)) or sample
    made = [_verdict(Prefilter(form), sample, found) for form in formats if not form.wraps]
    return sorted(made, key=lambda verdict: (not verdict.chosen, -verdict.read, verdict.format.name))


def _verdict(prefilter: Prefilter, sample: Sample, found: Detected | None) -> Verdict:
    form = prefilter.format
    candidate = sample.contender(prefilter).candidate(sample.filled)
    read = {*candidate.rows["line"].to_list()} if candidate.plausible else set()
    left = next((place for place in sample.filled if place not in read), None)
    chosen = found is not None and any(stack.format.name.partition("{")[0] == form.name for stack in found.stacks)
    if candidate.unnamed is not None and not candidate.plausible and candidate.read:
        misfit: Misfit | None = Misfit(BEHAVIOUR, value=candidate.unnamed.like)
    elif left is not None:
        misfit = why_not(prefilter, sample.lines[left], sample.text.context)
    else:
        misfit = None if chosen or found is None else _beaten(candidate, found)
    return Verdict(form, len(read), len(sample.filled), chosen, misfit, left)


def why_not(prefilter: Prefilter, line: str, context: Context = NO_CONTEXT) -> Misfit:
    """Why a line is not of a format."""
    form = prefilter.format
    tokeniser = engine(form, list(form.fields), strict=True)
    try:
        texts = tokeniser.scan(line)
    except Reject as reject:
        if reject.reason != DOUBTFUL:
            return Misfit(reject.reason, reject.column or tokeniser.stop(line))
        return Misfit("unbalanced_quote", reject.column)
    if FINGERPRINT in form.fields and texts.get(FINGERPRINT) is None:
        return Misfit("no_fingerprint", value=", ".join(form.fingerprint))
    if texts.get(FOREIGN) is not None:
        return Misfit("foreign_key", value=next((key for key in form.foreign if f'"{key}"' in line), ""))
    batch = prefilter.reader.fitting(Text.from_bytes(line.encode(), context=context))
    reason = batch.rejected["reason"][0] if batch.rejected.height else NO_REQUEST
    for name, field in form.fields.items():
        text = texts.get(name)
        looked_at = reason in (DOUBTFUL, UNLIKE) and field.looks is not None
        if looked_at and not (may_be_absent(field) if text is None else re.search(field.looks or "", text)):
            return Misfit(UNLIKE, tokeniser.stop(line, name), name, text or "")
        if reason == f"bad_{field.role}" or (field.role == "ignored" and reason == f"bad_{name}"):
            return Misfit(reason, tokeniser.stop(line, name), name, text or "")
    if reason == DOUBTFUL:  # a number that is none, or a time that is none
        for name in (*batch.invalid, "bytes", "duration", "timestamp", "date"):
            if text := texts.get(name) or "":
                return Misfit(UNLIKE, tokeniser.stop(line, name), name, text)
    return Misfit(reason)


def _beaten(candidate: Candidate, found: Detected) -> Misfit:
    """Why a format that reads all lines is not the one that they have."""
    best = found.ranking[0]
    name = best.format.name
    if candidate.odd_durations() > max(ODD, best.odd_durations()):
        return Misfit(ODD_DURATIONS, value=name)
    if candidate.format.priority < best.format.priority:
        return Misfit(LESS_SPECIFIC, value=name)
    if candidate.weight < best.weight:
        return Misfit(FEWER_LINES, value=name)
    return Misfit(FEWER_FIELDS if candidate.explained < best.explained else OTHER_NAME, value=name)
