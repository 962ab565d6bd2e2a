"""What a run tells its caller while it goes on."""

from __future__ import annotations

from typing import Protocol

from logstats.errors import SourceError
from logstats.formats.detection.detect import Detected
from logstats.inputs import Source
from logstats.pipeline.counts import Counts


class Reading(Protocol):
    """How far a source is read, in bytes on disk; `total_bytes` is None if that is not known."""

    @property
    def source(self) -> Source: ...
    @property
    def total_bytes(self) -> int | None: ...
    @property
    def read_bytes(self) -> int: ...


class Listener(Protocol):
    """Receives progress events. Methods are called on the main thread only."""

    def format_found(self, source: str, found: Detected) -> None: ...
    def format_added(self, source: str, name: str, line: int) -> None: ...
    def format_unknown(self, source: str) -> None: ...
    def note(self, source: str, text: str) -> None: ...
    def problem(self, error: SourceError) -> None: ...
    def progress(self, reader: Reading | None, counts: Counts) -> None: ...


class Silence:
    """A listener that ignores all events; the default of the library."""

    def format_found(self, source: str, found: Detected) -> None:
        """Do nothing."""

    def format_added(self, source: str, name: str, line: int) -> None:
        """Do nothing."""

    def format_unknown(self, source: str) -> None:
        """Do nothing."""

    def note(self, source: str, text: str) -> None:
        """Do nothing."""

    def problem(self, error: SourceError) -> None:
        """Do nothing."""

    def progress(self, reader: Reading | None, counts: Counts) -> None:
        """Do nothing."""


class Once:
    """Tells a listener what is new of a source, but not that the next file of a log has the format of the last one."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._said: set[tuple[str, ...]] = set()

    def _is_new(self, *what: str) -> bool:
        new = what not in self._said
        if len(self._said) < 10_000:
            self._said.add(what)
        return new

    def format_found(self, source: str, found: Detected) -> None:
        """Say it once."""
        if self._is_new(source, found.name):
            self._listener.format_found(source, found)

    def format_added(self, source: str, name: str, line: int) -> None:
        """Say it once."""
        if self._is_new(source, name):
            self._listener.format_added(source, name, line)

    def format_unknown(self, source: str) -> None:
        """Say it once."""
        if self._is_new(source, ""):
            self._listener.format_unknown(source)

    def note(self, source: str, text: str) -> None:
        """Say it once."""
        if self._is_new(source, "", text):
            self._listener.note(source, text)

    def problem(self, error: SourceError) -> None:
        """Hand it on."""
        self._listener.problem(error)

    def progress(self, reader: Reading | None, counts: Counts) -> None:
        """Hand it on."""
        self._listener.progress(reader, counts)
