"""Allocator settings that keep freed memory for the next chunk.

Every chunk allocates and frees the same few dozen arrays, in any of the threads. The next chunk should reuse that
memory, instead of a heap for each thread or new pages from the system each time. The bytes of the chunk itself go back
to the system: nothing else is as large, so the heap would only keep the gaps that they leave.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any, Final

# mallopt(3): one heap for all threads, also for arrays of some megabytes, which keeps so much free memory at its end.
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
_LARGEST: Final = 8 << 20  # bytes; less than `pipeline.job.CHUNK`
_KEPT: Final = 32 << 20
# The same for Polars, whose allocator is jemalloc; it reads this when it is loaded.
_JEMALLOC: Final = "narenas:1,tcache_max:4096,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0"


LEAST: Final = 800 << 20  # bytes of address space for the libraries and a small report


def configure() -> None:
    """Call this before Polars is loaded. A C library other than glibc is left as it is."""
    # If a limit leaves no address space for threads, jemalloc would print a line for each failure.
    threads = "true" if address_space() is None else "false"
    os.environ.setdefault(
        "_RJEM_MALLOC_CONF", _JEMALLOC.replace("background_thread:true", f"background_thread:{threads}")
    )
    mallopt = _glibc("mallopt")
    if mallopt is not None and not any(name.startswith("MALLOC_") for name in os.environ):
        for parameter, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _KEPT)):
            mallopt(parameter, value)


def address_space() -> int | None:
    """The limit of the process's address space in bytes (`ulimit -v`); None if there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def trim() -> None:
    """Return free memory to the system. Call this before work that uses another allocator."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


@cache
def _glibc(name: str) -> Any:
    """A function of the C library that only glibc has; None elsewhere."""
    if sys.platform != "linux":
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), name, None)
