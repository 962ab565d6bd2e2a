"""Standard output, or a file that is written whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from logstats.errors import LogstatsError


@contextmanager
def destination(out: str | None, moment: datetime) -> Iterator[BinaryIO]:
    """Where bytes go. `out` may have strftime fields, which are those of `moment`. Raises LogstatsError.

    A file appears under its name when all is written; until then it is a hidden file beside it. A device or a named
    pipe is written to as it is.
    """
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(moment.strftime(out) if "%" in out else out)
    if path.exists() and not path.is_file():
        try:
            stream = path.open("wb")
        except OSError as error:
            raise LogstatsError(f"{path}: {(error.strerror or str(error)).lower()}", "--out takes a file") from None
        with stream:
            yield stream
        return
    target = path.resolve()  # what a symbolic link points to, not the link, is replaced
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".tmp")
    except OSError as error:
        raise LogstatsError(
            f"{path}: {(error.strerror or str(error)).lower()}", "--out needs a folder that is there"
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
    except OSError as error:
        raise LogstatsError(f"{path}: {(error.strerror or str(error)).lower()}", "nothing was written") from None
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
