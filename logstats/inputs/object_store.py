"""A bucket of an object store (the extra `logstats[cloud]`): requests, and what becomes of those that fail.

A request that fails is made again, after a wait that doubles each time and is drawn at random up to that (Marc Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog). A store that has not answered all the tries of one object is
not asked for the others.

A reply may be lost after the store has done what it was asked to do. `create` therefore takes "it exists already" for
an answer only after it has compared the object with what it wrote: it may be its own.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from logstats.errors import SourceError, UsageError
from logstats.inputs import credentials

SCHEMES: Final = ("s3", "gs", "az", "https", "http")
TRIES: Final = 6  # of a request, one after another without a byte in between,
PATIENCE: Final = 30.0  # and so many seconds for all of them
FIRST_WAIT: Final = 0.2  # seconds
LONGEST_WAIT: Final = 5.0
_PIECE: Final = 1 << 20
_STATUS: Final = re.compile(r"status code: (\d{3})")
_LATER: Final = (408, 409, 425, 429)  # of the statuses that say that a request is wrong, those that mean: later
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound")  # what S3 and Google say, and Azure
_URL: Final = re.compile(rf"({'|'.join(SCHEMES)})://([^/]+)/?(.*)", re.DOTALL)

Answer = TypeVar("Answer")


class NoSuchObject(SourceError):
    """The store answers, and has no such object (or no such bucket)."""


def is_url(argument: str) -> bool:
    """Whether an argument names something in a store."""
    return _URL.fullmatch(argument) is not None


def endpoint() -> str | None:
    """The address of a store that is not the cloud's own, as AWS's tools take it."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def use(address: str | None) -> None:
    """From now on `endpoint` is this address, here and in processes that are started: that of the command line, or in a
    worker that of the process that gave out the work."""
    if address:
        os.environ["AWS_ENDPOINT_URL"] = address
        os.environ.pop("AWS_ENDPOINT_URL_S3", None)  # which would come first


def split(url: str) -> tuple[str, str, str]:
    """(scheme, bucket, key) of a URL for which `is_url` holds."""
    match = _URL.fullmatch(url)
    assert match, url
    return match[1], match[2], match[3]


