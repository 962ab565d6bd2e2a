"""Objects in stores: `s3://`, `gs://`, `az://`, `https://` (the extra `logstats[cloud]`), read as files are.

An object is streamed. If that breaks off, it goes on where it stopped, after a wait that doubles each time and is drawn
at random up to that (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog). Every request names the
version that was listed, so an object that was written meanwhile is an error, not a mix of two. A store that has not
answered all the tries of one object is not asked for the others.
"""

from __future__ import annotations

import configparser
import os
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from logstats.errors import SourceError, UsageError
from logstats.inputs.compression import compression
from logstats.inputs.source import Source, Start

SCHEMES: Final = ("s3", "gs", "az", "https", "http")
SOON: Final = 64 << 10  # bytes behind a piece in which the end of a line is looked for
TRIES: Final = 6  # of a request, one after another without a byte in between,
PATIENCE: Final = 30.0  # and so many seconds for all of them
SMALL: Final = 1 << 20  # bytes of an object that is fetched whole, while those before it are read
AT_ONCE: Final = 32  # of them
_FIRST_WAIT: Final = 0.2  # seconds
_LONGEST_WAIT: Final = 5.0
_PIECE: Final = 1 << 20
_STATUS: Final = re.compile(r"status code: (\d{3})")
_LATER: Final = (408, 425, 429)  # of the statuses that say that a request is wrong, those that mean: later
_PIPED: Final = "logstats report -"
_URL: Final = re.compile(rf"({'|'.join(SCHEMES)})://([^/]+)/?(.*)", re.DOTALL)
_MAGIC: Final = re.compile(r"[*?\[]")

Answer = TypeVar("Answer")


def is_url(argument: str) -> bool:
    """Whether an argument names something in a store."""
    return _URL.fullmatch(argument) is not None


