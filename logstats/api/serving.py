"""Serving logs as they are written, and archives, to browsers and Prometheus."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats.api.arguments import options_from, refuse_for_archive
from logstats.api.watching import watch
from logstats.errors import LogstatsError, UsageError
from logstats.options import Options
from logstats.pipeline import Listener
from logstats.summaries.spec import ReportSpec

if TYPE_CHECKING:
    from logstats.live.serve.app import Site
    from logstats.live.watching import Watching
    from logstats.objectives.policy import Policy


def site(
    sources: str | Path | Sequence[str | Path] | None = (),
    options: Options | None = None,
    watching: Watching | None = None,
    *,
    archive: str | Path | None = None,
    max_lag: float | None = None,
    title: str = "",
    user_key: str = "auto",
    max_endpoints: int = 10_000,
    alerts: Sequence[str] = (),
    policy: str | Path | Policy | None = None,
    listener: Listener | None = None,
    say: Callable[[str], None] = lambda _: None,
    **more: Any,
) -> Site:
    """What `logstats serve` serves: `sources`, `alerts` and `policy` as in `watch` (None: no sources, only the
    `archive`).

    Raises what `watch` raises, LogstatsError for a package that is missing, ArchiveError for an archive.
    """
    try:
        from logstats.live.serve.app import Site
        from logstats.live.serve.server import Server  # noqa: F401 (it needs more of them)
    except ImportError as error:
        package = (error.name or "starlette").partition(".")[0].replace("_", "-")
        raise LogstatsError(f"serve needs the package {package}", "pip install 'logstats[serve]'") from None
    from logstats.live.serve.archived import ArchiveReports
    from logstats.live.serve.desk import BY, PERCENTILES, Desk
    from logstats.live.serve.view import RANGES
    from logstats.live.watching import Watching

    options, watching = options_from(options, more), watching or Watching(history=6 * 3600, rows=500_000, top=10)
    filters, zone = options.filters(), options.zone()
    kept = None
    if archive is not None and sources is None:
        refuse_for_archive((), options)
    if sources is None and (alerts or policy is not None):
        raise UsageError("alerts are about logs that are read", "name a source, too")
    if archive is not None and options.anonymize is not None:
        raise UsageError("an archive is shown as it is", "--anonymize is for `archive add`, which fills it")
    if archive is not None:
        kept = ArchiveReports(archive, percentiles=PERCENTILES, by=BY, user_key=user_key, zone=zone, filters=filters)
    session = None
    if sources is not None:
        session = watch(
            sources,
            options,
            watching,
            user_key=user_key,
            max_endpoints=max_endpoints,
            alerts=alerts,
            policy=policy,
            over_time=True,
            columns=("method", "endpoint", "host", "client_ip"),
            listener=listener,
            say=say,
        )
    desk = Desk(
        session,
        kept,
        spec=ReportSpec((), user_key, False, max_endpoints, True),
        zone=zone,
        filters=filters,
        whole=watching.from_start,
        max_lag=max_lag,
    )
    keep = math.ceil(watching.history / 60) if session is not None else 0
    default = "24h" if session is None else next((name for name in ("1h", "15m") if RANGES[name] <= keep), "5m")
    return Site(desk, zone, default, keep, title)
