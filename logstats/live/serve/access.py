"""Who may ask: a token, or, without one, whoever reaches this machine's loopback under a name that is its own.

A page elsewhere can have its own name point at 127.0.0.1 and then read what a server there answers (DNS rebinding): so
without a token, the name in `Host` must be one that is known. With a token that is not needed, because a browser has
the cookie for the right name only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN: Final = ("/health", "/ready")  # which say nothing of a log
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, for itself alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """Middleware: refuses who may not ask, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp, *, token: str | None, names: Sequence[str]) -> None:
        self._app, self._token = app, token
        self._names = frozenset(name.lower() for name in names)
        digest = hashlib.sha256((token or "").encode("utf-8", "surrogateescape"))
        self._cookie = f"logstats-{digest.hexdigest()[:8]}"  # one for each server, since cookies are not told by port
        self._pass = hmac.new(
            (token or "").encode("utf-8", "surrogateescape"), b"logstats cookie", hashlib.sha256
        ).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return

        async def sends(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._refused(scope)
        await (refused or self._app)(scope, receive, sends)

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to who may not ask."""
        headers = Headers(scope=scope)
        if self._token is None:
            name = _name(headers.get("host", ""))
            if name in self._names or is_loopback(name):
                return None
            words = f"Host {name!r} is not known here: name it with --allow-host, or protect the page with --token\n"
            return PlainTextResponse(words, 421)
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in pairs if name == "token"]
        rest = [pair for pair in pairs if pair[0] != "token"]
        scope["query_string"] = urlencode(rest).encode()
        if given and self._is_right(given[0].encode("utf-8", "surrogateescape")):
            return self._welcome(rest) if scope["path"] == "/" else None
        if scope["path"] in OPEN:
            return None
        scheme, _, word = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_right(word.strip().encode("latin-1")):
            return None
        if hmac.compare_digest(_cookie(headers.getlist("cookie"), self._cookie).encode(), self._pass.encode()):
            return None
        words = "A token is needed: add ?token=… to the address, or send it as `Authorization: Bearer …`\n"
        return PlainTextResponse(words, 401, {"WWW-Authenticate": "Bearer"})

    def _is_right(self, token: bytes) -> bool:
        assert self._token is not None
        return hmac.compare_digest(token, self._token.encode("utf-8", "surrogateescape"))

    def _welcome(self, rest: Sequence[tuple[str, str]]) -> Response:
        """The same address without the token, which is kept as a cookie: of this folder, wherever a proxy puts it."""
        answer = RedirectResponse(f"?{urlencode(rest)}", 303)
        answer.headers["Set-Cookie"] = f"{self._cookie}={self._pass}; HttpOnly; SameSite=Lax; Max-Age=2592000"
        return answer


def _name(host: str) -> str:
    """`localhost:8080` → `localhost`, `[::1]:8080` → `::1`."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _cookie(lines: Sequence[str], name: str) -> str:
    for line in lines:
        try:
            cookies: SimpleCookie = SimpleCookie(line)
        except CookieError:
            continue
        if name in cookies:
            return cookies[name].value
    return ""
