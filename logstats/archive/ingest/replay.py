"""Sources that can be read again: lines in memory, and a pipe whose beginning was read to recognise it."""

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
    """Lines in memory, with the interface of an open file."""

    pipe = False

    @property
    def read_bytes(self) -> int:
        """The number of bytes read."""
        return self.tell()


class Replay:
    """A pipe whose beginning is kept, so that it can be read from its beginning once more."""

    pipe = True

    def __init__(self, opened: OpenFile, folder: Path) -> None:
        self._opened, self._folder = opened, folder
        self._seen: IO[bytes] = tempfile.SpooledTemporaryFile(8 << 20, dir=str(folder))  # noqa: SIM115
        self._looking = True

    @property
    def read_bytes(self) -> int:
        """The number of bytes read from the pipe."""
        return self._opened.read_bytes

    def read(self, size: int) -> bytes:
        """Read up to so many bytes."""
        if self._looking:
            data = self._opened.read(size)
            try:
                self._seen.write(data)
            except OSError as error:  # bytes that cannot be read again must not be skipped
                raise cannot_write(error, self._folder) from None
            return data
        return self._seen.read(size) or self._opened.read(size)

    def rewind(self) -> None:
        """Read from the beginning again."""
        self._looking = False
        self._seen.seek(0)

    def close(self) -> None:
        """Close the pipe."""
        self._seen.close()
        self._opened.close()


def readable(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The content of a file, up to the first error."""
    with contextlib.suppress(Damaged, OSError):
        yield from pieces(read)
