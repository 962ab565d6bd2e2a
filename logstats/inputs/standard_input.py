"""Standard input as a source that goes on: a pipe from `docker logs -f`, `kubectl logs -f`, `journalctl -f`, `tail -F`.

A thread reads bytes, of which a few megabytes are buffered at most: then the writing program has to wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from logstats.inputs.chunks import MAX_LINE, Lines, OpenFile
from logstats.inputs.compression import Damaged, pieces
from logstats.inputs.follower import Arrived, Content
from logstats.inputs.source import Source, Start

WAITING: Final = 16 << 20  # bytes that wait to be taken
_READ: Final = 1 << 20


class StandardInput:
    """Standard input, or another stream; `look` gives what has arrived. `ended` says that nothing follows."""

    name = "-"
    behind = False
    dropped = 0
    truncated = 0
    stuck = 0

    def __init__(
        self,
        *,
        partial_timeout: float | None = None,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        source: Source | None = None,
    ) -> None:
        self.ended = False
        self._clock, self._say, self._partial_timeout = clock, say, partial_timeout
        self._content = Content("-", 0, Lines(MAX_LINE, Start()))
        self._arrived: deque[bytes] = deque()
        self._size = 0
        self._closed = self._over = False
        self._problem = ""
        self._last = clock()
        self._changed = threading.Condition()
        self._file = OpenFile(source or Source("-", None))
        threading.Thread(target=self._run, name="logstats-stdin", daemon=True).start()

    def look(self) -> Iterator[Arrived]:
        """What has arrived since the last look."""
        now, before = self._clock(), self.ended
        taken = self.take(0)
        if taken:
            self._last = now
        yield from self._content.feed(taken)
        if self.ended and not before:
            yield from self._content.end()
        elif not taken and self._partial_timeout is not None and now - self._last >= self._partial_timeout:
            yield from self._content.finish()

    def take(self, seconds: float) -> list[bytes]:
        """The bytes that have arrived, after waiting for some for so long at the most."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._over or self._closed, seconds)
            taken, over = list(self._arrived), self._over
            self._arrived.clear()
            self._size = 0
            self._changed.notify_all()
        if over and not self.ended:
            self.ended = True
            if self._problem:
                self._say(f"-: {self._problem}; what was readable is counted")
        return taken

    @property
    def unfinished(self) -> int:
        """Bytes of the last line, which waits for its newline."""
        return self._content.lines.unfinished

    def wait(self) -> None:
        """Until everything has arrived, or as much as may wait."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._size >= WAITING)

    def close(self) -> None:
        """Stop reading. Does not wait for a read that is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for piece in pieces(self._file.read, _READ):
                with self._changed:
                    self._changed.wait_for(lambda: self._size < WAITING or self._closed)
                    if self._closed:
                        return
                    self._arrived.append(piece)
                    self._size += len(piece)
                    self._changed.notify_all()
        except (Damaged, OSError) as error:
            self._problem = str(error)
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
