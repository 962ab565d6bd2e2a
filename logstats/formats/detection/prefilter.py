"""A cheap look at single lines, which rules most formats out before they read the sample."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Final, NamedTuple

from logstats.formats.detection.screen import Screen, screen_of
from logstats.formats.engines.base import engine
from logstats.formats.engines.scan import Reject, Scan
from logstats.formats.fields import numbers
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.fields.requests import PathTemplates
from logstats.formats.fields.shapes import with_ident
from logstats.formats.model import FINGERPRINT, FOREIGN, Field, Format
from logstats.formats.reader import Reader, may_be_absent, may_be_events, reader, with_marks
from logstats.formats.wrappers.stack import with_more
from logstats.formats.wrappers.wrapper import Wrapper
from logstats.frames import pl

EVENT: Final = 0.25  # of the value of a request: a wrapper around access lines can look like an application's line

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

    def endpoint(self, path: str) -> str:
        return path

    def parameters(self, _queries: pl.Series) -> pl.Series | None:
        return None


_NO_ENDPOINTS: Final[PathTemplates] = _NoEndpoints()
READING: Final = ReadOptions(_NO_ENDPOINTS, wanted=_WANTED)


class Estimate(NamedTuple):
    """An upper bound of a line's value (1 as a request, `EVENT` as an event), and the texts of its fields."""

    worth: float
    texts: Mapping[str, str | None]


NOTHING: Final = Estimate(0.0, {})


class Prefilter:
    """Estimates lines for one format, by its reference path. Everything is prepared when it is first used."""

    def __init__(self, form: Format, *, named: bool = False, more: str | None = None) -> None:
        """If the user `named` the format, its fingerprint is not required. With `more`, it is the format followed by
        such columns (`with_more`)."""
        self._form, self._named, self._more = form, named, more

    @cached_property
    def original(self) -> Format:
        """The format as it was given, or extended."""
        return self._form if self._more is None else with_more(self._form, self._more)

    @cached_property
    def screen(self) -> Screen:
        """What any line that the format reads has in it."""
        screen = screen_of(self._form, named=self._named)
        return screen if self._more is None else screen.with_more()

    @cached_property
    def format(self) -> Format:
        """The format, with fields for what shows whether a line is of it."""
        return with_ident(self.original if self._named else with_marks(self.original))

    @cached_property
    def _fields(self) -> dict[str, Field]:
        return {**self.format.fields}

    @cached_property
    def _strict(self) -> bool:
        return not self._named and not self.original.wraps

    def __call__(self, line: str) -> Estimate:
        """An upper bound of a line's value: 0 if `Reader.fitting` would certainly reject the line."""
        try:
            texts = self._scan(line)
        except Reject:
            return NOTHING
        for name, number, absent in self._numbers:
            text = texts.get(name)
            if text and text != "-" and text not in absent and number(text) is None:
                return NOTHING
        fields = self._fields
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
        return engine(self.format, list(self._fields), strict=self._strict).scan

    @cached_property
    def _numbers(self) -> list[tuple[str, Callable[[str], int | None], tuple[str, ...]]]:
        """Variables that must be numbers, or a text for no value, in a line of this format. It is empty for engines
        that find values by key, where an odd value does not show another format."""
        return [
            (name, _NUMBERS[field.role], field.absent)
            for name, field in self.format.fields.items()
            if field.role in _NUMBERS and not field.extract and not field.decode and not may_be_events(self.format)
        ]

    @cached_property
    def _looks(self) -> list[tuple[str, re.Pattern[str], bool]]:
        """Variables with an expected form in this format, and whether they may be absent."""
        return [
            (name, re.compile(field.looks), may_be_absent(field))
            for name, field in self.format.fields.items()
            if field.looks is not None
        ]

    @cached_property
    def reader(self) -> Reader:
        """The format's reader, for the columns that show how well lines fit."""
        return reader(self.format, READING, doubtful=True, named=self._named, strict=self._strict)

    @cached_property
    def wrapper(self) -> Wrapper:
        """The wrapper that removes it, if the format is one."""
        return Wrapper(self.format)
