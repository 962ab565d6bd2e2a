"""Local copies of files that lie on a store: bounded in bytes, and gone with the process."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from logstats.archive.log.storage import cannot_write
from logstats.critical import uninterrupted
from logstats.dataclass import dataclass

MOST: Final = 8 << 30  # bytes of all copies, or half of the free space if that is less; one step may need more


@dataclass(frozen=True, slots=True)
class _Copy:
    number: int
    bytes: int
    sha256: str


class Copies:
    """Copies of files by path. Threads may share them.

    The files of the last `hold` are kept; others make room for new ones, those first that were not used for longest.
    Whoever has a copy open goes on reading it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._made: OrderedDict[str, _Copy] = OrderedDict()
        self._needed: frozenset[str] = frozenset()
        self._most = MOST
        self._count = 0
        self.fetched = 0

    def hold(self, files: Iterable[tuple[str, int]]) -> None:
        """Keep the copies of these files (path, bytes) until the next call, and make room for those that lack."""
        sizes = dict(files)
        with self._lock:
            self._needed = frozenset(sizes)
            self._make_room(sum(size for path, size in sizes.items() if path not in self._made))

    def get(self, path: str, content: Callable[[], Iterator[bytes]]) -> Path:
        """The place of a copy, which is made of `content` if there is none.

        Raises LogstatsError if it cannot be written, and what `content` raises.
        """
        with self._lock:
            making = self._making.setdefault(path, threading.Lock())
        with making:
            with self._lock:
                if path in self._made:
                    self._made.move_to_end(path)
                    return self._place(self._made[path].number)
                self._count += 1
                place = self._place(number := self._count)
            digest, size = hashlib.sha256(), 0
            try:
                with place.open("wb") as file:
                    for piece in content():
                        digest.update(piece)
                        size += len(piece)
                        file.write(piece)
            except OSError as error:
                raise cannot_write(error, place) from None
            with self._lock:
                self._made[path] = _Copy(number, size, digest.hexdigest())
                self.fetched += size
                self._make_room(0)
            return place

    def place(self, path: str) -> Path:
        """Where a copy lies, or would."""
        with self._lock:
            made = self._made.get(path)
            return self._place(made.number if made else 0)

    def digest(self, path: str) -> tuple[int, str] | None:
        """(bytes, SHA-256) of a copy as it came; None if there is none any more."""
        with self._lock:
            made = self._made.get(path)
        return (made.bytes, made.sha256) if made else None

    def number(self, path: str) -> tuple[int, ...]:
        """What tells a copy from any other; empty if there is none."""
        with self._lock:
            made = self._made.get(path)
        return (made.number,) if made else ()

    def _place(self, number: int) -> Path:
        if self._folder is None:
            with uninterrupted():
                # The object deletes the folder even if nobody does: a signal may end the program at any time.
                self._folder = tempfile.TemporaryDirectory(prefix="logstats-copies-", ignore_cleanup_errors=True)
            self._most = min(MOST, shutil.disk_usage(self._folder.name).free // 2)
        return Path(self._folder.name) / f"{number}.parquet"

    def _make_room(self, more: int) -> None:
        held = more + sum(made.bytes for made in self._made.values())
        for path in list(self._made):
            if held <= self._most:
                break
            if path not in self._needed:
                made = self._made.pop(path)
                held -= made.bytes
                self._place(made.number).unlink(missing_ok=True)
