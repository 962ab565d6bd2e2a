"""What a user of the screen has chosen, and what keys do to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from logstats.dataclass import dataclass
from logstats.live.snapshot import Snapshot
from logstats.reports.model import EndpointRow
from logstats.summaries.names import SORTS

HELP: Final = (
    ("q", "quit; the report of the session is printed"),
    ("s", "next order of the endpoints"),
    ("/", "show only endpoints that contain a text; Enter keeps it, Esc drops it"),
    ("p", "pause: the screen stands still, reading goes on"),
    ("↑ ↓", "choose an endpoint"),
    ("Enter", "its statuses, latencies, users and last requests; Esc goes back"),
    ("?", "this help"),
)
_KEYS: Final = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\r": "enter",
    b"\n": "enter",
    b"\x1b": "escape",
    b"\x7f": "backspace",
    b"\x08": "backspace",
}


def keys(data: bytes) -> Iterator[str]:
    """What a terminal sent → keys: a character, or up, down, enter, escape, backspace; others are left out."""
    while data:
        for sequence, name in _KEYS.items():
            # Esc alone is a key; otherwise it begins a sequence.
            if data.startswith(sequence) and (sequence != b"\x1b" or data[1:2] not in (b"[", b"O")):
                yield name
                data = data[len(sequence) :]
                break
        else:
            if data.startswith(b"\x1b"):  # some other key: to the letter or tilde that ends it
                end = next((i for i, byte in enumerate(data[2:], 2) if 0x40 <= byte <= 0x7E), len(data) - 1)
                data = data[end + 1 :]
                continue
            text = data.decode("utf-8", "ignore")[:1]
            if text.isprintable() and text:
                yield text
            data = data[max(1, len(text.encode())) :]


@dataclass(slots=True)
class View:
    """The state of the screen."""

    sort: str = "avg"
    paused: bool = False
    help: bool = False
    typing: bool = False  # a filter is being typed
    filter: str = ""
    chosen: int = 0  # the place of an endpoint among those that are shown
    inside: tuple[str | None, str] | None = None  # the endpoint that was entered: method and endpoint

    def shown(self, rows: Sequence[EndpointRow]) -> list[EndpointRow]:
        """The endpoints that pass the filter."""
        wanted = self.filter.lower()
        return [row for row in rows if wanted in row.name.lower()]

    def press(self, key: str, snapshot: Snapshot | None) -> bool:
        """What a key does; whether it was the one that ends."""
        if self.typing:
            self._type(key)
        elif self.help:
            self.help = False
        elif key == "q":
            return True
        elif key == "?":
            self.help = True
        elif key == "p":
            self.paused = not self.paused
        elif key == "s":
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
            self.chosen = 0
        elif key == "/":
            self.typing, self.inside = True, None
        elif key == "escape":
            self.inside, self.filter = None, self.filter if self.inside else ""
        elif snapshot is not None:
            self._choose(key, self.shown(snapshot.endpoints))
        return False

    def _type(self, key: str) -> None:
        self.chosen = 0
        if key in ("enter", "escape"):
            self.typing = False
            self.filter = "" if key == "escape" else self.filter
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1:
            self.filter = (self.filter + key)[:200]

    def _choose(self, key: str, rows: Sequence[EndpointRow]) -> None:
        self.chosen = max(0, min(self.chosen, len(rows) - 1))
        if key == "up":
            self.chosen = max(0, self.chosen - 1)
        elif key == "down":
            self.chosen = max(0, min(len(rows) - 1, self.chosen + 1))
        elif key == "enter" and rows and self.inside is None:
            row = rows[self.chosen]
            self.inside = (row.method, row.endpoint)
