"""`logstats serve`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated

from logstats.cli import options as shared
from logstats.cli.alerting import Alerting
from logstats.cli.messages import Messages
from logstats.errors import ExitCode
from logstats.live.watching import Watching, seconds

if TYPE_CHECKING:
    from logstats.live.alerts.alerts import Change

SERVE_PANEL = "Serving"
TOKEN = "LOGSTATS_TOKEN"


@shared.command(shared.READING, shared.FILTERS, shared.ALERTS)
def serve(
    sources: shared.EndlessSources = None,
    archive: shared.ArchiveDir = None,
    given: shared.SharedOptions = shared.SHARED,
    listen: Annotated[
        str, shared.Option("--listen ADDRESS", "Where to listen; :8080 is all addresses.", SERVE_PANEL)
    ] = "127.0.0.1:8080",
    token: Annotated[
        str | None,
        shared.Option(
            "--token TOKEN",
            f"What who asks must know: Authorization: Bearer, or ?token= once. {TOKEN} stands in for it.",
            SERVE_PANEL,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        shared.Option("--allow-host NAME", "A name that a proxy passes on in Host; repeatable.", SERVE_PANEL),
    ] = None,
    max_lag: Annotated[
        str | None,
        shared.Option("--max-lag TIME", "/ready is 503 while the newest line is older than this.", SERVE_PANEL),
    ] = None,
    interval: Annotated[str, shared.Option("--interval TIME", "How often the page moves.", SERVE_PANEL)] = "1s",
    window: Annotated[
        str, shared.Option("--window TIME", "How much of each log is read that is there already.", SERVE_PANEL)
    ] = "1h",
    keep: Annotated[
        str, shared.Option("--keep TIME", "How far back any time can be looked at without an archive.", SERVE_PANEL)
    ] = "6h",
    keep_rows: Annotated[
        int,
        shared.Option(
            "--keep-rows N", "The newest lines held whole, for a look at one endpoint or client.", SERVE_PANEL, least=0
        ),
    ] = 500_000,
    lateness: Annotated[
        str, shared.Option("--lateness TIME", "How late a line may come and still count in its minute.", SERVE_PANEL)
    ] = "30s",
    from_start: Annotated[
        bool, shared.Option("--from-start", "Read files from their start, not only their last --window.", SERVE_PANEL)
    ] = False,
    partial_timeout: shared.PartialTimeout = None,
    allow: shared.Allow = None,
    user_key: shared.UserKey = "auto",
    max_endpoints: Annotated[
        int,
        shared.Option(
            "--max-endpoints N", "Endpoints held; further ones are (other).", shared.STATISTICS_PANEL, least=1
        ),
    ] = 10_000,
    title: Annotated[
        str | None, shared.Option("--title TEXT", "What it is about: a host, a service.", shared.OUTPUT_PANEL)
    ] = None,
    quiet: shared.Quiet = False,
) -> int:
    """The same live, in a browser: a page that moves, with /metrics, /health, /ready, /api/report and /api/events.

    A click on an endpoint, a status, a host or a client, and a zoom on a chart narrow everything to it. With --archive,
    the page goes back as far as that does. Ctrl-C or SIGTERM ends it.
    """
    watching = Watching(
        window=300.0,
        interval=seconds("--interval", interval, least=0.1),
        lateness=seconds("--lateness", lateness),
        keep=seconds("--keep", keep, least=300),
        top=10,
        history=seconds("--keep", keep, least=300),
        rows=keep_rows,
        begin=seconds("--window", window),
        from_start=from_start,
        partial_timeout=None if partial_timeout is None else seconds("--partial-timeout", partial_timeout),
        allow=shared.words(allow),
    )
    token = token or os.environ.get(TOKEN) or None
    longest = None if max_lag is None else seconds("--max-lag", max_lag)
    place = archive or (None if sources else os.environ.get("LOGSTATS_ARCHIVE")) or None
    messages = Messages(quiet=quiet, progress=False)

    from logstats import api
    from logstats.pipeline import Stop

    chosen = shared.reading_options(given)
    messages.options_read(chosen)
    with (
        Stop() as stop,
        Alerting(given, sources or ("-",), chosen.zone(), messages.alert, messages.alert) as alerting,
    ):
        site = api.site(
            sources or (() if place is None else None),
            chosen,
            watching,
            archive=place,
            max_lag=longest,
            title=title or "",
            user_key=user_key,
            max_endpoints=max_endpoints,
            alerts=alerting.conditions,
            policy=alerting.policy,
            listener=messages,
            say=messages.warn,
        )
        from logstats.live.serve import server as serving

        def changed(change: Change) -> None:
            alerting.tell(change)
            if alerting.failed:
                stop.ask()

        try:
            where = serving.address(listen)
            serving.check_access(where, token)
            listening = serving.bind(where)
            names = [where.host, *(allow_host or ())]
            with serving.Server(site, listening, token=token, names=names, say=messages.warn) as server:
                messages.say(f"{where.url(listening.getsockname()[1])} (Ctrl-C ends it)")
                serving.run(site, server, stop, watching.interval, changed)
        finally:
            if site.desk.session is not None:
                site.desk.session.close()
    if alerting.failed:
        messages.codes.add(ExitCode.MISSED)
    if stop.number == signal.SIGINT:
        messages.codes.add(ExitCode.INTERRUPTED)
    return int(messages.exit_code)
