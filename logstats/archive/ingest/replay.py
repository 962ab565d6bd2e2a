"""Sources that are read again: lines in memory, and a pipe that somebody has looked into."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from logstats.archive.log.storage import cannot_write
from logstats.inputs import OpenFile
from logstats.inputs.compression import Damaged, pieces


class InMemory(io.BytesIO):
    """Lines that are read as if they were a file."""

    pipe = False

    @property
    def read_bytes(self) -> int:
        """How far it was read."""
        return self.tell()


class Replay:
    """A pipe that was looked into: what was read of it is read once more, then the rest."""

    pipe = True

    def __init__(self, opened: OpenFile, folder: Path) -> None:
        self._opened, self._folder = opened, folder
        self._seen: IO[bytes] = tempfile.SpooledTemporaryFile(8 << 20, dir=str(folder))  # noqa: SIM115
        self._looking = True

    @property
    def read_bytes(self) -> int:
        """Bytes read of the pipe."""
        return self._opened.read_bytes

    def read(self, size: int) -> bytes:
        """Read on."""
        if self._looking:
            data = self._opened.read(size)
            try:
                self._seen.write(data)
            except OSError as error:  # what cannot be read again must not be passed over
                raise cannot_write(error, self._folder) from None
            return data
        return self._seen.read(size) or self._opened.read(size)

    def rewind(self) -> None:
        """Go back to its beginning."""
        self._looking = False
        self._seen.seek(0)

    def close(self) -> None:
        """Close it."""
        self._seen.close()
        self._opened.close()


def readable(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The content of a file as far as it can be read."""
    with contextlib.suppress(Damaged, OSError):
        yield from pieces(read)