def endpoint() -> str | None:
    """The address of a store that is not the cloud's own, as AWS's tools take it."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


class Store:
    """One bucket. Threads may share it."""

    def __init__(self, scheme: str, bucket: str, address: str | None) -> None:
        try:
            import obstore
            from obstore import exceptions
        except ImportError:
            raise UsageError(f"{scheme}:// needs obstore", "pip install 'logstats[cloud]'") from None
        self._name = f"{scheme}://{bucket}"
        self._kinds: Any = exceptions
        self._down = (0.0, "")  # since when it has not answered, and why
        config: Any = _s3_config(address) if scheme == "s3" else {}
        once: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=PATIENCE)}  # tries are counted here
        client: Any = {"allow_http": True, "connect_timeout": "5s", "timeout": "120s"}
        try:
            made = obstore.store.from_url(self._name, config=config, client_options=client, retry_config=once)
        except (exceptions.BaseError, ValueError, TypeError) as error:
            words = f"no store can be asked: {_first_line(error)}"
            raise SourceError(self._name, words, "check the settings") from None
        self._store: Any = made
        self._obstore: Any = obstore

    def ask(self, name: str, request: Callable[[], Answer], said: Callable[[str], None] = lambda _: None) -> Answer:
        """The answer to a request, which is made again if the store fails. Raises SourceError."""
        begun, wait = time.monotonic(), _FIRST_WAIT
        for number in range(1, TRIES + 1):
            since, why = self._down
            if why and time.monotonic() - since < PATIENCE:
                raise SourceError(name, f"not read: {why}", "read it again when the store answers")
            try:
                return request()
            except (self._kinds.NotFoundError, FileNotFoundError):
                raise SourceError(name, "there is no such object", "check the bucket and the key") from None
            except (self._kinds.PermissionDeniedError, self._kinds.UnauthenticatedError, PermissionError):
                hint = "credentials are looked for where the cloud's own tools do: AWS_ACCESS_KEY_ID, AWS_PROFILE, …"
                raise SourceError(name, "the store refuses access", hint) from None
            except self._kinds.PreconditionError:
                raise SourceError(name, "it was written anew while it was read", "read it again") from None
            except (self._kinds.BaseError, OSError) as error:
                words = _first_line(error)
                code = int(found[1]) if (found := _STATUS.search(str(error))) else 0
                if 400 <= code < 500 and code not in _LATER:
                    raise SourceError(name, f"the store refuses: {words}", "check the bucket and the key") from None
                if number == TRIES or time.monotonic() - begun > PATIENCE:
                    self._down = time.monotonic(), f"{self._name} does not answer ({words})"
                    raise SourceError(
                        name,
                        f"the store does not answer, asked {number} times: {words}",
                        "check address and network",
                    ) from None
                said(words)
            time.sleep(random.uniform(0, min(wait, _LONGEST_WAIT)))
            wait *= 2
        raise AssertionError

    def head(self, key: str, name: str) -> dict[str, Any]:
        """Size, time and version of an object."""
        return dict(self.ask(name, lambda: self._obstore.head(self._store, key)))

    def list(self, prefix: str, name: str) -> list[dict[str, Any]]:
        """All objects that begin so, but for those that stand for folders."""

        def listed() -> list[dict[str, Any]]:
            found = self._obstore.list(self._store, prefix or None)
            return [dict(one) for some in found for one in some]

        return [one for one in self.ask(name, listed) if not one["path"].endswith("/")]

    def stream(self, key: str, version: str | None, begin: int, end: int) -> Iterator[bytes]:
        """The bytes begin ≤ place < end of an object, as they come."""
        options: dict[str, Any] = {"range": (begin, end)}
        if version:
            options["if_match"] = version
        answer = self._obstore.get(self._store, key, options=options)
        return (bytes(piece) for piece in answer.stream(min_chunk_size=_PIECE))


def _s3_config(address: str | None) -> Any:
    """Settings of S3, as AWS's tools find them: the environment first, then the files of a profile."""
    made: dict[str, Any] = {"endpoint": address, "virtual_hosted_style_request": False} if address else {}
    profile = os.environ.get("AWS_PROFILE", "default")
    folder = Path.home() / ".aws"
    keys, settings = configparser.RawConfigParser(), configparser.RawConfigParser()
    try:
        keys.read(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", folder / "credentials"), encoding="utf-8")
        settings.read(os.environ.get("AWS_CONFIG_FILE", folder / "config"), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise SourceError("~/.aws", f"the settings cannot be read: {_first_line(error)}", "mend them") from None
    own = settings[section] if settings.has_section(section := _section(profile)) else {}
    if "AWS_ACCESS_KEY_ID" not in os.environ and keys.has_section(profile):
        for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
            if name in keys[profile]:
                made[name] = keys[profile][name]
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or own.get("region")
    return {**made, **({"region": region} if region else {})}


def _section(profile: str) -> str:
    return profile if profile == "default" else f"profile {profile}"


@cache
def _store(scheme: str, bucket: str, address: str | None) -> Store:
    return Store(scheme, bucket, address)


def _split(url: str) -> tuple[str, str, str]:
    match = _URL.fullmatch(url)
    assert match, url
    return match[1], match[2], match[3]


def discover(url: str) -> list[tuple[Source, float]]:
    """The objects that a URL names, each with its time: one key, all keys below a prefix, or those that a glob matches
    (`*` does not match `/`, `**` does). Raises SourceError."""
    scheme, bucket, key = _split(url)
    if scheme in ("https", "http"):
        key = _page(url, bucket, key)
    address = endpoint() if scheme == "s3" else None
    store = _store(scheme, bucket, address)

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
        some = [one for one in store.list(_folder(key[: magic.start()]), url) if matches(one["path"])]
        if not some:
            raise SourceError(url, "no object matches", "`*` does not match /, `**` does")
        return [source(one) for one in some]
    if key and not key.endswith("/"):
        try:
            return [source(store.head(key, url))]
        except SourceError as error:
            if not str(error).endswith("there is no such object"):
                raise
            below = store.list(f"{key}/", url)
            if not below:
                raise
            return [source(one) for one in below]
    below = store.list(key, url)
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
        scheme, bucket, key = _split(source.url)
        self._key = unquote(key) if scheme in ("https", "http") else key
        self._store = _store(scheme, bucket, source.endpoint)
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

    def read_lines(self, size: int) -> bytes:
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
    try:
        for source, fetch in zip(sources, small, strict=True):
            if fetch:
                waiting.append(replace(source, start=Start(opened=Fetched(pool.submit(_whole, source)))))
            else:
                waiting.append(source)
            if len(waiting) > 2 * AT_ONCE:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _whole(source: Source) -> tuple[bytes, list[str]]:
    opened = OpenObject(source)
    return opened.read(source.size or 0), opened.notes


def _first_line(error: Exception) -> str:
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\s+", " ", words)[:200]
