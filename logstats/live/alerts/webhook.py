"""A web address that each change of an alert is posted to."""

from __future__ import annotations

import base64
import random
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import field
from http.client import HTTPException, HTTPMessage
from threading import Event
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

from logstats import __version__
from logstats.dataclass import dataclass
from logstats.errors import UsageError

ATTEMPTS: Final = 5
TIMEOUT: Final = 10.0  # seconds without an answer, after which an attempt has failed
FIRST_WAIT: Final = 1.0  # seconds after the first attempt; twice as long each time
LONGEST_WAIT: Final = 60.0  # that a server may ask for
_BUSY: Final = 429


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Otherwise a POST would become a GET without its body, and nobody were told."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Webhook:
    """`address` is http:// or https://; it may hold a secret, so messages name its host alone."""

    address: str
    wait: float = FIRST_WAIT
    chance: Callable[[], float] = random.random
    _headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def to(cls, address: str, **more: Any) -> Webhook:
        """Raises UsageError for what is no web address."""
        try:
            parts = urlsplit(address)
            port, host = parts.port, parts.hostname
        except ValueError:
            port, host = None, None
        plain = address.isascii() and address.isprintable() and " " not in address
        if not host or not plain or parts.scheme not in ("http", "https"):
            raise UsageError("--webhook: this is no web address", "https://host.example/path")
        headers = {"Content-Type": "application/json", "User-Agent": f"logstats/{__version__}"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
            shown = f"[{host}]" if ":" in host else host
            parts = parts._replace(netloc=shown + (f":{port}" if port else ""))
        return cls(parts._replace(fragment="").geturl(), _headers=headers, **more)

    @property
    def name(self) -> str:
        """As it is called in messages."""
        return f"--webhook {urlsplit(self.address).hostname}"

    def send(self, body: bytes, stop: Event) -> str:
        """Post it, again and again if that may help, until `stop`: "", or what went wrong.

        An answer from 500 on, 429 and no answer at all are tried again, after 1, 2, 4 and 8 seconds, less up to a half
        by chance so that many who wait do not come at once.
        """
        for attempt in range(1, ATTEMPTS + 1):
            problem, asked = self._once(body)
            if not problem or asked is None:
                return problem
            if attempt == ATTEMPTS:
                break
            pause = self.wait * 2 ** (attempt - 1) * (0.5 + self.chance() / 2)
            if stop.wait(max(pause, min(asked, LONGEST_WAIT))):
                return f"{problem}; no further attempt, because logstats ends"
        return f"{problem}, {ATTEMPTS} times"

    def _once(self, body: bytes) -> tuple[str, float | None]:
        """(what went wrong, the seconds that a server asks to wait; None if a further attempt is of no use)."""
        opener = urllib.request.build_opener(_NoRedirect)
        request = urllib.request.Request(self.address, body, self._headers, method="POST")
        try:
            with opener.open(request, timeout=TIMEOUT):
                return "", 0.0
        except urllib.error.HTTPError as error:
            with error:
                asked = error.headers.get("Retry-After", "")
                again = error.code >= 500 or error.code == _BUSY
                where = f" to {_host(error.headers.get('Location', ''))}" if 300 <= error.code < 400 else ""
                wait = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0.0
                return f"HTTP {error.code}{where}", wait if again else None
        except urllib.error.URLError as error:
            return f"{getattr(error.reason, 'strerror', None) or error.reason}".lower(), 0.0
        except (OSError, HTTPException, ValueError) as error:
            return f"{getattr(error, 'strerror', None) or error or type(error).__name__}".lower(), 0.0


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or "an address without a host"
    except ValueError:
        return "what is no address"
