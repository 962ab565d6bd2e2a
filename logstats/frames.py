"""Polars, loaded when the first frame is made.

It takes longer to load than a report over a small log takes otherwise, and such a report needs no frame: its lines are
counted in C, and its tables are read out as they come (`reports.small`). So modules on the way there take `pl` from
here, and ask nothing of it while they are imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

__all__ = ["load_aside", "pl"]

_ACTION: Final = 1024  # bytes, more than a `struct sigaction` has anywhere
_loading = threading.Lock()

if TYPE_CHECKING:
    import polars as pl
else:

    class _Deferred:
        """A module that is imported when it is first asked for something. Threads may share it."""

        def __getattr__(self, name: str) -> Any:
            with _loading, _ctrl_c_kept():
                import polars

            found = getattr(polars, name)
            setattr(self, name, found)  # from now on without this method
            return found

    pl = _Deferred()


def load_aside() -> None:
    """Begin to load Polars while this thread goes on."""
    threading.Thread(target=lambda: pl.DataFrame, name="logstats-load").start()


@contextmanager
def _ctrl_c_kept() -> Iterator[None]:
    """Have Ctrl-C handled as before. (Polars puts a handler of its own in the place of Python's when it is loaded, and
    raises KeyboardInterrupt in any thread. Python sets handlers in the main thread only, which need not be this one.)
    """
    if os.name != "posix":
        yield
        return
    libc, held = ctypes.CDLL(None), ctypes.create_string_buffer(_ACTION)
    known = libc.sigaction(signal.SIGINT, None, held) == 0
    try:
        yield
    finally:
        if known:
            libc.sigaction(signal.SIGINT, held, None)
