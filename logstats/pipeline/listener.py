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
