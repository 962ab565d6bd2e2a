"""Memory of chunks that is used again: new pages from the system cost more than reading a file into them."""

from __future__ import annotations

import sys
import threading
from typing import Final

KEPT: Final = 6  # pieces of memory at most: as many chunks as are under way at a time
LEAST: Final = 1 << 20  # bytes; the C library keeps smaller pieces itself


def _uses(held: list[bytearray], place: int) -> int:
    return sys.getrefcount(held[place])


_FREE: Final = _uses([bytearray()], 0)


class Memory:
    """Gives out memory, and the same again once nothing refers to it any more. Threads may share it."""

    def __init__(self) -> None:
        self._held: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> bytearray:
        """So many bytes, whatever they are."""
        with self._lock:
            for place in range(len(self._held)):
                if _uses(self._held, place) != _FREE:
                    continue
                found = self._held[place]
                if len(found) > size:
                    del found[size:]
                elif len(found) < size:
                    found.extend(bytes(size - len(found)))
                return found
            new = bytearray(size)
            if len(self._held) < KEPT:
                self._held.append(new)
            return new

    def joined(self, parts: list[bytes | memoryview]) -> bytes:
        """All parts as one; a single one is not copied."""
        if len(parts) == 1 and not isinstance(parts[0], memoryview):
            return parts[0]
        size = sum(map(len, parts))
        if size < LEAST:
            return b"".join(parts)
        whole, at = self.take(size), 0
        for part in parts:
            whole[at : at + len(part)] = part
            at += len(part)
        return whole
