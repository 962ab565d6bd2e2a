"""Watching logs as they are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logstats.api.arguments import check_choices, options_from
from logstats.filters import Filters
from logstats.inputs import discover
from logstats.options import Options, job_of
from logstats.pipeline import Listener, Silence
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import needs

if TYPE_CHECKING:
    from logstats.inputs import Begin
    from logstats.live.alerts.alerts import Alerts
    from logstats.live.alerts.rule import Measure
    from logstats.live.session import Session
    from logstats.live.watching import Watching
    from logstats.objectives.policy import Policy


def watch(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    watching: Watching | None = None,
    *,
    user_key: str = "auto",
    exact_users: bool = False,
    max_endpoints: int = 10_000,
    over_time: bool = False,
    columns: Sequence[str] = (),
    alerts: Sequence[str] = (),
    policy: str | Path | Policy | None = None,
    listener: Listener | None = None,
    say: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    **more: Any,
) -> Session:
    """Watch logs as they are written: call `step` and `snapshot` again and again, and `report` at the end.

    `sources` are files, globs and folders, which are followed over rotation, `syslog://HOST:PORT`, or `-`. `watching`
    says what is asked of the session, `columns` are further ones that the rows it keeps should have, `over_time` is as
    in `report`; further keyword arguments are the fields of `Options`. `say` is told what happens to sources. `alerts`
    are conditions such as 'p99 > 500ms for 2m', `policy` the objectives whose burn rates are alerts, too: a TOML file,
    or what `objectives.policy.parse` makes of one. The session's `alerts` say how things stand with them, and its
    `changes` what fired and was resolved.

    Raises what `report` raises, ExpressionError and ObjectiveError for alerts that cannot be read, and SourceError for
    a port that cannot be had.
    """
    from logstats.inputs import Following, follow
    from logstats.live import begin
    from logstats.live.session import COLUMNS, Session, work
    from logstats.live.watching import Watching

    options, watching = options_from(options, more), watching or Watching()
    check_choices(user_key, watching.sort, max_endpoints)
    names = options.sources(sources)
    wanted = ReportSpec((), user_key, exact_users, max_endpoints, over_time)
    start: Begin | None = None
    if watching.lines is not None:
        start = begin.last_lines(watching.lines)
    elif not watching.from_start:
        looked = replace(job_of(options, frozenset({"timestamp"}), begin.times_only, False), filters=Filters())
        files = [name for name in names if name != "-" and "://" not in name]
        modified = [one.modified for one in (discover(files)[0] if files else ()) if one.modified is not None]
        seconds = watching.window if watching.begin is None else watching.begin
        start = begin.LastWindow(seconds, looked, max(modified, default=None))
    how = Following(begin=start, partial_timeout=watching.partial_timeout, allow=watching.allow, say=say, clock=clock)
    watched = alerts_of(alerts, policy, options, user_key)
    read = needs(wanted) | COLUMNS | frozenset(columns) | watched.needs
    job = job_of(options, read, work(wanted), keep_rejected=True)
    for note in watched.notes:
        say(note)
    told = listener or Silence()
    return Session(
        follow(names, how), job, wanted, watching, told, alerts=watched, columns=columns, clock=clock, wall=wall
    )


def alerts_of(
    conditions: Sequence[str], policy: str | Path | Policy | None, options: Options, user_key: str = "auto"
) -> Alerts:
    """Alerts of conditions, and of the burn rates of a policy. Raises ExpressionError and ObjectiveError."""
    from logstats.live.alerts.alerts import Alerts

    measures: list[Measure] = []
    if conditions:
        from logstats.live.alerts.conditions import Conditions, parse

        measures.append(Conditions([parse(text, options.times()) for text in conditions], user_key))
    if policy is not None:
        from logstats.live.alerts.burn import Burn
        from logstats.objectives.policy import Policy, load

        measures.append(Burn(policy if isinstance(policy, Policy) else load(policy, options.times())))
    return Alerts(*measures)
