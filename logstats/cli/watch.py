"""`logstats watch`."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from logstats.cli import options as shared
from logstats.cli.alerting import Alerting
from logstats.cli.messages import Messages
from logstats.cli.output import destination, reachable, screen, show
from logstats.errors import ExitCode
from logstats.live.pace import Look, Pace
from logstats.live.watching import Watching, seconds
from logstats.reports.renderers import RENDERERS
from logstats.reports.view import View as ReportView
from logstats.summaries.names import SORTS

if TYPE_CHECKING:
    from logstats.live.session import Session
    from logstats.pipeline import Interrupt

LIVE_PANEL: Final = "Watching"
ALERTS: Final = 1_000  # the newest that are said when the screen is gone
PERCENTILES: Final = ("50", "90", "95", "99", "99.9")


@shared.command(shared.READING, shared.FILTERS, shared.ALERTS)
def watch(
    sources: shared.EndlessSources = None,
    given: shared.SharedOptions = shared.SHARED,
    window: Annotated[
        str, shared.Option("--window TIME", "What is shown: the current minute and those before it.", LIVE_PANEL)
    ] = "5m",
    interval: Annotated[str, shared.Option("--interval TIME", "How often it is shown.", LIVE_PANEL)] = "1s",
    sort: Annotated[
        str,
        shared.Option(
            "--sort KEY", f"What endpoints are ranked by: {', '.join(SORTS)}.", LIVE_PANEL, values=SORTS, closed=True
        ),
    ] = "avg",
    lateness: Annotated[
        str, shared.Option("--lateness TIME", "How late a line may come and still count in its minute.", LIVE_PANEL)
    ] = "30s",
    keep: Annotated[
        str, shared.Option("--keep TIME", "How long the report at the end tells minutes apart.", LIVE_PANEL)
    ] = "24h",
    from_start: Annotated[
        bool,
        shared.Option("--from-start", "Read files from their start, not only their last --window.", LIVE_PANEL),
    ] = False,
    lines: Annotated[
        int | None, shared.Option("-n, --lines N", "Begin with the last N lines of each file.", LIVE_PANEL, least=0)
    ] = None,
    partial_timeout: shared.PartialTimeout = None,
    allow: shared.Allow = None,
    user_key: shared.UserKey = "auto",
    max_endpoints: Annotated[
        int,
        shared.Option(
            "--max-endpoints N", "Endpoints held; further ones are (other).", shared.STATISTICS_PANEL, least=1
        ),
    ] = 10_000,
    out: Annotated[
        str | None,
        shared.Option("--out FILE", "Write the report of the session here at the end, as JSON.", shared.OUTPUT_PANEL),
    ] = None,
    quiet: shared.Quiet = False,
) -> int:
    """The same live, full screen: requests a second, statuses, latency, users, endpoints of the last minutes.

    Files are followed over rotation; times are those of the log. Keys: q quits and prints the report of the session,
    ? lists the others. Where standard output is no terminal, it gets one JSON object per interval. Alerts that fire
    and are resolved are said on standard error, or when the screen is gone.
    """
    watching = Watching(
        window=seconds("--window", window, least=1),
        interval=seconds("--interval", interval, least=0.1),
        lateness=seconds("--lateness", lateness),
        keep=seconds("--keep", keep, least=60),
        sort=sort,
        from_start=from_start,
        lines=lines,
        partial_timeout=None if partial_timeout is None else seconds("--partial-timeout", partial_timeout),
        allow=shared.words(allow),
    )
    reachable(out, datetime.now(UTC))
    shared.refuse_overwriting(out, [s for s in sources or () if "://" not in s], "--out")
    messages = Messages(quiet=quiet, progress=False)

    from logstats import api
    from logstats.pipeline import Interrupt

    chosen = shared.reading_options(given)
    messages.options_read(chosen)
    terminal = sys.stdout.isatty()
    told = _Told(messages, screen=terminal)
    with (
        Interrupt() as interrupt,
        Alerting(given, sources or ("-",), chosen.zone(), told.alert, told.untold) as alerting,
    ):
        session = api.watch(
            sources or (),
            chosen,
            watching,
            user_key=user_key,
            max_endpoints=max_endpoints,
            alerts=alerting.conditions,
            policy=alerting.policy,
            listener=told,
            say=told.hear,
        )
        try:
            if terminal:
                _full_screen(session, told, alerting, interrupt, chosen.zone())
            else:
                _objects(session, told, alerting, interrupt)
        except BaseException:
            session.close()
            raise
        made = session.report(percentiles=PERCENTILES, interrupted=interrupt.asked)
        for change in session.changes():
            alerting.tell(change)
        told.screen_is_gone()
    made = replace(made, zone=chosen.zone())
    if out is not None:
        with destination(out, datetime.now(UTC)) as file:
            file.write(RENDERERS["json"].render(made, ReportView()))
    if terminal:
        shown_on = screen(to_file=False)
        view = ReportView(sort=sort, width=shown_on.width, colour=shown_on.colour, encoding=shown_on.encoding)
        show(RENDERERS["table"].render(made, view), pager=False)
    else:
        print(f'{{"report": {made.to_json()}}}', flush=True)
    if alerting.failed:
        messages.codes.add(ExitCode.MISSED)
    if made.rejected and not made.requests + made.events + made.filtered:
        messages.codes.add(ExitCode.NOTHING_PARSED)
    if interrupt.asked:
        messages.codes.add(ExitCode.INTERRUPTED)
    return int(messages.exit_code)


class _Told:
    """Hears what happens to sources: says it on standard error, or keeps it for the screen, which takes all of that."""

    def __init__(self, messages: Messages, *, screen: bool) -> None:
        self._messages, self._talks = messages, not screen
        self._heard: deque[str] = deque(maxlen=50)
        self._alerts: deque[str] = deque(maxlen=ALERTS)
        self._quiet = screen and sys.stderr.isatty()  # where the screen is, nothing else is written

    def hear(self, text: str) -> None:
        self._heard.append(text)
        if self._talks:
            self._messages.say(text)

    def alert(self, text: str) -> None:
        if self._quiet:
            self._alerts.append(text)
        else:
            self._messages.alert(text)

    def untold(self, text: str) -> None:
        """Somebody could not be told of an alert: that is on the screen as well."""
        self._heard.append(text)
        self.alert(text)

    def screen_is_gone(self) -> None:
        """Say what could not be said meanwhile."""
        self._quiet = False
        while self._alerts:
            self._messages.alert(self._alerts.popleft())

    def note(self, source: str, text: str) -> None:
        self.hear(f"{source}: {text}")

    def problem(self, error: Any) -> None:
        self._messages.codes.add(error.exit_code)
        self.hear(str(error))

    def format_found(self, source: str, found: Any) -> None:
        if self._talks:
            self._messages.format_found(source, found)

    def format_added(self, source: str, name: str, line: int) -> None:
        self.hear(f"{source}: from line {line:,} on also format {name}")

    def format_unknown(self, source: str) -> None:
        self.hear(f"{source}: no format reads these lines (name one with --format, or --log-format '…')")

    def progress(self, reader: object, counts: object) -> None:
        """Nothing: the screen shows it."""

    def tell(self, session: Session) -> None:
        """Hand on what was heard."""
        while self._heard:
            session.note(self._heard.popleft())


def _objects(session: Session, told: _Told, alerting: Alerting, interrupt: Interrupt) -> None:
    """One JSON object per interval, until nothing follows."""
    pace = Pace(session.watching.interval)
    pace.look()  # the first object is about an interval, as the others are
    while not interrupt.asked:
        look = pace.look()
        more = _step(session, told, alerting, look)
        over = (session.ended and not more) or alerting.failed
        if look == "show" or over:
            print(session.snapshot().to_json(), flush=True)
        if over:
            return
        if not more:
            time.sleep(pace.wait())


def _step(session: Session, told: _Told, alerting: Alerting, look: Look) -> bool:
    """Take what has arrived, and tell what came of it; whether more is there already."""
    more = session.step(look)
    told.tell(session)
    for change in session.changes():
        alerting.tell(change)
    return more


def _full_screen(session: Session, told: _Told, alerting: Alerting, interrupt: Interrupt, zone: str) -> None:
    """The screen, until a key ends it."""
    from rich.console import Console, ConsoleDimensions, Group
    from rich.live import Live

    from logstats.live.keyboard import keyboard
    from logstats.live.screen import Screen
    from logstats.live.view import View, keys

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    drawing = Screen(zone, unicode=screen(to_file=False).unicode)
    view = View(sort=session.sort)
    snapshot, size = None, None
    pace, typed = Pace(session.watching.interval, prompt=True), b""
    with keyboard() as board, Live(console=console, screen=True, auto_refresh=False) as live:
        while not (interrupt.asked or alerting.failed):
            look = pace.look()
            due = look == "show"
            more = _step(session, told, alerting, look)
            if asked_anew := (session.sort, session.contains) != (view.sort, view.filter):
                session.sort, session.contains = view.sort, view.filter
            if asked_anew or snapshot is None or (due and not view.paused):
                snapshot = session.snapshot()
            now = os.get_terminal_size(sys.stdout.fileno())  # COLUMNS does not change when the terminal does
            console.size = ConsoleDimensions(now.columns, now.lines)
            if due or typed or now != size:
                size = now
                lines = drawing.lines(snapshot, view, session.recent(), now.columns, now.lines)
                live.update(Group(*lines), refresh=True)
            typed = board.read(0.0 if more else pace.wait())
            for key in keys(typed):
                if view.press(key, snapshot):
                    return
