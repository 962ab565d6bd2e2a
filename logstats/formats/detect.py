"""Which format reads a source best: every candidate tries the first lines, and what makes most sense wins."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from logstats.formats.convert import EndpointsOf, Reading
from logstats.formats.engine import reader
from logstats.formats.model import Format
from logstats.formats.text import Text
from logstats.formats.tokens import ignorable

SAMPLE_LINES: Final = 100
SAMPLE_BYTES: Final = 64 << 10  # of each line this much is looked at, at the most


@dataclass(frozen=True, slots=True)
class Candidate:
    """How well a format reads the sample."""

    format: Format
    read: int  # lines read whose fields make sense
    lines: int  # lines in the sample, without blank ones and directives
    explained: int  # how many fields it finds

    @property
    def share(self) -> float:
        """The part of the sample that it reads, from 0 to 1."""
        return self.read / self.lines if self.lines else 0.0


class _NoEndpoints:
    def of(self, paths: pl.Series) -> pl.Series:
        return paths


_NO_ENDPOINTS: Final[EndpointsOf] = _NoEndpoints()


def sample_of(lines: Iterable[str]) -> list[str]:
    """The lines that detection looks at: the first that are neither blank nor directives."""
    sample: list[str] = []
    for line in lines:
        if not ignorable(line) and len(line) <= SAMPLE_BYTES:
            sample.append(line)
            if len(sample) == SAMPLE_LINES:
                break
    return sample


def rank(lines: Iterable[str], formats: Collection[Format]) -> list[Candidate]:
    """Candidates that read at least one line of the sample, best first.

    Most lines read wins; of equals, the one that explains more of the line.
    """
    sample = sample_of(lines)
    if not sample:
        return []
    text = Text.of("\n".join(sample).encode())
    candidates = [_try(format, text) for format in formats if _worth_trying(format, sample)]
    found = [candidate for candidate in candidates if candidate.read]
    return sorted(found, key=lambda c: (-c.read, -c.explained, -c.format.priority, c.format.name))


def _worth_trying(format: Format, sample: list[str]) -> bool:
    """A look at the first characters saves most formats the trouble."""
    objects = sum(line.lstrip().startswith("{") for line in sample)
    if format.engine == "json":
        return objects > 0
    if objects == len(sample):
        return False
    if format.engine == "delimited" and '"' in format.pattern:
        return any('"' in line for line in sample)
    return format.engine != "keyvalue" or any("=" in line for line in sample)


def _try(format: Format, text: Text) -> Candidate:
    wanted = {
        "kind",
        "timestamp",
        "method",
        "status",
        "client_ip",
        "duration_ms",
        "message",
        "level",
        "bytes",
    }
    reading = Reading(_NO_ENDPOINTS, wanted=frozenset(wanted))
    ready = reader(format, reading)
    tokens = ready.tokenise(text)
    fields = tokens.fields
    for name, field in format.fields.items():
        if field.looks and name in fields.columns:
            fields = fields.filter(pl.col(name).str.contains(field.looks))
    rows = ready.convert(replace(tokens, fields=fields), len(text)).rows
    good = rows.filter(
        (pl.col("kind") == "event" if ready.events else pl.lit(value=False))
        | pl.col("status").is_not_null()
        | (pl.col("method").is_not_null() & pl.col("timestamp").is_not_null())
    )
    if "timestamp" in format.roles | {"date"}:
        timed = good.filter(pl.col("timestamp").is_not_null())
        good = timed if timed.height else good.clear() if format.engine == "regex" else good
    explained = sum(good[name].null_count() < good.height for name in good.columns)
    explained += len(re.findall(r"\$\w+", format.pattern))
    return Candidate(format, good.height, len(text), explained)
