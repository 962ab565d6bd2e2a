"""The web application: what is asked for by which path.

    /             the page            /metrics      OpenMetrics
    /panels       what it replaces    /health       200 while sources are looked at
    /assets/…     script, style       /ready        200 while they are read in time
    /api/report   the JSON report     /api/events   server-sent events: a snapshot each interval

Nothing here blocks the event loop: answers are made in the desk's pools, once for all who ask for the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from logstats.archive.query.rows import Gone
from logstats.errors import LogstatsError, UsageError
from logstats.live.alerts.alerts import State
from logstats.live.serve.access import Access
from logstats.live.serve.archived import TooLong
from logstats.live.serve.desk import Desk
from logstats.live.serve.renderings import Busy, Rendering, Renderings
from logstats.live.serve.view import ALL, NARROWED, RANGES, View, read
from logstats.live.snapshot import Snapshot
from logstats.reports.clock import Clock
from logstats.reports.html import live as page
from logstats.reports.model import Report
from logstats.reports.openmetrics import LABEL, Apart, family, to_openmetrics
from logstats.reports.printable import printable, shortened

LIVE_REST: Final = 1  # times as long as an answer took, it is good enough: live figures change once an interval,
ARCHIVED_REST: Final = 5  # and an archive may take seconds for them
DEAD: Final = 20.0  # seconds, after which a client that takes nothing is let go
PING: Final = 10  # seconds between two signs of life, which are events, because a page is not told of comments
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_STATUSES: Final = {Busy: 503, TooLong: 503, Gone: 404, UsageError: 400}  # of an answer that is an error
_LABELS: Final = {"24h": "24 h", "7d": "7 days", "30d": "30 days", ALL: "all"}


class Latest:
    """The newest event, for all who listen: each gets the newest one when it can take one, and none waits in a queue.

    `publish` may be called by any thread, the others by the event loop's.
    """

    def __init__(self) -> None:
        self.listeners = 0
        self.closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = b""
        self._number = 0
        self._changed = asyncio.Event()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listeners run in this loop."""
        self._loop = loop

    def publish(self, event: bytes) -> None:
        """The next event."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, event)

    def close(self) -> None:
        """End all streams."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)

    def _take(self, event: bytes) -> None:
        self._event, self._number = event, self._number + 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _end(self) -> None:
        self.closed = True
        self._changed.set()

    async def events(self) -> AsyncIterator[bytes]:
        """The newest event, again and again."""
        number = 0 if self.listeners else self._number  # what was published for nobody is old
        self.listeners += 1
        try:
            while not self.closed:
                if number != self._number:
                    number = self._number
                    yield self._event
                else:
                    await self._changed.wait()
        finally:
            self.listeners -= 1


def event_of(snapshot: Snapshot | None, archive: int | None) -> bytes:
    """A snapshot as a server-sent event."""
    found: dict[str, Any] = {"time": None} if snapshot is None else snapshot.to_dict()
    if archive is not None:
        found["archive"] = {"commit": archive}
    return f"event: snapshot\ndata: {json.dumps(found, allow_nan=False)}\n\n".encode()


