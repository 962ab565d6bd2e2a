"""A cheap look at one line: what it could be worth to a format, so that few formats have to be tried in earnest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Final, NamedTuple

import polars as pl

from logstats.formats.engines.base import engine
from logstats.formats.engines.scan import Reject, Scan
from logstats.formats.fields import numbers
from logstats.formats.fields.columns import FINGERPRINT, FOREIGN, ReadOptions
from logstats.formats.fields.requests import PathTemplates
from logstats.formats.fields.shapes import with_ident
from logstats.formats.model import Format
from logstats.formats.reader import Reader, may_be_absent, may_be_events, reader, with_marks
from logstats.formats.wrappers.wrapper import Wrapper

EVENT: Final = 0.25  # of what a request is worth: a wrapper around access lines can look like an application's line

_NUMBERS: Final[Mapping[str, Callable[[str], int | None]]] = {
    "status": numbers.status_code,
    "bytes": numbers.size,
    "duration": partial(numbers.nanoseconds, unit="ms", listed=True),
}
_REQUEST: Final = frozenset({"method", "status", "request", "payload"})  # a line without them is no request
_MESSAGE: Final = frozenset({"level", "message"})  # a line without them is no event

_WANTED: Final = frozenset(
    {"kind", "timestamp", "method", "status", "path", "client_ip", "duration_ms", "message", "level", "bytes"}
    | {"user_id", "host", "referer", "user_agent", "protocol", "query", "trace_id", "app_name"}
)


class _NoEndpoints:
    def templates(self, paths: pl.Series) -> pl.Series:
        return paths


_NO_ENDPOINTS: Final[PathTemplates] = _NoEndpoints()
_READING: Final = ReadOptions(_NO_ENDPOINTS, wanted=_WANTED)


class Estimate(NamedTuple):
    """What a line is worth at the most, 1 as a request, `EVENT` as an event; and the texts of its fields."""

    worth: float
    texts: Mapping[str, str | None]


NOTHING: Final = Estimate(0.0, {})


class Prefilter:
    """Looks at lines with the eyes of one format, by its reference path. Nothing is made ready before it is used."""

    def __init__(self, form: Format, *, named: bool = False) -> None:
        """Of a format that a user `named` no fingerprint is asked."""
        self.format = with_ident(form if named else with_marks(form))
        self._named = named

    def __call__(self, line: str) -> Estimate:
        """What a line is worth at the most; nothing if it is certain that `Reader.fitting` does not find in it what
        makes a line of this format."""
        try:
            texts = self._scan(line)
        except Reject:
            return NOTHING
        for name, number, absent in self._numbers:
            text = texts.get(name)
            if text and text != "-" and text not in absent and number(text) is None:
                return NOTHING
        fields = self.format.fields
        if (FINGERPRINT in fields and texts.get(FINGERPRINT) is None) or texts.get(FOREIGN) is not None:
            return NOTHING
        roles = {fields[name].role for name, text in texts.items() if text and text != "-" and name in fields}
        if (
            roles & _REQUEST
            and roles.issuperset(self.format.requires)
            and all(
                optional if (text := texts.get(name)) is None else looks.search(text)
                for name, looks, optional in self._looks
            )
        ):
            return Estimate(1.0, texts)
        return Estimate(EVENT, texts) if roles & _MESSAGE and may_be_events(self.format) else NOTHING

    @cached_property
    def _scan(self) -> Scan:
        return engine(self.format, list(self.format.fields)).scan

    @cached_property
    def _numbers(self) -> list[tuple[str, Callable[[str], int | None], tuple[str, ...]]]:
        """Variables by which it shows that a line has another shape if they are no numbers, and texts that stand for
        none. Where keys tell what a value is, an odd one says nothing of the shape."""
        return [
            (name, _NUMBERS[field.role], field.absent)
            for name, field in self.format.fields.items()
            if field.role in _NUMBERS and not field.extract and not field.decode and not may_be_events(self.format)
        ]

    @cached_property
    def _looks(self) -> list[tuple[str, re.Pattern[str], bool]]:
        """Variables that look a certain way in this format, and whether they may be absent."""
        return [
            (name, re.compile(field.looks), may_be_absent(field))
            for name, field in self.format.fields.items()
            if field.looks is not None
        ]

    @cached_property
    def reader(self) -> Reader:
        """What reads lines of the format in earnest, as far as it tells how well they fit."""
        return reader(self.format, _READING, doubtful=True, named=self._named)

    @cached_property
    def wrapper(self) -> Wrapper:
        """What takes it off, if the format is a wrapper."""
        return Wrapper(self.format)
