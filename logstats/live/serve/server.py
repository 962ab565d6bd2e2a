"""The server: one port, an event loop in a thread of its own, while the main thread reads the sources."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn

from logstats.errors import LogstatsError, UsageError
from logstats.live.alerts.alerts import Change
from logstats.live.pace import Pace
from logstats.live.serve.access import is_loopback
from logstats.live.serve.app import Site, event_of
from logstats.pipeline import Stop

CLIENTS: Final = 600  # connections at once; further ones are told to come again
LOGGERS: Final = ("uvicorn", "sse_starlette", "starlette", "asyncio")
_CLOSING: Final = 3  # seconds that answers which are under way may still take


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def url(self, port: int) -> str:
        """As a browser takes it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}/"


def address(text: str) -> Address:
    """`127.0.0.1:8080`, `[::1]:8080`, `localhost:0`, `:8080` (all addresses). Raises UsageError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535 or (":" in host and not bracketed):
        raise UsageError(f"--listen {text}: this is no address and port", "write 127.0.0.1:8080, [::1]:8080 or :8080")
    return Address(host[1:-1] if bracketed else host or "0.0.0.0", int(port))


def check_access(where: Address, token: str | None) -> None:
    """Raise UsageError where others could read without a token."""
    if token is None and not is_loopback(where.host):
        raise UsageError(
            f"--listen {where.host}:{where.port} is open to other machines, and a log is not for everybody",
            "give a --token, or listen on 127.0.0.1",
        )


def bind(where: Address) -> socket.socket:
    """The port. Raises LogstatsError."""
    try:
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        words = error.strerror or str(error)
        raise LogstatsError(f"--listen {where.host}: {words}", "name an address of this machine") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(128)
    except OSError as error:
        made.close()
        words = (error.strerror or str(error)).lower()
        raise LogstatsError(f"--listen {where.host}:{where.port}: {words}", "choose another port") from None
    return made


class _Log(logging.Handler):
    """What the packages log: errors are said, each kind once; the rest (clients that are gone, too many) is not."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._say, self._said = say, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Say an error."""
        error = record.exc_info[1] if record.exc_info else None
        words = record.getMessage().splitlines()[0] + (f": {type(error).__name__}: {error}" if error else "")
        if words not in self._said and len(self._said) < 100:
            self._said.add(words)
            self._say(f"a request was not answered: {words}")


class _Server(uvicorn.Server):
    """Leaves signals to the main thread."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """Serves a site on a socket while its context lasts."""

    def __init__(
        self,
        site: Site,
        listening: socket.socket,
        *,
        token: str | None,
        names: Sequence[str],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._site, self._socket, self._log = site, listening, _Log(say)
        config = uvicorn.Config(
            site.application(token, names),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CLIENTS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_CLOSING,
            h11_max_incomplete_event_size=64 << 10,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="logstats-serve", daemon=True)
        self._failed: BaseException | None = None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failed = error

    async def _serve(self) -> None:
        self._site.latest.attach(asyncio.get_running_loop())
        await self._server.serve([self._socket])

    @property
    def running(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive()

    def __enter__(self) -> Server:
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._log)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._site.latest.close()
        self._server.should_exit = True
        self._thread.join(_CLOSING + 2)
        self._site.close()
        self._socket.close()
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._log)


def run(
    site: Site, server: Server, stop: Stop, interval: float, changed: Callable[[Change], None] = lambda _: None
) -> None:
    """Read the sources and publish what they say each interval, until it is asked to end. `changed` is told which
    alerts fire or are resolved. Raises LogstatsError."""
    pace = Pace(interval, prompt=True)
    while not stop.asked:
        look = pace.look()
        watched = look == "show" and site.latest.listeners > 0
        more = site.desk.step(changed, look, watched=watched)
        if watched:
            archive = site.desk.archive
            site.latest.publish(event_of(site.desk.snapshot, archive.commit() if archive else None))
        if not server.running:
            raise LogstatsError("the server has ended", "this should not happen: please report it") from server._failed
        if not more:
            stop.wait(pace.wait(site.made_in() if watched else 0.0))
