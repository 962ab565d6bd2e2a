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
    from logstats.live.session import Session
    from logstats.live.watching import Watching


def watch(
    sources: str | Path | Sequence[str | Path] = (),
    options: Options | None = None,
    watching: Watching | None = None,
    *,
    user_key: str = "auto",
    exact_users: bool = False,
    max_endpoints: int = 10_000,
    listener: Listener | None = None,
    say: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    **more: Any,
) -> Session:
    """Watch logs as they are written: call `step` and `snapshot` again and again, and `report` at the end.

    `sources` are files, globs and folders, which are followed over rotation, `syslog://HOST:PORT`, or `-`. `watching`
    says what is asked of the session, further keyword arguments are the fields of `Options`. `say` is told what
    happens to sources.

    Raises what `report` raises, and SourceError for a port that cannot be had.
    """
    from logstats.inputs import Following, follow
    from logstats.live import begin
    from logstats.live.session import COLUMNS, Session, work
    from logstats.live.watching import Watching

    options, watching = options_from(options, more), watching or Watching()
    check_choices((), user_key, watching.sort, max_endpoints)
    names = options.sources(sources)
    wanted = ReportSpec((), user_key, exact_users, max_endpoints)
    start: Begin | None = None
    if watching.lines is not None:
        start = begin.last_lines(watching.lines)
    elif not watching.from_start:
        looked = replace(job_of(options, frozenset({"timestamp"}), begin.times_only, False), filters=Filters())
        files = [name for name in names if name != "-" and "://" not in name]
        modified = [one.modified for one in (discover(files)[0] if files else ()) if one.modified is not None]
        start = begin.LastWindow(watching.window, looked, max(modified, default=None))
    how = Following(begin=start, partial_timeout=watching.partial_timeout, allow=watching.allow, say=say, clock=clock)
    job = job_of(options, needs(wanted) | COLUMNS, work(wanted), keep_rejected=True)
    return Session(follow(names, how), job, wanted, watching, listener or Silence(), clock=clock, wall=wall)
