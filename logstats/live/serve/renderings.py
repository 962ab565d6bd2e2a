"""The newest answer to each question: made once for all who ask, and not more often than it pays.

What is asked again before anything has changed is there already. The longer it took to make an answer, the longer it
is not made again, so that asking costs a bounded part of a processor. A bounded number of answers is kept.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import LogstatsError

HELD: Final = 64  # answers that are kept,
WAITING: Final = 32  # questions that may wait for one
_TO_PACK: Final = 1_000  # bytes, from which on an answer is worth compressing


class Busy(LogstatsError):
    """Too many questions wait already."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """An answer, plain and by gzip; `etag` is the same for the same answer."""

    body: bytes
    packed: bytes | None
    etag: str
    version: Hashable
    until: float  # it is good enough until then, by the monotonic clock


class Renderings:
    """For one event loop."""

    def __init__(self) -> None:
        self._held: dict[Hashable, Rendering] = {}
        self._making: dict[Hashable, asyncio.Future[Rendering]] = {}

    async def get(
        self, key: Hashable, version: Callable[[], Hashable], make: Callable[[], bytes], pool: Executor, rest: float
    ) -> Rendering:
        """The answer to a question. `version` changes when it would be another; both functions run in the pool. The
        answer is good enough for `rest` times as long as it took to make.

        Raises Busy, and what the functions raise.
        """
        held = self._held.get(key)
        if held is not None and time.monotonic() < held.until:
            return held
        making = self._making.get(key)
        if making is None:
            if len(self._making) >= WAITING:
                raise Busy("too much is asked at once", "ask again in some seconds")
            loop = asyncio.get_running_loop()
            making = self._making[key] = loop.run_in_executor(pool, _made, held, version, make, rest)
            making.add_done_callback(lambda done: self._take(key, done))
        return await asyncio.shield(making)

    def _take(self, key: Hashable, done: asyncio.Future[Rendering]) -> None:
        del self._making[key]
        self._held.pop(key, None)
        if not done.cancelled() and done.exception() is None:
            self._held[key] = done.result()
        for old in [*self._held][:-HELD]:
            del self._held[old]


def _made(held: Rendering | None, version: Callable[[], Hashable], make: Callable[[], bytes], rest: float) -> Rendering:
    begin = time.monotonic()
    found = version()
    if held is not None and held.version == found:
        return held
    body = make()
    packed = gzip.compress(body, 1, mtime=0) if len(body) > _TO_PACK else None
    now = time.monotonic()
    etag = f'"{hashlib.blake2b(body, digest_size=9).hexdigest()}"'
    return Rendering(body, packed, etag, found, now + rest * (now - begin))
