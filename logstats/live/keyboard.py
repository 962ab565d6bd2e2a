"""Keys from the terminal, as they are pressed; also where a log comes through standard input."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MOST: Final = 1024


class Keyboard:
    """A terminal whose keys are read one by one; without one, there are none."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def read(self, seconds: float) -> bytes:
        """What is typed within so many seconds; the first of it ends the wait."""
        if self._descriptor is None:
            time.sleep(max(0.0, seconds))
            return b""
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, seconds))
        if not ready:
            return b""
        try:
            data = os.read(self._descriptor, _MOST)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            self._descriptor = None
        return data


@contextmanager
def keyboard() -> Iterator[Keyboard]:
    """The terminal in a mode in which each key arrives at once and is not shown; as it was before at the end."""
    import termios
    import tty

    own: int | None = None
    if sys.stdin is not None and sys.stdin.isatty():
        descriptor: int | None = sys.stdin.fileno()
    else:
        with contextlib.suppress(OSError):
            own = os.open("/dev/tty", os.O_RDONLY)
        descriptor = own
    before = None
    try:
        if descriptor is not None:
            before = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield Keyboard(descriptor)
    finally:
        if descriptor is not None and before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        if own is not None:
            os.close(own)