@dataclass(slots=True)
class Site:
    """What is served. `default` is the range that is shown first, `keep` how many minutes of live figures there are,
    `title` what it is about."""

    desk: Desk
    zone: str
    default: str
    keep: int
    title: str = ""
    latest: Latest = field(default_factory=Latest)
    making: float = 0.0  # see `made_in`
    _renderings: Renderings = field(default_factory=Renderings)
    _apart: Apart = field(default_factory=Apart)
    _choosing: threading.Lock = field(default_factory=threading.Lock)
    _live: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="logstats-live"))
    _archived: Executor = field(default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="logstats-archive"))

    def application(self, token: str | None, names: Sequence[str]) -> Access:
        """The ASGI application, which only answers those who may ask."""
        paths = {
            "/": self._page,
            "/panels": self._panels,
            "/api/report": self._report,
            "/api/events": self._events,
            "/metrics": self._metrics,
            "/health": self._health,
            "/ready": self._ready,
            "/assets/{name}": self._asset,
        }
        routes = [Route(path, endpoint, methods=["GET"]) for path, endpoint in paths.items()]
        return Access(Starlette(routes=routes), token=token, names=names)

    def close(self) -> None:
        """Let go of threads."""
        for pool in (self._live, self._archived):
            pool.shutdown(wait=False, cancel_futures=True)

    # -- answers

    async def _page(self, request: Request) -> Response:
        return await self._viewed(request, "page", self.default)

    async def _panels(self, request: Request) -> Response:
        return await self._viewed(request, "view", self.default)

    async def _report(self, request: Request) -> Response:
        return await self._viewed(request, "json", ALL)

    async def _viewed(self, request: Request, kind: str, default: str) -> Response:
        """An answer about the view that the query names."""
        try:
            view = read(request.query_params.multi_items(), default, self.zone, datetime.now(UTC))
        except (UsageError, OverflowError) as error:
            return _refusal(error, 400)
        media = "application/json" if kind == "json" else "text/html; charset=utf-8"
        desk = self.desk
        archived = await asyncio.to_thread(desk.is_archived, view)
        return await self._answer(
            request,
            (kind, view.query()),
            lambda: desk.version(view),
            lambda: self._made(kind, view, live=not archived),
            media,
            self._archived if archived else self._live,
            ARCHIVED_REST if archived else LIVE_REST,
        )

    async def _metrics(self, request: Request) -> Response:
        desk = self.desk
        archived = desk.archive is not None
        return await self._answer(
            request,
            "metrics",
            desk.totals_version,
            lambda: self._openmetrics(desk.totals()),
            OPENMETRICS,
            self._archived if archived else self._live,
            ARCHIVED_REST if archived else LIVE_REST,
        )

    async def _answer(
        self,
        request: Request,
        key: object,
        version: Callable[[], object],
        make: Callable[[], bytes],
        media: str,
        pool: Executor,
        rest: float,
    ) -> Response:
        try:
            made = await self._renderings.get(key, version, make, pool, rest)
        except LogstatsError as error:
            return _refusal(error, next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500))
        return _response(request, made, media)

    def _made(self, kind: str, view: View, *, live: bool) -> bytes:
        begun = time.monotonic()
        made = self._render(kind, view, self._about(self.desk.report(view, None if kind == "json" else page.ROWS)))
        with contextlib.suppress(RuntimeError):  # it is being closed
            self._live.submit(self.desk.prepare, view)
        if kind == "view" and live:
            self.making = max(self.making, time.monotonic() - begun)
        return made

    def made_in(self) -> float:
        """How many seconds it took to make what is fetched after an event, since this was last asked."""
        took, self.making = self.making, 0.0
        return took

    def _about(self, report: Report) -> Report:
        return replace(report, title=self.title) if self.title else report

    def _render(self, kind: str, view: View, report: Report) -> bytes:
        if kind == "json":
            return report.to_json().encode() + b"\n"
        shown = page.to_view(report, self._around(view))
        return (page.to_page(report, shown) if kind == "page" else shown).encode()

    def _around(self, view: View) -> page.Around:
        ranges = [
            page.Range(_label(name), f"?{view.over(name).query()}", name == view.range)
            for name, minutes in RANGES.items()
            if minutes <= self.keep or self.desk.archive is not None
        ]
        ranges.append(page.Range(_label(ALL), f"?{view.over(ALL).query()}", view.range == ALL))
        chips = []
        if not view.range:
            clock = Clock(self.zone)
            ends = [clock.moment(time, seconds=False) if time else "" for time in (view.since, view.until)]
            chips.append(page.Chip("time", " – ".join(ends), f"?{view.over(self.default).query()}"))
        names = {"method": "endpoint"} if "endpoint" in view.only else {}
        for column in NARROWED:
            if column not in view.only or column in names:
                continue
            gone = ("method", "endpoint") if column == "endpoint" else (column,)
            words = " ".join(view.only[name] for name in gone if name in view.only)
            chips.append(page.Chip(column, words, f"?{view.without(*gone).query()}"))
        clock = Clock(self.zone)
        firing = [
            page.Firing(one.rule.text, f"{one.words}, since {clock.zoned(one.since)}" if one.since else one.words)
            for one in self.desk.alerts
            if one.state == "firing"
        ]
        return page.Around(ranges=ranges, chips=chips, narrow=lambda of: f"?{view.narrowed(of).query()}", alerts=firing)

    def _openmetrics(self, report: Report) -> bytes:
        desk = self.desk
        ready = desk.ready()
        gauges = {
            "up": ("1 while the sources are looked at", int(desk.alive())),
            "ready": ("1 while the sources are read in time", int(not ready.problems)),
            "listeners": ("Pages and programs that listen to events", self.latest.listeners),
        }
        more = [family(name, "gauge", words, [("", {}, value)]) for name, (words, value) in gauges.items()]
        alerts = {_labels(one): one for one in desk.alerts}
        for name, kind, words, suffix, value in (
            ("alert_firing", "gauge", "1 while an alert is firing", "", lambda one: int(one.state == "firing")),
            ("alerts_fired", "counter", "How often an alert has fired", "_total", lambda one: one.fired),
        ):
            more.append(
                family(name, kind, words, [(suffix, dict(labels), value(one)) for labels, one in alerts.items()])
            )
        if ready.lag is not None:
            more.append(
                family("lag_seconds", "gauge", "The age of the newest line", [("", {}, ready.lag)], unit="seconds")
            )
        if desk.archive is None:
            return to_openmetrics(report, apart=self._apart, more=more).encode()
        with self._choosing:
            if not self._apart.names:
                self._apart.names |= desk.archive.kept_apart()
            before = len(self._apart.names)
            text = to_openmetrics(report, apart=self._apart, more=more)
            if len(self._apart.names) > before:
                desk.archive.keep_apart(self._apart.names)
        return text.encode()

    async def _events(self, request: Request) -> Response:
        return EventSourceResponse(
            self.latest.events(),
            ping=PING,
            ping_message_factory=lambda: ServerSentEvent("{}", event="ping"),
            send_timeout=DEAD,
        )

    async def _health(self, request: Request) -> Response:
        alive = self.desk.alive()
        return PlainTextResponse("ok\n" if alive else "the sources are not looked at any more\n", 200 if alive else 503)

    async def _ready(self, request: Request) -> Response:
        try:
            problems = (await asyncio.to_thread(self.desk.ready)).problems
        except LogstatsError:
            problems = ("the archive cannot be read",)
        return PlainTextResponse("\n".join(problems or ["ready"]) + "\n", 503 if problems else 200)

    async def _asset(self, request: Request) -> Response:
        found = page.assets().get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("there is no such file\n", 404)
        media, content = found
        return Response(content, headers={"Cache-Control": "public, max-age=31536000, immutable"}, media_type=media)


def _labels(alert: State) -> tuple[tuple[str, str], ...]:
    """Those of an alert's metrics."""
    severity = (("severity", alert.rule.severity),) if alert.rule.severity else ()
    return (("condition", shortened(printable(alert.rule.text), LABEL)), *severity)


def _label(range_: str) -> str:
    return _LABELS.get(range_) or range_.replace("m", " min").replace("h", " h")


def _refusal(error: Exception, status: int) -> Response:
    hint = getattr(error, "hint", "")
    words = f"{error} ({hint})" if hint else str(error)
    headers = {"Retry-After": "5"} if status == 503 else {}
    return PlainTextResponse(printable(words) + "\n", status, headers)


def _response(request: Request, made: Rendering, media: str) -> Response:
    headers = {"ETag": made.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == made.etag:
        return Response(status_code=304, headers=headers)
    body = made.body
    if made.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body = made.packed
        headers["Content-Encoding"] = "gzip"
    headers["Content-Type"] = media
    return Response(body, headers=headers)
