"""Objects in stores: `s3://`, `gs://`, `az://`, `https://` (the extra `logstats[cloud]`), read as files are.

An object is streamed. If that breaks off, it goes on where it stopped (`object_store` says after which wait). Every
request names the version that was listed, so an object that was written meanwhile is an error, not a mix of two.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

from logstats.errors import SourceError
from logstats.inputs import object_store
from logstats.inputs.compression import compression
from logstats.inputs.memory import Memory
from logstats.inputs.object_store import NoSuchObject, endpoint, split
from logstats.inputs.source import Source, Start

SOON: Final = 64 << 10  # bytes behind a piece in which the end of a line is looked for
SMALL: Final = 1 << 20  # bytes of an object that is fetched whole, while those before it are read
AT_ONCE: Final = 100  # of them: over a link of 20 ms, that hides all of it
AHEAD: Final = 64 << 20  # bytes of them that wait for their turn
_PIPED: Final = "logstats report -"
_MAGIC: Final = re.compile(r"[*?\[]")


def discover(url: str) -> list[tuple[Source, float]]:
    """The objects that a URL names, each with its time: one key, all keys below a prefix, or those that a glob matches
    (`*` does not match `/`, `**` does). Raises SourceError."""
    scheme, bucket, key = split(url)
    if scheme in ("https", "http"):
        key = _page(url, bucket, key)
    address = endpoint() if scheme == "s3" else None
    store = object_store.connect(scheme, bucket, address)

    def source(found: dict[str, Any]) -> tuple[Source, float]:
        at = found["last_modified"].timestamp()
        path = found["path"]
        name = url if scheme in ("https", "http") else f"{scheme}://{bucket}/{path}"
        made = Source(name, None, found["size"], at, url=name, version=found.get("e_tag"), endpoint=address)
        return made, at

    if scheme in ("https", "http"):
        return [source(store.head(key, url))]
    if magic := _MAGIC.search(key):
        matches = re.compile(_regex(key)).fullmatch
        some = [one for one in store.list_all(_folder(key[: magic.start()]), url) if matches(one["path"])]
        if not some:
            raise SourceError(url, "no object matches", "`*` does not match /, `**` does")
        return [source(one) for one in some]
    if key and not key.endswith("/"):
        try:
            return [source(store.head(key, url))]
        except NoSuchObject:
            below = store.list_all(f"{key}/", url)
            if not below:
                raise
            return [source(one) for one in below]
    below = store.list_all(key, url)
    if not below:
        raise SourceError(url, "there are no objects below it", "check the bucket and the prefix")
    return [source(one) for one in below]


def _page(url: str, host: str, key: str) -> str:
    """The path of a file on a web server. Raises SourceError for what is none."""
    if "@" in host:
        raise SourceError("https://…@…", "a URL with a password would show it", f"curl URL | {_PIPED}")
    if "?" in key or "#" in key:
        raise SourceError(url, "a URL with a query cannot be read in parts", f"curl '{url}' | {_PIPED}")
    if not key or key.endswith("/") or "*" in key:
        raise SourceError(url, "a web server does not list its files", "name each of them")
    return unquote(key)


def _folder(prefix: str) -> str:
    """Stores list by whole names of folders."""
    return prefix[: prefix.rfind("/") + 1]


def _regex(pattern: str) -> str:
    """A glob over keys as a regular expression."""
    made = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern):
        inside = f"[{part[1:-1].replace('!', '^', 1) if part[1:2] == '!' else part[1:-1]}]" if part[:1] == "[" else ""
        made += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part) or inside or re.escape(part)
    return f"(?s:{made})"


class OpenObject:
    """An object, read as `OpenFile` reads a file."""

    pipe = False

    def __init__(self, source: Source) -> None:
        assert source.url is not None and source.size is not None
        scheme, bucket, key = split(source.url)
        self._key = unquote(key) if scheme in ("https", "http") else key
        self._store = object_store.connect(scheme, bucket, source.endpoint)
        self._name, self._version = source.name, source.version
        self._end = source.size if source.stop is None else source.stop
        self._size = source.size
        self._place = 0  # of the next byte that comes from the store
        self._buffer = bytearray()
        self._stream: Iterator[bytes] | None = None
        self.read_bytes = 0
        self.notes: list[str] = []

    def read(self, size: int) -> bytes:
        """So many bytes, or all that are left. Raises SourceError."""
        self._fill(size)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.read_bytes += len(data)
        return data

    def whole(self) -> bytes:
        """All bytes of a small object, by one request. Raises SourceError."""
        data = self._store.ask(
            self._name, lambda: self._store.all_at_once(self._key, self._version, self._size), self._say
        )
        self._place = self.read_bytes = len(data)
        return data

    def read_lines(self, size: int, _memory: Memory) -> bytes:
        """At least `size` bytes, or all that are left; to the end of a line if one is near."""
        self._fill(size + SOON)
        return self.read(max(size, self._buffer.find(b"\n", size, size + SOON) + 1))

    def seek(self, offset: int) -> bool:
        """Move to an offset if the object is plain; whether it did. Call this before reading."""
        if compression(self.at(0, 6)):
            return False
        self._place = self.read_bytes = offset
        return True

    def at(self, offset: int, size: int) -> bytes:
        """Some bytes of the object."""
        end = min(offset + size, self._size)
        if offset >= end:
            return b""
        return self._store.ask(
            self._name, lambda: b"".join(self._store.stream(self._key, self._version, offset, end)), self._say
        )

    def close(self) -> None:
        """Stop reading."""
        self._stream = None

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size and self._place < self._end:
            piece = self._store.ask(self._name, self._next, self._say)
            self._buffer += piece
            self._place += len(piece)

    def _next(self) -> bytes:
        """The next piece; from where it stopped, if the stream broke off."""
        if self._stream is None:
            self._stream = self._store.stream(self._key, self._version, self._place, self._end)
        try:
            piece = next(self._stream)
        except StopIteration:
            self._stream = None
            raise OSError("the answer ended too early") from None
        except Exception:
            self._stream = None
            raise
        return piece

    def _say(self, words: str) -> None:
        self.notes.append(f"the store was asked again: {words}")


class Fetched:
    """A small object, fetched whole in another thread."""

    pipe = False

    def __init__(self, future: Future[tuple[bytes, list[str]]]) -> None:
        self._future = future
        self._place = 0
        self.notes: list[str] = []

    @property
    def read_bytes(self) -> int:
        """How many bytes were read."""
        return self._place

    def read(self, size: int) -> bytes:
        """The bytes, when they are there. Raises SourceError."""
        data, self.notes = self._future.result()
        part = data[self._place : self._place + size]
        self._place += len(part)
        return part

    def close(self) -> None:
        """Do nothing: there is nothing open."""


def ahead(sources: Sequence[Source]) -> Iterator[Source]:
    """The same sources; of small objects some are fetched at once, before their turn."""
    small = [source.url is not None and source.start is None and (source.size or 0) <= SMALL for source in sources]
    if sum(small) < 2:
        yield from sources
        return
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="logstats-store")
    waiting: deque[Source] = deque()
    size = 0
    try:
        for source, fetch in zip(sources, small, strict=True):
            while waiting and (len(waiting) > 2 * AT_ONCE or (fetch and size + (source.size or 0) > AHEAD)):
                yield (first := waiting.popleft())
                size -= _fetched(first)
            if fetch:
                source = replace(source, start=Start(opened=Fetched(pool.submit(_whole, source))))
            waiting.append(source)
            size += _fetched(source)
        yield from waiting
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetched(source: Source) -> int:
    """The bytes that are in memory, or on their way there, before a source is read."""
    return (source.size or 0) if source.start is not None and isinstance(source.start.opened, Fetched) else 0


def _whole(source: Source) -> tuple[bytes, list[str]]:
    opened = OpenObject(source)
    return opened.whole(), opened.notes