class Store:
    """One bucket. Threads may share it."""

    def __init__(self, scheme: str, bucket: str, address: str | None) -> None:
        try:
            import obstore
            from obstore import exceptions
        except ImportError:
            raise UsageError(f"{scheme}:// needs obstore", "pip install 'logstats[cloud]'") from None
        self._name = f"{scheme}://{bucket}"
        where = credentials.HINTS.get(scheme)
        self._hint = f"credentials are looked for where the cloud's own tools do: {where}" if where else "check the URL"
        self._kinds: Any = exceptions
        self._down = (0.0, "")  # since when it has not answered, and why
        config: Any = credentials.settings(scheme, address)
        once: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=PATIENCE)}  # tries are counted here
        client: Any = {"allow_http": True, "connect_timeout": "5s", "timeout": "120s"}
        try:
            made = obstore.store.from_url(self._name, config=config, client_options=client, retry_config=once)
        except (exceptions.BaseError, ValueError, TypeError) as error:
            words = f"no store can be asked: {first_line(error)}"
            raise SourceError(self._name, words, "check the settings") from None
        self._store: Any = made
        self._obstore: Any = obstore

    def ask(self, name: str, request: Callable[[], Answer], said: Callable[[str], None] = lambda _: None) -> Answer:
        """The answer to a request, which is made again if the store fails. Raises SourceError."""
        begun, wait = time.monotonic(), FIRST_WAIT
        for number in range(1, TRIES + 1):
            since, why = self._down
            if why and time.monotonic() - since < PATIENCE:
                raise SourceError(name, f"not asked for: {why}", "run it again when the store answers")
            try:
                return request()
            except (self._kinds.NotFoundError, FileNotFoundError):
                raise NoSuchObject(name, "there is no such object", "check the bucket and the key") from None
            except (self._kinds.PermissionDeniedError, self._kinds.UnauthenticatedError, PermissionError):
                raise SourceError(name, "the store refuses access", self._hint) from None
            except self._kinds.PreconditionError:
                raise SourceError(name, "it was written anew while it was read", "read it again") from None
            except ValueError as error:
                raise SourceError(name, f"no object can have this name: {first_line(error)}", "check it") from None
            except (self._kinds.BaseError, OSError) as error:
                words = first_line(error)
                if any(code in str(error) for code in _NO_BUCKET):
                    raise SourceError(name, "there is no such bucket", "make it with the tools of its cloud") from None
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
            time.sleep(random.uniform(0, min(wait, LONGEST_WAIT)))
            wait *= 2
        raise AssertionError

    def head(self, key: str, name: str) -> dict[str, Any]:
        """Size, time and version of an object."""
        return dict(self.ask(name, lambda: self._obstore.head(self._store, key)))

    def list_all(self, prefix: str, name: str) -> list[dict[str, Any]]:
        """All objects that begin so, but for those that stand for folders."""

        def listed() -> list[dict[str, Any]]:
            found = self._obstore.list(self._store, prefix or None)
            return [{**one, "e_tag": _entity_tag(one["e_tag"])} for some in found for one in some]

        return [one for one in self.ask(name, listed) if not one["path"].endswith("/")]

    def stream(self, key: str, version: str | None, begin: int, end: int) -> Iterator[bytes]:
        """The bytes begin ≤ place < end of an object, as they come."""
        options: dict[str, Any] = {"range": (begin, end)}
        if version:
            options["if_match"] = version
        answer = self._obstore.get(self._store, key, options=options)
        return (bytes(piece) for piece in answer.stream(min_chunk_size=_PIECE))

    def all_at_once(self, key: str, version: str | None, size: int) -> bytes:
        """The bytes of an object that has so many."""
        options: Any = {"if_match": version} if version else None
        data = bytes(self._obstore.get(self._store, key, options=options).bytes())
        if len(data) != size:
            raise OSError(f"the answer has {len(data):,} bytes of {size:,}")
        return data

    def read(self, key: str, name: str, limit: int | None = None) -> bytes:
        """A small object, or its first `limit` bytes. Raises NoSuchObject, SourceError."""
        options: Any = {"range": (0, limit)} if limit else None
        return self.ask(name, lambda: bytes(self._obstore.get(self._store, key, options=options).bytes()))

    def pieces(self, key: str, name: str, said: Callable[[str], None] = lambda _: None) -> Iterator[bytes]:
        """The bytes of an object, as they come. A stream that breaks off goes on where it stopped.

        Raises NoSuchObject, SourceError.
        """
        place, size, version = 0, -1, None
        stream: Iterator[Any] | None = None

        def following() -> bytes:
            nonlocal stream, size, version
            if stream is None:
                options: Any = {"range": (place, size), "if_match": version} if size >= 0 else None
                answer = self._obstore.get(self._store, key, options=options)
                if size < 0:
                    size, version = answer.meta["size"], answer.meta["e_tag"]
                stream = iter(answer.stream(min_chunk_size=_PIECE))
            try:
                piece = next(stream, None) if size else b""
            except Exception:
                stream = None
                raise
            if piece is None:
                stream = None
                raise OSError("the answer ended too early")
            return bytes(piece)

        while place < size or size < 0:
            piece = self.ask(name, following, said)
            place += len(piece)
            yield piece

    def put(self, key: str, data: bytes | Path, name: str, said: Callable[[str], None] = lambda _: None) -> None:
        """Write an object, or the content of a file as one, whatever was there. Raises SourceError."""
        self._in_bucket(name, lambda: self._obstore.put(self._store, key, data), said)

    def create(self, key: str, data: bytes, name: str, said: Callable[[str], None] = lambda _: None) -> bool:
        """Write an object if there is none (`If-None-Match: *`); whether it is there now as written here.

        Raises SourceError if the store has not said so: then the object may be there, now or later.
        """

        def once() -> bool:
            try:
                # In parts, an upload of any length would have no condition.
                self._obstore.put(self._store, key, data, mode="create", use_multipart=False)
            except (self._kinds.AlreadyExistsError, self._kinds.PreconditionError, FileExistsError):
                try:
                    return bytes(self._obstore.get(self._store, key).bytes()) == data
                except (self._kinds.NotFoundError, FileNotFoundError):
                    raise OSError("another writer's object is about to appear") from None
            return True

        return self._in_bucket(name, once, said)

    def create_once(self, key: str, data: bytes) -> bool | None:
        """Ask once to write an object if there is none: whether the store says it did; None if it does not say."""
        try:
            self._obstore.put(self._store, key, data, mode="create")
        except (self._kinds.AlreadyExistsError, self._kinds.PreconditionError, FileExistsError):
            return False
        except (self._kinds.BaseError, OSError):
            return None
        return True

    def _in_bucket(
        self, name: str, request: Callable[[], Answer], said: Callable[[str], None] = lambda _: None
    ) -> Answer:
        """The answer to a request for which "not found" means the bucket. Raises SourceError."""
        try:
            return self.ask(name, request, said)
        except NoSuchObject:
            raise SourceError(name, "there is no such bucket", "make it with the tools of its cloud") from None

    def delete(self, key: str, name: str) -> None:
        """Delete an object, if it is there. Raises SourceError."""
        with suppress(NoSuchObject):
            self.ask(name, lambda: self._obstore.delete(self._store, key))

    def names(self, prefix: str, name: str) -> list[str]:
        """The names of objects and of folders that lie right below a prefix. Raises SourceError."""
        found = self._in_bucket(name, lambda: self._obstore.list_with_delimiter(self._store, prefix or None))
        return [
            path.rpartition("/")[2] for path in (*found["common_prefixes"], *(one["path"] for one in found["objects"]))
        ]


def _entity_tag(text: str | None) -> str | None:
    """A version as conditions of a request name it (RFC 9110, 8.8.3). Azure lists it without its quotation marks."""
    return text if text is None or text.startswith(('"', "W/")) else f'"{text}"'


@cache
def connect(scheme: str, bucket: str, address: str | None) -> Store:
    """A bucket; the same object for the same arguments. Raises UsageError, SourceError."""
    return Store(scheme, bucket, address)


def first_line(error: Exception) -> str:
    """What an error of a client says, on one line."""
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\s+", " ", words)[:200]
